#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use eryx_core::{
    BuildStage, CancelHandle, ConfigError, Error, ExecuteResult, FactoryBuilder, HostResource,
    HostResourceError, Limit, Output, OutputSink, PackageError, PackageLimits, PartialResult,
    PythonException, ResourceLimits, Sandbox, SandboxBuilder, SandboxFactory, Session, Usage,
};

/// The guest image inside the program.
#[cfg(feature = "embedded-image")]
pub mod image {
    pub use eryx_core::image::set_precompiled_path;
}

/// The network of a sandbox: what an embedder grants, and what it is told of its use.
pub mod net {
    pub use eryx_net_host::*;
}

/// The Rust code of the documentation, compiled and run.
#[cfg(doctest)]
mod documentation {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/introduction.md")]
    struct Introduction;
    #[doc = include_str!("../../docs/sandboxes.md")]
    struct Sandboxes;
    #[doc = include_str!("../../docs/resource-limits.md")]
    struct ResourceLimits;
    #[doc = include_str!("../../docs/networking.md")]
    struct Networking;
    #[doc = include_str!("../../docs/packages.md")]
    struct Packages;
    #[doc = include_str!("../../docs/command-line.md")]
    struct CommandLine;
    #[doc = include_str!("../../docs/python.md")]
    struct Python;
    #[doc = include_str!("../../docs/rust.md")]
    struct Rust;
    #[doc = include_str!("../../docs/clients.md")]
    struct Clients;
    #[doc = include_str!("../../docs/ssl.md")]
    struct Ssl;
    #[doc = include_str!("../../docs/security.md")]
    struct Security;
    #[doc = include_str!("../../docs/architecture.md")]
    struct Architecture;
    #[doc = include_str!("../../docs/performance.md")]
    struct Performance;
}
