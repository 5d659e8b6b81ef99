//! `eryx run`: runs a script in a sandbox.

use std::env::{self, VarError};
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use eryx::net::policy::escape;
use eryx::{CancelHandle, Error, ExecuteResult, Limit, ResourceLimits, Sandbox};
use tokio::sync::oneshot;

use crate::har_file::HarFile;
use crate::net_log::NetLog;
use crate::network_args::NetworkArgs;
use crate::output_writer::{OutputWriter, Stream};
use crate::value_parsers;

/// Exit status for bad usage, the same as clap's.
const EXIT_USAGE: u8 = 2;
/// Exit status when the script exceeded its time limit, the same as that of `timeout(1)`.
const EXIT_TIMED_OUT: u8 = 124;
/// Exit status when another limit ended the script, or it could not be run.
const EXIT_FAILED: u8 = 125;
/// Exit status after Ctrl-C, the same as a shell's.
const EXIT_INTERRUPTED: u8 = 130;

/// How long the output of a script that was stopped may make no progress before it is discarded.
const STALL_TIMEOUT: Duration = Duration::from_secs(1);

/// Exit status: 0 when the script succeeds, 1 when it raises an exception, its own status when it
/// calls sys.exit, 2 for bad usage, 124 when it exceeds its time limit, 125 when another limit ends
/// it.
#[derive(Args)]
#[command(after_help = Options::STATUS)]
pub(crate) struct Options {
    /// The script; `-` reads it from standard input
    script: PathBuf,
    /// How long the script may run [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = value_parsers::duration)]
    timeout: Option<Duration>,
    /// How much memory the script may use, the interpreter included [default: 128M]
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::bytes)]
    max_memory: Option<u64>,
    /// How much the script may print [default: 8M]
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::bytes)]
    max_output: Option<u64>,
    /// How much memory Eryx itself may use for the script: output, buffers of connections
    /// [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::bytes)]
    max_host_memory: Option<u64>,
    /// How many bytes the files that the script writes may have together, in memory [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::bytes)]
    max_file_bytes: Option<u64>,
    /// How many files, directories and links the script may create [default: 10000]
    #[arg(long, value_name = "N")]
    max_files: Option<usize>,
    /// Set an environment variable of the script; NAME alone passes on the one of this process
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Append every network event to this file as a line of JSON; `-` is standard error
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    net_log: Option<PathBuf>,
    /// Write the HTTP requests to hosts with rules, with secrets or matching --inspect to this file
    /// when the script ends, as an HTTP Archive (HAR)
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    har: Option<PathBuf>,
}

impl Options {
    const STATUS: &str = "Exit status: 0 when the script succeeds, 1 when it raises an exception, its own when it calls \
                          sys.exit; 2 for bad usage, 124 when it exceeds its time limit, 125 when another limit ends it.";

    fn limits(&self) -> ResourceLimits {
        let mut limits = ResourceLimits::default();
        if let Some(timeout) = self.timeout {
            limits = limits.with_execution_timeout(timeout);
        }
        if let Some(bytes) = self.max_memory {
            limits = limits.with_max_memory(bytes);
        }
        if let Some(bytes) = self.max_output {
            limits = limits.with_max_output(bytes);
        }
        if let Some(bytes) = self.max_host_memory {
            limits = limits.with_max_host_memory(bytes);
        }
        if let Some(bytes) = self.max_file_bytes {
            limits = limits.with_max_file_bytes(bytes);
        }
        if let Some(files) = self.max_files {
            limits = limits.with_max_files(files);
        }
        limits
    }

    /// Returns the environment variables of the script.
    fn environment(&self) -> Result<Vec<(String, String)>> {
        let variable = |text: &String| match text.split_once('=') {
            // Messages do not show the value, which may be a secret.
            Some(("", _)) => {
                bail!("--env: the name before the `=` is empty; write --env NAME=VALUE")
            }
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None if text.is_empty() => {
                bail!("--env: the name is empty; write --env NAME=VALUE or --env NAME")
            }
            None => Ok((text.clone(), own_variable(text)?)),
        };
        self.env.iter().map(variable).collect()
    }

    /// Opens the network log, if there is one.
    fn net_log(&self, network: bool, cancel: &CancelHandle) -> Result<Option<Arc<NetLog>>> {
        match &self.net_log {
            Some(_) if !network => bail!(
                "--net-log has no effect without a network: add --net, --allow-host PATTERN or --policy FILE"
            ),
            Some(path) => Ok(Some(Arc::new(NetLog::open(path, cancel)?))),
            None => Ok(None),
        }
    }

    /// Creates the HTTP Archive, if there is one.
    fn har_file(&self, network: bool) -> Result<Option<HarFile>> {
        match &self.har {
            Some(_) if !network => anyhow::bail!(
                "--har has no effect without a network: add --net, --allow-host PATTERN or --policy FILE"
            ),
            Some(path) => HarFile::create(path).map(Some),
            None => Ok(None),
        }
    }

    fn source(&self) -> Result<Vec<u8>> {
        if self.script.as_os_str() == "-" {
            let mut source = Vec::new();
            io::stdin()
                .read_to_end(&mut source)
                .context("cannot read the script from standard input")?;
            return Ok(source);
        }
        fs::read(&self.script)
            .with_context(|| format!("cannot read the script {}", self.script.display()))
    }
}

/// Returns the value of an environment variable of this process.
fn own_variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| {
        let name = escape(name);
        match error {
            VarError::NotPresent => anyhow!(
                "--env {name}: this process has no variable `{name}`; set it, or write \
                 --env {name}=VALUE"
            ),
            VarError::NotUnicode(_) => anyhow!(
                "--env {name}: the value of the variable is not UTF-8; write another one as \
                 --env {name}=VALUE"
            ),
        }
    })
}

/// Runs the script that the options name, and returns the exit status.
pub(crate) fn run(options: Options) -> ExitCode {
    let cancel = CancelHandle::new();
    let prepared = options.source().and_then(|source| {
        let mut builder = Sandbox::embedded().with_resource_limits(options.limits());
        builder = builder.with_env(options.environment()?);
        let network = options.network.network()?;
        let log = options.net_log(network.is_some(), &cancel)?;
        let har = options.har_file(network.is_some())?;
        if let Some(network) = network {
            builder = builder.with_network(network);
        }
        if let Some(log) = &log {
            builder = builder.with_network_observer(Arc::clone(log) as _);
        }
        Ok((source, builder, log, har))
    });
    let (source, builder, log, har) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return exit_with(EXIT_USAGE, &format!("{error:#}")),
    };
    let writer = match OutputWriter::start(&cancel) {
        Ok(writer) => writer,
        Err(error) => return exit_with(EXIT_FAILED, &format!("cannot start: {error}")),
    };
    let builder = builder
        .on_stdout(writer.handler(Stream::Out))
        .on_stderr(writer.handler(Stream::Err));
    let sandbox = match builder.build() {
        Ok(sandbox) => sandbox,
        Err(error @ Error::Config(_)) => return exit_with(EXIT_USAGE, &error.to_string()),
        Err(error) => return exit_with(EXIT_FAILED, &error.to_string()),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return exit_with(EXIT_FAILED, &format!("cannot start: {error}")),
    };
    let status = runtime.block_on(async {
        let result = tokio::select! {
            result = sandbox.execute_cancellable(&source, &cancel) => result,
            () = interrupted(|| cancel.cancel()) => unreachable!("it never ends"),
        };
        let report = match &result {
            Ok(result) => Some(&result.network),
            Err(error) => error.network(),
        };
        let archived = match (&har, report) {
            (Some(har), Some(report)) => har.write(report),
            _ => Ok(()),
        };
        let exit = match (log.and_then(|log| log.failure()), archived) {
            (Some(failure), _) => Exit::with_reason(EXIT_FAILED, &failure),
            (None, Err(error)) => Exit::with_reason(EXIT_FAILED, &format!("{error:#}")),
            (None, Ok(())) => Exit::new(result),
        };
        let (interrupt, interruption) = oneshot::channel::<()>();
        let mut interrupt = Some(interrupt);
        tokio::select! {
            () = exit.report(writer) => exit.status,
            _ = interruption => EXIT_INTERRUPTED,
            () = interrupted(|| drop(interrupt.take())) => unreachable!("it never ends"),
        }
    });
    // Does not wait for the output thread, which may never end.
    runtime.shutdown_background();
    ExitCode::from(status)
}

/// Calls `on_interrupt` at every Ctrl-C; never returns. If no handler can be installed, Ctrl-C ends
/// the process, as it does by default.
async fn interrupted(mut on_interrupt: impl FnMut()) {
    while tokio::signal::ctrl_c().await.is_ok() {
        on_interrupt();
    }
    std::future::pending().await
}

/// How a script ended.
struct Exit {
    status: u8,
    /// The message for standard error.
    message: String,
    /// Whether the script ended by itself, rather than being stopped.
    by_itself: bool,
}

impl Exit {
    fn new(result: Result<ExecuteResult, Error>) -> Self {
        let by_itself = |status, message| Self {
            status,
            message,
            by_itself: true,
        };
        match result {
            Ok(_) => by_itself(0, String::new()),
            Err(Error::Exception(raised)) => match raised.exit_status {
                // An exit status is a byte; any other number is a failure.
                Some(status) => by_itself(u8::try_from(status).unwrap_or(1), String::new()),
                // The traceback alone, as the interpreter prints it.
                None if raised.traceback.is_empty() => by_itself(1, format!("{raised}\n")),
                None => by_itself(1, escape_lines(&raised.traceback)),
            },
            Err(
                error @ Error::Limit {
                    limit: Limit::ExecutionTime(_),
                    ..
                },
            ) => Self::with_reason(EXIT_TIMED_OUT, &error.to_string()),
            Err(Error::Cancelled { .. }) => Self {
                message: String::new(),
                ..Self::with_reason(EXIT_INTERRUPTED, "")
            },
            Err(error) => Self::with_reason(EXIT_FAILED, &error.to_string()),
        }
    }

    /// A script that was stopped.
    fn with_reason(status: u8, reason: &str) -> Self {
        Self {
            status,
            message: format!("eryx: {reason}\n"),
            by_itself: false,
        }
    }

    /// Writes the message after all of the script's output. Waits without limit for a reader only
    /// if the script ended by itself.
    async fn report(&self, writer: OutputWriter) {
        let message = self.message.clone();
        if self.by_itself {
            writer.finish(message).await;
        } else {
            writer.finish_within(STALL_TIMEOUT, message).await;
        }
    }
}

/// Escapes the invisible characters in each line of a traceback, so that a terminal does not act on
/// them. The script's own output is passed on unchanged.
fn escape_lines(traceback: &str) -> String {
    let lines: Vec<String> = traceback.split('\n').map(escape).collect();
    lines.join("\n")
}

fn exit_with(status: u8, text: &str) -> ExitCode {
    eprintln!("eryx: {text}");
    ExitCode::from(status)
}
