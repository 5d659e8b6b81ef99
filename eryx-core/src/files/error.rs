//! The errors of `wasi:filesystem` that a guest can get.

use crate::failure::TableFull;
use crate::file_tree::PathError;

/// An error for the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileError {
    /// A path that leads nowhere.
    Path(PathError),
    /// A directory where a file is required.
    IsADirectory,
    /// A file where a directory is required.
    NotADirectory,
    /// A file that already exists.
    Exists,
    /// An entry that is not a link.
    NotALink,
    /// A change: the files are read-only.
    ReadOnly,
    /// The program holds as many files open as it may.
    TooManyOpen,
}

impl From<PathError> for FileError {
    fn from(error: PathError) -> Self {
        Self::Path(error)
    }
}

impl TableFull for FileError {
    fn table_full() -> Self {
        Self::TooManyOpen
    }
}
