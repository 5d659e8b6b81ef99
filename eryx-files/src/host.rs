//! Directories of the machine.

mod content;
mod directory;
mod errno;
mod file;
mod save;

pub use content::HostFileContent;
pub use directory::{HostDirectory, HostError};
pub use save::{SaveError, SavedFiles, save_changes};
