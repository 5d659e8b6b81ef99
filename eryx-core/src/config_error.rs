//! The error for a setting that cannot be honoured.

use crate::environment::EnvironmentError;
use crate::files::FilesError;
use crate::program_error::ProgramError;

/// A setting that cannot be honoured. The message names the setting and says which value would be
/// accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting of the network.
    #[error(transparent)]
    Network(#[from] eryx_net_host::ConfigError),
    /// A limit of [`ResourceLimits`](crate::ResourceLimits) or
    /// [`PackageLimits`](crate::PackageLimits).
    #[error("{limit} {reason}")]
    #[non_exhaustive]
    Limit {
        /// The limit, such as `max_memory`.
        limit: &'static str,
        /// The rest of the message: why the value is rejected, and which one would be accepted.
        reason: String,
    },
    /// The variables of [`SandboxBuilder::with_env`](crate::SandboxBuilder::with_env).
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// An input, argument or file of a [`Program`](crate::Program).
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The files of [`SandboxBuilder::with_files`](crate::SandboxBuilder::with_files).
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A function of [`SandboxBuilder::with_function`](crate::SandboxBuilder::with_function).
    #[error("functions[{name:?}]: {reason}")]
    #[non_exhaustive]
    Function {
        /// The name of the function; empty if the error is about all functions.
        name: String,
        /// The rest of the message: why it is rejected, and what would be accepted.
        reason: String,
    },
    /// The name of [`Functions::with_module_name`](crate::Functions::with_module_name).
    #[error("functions_module={name:?}: {reason}")]
    #[non_exhaustive]
    FunctionsModule {
        /// The name.
        name: String,
        /// The rest of the message: why it is rejected, and what would be accepted.
        reason: String,
    },
    /// An import of a [`FactoryBuilder`](crate::FactoryBuilder) is not a module name.
    #[error(
        "imports: {module:?} is not a module name; write it as in an import statement, as \
         \"requests.adapters\""
    )]
    #[non_exhaustive]
    Import {
        /// The text given as the name.
        module: String,
    },
    /// A setting of a [`FactoryBuilder`](crate::FactoryBuilder) has no effect without another one.
    #[error("{setting} has no effect without {other}: add some, or leave it out")]
    #[non_exhaustive]
    NoEffect {
        /// The setting.
        setting: &'static str,
        /// What is missing.
        other: &'static str,
    },
    /// The setup code of a [`FactoryBuilder`](crate::FactoryBuilder) ended the interpreter's
    /// process (`os._exit`).
    #[error("setup_code: it ended the interpreter, so that there is nothing to save")]
    SetupCodeExited,
}

impl ConfigError {
    pub(crate) fn function(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Function {
            name: name.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn limit(limit: &'static str, reason: impl Into<String>) -> Self {
        Self::Limit {
            limit,
            reason: reason.into(),
        }
    }
}
