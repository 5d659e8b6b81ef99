#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod bindings;
mod cancel;
mod config_error;
mod engine;
mod environment;
mod error;
mod execution_timeout;
mod factory;
mod files;
mod functions;
mod host_resource;
mod idle_pool;
pub mod image;
mod imports;
mod interpreter;
mod json_value;
mod key_derivation;
mod limit;
mod limits;
mod local_file;
mod memory_access;
mod memory_changes;
mod memory_limiter;
mod memory_reset;
mod nesting;
mod output;
mod package_error;
mod program;
mod program_error;
mod provided_content;
mod result;
mod sandbox;
mod session;
mod session_clock;
mod session_snapshot;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(not(target_os = "linux"))]
#[path = "signals/unsupported.rs"]
mod signals;
mod snapshot_error;
mod stdin;
mod stdio;
mod store_state;
mod stream_kind;
mod template;
mod test_watchdog;
mod thread;
mod time_slice;
mod trappable_error;
mod value;

pub use cancel::CancelHandle;
pub use config_error::ConfigError;
pub use environment::EnvironmentError;
pub use error::{Error, ImageError, PythonException};
pub use eryx_files::{
    Change, ChangeKind, ContentId, Entry, Error as FileError, FileContent, FileId, FileType,
    SaveError, SaveFolder, SavedFiles, Stat, Timestamp, save_changes, save_changes_to,
};
pub use factory::{
    BuildStage, Bytecode, FactoryBuilder, PackageLimits, SandboxFactory, set_native_wheels,
};
#[doc(hidden)]
pub use files::ProvideContent;
pub use files::{
    ChangedFiles, Files, FilesError, MountAccess, ReadError, SessionFiles, SessionFilesError,
};
pub use functions::{
    Arguments, CancelOnDrop, Completion, Function, FunctionCall, FunctionError, FunctionKind,
    FunctionOutcome, FunctionRefusals, FunctionReport, FunctionResult, FunctionWork, Functions,
};
#[doc(hidden)]
pub use functions::{FunctionThread, drive};
pub use host_resource::{HostResource, HostResourceError};
pub use image::guest_image::GuestImage;
pub use json_value::{JsonValue, JsonValueError};
pub use limit::Limit;
pub use limits::ResourceLimits;
#[doc(hidden)]
pub use nesting::Nesting;
pub use output::{Output, OutputSink};
pub use package_error::PackageError;
pub use program::Program;
pub use program_error::ProgramError;
pub use result::{ExecuteResult, PartialResult, Usage};
pub use sandbox::{Sandbox, SandboxBuilder};
pub use session::Session;
pub use snapshot_error::SnapshotError;
pub use value::{Display, ProgramValueError};
