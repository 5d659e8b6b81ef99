//! Directories of the machine.

mod content;
mod directory;
mod errno;
mod file;
mod save;

pub use content::MachineFile;
pub use directory::{MachineDirectory, MachineFileError};
pub use save::{SaveError, SavedFiles, save_changes};
