//! Creation, removal and renaming of entries.

use crate::error::{Error, Result};
use crate::file_system::{FileSystem, WritableDirectory, at_end, volume_of, writable_directory};
use crate::open_file_table::Descriptor;
use crate::resolve::{Follow, Last, Object, check_text};
use crate::resolved_directory::ResolvedDirectory;
use crate::stat::FileType;
use crate::tree::entries::NewNode;

/// The directory and the name of a new entry.
struct NewEntry {
    directory: ResolvedDirectory,
    name: Box<str>,
}

/// The directory, the name and the type of an entry that exists.
struct OldEntry {
    directory: ResolvedDirectory,
    name: Box<str>,
    file_type: FileType,
    trailing_slash: bool,
}

impl FileSystem {
    /// Creates a directory.
    ///
    /// # Errors
    ///
    /// [`Error`]: those of mkdir(2).
    pub fn create_directory_at(&mut self, descriptor: Descriptor, path: &str) -> Result<(), Error> {
        let new = self.new_entry(descriptor, path, true)?;
        match writable_directory(&new.directory)? {
            WritableDirectory::Tree(id) => self
                .tree
                .create(id, &new.name, NewNode::Directory)
                .map(|_| ()),
            WritableDirectory::Mounted(mounted) => mounted.directory.create_directory(&new.name),
        }
    }

    /// Creates a symbolic link with this target, which need not exist. Directories that are not in
    /// memory can get no links: other programs could follow them to any place.
    ///
    /// # Errors
    ///
    /// [`Error`]: those of symlink(2).
    pub fn symlink_at(
        &mut self,
        target: &str,
        descriptor: Descriptor,
        path: &str,
    ) -> Result<(), Error> {
        if target.is_empty() {
            return Err(Error::NoEntry);
        }
        check_text(target)?;
        let new = self.new_entry(descriptor, path, false)?;
        match writable_directory(&new.directory)? {
            WritableDirectory::Tree(id) => self
                .tree
                .create(id, &new.name, NewNode::Symlink(target))
                .map(|_| ()),
            WritableDirectory::Mounted(_) => Err(Error::NotPermitted),
        }
    }

    /// Gives a file another name. Follows a link at the end of the old path if `follow`.
    /// Directories that are not in memory can get no links.
    ///
    /// # Errors
    ///
    /// [`Error`]: those of link(2).
    pub fn link_at(
        &mut self,
        old_descriptor: Descriptor,
        follow: bool,
        old_path: &str,
        new_descriptor: Descriptor,
        new_path: &str,
    ) -> Result<(), Error> {
        let found = self.resolve(old_descriptor, old_path, at_end(follow))?;
        let existing = self.existing(&found)?.map(|(_, object)| object);
        let new = self.new_entry(new_descriptor, new_path, false)?;
        let (volume, id) = match existing {
            Some(Object::Node(volume, id)) => (*volume, Some(*id)),
            Some(Object::MountPoint(directory)) => (volume_of(directory), None),
            Some(Object::Mounted(_)) | None => (volume_of(&found.directory), None),
        };
        if volume != volume_of(&new.directory) {
            return Err(Error::CrossDevice);
        }
        match (id, writable_directory(&new.directory)?) {
            (Some(id), WritableDirectory::Tree(directory)) => {
                self.tree.link(id, directory, &new.name)
            }
            _ => Err(Error::NotPermitted),
        }
    }

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if it is no link, and those of the path.
    pub fn readlink_at(&self, descriptor: Descriptor, path: &str) -> Result<String, Error> {
        let found = self.resolve(descriptor, path, Follow::IfDirectory)?;
        match self.existing(&found)? {
            Some((name, object)) => {
                let target = self.resolver().target(&found.directory, name, object)?;
                Ok(target.into_owned())
            }
            None => Err(Error::Invalid),
        }
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// [`Error`]: those of rmdir(2).
    pub fn remove_directory_at(&mut self, descriptor: Descriptor, path: &str) -> Result<(), Error> {
        let dots = [Error::Invalid, Error::NotEmpty];
        let old = self.old_entry(descriptor, path, dots)?;
        match writable_directory(&old.directory)? {
            WritableDirectory::Tree(id) => self.tree.remove_directory(id, &old.name),
            WritableDirectory::Mounted(mounted) => mounted.directory.remove_directory(&old.name),
        }
    }

    /// Removes a name of a file or link.
    ///
    /// # Errors
    ///
    /// [`Error`]: those of unlink(2).
    pub fn unlink_file_at(&mut self, descriptor: Descriptor, path: &str) -> Result<(), Error> {
        let old = self.old_entry(descriptor, path, [Error::IsADirectory; 2])?;
        if old.file_type == FileType::Directory {
            return Err(Error::IsADirectory);
        }
        if old.trailing_slash {
            return Err(Error::NotADirectory);
        }
        match writable_directory(&old.directory)? {
            WritableDirectory::Tree(id) => self.tree.unlink(id, &old.name),
            WritableDirectory::Mounted(mounted) => mounted.directory.remove_file(&old.name),
        }
    }

    /// Renames a file or directory. Both paths are on the same mount. Replaces a file, or an empty
    /// directory, that has the new name.
    ///
    /// # Errors
    ///
    /// [`Error`]: those of rename(2).
    pub fn rename_at(
        &mut self,
        old_descriptor: Descriptor,
        old_path: &str,
        new_descriptor: Descriptor,
        new_path: &str,
    ) -> Result<(), Error> {
        let old = self.resolve(old_descriptor, old_path, Follow::Never)?;
        let new = self.resolve(new_descriptor, new_path, Follow::Never)?;
        if volume_of(&old.directory) != volume_of(&new.directory) {
            return Err(Error::CrossDevice);
        }
        let (Last::Name(old_name, old_object), Last::Name(new_name, new_object)) =
            (&old.last, &new.last)
        else {
            return Err(Error::Busy);
        };
        let old_object = old_object.as_ref().ok_or(Error::NoEntry)?;
        let old_type = self.resolver().file_type(old_object)?;
        if (old.trailing_slash || new.trailing_slash) && old_type != FileType::Directory {
            return Err(Error::NotADirectory);
        }
        let is_mount_point = |object| matches!(object, &Object::MountPoint(_));
        if is_mount_point(old_object) || new_object.as_ref().is_some_and(is_mount_point) {
            return Err(Error::Busy);
        }
        match (
            writable_directory(&old.directory)?,
            writable_directory(&new.directory)?,
        ) {
            (WritableDirectory::Tree(old), WritableDirectory::Tree(new)) => {
                self.tree.rename(old, old_name, new, new_name)
            }
            (WritableDirectory::Mounted(old), WritableDirectory::Mounted(new)) => {
                old.directory.rename(old_name, &*new.directory, new_name)
            }
            _ => Err(Error::CrossDevice),
        }
    }

    /// Returns where an entry can be created.
    fn new_entry(
        &self,
        descriptor: Descriptor,
        path: &str,
        is_directory: bool,
    ) -> Result<NewEntry> {
        let found = self.resolve(descriptor, path, Follow::Never)?;
        match found.last {
            Last::Name(name, None) if is_directory || !found.trailing_slash => Ok(NewEntry {
                directory: found.directory,
                name,
            }),
            Last::Name(_, None) => Err(Error::NoEntry),
            Last::Name(_, Some(_)) | Last::Dot | Last::DotDot => Err(Error::Exists),
        }
    }

    /// Returns an entry that is to be removed. `dots` are the errors for `.` and `..`.
    fn old_entry(&self, descriptor: Descriptor, path: &str, dots: [Error; 2]) -> Result<OldEntry> {
        let found = self.resolve(descriptor, path, Follow::Never)?;
        let (name, object) = match found.last {
            Last::Name(name, object) => (name, object.ok_or(Error::NoEntry)?),
            Last::Dot => return Err(dots[0]),
            Last::DotDot => return Err(dots[1]),
        };
        if matches!(object, Object::MountPoint(_)) {
            return Err(Error::Busy);
        }
        Ok(OldEntry {
            file_type: self.resolver().file_type(&object)?,
            directory: found.directory,
            name,
            trailing_slash: found.trailing_slash,
        })
    }
}
