//! The limits of a file system.

use thiserror::Error;

/// The limits of a [`FileSystem`](crate::FileSystem).
///
/// ```
/// use eryx_files::Limits;
///
/// let limits = Limits::default().with_max_file_bytes(1 << 20)?;
/// assert_eq!(limits.max_file_bytes(), 1 << 20);
/// assert!(Limits::default().with_max_files(0).is_err());
/// # Ok::<(), eryx_files::LimitsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    file_bytes: u64,
    files: usize,
    open: usize,
}

impl Limits {
    /// The highest [`max_file_bytes`](Self::max_file_bytes): 4 GiB.
    pub const MAX_FILE_BYTES: u64 = 4 << 30;
    /// The highest [`max_files`](Self::max_files). One call visits each directory entry at most
    /// once (to rename a directory), which takes a few milliseconds for this number.
    pub const MAX_FILES: usize = 65_536;
    /// The highest [`max_open`](Self::max_open).
    pub const MAX_OPEN: usize = 4096;
    /// The most open files, directories and listings of mounts. Each may be a descriptor of this
    /// process.
    pub const MAX_MOUNT_DESCRIPTORS: usize = 64;
    /// The longest name, in bytes: NAME_MAX of Linux.
    pub const MAX_NAME: usize = 255;
    /// The longest path and the longest target of a symbolic link, in bytes: PATH_MAX of Linux,
    /// less its NUL. No entry has a longer path from its root.
    pub const MAX_PATH: usize = 4095;
    /// The most directories on a path from the root to an entry, counted with the entry.
    pub const MAX_DEPTH: usize = 128;
    /// The most symbolic links that one path leads through: as in Linux.
    pub const MAX_LINKS: usize = 40;
    /// The most entries that are looked up for one path, links included. With 40 links, a path
    /// could otherwise look up 80,000.
    pub const MAX_LOOKUPS: usize = 1024;
    /// The most components of one path, `.` included, with those of the links that it leads
    /// through: twice those of the longest path. With 40 links, a path could otherwise have 84,000.
    /// Further slashes between two components do not count: they are skipped at once.
    pub const MAX_COMPONENTS: usize = 4096;
    /// The most bytes that one call reads or writes. A program that wants more calls again.
    pub const MAX_TRANSFER: usize = 256 << 10;

    /// Sets the most bytes of all files that the program creates or changes, and of the targets of
    /// its symbolic links. The default is 64 MiB.
    ///
    /// Holes count as if they were filled. Unchanged content of the [`Layout`](crate::Layout) does
    /// not count; when the program changes a part, blocks of 64 KiB count.
    ///
    /// # Errors
    ///
    /// Fails for more than [`Limits::MAX_FILE_BYTES`].
    pub fn with_max_file_bytes(mut self, bytes: u64) -> Result<Self, LimitsError> {
        self.file_bytes = in_range("max_file_bytes", bytes, 0, Self::MAX_FILE_BYTES)?;
        Ok(self)
    }

    /// Sets the most files, directories and links that the program creates. The default is 10,000.
    /// A second name of a file counts, and so does a removed file that is still open.
    ///
    /// # Errors
    ///
    /// Fails for 0, and for more than [`Limits::MAX_FILES`].
    pub fn with_max_files(mut self, files: usize) -> Result<Self, LimitsError> {
        in_range("max_files", files as u64, 1, Self::MAX_FILES as u64)?;
        self.files = files;
        Ok(self)
    }

    /// Sets the most files, directories and listings that the program holds open. The default is
    /// 256.
    ///
    /// # Errors
    ///
    /// Fails for 0, and for more than [`Limits::MAX_OPEN`].
    pub fn with_max_open(mut self, open: usize) -> Result<Self, LimitsError> {
        in_range("max_open", open as u64, 1, Self::MAX_OPEN as u64)?;
        self.open = open;
        Ok(self)
    }

    /// Returns the most bytes that the program stores.
    pub fn max_file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Returns the most files, directories and links that the program creates.
    pub fn max_files(&self) -> usize {
        self.files
    }

    /// Returns the most files, directories and listings that the program holds open.
    pub fn max_open(&self) -> usize {
        self.open
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 64 << 20,
            files: 10_000,
            open: 256,
        }
    }
}

/// The error of a limit that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{limit}` is {value}; set it to a number from {min} to {max}")]
pub struct LimitsError {
    limit: &'static str,
    value: u64,
    min: u64,
    max: u64,
}

fn in_range(limit: &'static str, value: u64, min: u64, max: u64) -> Result<u64, LimitsError> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(LimitsError {
            limit,
            value,
            min,
            max,
        })
    }
}
