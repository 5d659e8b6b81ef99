//! The files of a sandbox: those that it starts with, its devices, and what programs change.

mod changed_files;
mod layout;
mod session;
mod standard_devices;
mod start;
mod start_error;

use std::sync::Arc;

use eryx_files::FileSystem;
use eryx_sync::Mutex;

pub use changed_files::{ChangedFiles, ReadError};
pub use session::{SessionFiles, SessionFilesError};
pub use start::{Files, MountAccess, ProvideContent};
pub use start_error::FilesError;

pub(crate) use layout::{MODIFIED, PACKAGES, with_packages, without_packages};
pub(crate) use standard_devices::StandardStream;

/// The files of a guest. Its streams share them.
pub(crate) type SharedFiles = Arc<Mutex<FileSystem>>;
