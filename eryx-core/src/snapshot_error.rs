//! The error for a session that cannot be forked, saved or restored.

use std::io;

/// The error for a session that cannot be forked or saved, or a snapshot that cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes are not a snapshot.
    #[error(
        "these bytes are not a snapshot of a session: give those that the snapshot function of a \
         session returned"
    )]
    NotASnapshot,
    /// Another version of Eryx wrote the snapshot.
    #[error(
        "the snapshot has format {found}, and this version of Eryx reads format {expected}: run the \
         programs again in a new session"
    )]
    #[non_exhaustive]
    Format {
        /// The format of the snapshot.
        found: u32,
        /// The format of this version.
        expected: u32,
    },
    /// The snapshot is of a session with another guest image.
    #[error(
        "the snapshot is of another guest image, that of another version of Eryx: run the programs \
         again in a new session"
    )]
    OtherImage,
    /// The snapshot is of a session of another factory, or of a sandbox without one.
    #[error(
        "the snapshot is of a session of another factory: restore it in a sandbox of an equal \
         factory, with the same packages, imports and setup code"
    )]
    OtherFactory,
    /// The content of the snapshot is malformed.
    #[error("the snapshot is damaged: {0}; restore the bytes exactly as they were returned")]
    Damaged(&'static str),
    /// The files of the session cannot be saved or restored.
    #[error("the files of the session cannot be saved or restored: {path:?}: {reason}")]
    #[non_exhaustive]
    Files {
        /// The path of the file.
        path: String,
        /// The error of the file system.
        reason: String,
    },
    /// The memory of the session is larger than the limit.
    #[error("the session needs {needed} bytes of memory: raise the limit max_memory")]
    #[non_exhaustive]
    Memory {
        /// The bytes that it needs.
        needed: u64,
    },
    /// The kernel does not say which pages were written.
    #[error("the pages of the session cannot be found: {reason}")]
    #[non_exhaustive]
    Pages {
        /// The error of the kernel.
        reason: String,
    },
    /// The program crashed when it was to continue.
    #[error("the program in the copy of the session does not continue: {reason}")]
    #[non_exhaustive]
    Wake {
        /// The trap that the engine reported.
        reason: String,
    },
    /// The image has no functions to copy its state.
    #[error(
        "sessions of this guest image cannot be copied: it was built by another version of Eryx"
    )]
    Unsupported,
}

impl SnapshotError {
    pub(crate) fn pages(error: io::Error) -> Self {
        Self::Pages {
            reason: error.to_string(),
        }
    }
}
