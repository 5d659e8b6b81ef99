//! The file system that a program sees.

mod entries;
mod file;
mod open;

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::mount::Mounts;
use crate::node::NodeId;
use crate::open_file_table::{Descriptor, OpenFile, OpenFileTable, Opened};
use crate::resolve::{Follow, Found, Last, Object, Resolver};
use crate::resolved_directory::{MountedPath, ResolvedDirectory};
use crate::snapshot::Snapshot;
use crate::source::Deferred;
use crate::stat::{FileType, Stat};
use crate::time::NewTime;
use crate::tree::Tree;

pub use open::OpenFlags;

/// The file system of one sandbox. It starts from a [`Layout`](crate::Layout).
///
/// The functions are those of `wasi:filesystem`. A path is relative to an open directory; `..` and
/// links lead anywhere below the root of the file system, not only below that directory. An
/// absolute target of a link is below the root too.
///
/// The work of each function is bounded, except for that of mounts and sources: a few milliseconds
/// at most, whatever the arguments are and whatever files exist.
pub struct FileSystem {
    tree: Tree,
    mounts: Arc<Mounts>,
    table: OpenFileTable,
    limits: Limits,
    /// Whether the layout has content that is loaded when it is needed.
    has_deferred: bool,
}

/// The directory in which an entry is changed.
enum WritableDirectory<'a> {
    /// In the tree of the program.
    Tree(NodeId),
    /// Not in memory.
    Mounted(&'a MountedPath),
}

impl FileSystem {
    pub(crate) fn new(tree: Tree, mounts: Arc<Mounts>, limits: Limits) -> Self {
        Self {
            has_deferred: tree.nodes().has_deferred(),
            tree,
            mounts,
            table: OpenFileTable::new(limits.max_open()),
            limits,
        }
    }

    /// Returns a file system with the same files, in which nothing is open. Both share the content
    /// until one of them changes it. The time is linear in the number of files that the program
    /// created or changed.
    pub fn fork(&self) -> Self {
        Self::new(self.tree.fork(), Arc::clone(&self.mounts), self.limits)
    }

    /// Returns the present files in memory, without those of mounts, in constant time. While it
    /// exists, the first change takes the time of [`fork`](Self::fork).
    ///
    /// As long as the snapshot exists, content that the program replaces stays in memory. That does
    /// not count against the limits.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.tree.nodes().clone())
    }

    /// Returns the limits of the file system.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the bytes that count against [`Limits::max_file_bytes`].
    pub fn used_bytes(&self) -> u64 {
        self.tree.budget().bytes()
    }

    /// Returns the number of files, directories and links that count against
    /// [`Limits::max_files`].
    pub fn used_files(&self) -> usize {
        self.tree.budget().files()
    }

    /// Returns the number of open files, directories and listings.
    pub fn open_count(&self) -> usize {
        self.table.len()
    }

    fn resolver(&self) -> Resolver<'_> {
        Resolver {
            tree: &self.tree,
            mounts: &self.mounts,
        }
    }

    /// Returns an open directory.
    fn directory(&self, descriptor: Descriptor) -> Result<ResolvedDirectory> {
        match self.table.get(descriptor)? {
            Opened::Directory(directory) => Ok(directory.clone()),
            Opened::File(..) => Err(Error::NotADirectory),
        }
    }

    /// Resolves a path from an open directory on.
    fn resolve(&self, descriptor: Descriptor, path: &str, follow: Follow) -> Result<Found> {
        let start = self.directory(descriptor)?;
        self.resolver().resolve(start, path, follow)
    }

    /// Returns what is known about an open file or directory.
    ///
    /// # Errors
    ///
    /// [`Error`]: see there.
    pub fn stat(&self, descriptor: Descriptor) -> Result<Stat, Error> {
        match self.table.get(descriptor)? {
            Opened::Directory(directory) => self.stat_directory(directory),
            Opened::File(OpenFile::Node(volume, id), _) => self.stat_node(*volume, *id),
            Opened::File(OpenFile::Mounted(volume, file), _) => {
                Ok(in_volume(*volume, file.stat()?))
            }
        }
    }

    /// Returns what is known about the file at a path. Follows a link at its end if `follow`.
    ///
    /// # Errors
    ///
    /// [`Error`]: see there.
    pub fn stat_at(&self, descriptor: Descriptor, follow: bool, path: &str) -> Result<Stat, Error> {
        let found = self.resolve(descriptor, path, at_end(follow))?;
        match self.existing(&found)? {
            None => self.stat_directory(&found.directory),
            Some((_, Object::Node(volume, id))) => self.stat_node(*volume, *id),
            Some((_, Object::MountPoint(directory))) => self.stat_directory(directory),
            Some((_, Object::Mounted(stat))) => Ok(in_volume(volume_of(&found.directory), *stat)),
        }
    }

    /// Returns the content to load before the file at a path is read, or, unless `reads`, before
    /// its size is known. Returns content that failed to load, too. Follows a link at the end of
    /// the path if `follow`. Returns `None` for all else, such as a path that does not exist.
    pub fn unloaded_at(
        &self,
        descriptor: Descriptor,
        follow: bool,
        path: &str,
        reads: bool,
    ) -> Option<Arc<Deferred>> {
        if !self.has_deferred {
            return None;
        }
        let found = self.resolve(descriptor, path, at_end(follow)).ok()?;
        let (_, Object::Node(volume, id)) = self.existing(&found).ok()?? else {
            return None;
        };
        let node = self.resolver().node(*volume, *id).ok()?;
        let deferred = node.file().ok()?.unloaded()?;
        (reads || deferred.size().is_none()).then(|| Arc::clone(deferred))
    }

    /// Calls `work` while `count` more files and directories can be open than the program may have:
    /// for those of the caller, when the program holds as many as it may.
    pub fn with_more_open<R>(&mut self, count: usize, work: impl FnOnce(&mut Self) -> R) -> R {
        self.table.set_reserve(count);
        let result = work(self);
        self.table.set_reserve(0);
        result
    }

    /// Sets the times of an open file or directory.
    ///
    /// # Errors
    ///
    /// [`Error`]: see there.
    pub fn set_times(
        &mut self,
        descriptor: Descriptor,
        accessed: NewTime,
        modified: NewTime,
    ) -> Result<(), Error> {
        match self.table.get(descriptor)? {
            Opened::Directory(ResolvedDirectory::Node(0, id))
            | Opened::File(OpenFile::Node(0, id), _) => {
                self.tree.set_times(*id, accessed, modified)
            }
            Opened::Directory(ResolvedDirectory::Node(..))
            | Opened::File(OpenFile::Node(..), _) => Err(Error::ReadOnly),
            Opened::Directory(ResolvedDirectory::Mounted(mounted)) => {
                mounted.directory.set_times(None, accessed, modified)
            }
            Opened::File(OpenFile::Mounted(_, file), _) => file.set_times(accessed, modified),
        }
    }

    /// Sets the times of the file at a path. Follows a link at its end if `follow`.
    ///
    /// # Errors
    ///
    /// [`Error`]: see there.
    pub fn set_times_at(
        &mut self,
        descriptor: Descriptor,
        follow: bool,
        path: &str,
        accessed: NewTime,
        modified: NewTime,
    ) -> Result<(), Error> {
        let found = self.resolve(descriptor, path, at_end(follow))?;
        let directory = match self.existing(&found)? {
            None => &found.directory,
            Some((_, Object::Node(0, id))) => {
                let id = *id;
                return self.tree.set_times(id, accessed, modified);
            }
            Some((_, Object::Node(..))) => return Err(Error::ReadOnly),
            Some((_, Object::MountPoint(directory))) => directory,
            Some((name, Object::Mounted(_))) => {
                let ResolvedDirectory::Mounted(mounted) = &found.directory else {
                    return Err(Error::NoEntry);
                };
                return mounted.directory.set_times(Some(name), accessed, modified);
            }
        };
        match directory {
            ResolvedDirectory::Node(0, id) => self.tree.set_times(*id, accessed, modified),
            ResolvedDirectory::Node(..) => Err(Error::ReadOnly),
            ResolvedDirectory::Mounted(mounted) => {
                mounted.directory.set_times(None, accessed, modified)
            }
        }
    }

    /// Returns what a path leads to, with its name, or `None` if that is the directory itself.
    fn existing<'f>(&self, found: &'f Found) -> Result<Option<(&'f str, &'f Object)>> {
        let Last::Name(name, object) = &found.last else {
            return Ok(None);
        };
        let object = object.as_ref().ok_or(Error::NoEntry)?;
        let file_type = self.resolver().file_type(object)?;
        if found.trailing_slash && file_type != FileType::Directory {
            return Err(Error::NotADirectory);
        }
        Ok(Some((name, object)))
    }

    fn stat_node(&self, volume: usize, id: NodeId) -> Result<Stat> {
        Ok(self.resolver().node(volume, id)?.stat(volume as u64, id))
    }

    fn stat_directory(&self, directory: &ResolvedDirectory) -> Result<Stat> {
        match directory {
            ResolvedDirectory::Node(volume, id) => self.stat_node(*volume, *id),
            ResolvedDirectory::Mounted(mounted) => {
                Ok(in_volume(mounted.volume, mounted.directory.stat()?))
            }
        }
    }
}

impl fmt::Debug for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSystem")
            .field("used_bytes", &self.used_bytes())
            .field("used_files", &self.used_files())
            .field("open", &self.open_count())
            .finish_non_exhaustive()
    }
}

fn at_end(follow: bool) -> Follow {
    if follow {
        Follow::Always
    } else {
        Follow::IfDirectory
    }
}

fn volume_of(directory: &ResolvedDirectory) -> usize {
    match directory {
        ResolvedDirectory::Node(volume, _) => *volume,
        ResolvedDirectory::Mounted(mounted) => mounted.volume,
    }
}

fn in_volume(volume: usize, mut stat: Stat) -> Stat {
    stat.identity.volume = volume as u64;
    stat
}

/// Returns the directory of an entry that is to be changed.
fn writable_directory(directory: &ResolvedDirectory) -> Result<WritableDirectory<'_>> {
    match directory {
        ResolvedDirectory::Node(0, id) => Ok(WritableDirectory::Tree(*id)),
        ResolvedDirectory::Node(..) => Err(Error::ReadOnly),
        ResolvedDirectory::Mounted(mounted) => Ok(WritableDirectory::Mounted(mounted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;

    #[test]
    fn sandboxes_can_be_moved_between_threads_and_layouts_shared() {
        fn is_send<T: Send>() {}
        fn is_shared<T: Send + Sync>() {}
        is_send::<FileSystem>();
        is_shared::<Layout>();
        is_shared::<Snapshot>();
    }
}
