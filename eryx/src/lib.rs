#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use eryx_core::{
    CancelHandle, ConfigError, Error, ExecuteResult, Limit, Output, OutputHandler, Raised,
    ResourceLimits, Sandbox, SandboxBuilder, Session,
};

/// The network of a sandbox: what an embedder grants, and what it is told of its use.
pub mod net {
    pub use eryx_net_host::*;
}
