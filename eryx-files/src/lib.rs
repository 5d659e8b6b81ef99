#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod budget;
mod content;
mod deferred_frees;
mod device_directory;
mod error;
mod file_system;
mod layer;
mod layout;
mod limits;
mod loading;
#[cfg(feature = "machine")]
mod machine;
mod mount;
mod node;
mod open_file_table;
mod resolve;
mod resolved_directory;
mod snapshot;
mod source;
mod stat;
mod time;
mod tree;

pub use device_directory::{Device, DeviceDirectory};
pub use error::Error;
pub use file_system::{FileSystem, OpenFlags};
pub use layer::{Layer, LayerBuilder, LayerError};
pub use layout::{Layout, LayoutBuilder, LayoutError};
pub use limits::{Limits, LimitsError};
pub use loading::Loading;
#[cfg(feature = "machine")]
pub use machine::{
    MachineDirectory, MachineFile, MachineFileError, SaveError, SaveFolder, SavedFiles,
    save_changes, save_changes_to,
};
pub use mount::{Access, Mount, MountedDirectory, MountedEntries, MountedFile};
pub use open_file_table::{Descriptor, Listing};
pub use snapshot::{Change, ChangeKind, Changes, ContentId, Entry, FileContent, Snapshot};
pub use source::{Deferred, Source};
pub use stat::{FileId, FileType, Stat};
pub use time::{NewTime, Timestamp};
