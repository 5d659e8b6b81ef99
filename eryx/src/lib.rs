#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
// docs.rs shows which feature an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use eryx_core::{
    Arguments, BuildStage, Bytecode, CancelHandle, CancelOnDrop, Completion, ConfigError, Display,
    EnvironmentError, Error, ExecuteResult, FactoryBuilder, Files, Function, FunctionCall,
    FunctionError, FunctionKind, FunctionOutcome, FunctionRefusals, FunctionReport, FunctionResult,
    FunctionWork, Functions, GuestImage, HostResource, HostResourceError, ImageError, JsonValue,
    JsonValueError, Limit, MountAccess, Output, OutputSink, PackageError, PackageLimits,
    PartialResult, Program, ProgramError, ProgramValueError, PythonException, ResourceLimits,
    Sandbox, SandboxBuilder, SandboxFactory, Session, SnapshotError, Usage, set_native_wheels,
};
#[doc(hidden)]
pub use eryx_core::{FunctionThread, Nesting, ProvideContent, drive};

/// The files of a program: what it changed, those of a session, and the errors.
pub mod files {
    pub use eryx_core::{
        Change, ChangeKind, ChangedFiles, ContentId, Entry, FileContent, FileError, FileId,
        FileType, FilesError, ReadError, SaveError, SaveFolder, SavedFiles, SessionFiles,
        SessionFilesError, Stat, Timestamp, save_changes, save_changes_to,
    };
}

/// The guest image embedded in the program, and the cache of what is made of it.
pub mod image {
    #[cfg(feature = "embedded-image")]
    pub use eryx_core::image::set_precompiled_path;
    pub use eryx_core::image::{CacheEntry, CacheEntryKind, UserCache};
}

/// The network of a sandbox: what the embedder grants, and the events and reports it gets.
pub mod net {
    #[doc(hidden)]
    pub use eryx_net_host::net_settings;
    pub use eryx_net_host::policy;
    pub use eryx_net_host::{
        Activity, AddEntry, Answer, CloseReason, ConfigError, ConnectionReport, DnsResolver, Event,
        EventKind, HttpDenials, HttpRequestReport, NetConfig, NetError, NetLimit, NetworkReport,
        Observer, ProvideSecret, ProvideSecretError, Proxy, Recorder, Refusals, RefusedAttempt,
        Resolve, ResolveError, Resolving, SETTINGS, Secret, Setting, SettingKind, StaticHosts,
        TlsFailure,
    };

    /// The TLS engine.
    pub mod tls {
        pub use eryx_net_host::tls::seed_random;
    }
}

/// The Rust code in the documentation, compiled and run as doctests.
#[cfg(doctest)]
mod documentation {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/introduction.md")]
    struct Introduction;
    #[doc = include_str!("../../docs/installation.md")]
    struct Installation;
    #[doc = include_str!("../../docs/getting-started.md")]
    struct GettingStarted;
    #[doc = include_str!("../../docs/cookbook.md")]
    struct Cookbook;
    #[doc = include_str!("../../docs/sandboxes.md")]
    struct Sandboxes;
    #[doc = include_str!("../../docs/standard-library.md")]
    struct StandardLibrary;
    #[doc = include_str!("../../docs/values.md")]
    struct Values;
    #[doc = include_str!("../../docs/files.md")]
    struct Files;
    #[doc = include_str!("../../docs/forks.md")]
    struct Forks;
    #[doc = include_str!("../../docs/resource-limits.md")]
    struct ResourceLimits;
    #[doc = include_str!("../../docs/functions.md")]
    struct Functions;
    #[doc = include_str!("../../docs/threads.md")]
    struct Threads;
    #[doc = include_str!("../../docs/networking.md")]
    struct Networking;
    #[doc = include_str!("../../docs/http-rules.md")]
    struct HttpRules;
    #[doc = include_str!("../../docs/secrets.md")]
    struct Secrets;
    #[doc = include_str!("../../docs/proxies.md")]
    struct Proxies;
    #[doc = include_str!("../../docs/packages.md")]
    struct Packages;
    #[doc = include_str!("../../docs/native-packages.md")]
    struct NativePackages;
    #[doc = include_str!("../../docs/command-line.md")]
    struct CommandLine;
    #[doc = include_str!("../../docs/mcp.md")]
    struct Mcp;
    #[doc = include_str!("../../docs/troubleshooting.md")]
    struct Troubleshooting;
    #[doc = include_str!("../../docs/error-messages.md")]
    struct ErrorMessages;
    #[doc = include_str!("../../docs/migrating-from-pyeryx.md")]
    struct MigratingFromPyeryx;
    #[doc = include_str!("../../docs/python.md")]
    struct Python;
    #[doc = include_str!("../../docs/rust.md")]
    struct Rust;
    #[doc = include_str!("../../docs/hashes-and-compression.md")]
    struct HashesAndCompression;
    #[doc = include_str!("../../docs/library-compatibility.md")]
    struct LibraryCompatibility;
    #[doc = include_str!("../../docs/popular-packages.md")]
    struct PopularPackages;
    #[doc = include_str!("../../docs/ssl.md")]
    struct Ssl;
    #[doc = include_str!("../../docs/security.md")]
    struct Security;
    #[doc = include_str!("../../docs/architecture.md")]
    struct Architecture;
    #[doc = include_str!("../../docs/guest-image.md")]
    struct GuestImage;
    #[doc = include_str!("../../docs/performance.md")]
    struct Performance;
}
