//! Runs untrusted Python: CPython in WebAssembly, under limits, with the network an embedder grants.
//!
//! A [`Sandbox`] runs programs that know nothing of each other, a [`Session`] programs that build on each
//! other. Whom they may talk to is a [`NetConfig`](eryx_net_host::NetConfig)'s business; this crate holds
//! no policy. Depend on the crate `eryx`, which re-exports this one.
#![deny(unsafe_code)]

mod bindings;
mod cancel;
mod engine;
mod error;
mod host;
pub mod image;
mod instance;
mod limits;
mod net;
mod output;
mod result;
mod sandbox;
mod session;

pub use cancel::CancelHandle;
pub use error::{ConfigError, Error, Raised};
pub use limits::{Limit, ResourceLimits};
pub use output::{Output, OutputHandler};
pub use result::ExecuteResult;
pub use sandbox::{Sandbox, SandboxBuilder};
pub use session::Session;
