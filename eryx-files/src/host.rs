//! Directories of the machine.

mod directory;
mod errno;
mod file;
mod save;

pub use directory::{HostDirectory, HostError};
pub use save::{SaveError, Saved, save_changes};
