//! The errors of an execution, and the Python exception that a guest program did not catch.

use std::fmt;
use std::io;
use std::path::Path;

use eryx_net_host::NetworkReport;
use eryx_net_host::policy::escape;

use crate::config_error::ConfigError;
use crate::files::ChangedFiles;
use crate::functions::FunctionReport;
use crate::host_resource::HostResourceError;
use crate::limit::Limit;
use crate::nesting::{MAX_NESTING, NestedTooDeep};
use crate::output::Output;
use crate::package_error::PackageError;
use crate::result::{PartialResult, Usage};
use crate::snapshot_error::SnapshotError;

/// Why an execution did not run to its end, or could not begin.
///
/// ```no_run
/// # async fn example(sandbox: eryx_core::Sandbox) {
/// match sandbox.execute("1 / 0").await {
///     Ok(result) => println!("{}", result.stdout),
///     Err(eryx_core::Error::Exception(exception)) => {
///         assert_eq!(exception.exception_type, "ZeroDivisionError");
///         eprintln!("{}", exception.traceback);
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
    #[non_exhaustive]
    Limit {
        /// The limit.
        limit: Limit,
        /// The program's output and usage until then.
        output: Box<PartialResult>,
    },
    /// The embedder cancelled the execution.
    #[error("the execution was cancelled")]
    #[non_exhaustive]
    Cancelled {
        /// The program's output and usage until then.
        output: Box<PartialResult>,
    },
    /// The interpreter crashed: a fatal error of its own, such as `abort()`.
    #[error("the interpreter ended abnormally: {reason}{}", LastStderrLine(output))]
    #[non_exhaustive]
    InterpreterCrashed {
        /// The trap that the engine reported.
        reason: String,
        /// The program's output and usage until then. The interpreter reports a fatal error on
        /// standard error.
        output: Box<PartialResult>,
    },
    /// The session's interpreter is gone: an earlier execution hit a limit, was cancelled or ended
    /// the process.
    #[error("the session is closed: {reason}; start a new one")]
    #[non_exhaustive]
    SessionClosed {
        /// How the earlier execution ended.
        reason: String,
    },
    /// A program cannot run here: sandboxes are nested too deeply. This is the function of a
    /// sandbox, which runs in the function of a sandbox, and so on; functions that provide the
    /// content of files count too.
    #[error(
        "sandboxes are nested {max} levels deep in each other's functions, which is the limit; let \
         fewer functions run sandboxes"
    )]
    #[non_exhaustive]
    NestedTooDeep {
        /// The largest number of nested functions.
        max: usize,
    },
    /// The guest image cannot be loaded. Rebuilding or reinstalling Eryx repairs it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The machine or this process lacks a resource that a sandbox needs: memory, descriptors,
    /// threads. The same call succeeds once the resource is available, unless a program of a
    /// session had begun, which then ended its session.
    #[error(transparent)]
    HostResource(#[from] HostResourceError),
    /// A setting cannot be honoured.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A package cannot be used.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A session cannot be forked or saved, or a snapshot cannot be restored.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl Error {
    /// Returns the program's output until it ended, if it had begun.
    pub fn output(&self) -> Option<&Output> {
        self.partial_result().map(|(output, _)| output)
    }

    /// Returns the resources that the execution used until it ended, if it had begun.
    pub fn usage(&self) -> Option<&Usage> {
        self.partial_result().map(|(_, usage)| usage)
    }

    /// Returns the report of the program's network activity until it ended, if it had begun.
    pub fn network(&self) -> Option<&NetworkReport> {
        self.usage().map(|usage| &usage.network)
    }

    /// Returns what the program changed of its files until it ended, if it had begun.
    pub fn files(&self) -> Option<&ChangedFiles> {
        self.usage().map(|usage| &usage.files)
    }

    /// Returns the report of the calls of functions until the program ended, if it had begun.
    pub fn function_calls(&self) -> Option<&FunctionReport> {
        self.usage().map(|usage| &usage.function_calls)
    }

    /// Returns the number of the execution, if it had begun; see
    /// [`ExecuteResult::execution`](crate::ExecuteResult::execution).
    pub fn execution(&self) -> Option<u64> {
        self.usage().map(|usage| usage.execution)
    }

    fn partial_result(&self) -> Option<(&Output, &Usage)> {
        match self {
            Self::Exception(exception) => Some((&exception.output, &exception.usage)),
            Self::Limit { output, .. }
            | Self::Cancelled { output }
            | Self::InterpreterCrashed { output, .. } => Some((&output.output, &output.usage)),
            Self::HostResource(missing) => missing
                .partial_result()
                .map(|result| (&result.output, &result.usage)),
            Self::SessionClosed { .. }
            | Self::NestedTooDeep { .. }
            | Self::Image(_)
            | Self::Config(_)
            | Self::Package(_)
            | Self::Snapshot(_) => None,
        }
    }

    /// Returns the error for a failure of an image: the resource that the machine lacks, if that is
    /// the cause of `error`, or else an [`ImageError`].
    pub(crate) fn image(context: impl fmt::Display, error: wasmtime::Error) -> Self {
        match HostResourceError::from_wasmtime(&error) {
            Some(missing) => Self::HostResource(missing),
            None => ImageError::caused_by(context, error).into(),
        }
    }
}

impl From<NestedTooDeep> for Error {
    fn from(_: NestedTooDeep) -> Self {
        Self::NestedTooDeep { max: MAX_NESTING }
    }
}

impl From<eryx_net_host::ConfigError> for Error {
    fn from(error: eryx_net_host::ConfigError) -> Self {
        Self::Config(error.into())
    }
}

/// The guest image cannot be loaded.
///
/// The message includes that of the [source](std::error::Error::source), if there is one.
#[derive(Debug, thiserror::Error)]
#[error("the guest image cannot be used: {reason}")]
pub struct ImageError {
    reason: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ImageError {
    /// Returns an error that has no other as its cause.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            source: None,
        }
    }

    /// Returns the error for an image file that cannot be read.
    pub(crate) fn unreadable(path: &Path, error: io::Error) -> Self {
        Self {
            reason: format!("{} cannot be read: {error}", path.display()),
            source: Some(error.into()),
        }
    }

    /// Returns the error for a failure of the engine, with `context` in front of its message.
    pub(crate) fn caused_by(context: impl fmt::Display, error: wasmtime::Error) -> Self {
        Self {
            reason: format!("{context}: {error:#}"),
            source: Some(error.into()),
        }
    }
}

/// An exception that the guest program did not catch.
///
/// The untrusted program chose every text in it: the type's name, the message and the traceback may
/// be anything, line feeds and the escape sequences of terminals included. `Display` is one line in
/// which those are escaped; escape the fields ([`escape`]) before you print them, and base no
/// decision about trust on them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PythonException {
    /// The exception's type: `ValueError`, or with its module (`json.decoder.JSONDecodeError`). A
    /// program can give a type of its own any of these names.
    pub exception_type: String,
    /// `str()` of the exception.
    pub message: String,
    /// The traceback as the interpreter prints it; empty for `SystemExit`.
    pub traceback: String,
    /// The status for `SystemExit`.
    pub exit_status: Option<i32>,
    /// The program's output until then.
    pub output: Output,
    /// The resources that the program used until then.
    pub usage: Usage,
}

/// The most characters that `Display` shows of a type's name, and of a message.
const MAX_DISPLAYED_CHARS: usize = 1024;

impl fmt::Display for PythonException {
    /// Writes one line: invisible characters are escaped, and each part is cut after 1,024
    /// characters. For `SystemExit` it has the last line on standard error, where
    /// `sys.exit("text")` writes the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_and_truncate(&self.exception_type))?;
        if !self.message.is_empty() {
            write!(f, ": {}", escape_and_truncate(&self.message))?;
        }
        match self.exit_status {
            Some(_) => LastStderrLine(&self.output).fmt(f),
            None => Ok(()),
        }
    }
}

fn escape_and_truncate(text: &str) -> String {
    match text.char_indices().nth(MAX_DISPLAYED_CHARS) {
        Some((end, _)) => escape(&text[..end]) + "…",
        None => escape(text),
    }
}

/// The last line on standard error of an interpreter that crashed or exited, as the end of a
/// message: quoted, with control characters escaped, since the program may have chosen it.
struct LastStderrLine<'a>(&'a Output);

impl LastStderrLine<'_> {
    /// The most characters that are quoted.
    const MAX_CHARS: usize = 200;
}

impl fmt::Display for LastStderrLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.stderr.len().saturating_sub(4 * Self::MAX_CHARS);
        let text = String::from_utf8_lossy(&self.0.stderr[end..]);
        let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) else {
            return Ok(());
        };
        let line: String = line.trim().chars().take(Self::MAX_CHARS).collect();
        write!(f, "; the last line on standard error: {line:?}")
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::host_resource::HostResource;

    #[test]
    fn a_crash_message_ends_with_the_last_line_on_standard_error_quoted_and_cut() {
        let message = |stderr: &str| {
            let output = Output {
                stderr: stderr.into(),
                ..Output::default()
            };
            LastStderrLine(&output).to_string()
        };
        assert_eq!(message(""), "");
        assert_eq!(message("\n \n"), "");
        assert_eq!(
            message("Traceback\n  boom: \x1b[31m\n\n"),
            "; the last line on standard error: \"boom: \\u{1b}[31m\""
        );
        assert_eq!(message(&"é".repeat(10_000)).matches('é').count(), 200);
    }

    #[test]
    fn the_message_of_an_exit_has_the_last_line_on_standard_error() {
        let exit = |status: Option<i32>, stderr: &str| PythonException {
            exception_type: "SystemExit".to_owned(),
            message: "1".to_owned(),
            traceback: String::new(),
            exit_status: status,
            output: Output {
                stderr: stderr.into(),
                ..Output::default()
            },
            usage: Usage::default(),
        };
        assert_eq!(exit(Some(1), "").to_string(), "SystemExit: 1");
        assert_eq!(
            exit(Some(1), "a warning\nno configuration\n").to_string(),
            "SystemExit: 1; the last line on standard error: \"no configuration\""
        );
        // Any other exception has a message of its own.
        assert_eq!(exit(None, "a warning\n").to_string(), "SystemExit: 1");
    }

    #[test]
    fn an_image_error_has_the_error_of_the_engine_as_its_source_and_in_its_message() {
        let error = Error::image("it does not start", wasmtime::Error::msg("the reason"));
        assert_eq!(
            error.to_string(),
            "the guest image cannot be used: it does not start: the reason"
        );
        let source = error.source().expect("the engine's error");
        assert_eq!(source.to_string(), "the reason");
    }

    #[test]
    fn a_missing_resource_has_the_output_of_the_program_that_it_ended() {
        let missing = HostResourceError::new(HostResource::SignalHandlers, "a reason");
        let error = Error::from(missing.clone());
        assert!(error.output().is_none() && error.execution().is_none());
        let mut result = PartialResult::default();
        result.output.stdout = b"before".to_vec();
        result.usage.execution = 3;
        let error = Error::from(missing.with_partial_result(result));
        assert_eq!(
            error.output().map(|output| &output.stdout[..]),
            Some(&b"before"[..])
        );
        assert_eq!(error.execution(), Some(3));
    }

    #[test]
    fn a_network_setting_keeps_its_own_error_type() {
        let malformed = eryx_net_host::NetConfig::default().allow_host("a b");
        let source = malformed.map(|_| ()).expect_err("not a pattern");
        let error = Error::from(source.clone());
        assert_eq!(error.to_string(), source.to_string());
        assert!(matches!(error, Error::Config(ConfigError::Network(found)) if found == source));
    }
}
