//! The error for files that a sandbox cannot start with.

use eryx_files::LayerError;

/// [`Files`](crate::Files) that a sandbox cannot start with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The path is not valid.
    #[error("files: {path:?} is not a path for a file: {reason}")]
    #[non_exhaustive]
    Invalid {
        /// The path.
        path: String,
        /// Which rule it breaks, and what to change.
        reason: String,
    },
    /// The path is in `/packages`.
    #[error(
        "files: {path:?} is in /packages, which only packages of a factory can be in; use a path \
         elsewhere"
    )]
    #[non_exhaustive]
    InPackages {
        /// The path.
        path: String,
    },
    /// The path is in `/dev`.
    #[error("files: {path:?} is in /dev, which only devices can be in; use a path elsewhere")]
    #[non_exhaustive]
    InDevices {
        /// The path.
        path: String,
    },
    /// The path is in a directory that is mounted, or is that directory.
    #[error("files: {path:?} is in the directory that is mounted at {mount:?}; put it elsewhere")]
    #[non_exhaustive]
    InMount {
        /// The path.
        path: String,
        /// The path of the mount.
        mount: String,
    },
    /// The path leads through a file.
    #[error(
        "files: {file:?} is given as a file, and cannot contain {path:?}, which is given too; rename \
         one of them"
    )]
    #[non_exhaustive]
    InFile {
        /// The path.
        path: String,
        /// The path of the file, which is the beginning of the path.
        file: String,
    },
    /// Two files have the same path, the path breaks a rule, or there are too many files.
    #[error("files: {reason}")]
    #[non_exhaustive]
    Rejected {
        /// The path.
        path: String,
        /// The path, which rule it breaks, and what to change.
        reason: String,
    },
    /// A file or directory of the machine cannot be opened.
    #[error("files: {path:?}: {reason}")]
    #[non_exhaustive]
    Machine {
        /// The path that programs use.
        path: String,
        /// The path on the machine, and the error.
        reason: String,
    },
}

impl FilesError {
    pub(super) fn from_layer(path: &str, error: LayerError) -> Self {
        let reason = match error {
            LayerError::Nodes(most) => {
                format!("there are more than {most} files and directories; use a mount, or fewer")
            }
            error => error.to_string(),
        };
        Self::Rejected {
            path: path.to_owned(),
            reason,
        }
    }
}
