use eryx_net_host::NetworkReport;
use eryx_net_host::policy::escape;

use crate::factory::PackageError;
use crate::host_resource::HostResourceError;
use crate::limits::Limit;
use crate::output::{LastWords, Output};
use crate::result::{PartialResult, Usage};

/// Why an execution did not run to its end, or could not begin.
///
/// ```no_run
/// # async fn example(sandbox: eryx_core::Sandbox) {
/// match sandbox.execute("1 / 0").await {
///     Ok(result) => println!("{}", result.stdout),
///     Err(eryx_core::Error::Exception(raised)) => {
///         assert_eq!(raised.exception_type, "ZeroDivisionError");
///         eprintln!("{}", raised.traceback);
///     }
///     Err(error) => eprintln!("{error}"),
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program raised an exception it did not catch, or exited with a status other than 0.
    #[error("{0}")]
    Exception(Box<PythonException>),
    /// A limit ended the program.
    #[error("{limit}")]
    Limit {
        /// Which one.
        limit: Limit,
        /// What the program had printed, and what it had done.
        output: Box<PartialResult>,
    },
    /// The embedder cancelled the execution.
    #[error("the execution was cancelled")]
    Cancelled {
        /// What the program had printed, and what it had done.
        output: Box<PartialResult>,
    },
    /// The interpreter gave up: a fatal error of its own, such as `abort()`.
    #[error("the interpreter ended abnormally: {reason}{}", LastWords(output))]
    InterpreterCrashed {
        /// What the engine saw.
        reason: String,
        /// What the program had printed, and what it had done; the interpreter's last words are on standard error.
        output: Box<PartialResult>,
    },
    /// The session's interpreter is gone: an earlier execution hit a limit, was cancelled or ended the process.
    #[error("the session is over: {reason}; start a new one")]
    SessionClosed {
        /// How it ended.
        reason: String,
    },
    /// The guest image cannot be loaded. Rebuilding or reinstalling Eryx is the way out.
    #[error("the guest image is broken: {0}")]
    Image(String),
    /// The machine or this process lacks what a sandbox needs: memory, descriptors, threads. The same call succeeds once
    /// it is to be had.
    #[error(transparent)]
    HostResource(#[from] HostResourceError),
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A package cannot be used.
    #[error(transparent)]
    Package(#[from] PackageError),
}

impl Error {
    /// Returns what the program had printed before it ended, if it had begun.
    pub fn output(&self) -> Option<&Output> {
        self.left().map(|(output, _)| output)
    }

    /// Returns what the execution used and did until it ended, if it had begun.
    pub fn usage(&self) -> Option<&Usage> {
        self.left().map(|(_, usage)| usage)
    }

    /// Returns what the program had done with the network before it ended, if it had begun.
    pub fn network(&self) -> Option<&NetworkReport> {
        self.usage().map(|usage| &usage.network)
    }

    /// Returns the number of the execution, if it had begun; see
    /// [`ExecuteResult::execution`](crate::ExecuteResult::execution).
    pub fn execution(&self) -> Option<u64> {
        self.usage().map(|usage| usage.execution)
    }

    fn left(&self) -> Option<(&Output, &Usage)> {
        match self {
            Self::Exception(raised) => Some((&raised.output, &raised.usage)),
            Self::Limit { output, .. }
            | Self::Cancelled { output }
            | Self::InterpreterCrashed { output, .. } => Some((&output.output, &output.usage)),
            Self::SessionClosed { .. }
            | Self::Image(_)
            | Self::HostResource(_)
            | Self::Config(_)
            | Self::Package(_) => None,
        }
    }

    /// Returns the error for an image that failed with `error`: what the machine lacks, if that is why.
    pub(crate) fn image(what: impl std::fmt::Display, error: &wasmtime::Error) -> Self {
        match HostResourceError::of_wasmtime(error) {
            Some(missing) => Self::HostResource(missing),
            None => Self::Image(format!("{what}: {error:#}")),
        }
    }
}

/// An exception that reached the top of the program.
///
/// The untrusted program chose every text in it: the type's name, the message and the traceback may be anything, line
/// feeds and the escape sequences of terminals included. `Display` is one line in which those are escaped; escape the
/// fields ([`escape`]) before you print them, and do not decide by them whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonException {
    /// The exception's type: `ValueError`, or with its module (`json.decoder.JSONDecodeError`). A program can name
    /// a type of its own like any other.
    pub exception_type: String,
    /// `str()` of the exception.
    pub message: String,
    /// The traceback as the interpreter prints it; empty for `SystemExit`.
    pub traceback: String,
    /// The status for `SystemExit`.
    pub exit_status: Option<i32>,
    /// What the program had printed.
    pub output: Output,
    /// What it had used and done.
    pub usage: Usage,
}

/// Most characters of a type's name and of a message that `Display` shows.
const SHOWN_CHARS: usize = 1024;

impl std::fmt::Display for PythonException {
    /// One line: what is invisible is escaped, and what is longer than 1,024 characters is cut.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&shown(&self.exception_type))?;
        if self.message.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", shown(&self.message))
    }
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => escape(&text[..end]) + "…",
        None => escape(text),
    }
}

/// A setting that cannot be honoured, in a sentence that names it and says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<eryx_net_host::ConfigError> for ConfigError {
    fn from(error: eryx_net_host::ConfigError) -> Self {
        Self(error.to_string())
    }
}

impl From<eryx_net_host::ConfigError> for Error {
    fn from(error: eryx_net_host::ConfigError) -> Self {
        Self::Config(error.into())
    }
}
