#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod bindings;
mod cancel;
mod engine;
mod error;
mod factory;
mod files;
mod host;
pub mod image;
mod instance;
mod limits;
mod net;
mod output;
mod pause;
mod result;
mod sandbox;
mod session;

pub use cancel::CancelHandle;
pub use error::{ConfigError, Error, Raised};
pub use factory::{FactoryBuilder, PackageError, PackageLimits, SandboxFactory, Stage};
pub use limits::{Limit, ResourceLimits};
pub use output::{Output, OutputSink};
pub use result::{ExecuteResult, PartialResult, Usage};
pub use sandbox::{Sandbox, SandboxBuilder};
pub use session::Session;
