//! Directories of the machine.

mod content;
mod directory;
mod errno;
mod file;
mod save;

pub use content::MachineFile;
pub use directory::{MachineDirectory, MachineFileError};
pub use save::{SaveError, SaveFolder, SavedFiles, save_changes, save_changes_to};
