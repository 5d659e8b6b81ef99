//! Mounts: layers and directories that are not in the tree of a program.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::device_directory::Device;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::node::{Node, NodeId};
use crate::stat::{FileType, Stat};
use crate::time::NewTime;

/// The content of a mount point.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Mount {
    /// A tree in memory, read-only.
    Layer(Arc<Layer>),
    /// A directory that is not in memory, such as [`MachineDirectory`](crate::MachineDirectory).
    Directory(Arc<dyn MountedDirectory>),
}

/// A directory that is not in memory.
///
/// All names are single names: without `/` and NUL, not empty, neither `.` nor `..`, and at most
/// [`Limits::MAX_NAME`](crate::Limits::MAX_NAME) bytes. No function follows symbolic links; the
/// file system resolves them, within the root that the program sees. The program waits for each
/// function, on the thread that runs it.
///
/// The functions fail with the errors that the program gets. The volume of an identity is replaced.
pub trait MountedDirectory: Any + Send + Sync + fmt::Debug {
    /// Returns what is known about this directory.
    fn stat(&self) -> Result<Stat, Error>;

    /// Returns what is known about an entry.
    fn stat_entry(&self, name: &str) -> Result<Stat, Error>;

    /// Returns a directory in this one.
    fn directory(&self, name: &str) -> Result<Arc<dyn MountedDirectory>, Error>;

    /// Opens a regular file. It is emptied if `access` says so.
    fn open_file(&self, name: &str, access: Access) -> Result<Arc<dyn MountedFile>, Error>;

    /// Creates an empty regular file, and opens it. Fails if there is an entry with this name.
    fn create_file(&self, name: &str) -> Result<Arc<dyn MountedFile>, Error>;

    /// Creates a directory.
    fn create_directory(&self, name: &str) -> Result<(), Error>;

    /// Removes an entry that is not a directory.
    fn remove_file(&self, name: &str) -> Result<(), Error>;

    /// Removes an empty directory.
    fn remove_directory(&self, name: &str) -> Result<(), Error>;

    /// Renames an entry, as rename(2). `new_parent` is of the same mount.
    fn rename(
        &self,
        name: &str,
        new_parent: &dyn MountedDirectory,
        new_name: &str,
    ) -> Result<(), Error>;

    /// Returns the target of a symbolic link.
    fn read_link(&self, name: &str) -> Result<String, Error>;

    /// Sets the times of an entry, or those of this directory.
    fn set_times(
        &self,
        name: Option<&str>,
        accessed: NewTime,
        modified: NewTime,
    ) -> Result<(), Error>;

    /// Returns the entries, in any order, without `.` and `..`.
    fn entries(&self) -> Result<MountedEntries, Error>;
}

/// The names and types of the entries of a [`MountedDirectory`].
pub type MountedEntries = Box<dyn Iterator<Item = Result<(String, FileType), Error>> + Send>;

/// An open file that is not in memory.
pub trait MountedFile: Send + Sync + fmt::Debug {
    /// Returns what is known about the file.
    fn stat(&self) -> Result<Stat, Error>;

    /// Reads at most `length` bytes from `offset` on. `length` is at most
    /// [`Limits::MAX_TRANSFER`](crate::Limits::MAX_TRANSFER). Returns no bytes at the end of the
    /// file.
    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Error>;

    /// Writes bytes at `offset`, or at the end, and returns how many. There are at most
    /// [`Limits::MAX_TRANSFER`](crate::Limits::MAX_TRANSFER).
    fn write(&self, offset: Option<u64>, data: &[u8]) -> Result<usize, Error>;

    /// Sets the size. New bytes are 0.
    fn set_size(&self, size: u64) -> Result<(), Error>;

    /// Sets the times.
    fn set_times(&self, accessed: NewTime, modified: NewTime) -> Result<(), Error>;

    /// Returns the device that the file is, or `None` if it is none.
    fn device(&self) -> Option<&dyn Device> {
        None
    }
}

/// For what a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The content can be read.
    pub read: bool,
    /// The content can be changed.
    pub write: bool,
    /// The content is removed. Requires `write`.
    pub truncate: bool,
}

/// The mounts of a file system. Volume 0 is the tree of the program; the volume of a mount is its
/// position plus 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mounts {
    points: HashMap<NodeId, usize>,
    list: Vec<(NodeId, Mount)>,
}

impl Mounts {
    /// Adds a mount at a directory of volume 0. Returns whether that was free.
    pub(crate) fn add(&mut self, point: NodeId, mount: Mount) -> bool {
        if self.points.contains_key(&point) {
            return false;
        }
        self.list.push((point, mount));
        self.points.insert(point, self.list.len());
        true
    }

    /// Returns the volume that is mounted at a directory of volume 0.
    pub(crate) fn volume_at(&self, point: NodeId) -> Option<usize> {
        self.points.get(&point).copied()
    }

    /// Returns the mount of a volume, and its mount point.
    pub(crate) fn mount(&self, volume: usize) -> Result<&(NodeId, Mount)> {
        let position = volume.checked_sub(1).ok_or(Error::Invalid)?;
        self.list.get(position).ok_or(Error::NoEntry)
    }

    /// Returns a node of a layer.
    pub(crate) fn node(&self, volume: usize, id: NodeId) -> Result<&Node> {
        match &self.mount(volume)?.1 {
            Mount::Layer(layer) => layer.node(id).ok_or(Error::NoEntry),
            Mount::Directory(_) => Err(Error::NoEntry),
        }
    }
}
