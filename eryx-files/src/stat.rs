//! The metadata of a file.

use crate::time::Timestamp;

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileType {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A character device of a [`DeviceDirectory`](crate::DeviceDirectory).
    CharacterDevice,
    /// A device, a pipe or a socket in a directory of the machine. A program can see it, rename it
    /// and remove it, and cannot open it.
    Other,
}

/// The metadata of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The type.
    pub file_type: FileType,
    /// The identity of the file: equal for two names of one file, and for no other file that exists
    /// at the same time.
    pub identity: FileId,
    /// The number of names.
    pub links: u64,
    /// The size in bytes: of a file, or of the target of a symbolic link. 0 for directories and
    /// devices.
    pub size: u64,
    /// When the content was last read. Reads in memory do not update it.
    pub accessed: Timestamp,
    /// When the content was last modified.
    pub modified: Timestamp,
    /// When the content, the times or the names last changed.
    pub changed: Timestamp,
}

/// The identity of a file: its mount, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The number of the mount. The root is 0.
    pub volume: u64,
    /// The number of the file, which is not 0.
    pub number: u64,
}
