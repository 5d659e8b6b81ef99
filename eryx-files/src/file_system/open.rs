//! Opening and closing files, directories and listings.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::file_system::{FileSystem, WritableDirectory, at_end, volume_of, writable_directory};
use crate::mount::Access;
use crate::open_file_table::{Descriptor, Entries, Listing, OpenFile, Opened};
use crate::resolve::{Follow, Last, Object, Resolver};
use crate::resolved_directory::ResolvedDirectory;
use crate::stat::FileType;
use crate::tree::Tree;
use crate::tree::entries::NewNode;

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags {
    /// Follow a symbolic link at the end of the path.
    pub follow: bool,
    /// Create the file if it does not exist.
    pub create: bool,
    /// With `create`: fail if the file exists.
    pub exclusive: bool,
    /// Fail unless it is a directory.
    pub directory: bool,
    /// Remove the content. Requires `write`.
    pub truncate: bool,
    /// Open the content for reading.
    pub read: bool,
    /// Open the content for writing.
    pub write: bool,
}

impl OpenFlags {
    fn access(self) -> Access {
        Access {
            read: self.read,
            write: self.write,
            truncate: self.truncate,
        }
    }

    /// Rejects combinations that have no meaning.
    fn check(self) -> Result<()> {
        let creates_directory = self.directory && (self.create || self.truncate);
        let truncates_read_only = self.truncate && !self.write;
        if creates_directory || truncates_read_only {
            return Err(Error::Invalid);
        }
        Ok(())
    }
}

impl FileSystem {
    /// Opens the root.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyOpen`].
    pub fn open_root(&mut self) -> Result<Descriptor, Error> {
        self.insert(Opened::Directory(ResolvedDirectory::Node(0, Tree::ROOT)))
    }

    /// Opens the file or directory at a path.
    ///
    /// # Errors
    ///
    /// [`Error`]: those of open(2).
    pub fn open_at(
        &mut self,
        descriptor: Descriptor,
        path: &str,
        flags: OpenFlags,
    ) -> Result<Descriptor, Error> {
        flags.check()?;
        let follow = if flags.create && flags.exclusive {
            Follow::Never
        } else {
            at_end(flags.follow)
        };
        let start = self.directory(descriptor)?;
        let found = if flags.create {
            self.resolver().resolve_new_file(start, path, follow)?
        } else {
            self.resolver().resolve(start, path, follow)?
        };
        // Before anything is created or emptied.
        self.table
            .check_room(matches!(found.directory, ResolvedDirectory::Mounted(_)))?;
        let volume = volume_of(&found.directory);
        let Last::Name(name, object) = found.last else {
            check_directory(flags)?;
            return self.insert(Opened::Directory(found.directory));
        };
        let Some(object) = object else {
            if !flags.create {
                return Err(Error::NoEntry);
            }
            let file = self.create_file(&found.directory, &name)?;
            return self.insert(Opened::File(file, flags.access()));
        };
        let file_type = self.resolver().file_type(&object)?;
        if flags.create && flags.exclusive {
            return Err(Error::Exists);
        }
        match file_type {
            FileType::Directory => {
                check_directory(flags)?;
                let directory = self.resolver().enter(found.directory, &name, object)?;
                self.insert(Opened::Directory(directory))
            }
            _ if found.trailing_slash || flags.directory => Err(Error::NotADirectory),
            FileType::Symlink => Err(Error::Loop),
            FileType::Other => Err(Error::NotPermitted),
            FileType::File | FileType::CharacterDevice => {
                let file = match (object, found.directory) {
                    (Object::Node(volume, id), _) => {
                        if flags.write && volume > 0 {
                            return Err(Error::ReadOnly);
                        }
                        if flags.truncate {
                            self.tree.set_size(id, 0)?;
                        }
                        OpenFile::Node(volume, id)
                    }
                    (Object::Mounted(_), ResolvedDirectory::Mounted(mounted)) => {
                        let file = mounted.directory.open_file(&name, flags.access())?;
                        OpenFile::Mounted(volume, file)
                    }
                    _ => return Err(Error::NoEntry),
                };
                self.insert(Opened::File(file, flags.access()))
            }
        }
    }

    fn create_file(&mut self, directory: &ResolvedDirectory, name: &str) -> Result<OpenFile> {
        match writable_directory(directory)? {
            WritableDirectory::Tree(id) => {
                let file = self.tree.create(id, name, NewNode::File)?;
                Ok(OpenFile::Node(0, file))
            }
            WritableDirectory::Mounted(mounted) => {
                let file = mounted.directory.create_file(name)?;
                Ok(OpenFile::Mounted(mounted.volume, file))
            }
        }
    }

    fn insert(&mut self, opened: Opened) -> Result<Descriptor> {
        let node = opened.node();
        let descriptor = self.table.open(opened)?;
        if let Some(id) = node {
            self.tree.open(id);
        }
        Ok(descriptor)
    }

    /// Closes a file or directory. A file without a name ceases to exist when it is closed.
    ///
    /// # Errors
    ///
    /// [`Error::BadDescriptor`] if it is not open.
    pub fn close(&mut self, descriptor: Descriptor) -> Result<(), Error> {
        if let Some(id) = self.table.close(descriptor)?.node() {
            self.tree.close(id);
        }
        Ok(())
    }

    /// Begins to list the entries of an open directory.
    ///
    /// # Errors
    ///
    /// [`Error::NotADirectory`], and [`Error::TooManyOpen`], because listings count as open.
    pub fn list(&mut self, descriptor: Descriptor) -> Result<Listing, Error> {
        let entries = match self.table.get(descriptor)? {
            Opened::Directory(ResolvedDirectory::Node(volume, id)) => Entries::Node {
                volume: *volume,
                id: *id,
                last: None,
            },
            Opened::Directory(ResolvedDirectory::Mounted(mounted)) => {
                self.table.check_room(true)?;
                Entries::Mounted(mounted.directory.entries()?)
            }
            Opened::File(..) => return Err(Error::NotADirectory),
        };
        let node = entries.node();
        let listing = self.table.list(entries)?;
        if let Some(id) = node {
            self.tree.open(id);
        }
        Ok(listing)
    }

    /// Returns the name and the type of the next entry, or `None` after the last. Entries that
    /// exist during the whole listing are returned once. Others may be.
    ///
    /// # Errors
    ///
    /// [`Error::BadDescriptor`] if the listing is not open.
    pub fn next_entry(&mut self, listing: Listing) -> Result<Option<(Arc<str>, FileType)>, Error> {
        let (volume, id, last) = match self.table.entries(listing)? {
            Entries::Node { volume, id, last } => (*volume, *id, last),
            Entries::Mounted(entries) => {
                let entry = entries.next().transpose()?;
                return Ok(entry.map(|(name, file_type)| (name.into(), file_type)));
            }
        };
        let resolver = Resolver {
            tree: &self.tree,
            mounts: &self.mounts,
        };
        let Ok(directory) = resolver.node(volume, id)?.directory() else {
            return Ok(None);
        };
        let Some((name, entry)) = Tree::next_entry(directory, last.as_deref()) else {
            return Ok(None);
        };
        *last = Some(Arc::clone(&name));
        let file_type = resolver.node(volume, entry)?.file_type();
        Ok(Some((name, file_type)))
    }

    /// Ends a listing.
    ///
    /// # Errors
    ///
    /// [`Error::BadDescriptor`] if it is not open.
    pub fn close_listing(&mut self, listing: Listing) -> Result<(), Error> {
        if let Some(id) = self.table.close_listing(listing)?.node() {
            self.tree.close(id);
        }
        Ok(())
    }
}

/// Returns the error if a directory cannot be opened in this way.
fn check_directory(flags: OpenFlags) -> Result<()> {
    if flags.create && flags.exclusive {
        return Err(Error::Exists);
    }
    if flags.create || flags.write || flags.truncate {
        return Err(Error::IsADirectory);
    }
    Ok(())
}
