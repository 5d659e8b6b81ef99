//! The errors of file operations.

use thiserror::Error;

/// The error of a file operation of a program.
///
/// Each variant is an error code of `wasi:filesystem`, except for
/// [`TooManyOpen`](Self::TooManyOpen), which WASI 0.2 lacks, and [`NotAFile`](Self::NotAFile),
/// which is for embedders alone. The messages contain no path, and no text of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine denies the access (EACCES).
    #[error("the machine denies the access")]
    Access,
    /// The descriptor is not open, or not open for this operation (EBADF).
    #[error("the descriptor is not open for this operation")]
    BadDescriptor,
    /// The entry is a mount point or the root (EBUSY).
    #[error("the entry is in use as a mount point or as the root")]
    Busy,
    /// The content of a file is needed by the function that provides it (EDEADLK).
    #[error("the content is needed by the function that provides it")]
    Deadlock,
    /// The entry exists already (EEXIST).
    #[error("the entry exists already")]
    Exists,
    /// The file would be larger than any file can be, or than the process may write (EFBIG).
    #[error(
        "the file would be larger than any file can be (`max_file_bytes`), or than this process \
         may write (`ulimit -f`)"
    )]
    FileTooLarge,
    /// An argument is not valid (EINVAL).
    #[error("an argument is not valid")]
    Invalid,
    /// The source of the content failed (EIO).
    #[error("the content cannot be read or written")]
    Io,
    /// The entry is a directory (EISDIR).
    #[error("the entry is a directory")]
    IsADirectory,
    /// The path has too many symbolic links, or ends in one that must not be followed (ELOOP).
    #[error("the path leads through too many symbolic links")]
    Loop,
    /// A name, a path or the target of a link is too long, or a directory too deep (ENAMETOOLONG).
    #[error("the name or path is too long")]
    NameTooLong,
    /// There is no such entry (ENOENT).
    #[error("there is no such entry")]
    NoEntry,
    /// The budget for bytes or files is used up (ENOSPC).
    #[error("the budget of `max_file_bytes` or `max_files` is used up")]
    NoSpace,
    /// The entry is a device, where the embedder reads or writes a file.
    #[error("the entry is not a regular file")]
    NotAFile,
    /// The path goes through something that is not a directory (ENOTDIR).
    #[error("the entry is not a directory")]
    NotADirectory,
    /// The device does not exist (ENXIO).
    #[error("the device does not exist")]
    NoSuchDevice,
    /// The directory is not empty (ENOTEMPTY).
    #[error("the directory is not empty")]
    NotEmpty,
    /// The operation is never allowed: a path that leaves the root, for example (EPERM).
    #[error("the operation is not allowed")]
    NotPermitted,
    /// The files cannot be changed (EROFS).
    #[error("the files are read-only")]
    ReadOnly,
    /// The program holds as many files open as it may (EMFILE).
    #[error("more files would be open than `max_open` allows")]
    TooManyOpen,
    /// The file system does not have this operation (ENOTSUP).
    #[error("the operation is not supported")]
    Unsupported,
    /// Both paths have to be on the same mount (EXDEV).
    #[error("the paths are on different mounts")]
    CrossDevice,
}

/// The result of a file operation.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
