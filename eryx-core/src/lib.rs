#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod bindings;
mod cancel;
mod engine;
mod error;
mod factory;
mod file_tree;
mod files;
mod store_state;
mod host_resource;
pub mod image;
mod instance;
mod limits;
mod net;
mod output;
mod time_slice;
mod process_lock;
mod result;
mod sandbox;
mod session;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(not(target_os = "linux"))]
#[path = "signals/unsupported.rs"]
mod signals;
mod thread;
mod watchdog;

pub use cancel::CancelHandle;
pub use error::{ConfigError, Error, PythonException};
pub use factory::{BuildStage, FactoryBuilder, PackageError, PackageLimits, SandboxFactory};
pub use host_resource::{HostResource, HostResourceError};
pub use limits::{Limit, ResourceLimits};
pub use output::{Output, OutputSink};
pub use result::{ExecuteResult, PartialResult, Usage};
pub use sandbox::{Sandbox, SandboxBuilder};
pub use session::Session;
