//! `eryx run`.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use eryx::net::policy::escape;
use eryx::{CancelHandle, Error, ExecuteResult, Limit, ResourceLimits, Sandbox};
use tokio::sync::oneshot;

use crate::net_log::NetLog;
use crate::network_options::NetworkOptions;
use crate::printer::{Printer, Stream};
use crate::quantity;

/// Bad usage, as clap reports it.
const USAGE: u8 = 2;
/// The script ran out of time, as `timeout(1)` reports it.
const TIMED_OUT: u8 = 124;
/// Another limit ended the script, or it could not be run at all.
const ENDED: u8 = 125;
/// Ctrl-C, as a shell reports it.
const INTERRUPTED: u8 = 130;

/// How long the output of a script that was ended may find no reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// Exit status: 0 when the script succeeds, 1 when it raises, its own status when it calls sys.exit,
/// 2 for bad usage, 124 when it runs out of time, 125 when another limit ends it.
#[derive(Args)]
#[command(after_help = Options::STATUS)]
pub(crate) struct Options {
    /// The script; `-` reads it from standard input
    script: PathBuf,
    /// How long the script may run [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    timeout: Option<Duration>,
    /// How much memory the script may use, the interpreter included [default: 128M]
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    max_memory: Option<u64>,
    /// How much the script may print [default: 8M]
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    max_output: Option<u64>,
    /// How much the host may keep for the script: output, buffers of connections [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    max_host_memory: Option<u64>,
    #[command(flatten)]
    network: NetworkOptions,
    /// Append every network event to this file as a line of JSON; `-` is standard error
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    net_log: Option<PathBuf>,
}

impl Options {
    const STATUS: &str = "Exit status: 0 when the script succeeds, 1 when it raises, its own when it calls \
                          sys.exit; 2 for bad usage, 124 when time runs out, 125 when another limit ends it.";

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
        limits
    }

    /// Where the network's events go.
    fn log(&self, network: bool, cancel: &CancelHandle) -> Result<Option<Arc<NetLog>>> {
        match &self.net_log {
            Some(_) if !network => anyhow::bail!(
                "--net-log has no effect without a network: add --net, --allow-host PATTERN or --policy FILE"
            ),
            Some(path) => Ok(Some(Arc::new(NetLog::open(path, cancel)?))),
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

/// Run the script the options name.
pub(crate) fn run(options: Options) -> ExitCode {
    let cancel = CancelHandle::new();
    let prepared = options.source().and_then(|source| {
        let mut builder = Sandbox::embedded().with_resource_limits(options.limits());
        let network = options.network.granted()?;
        let log = options.log(network.is_some(), &cancel)?;
        if let Some(network) = network {
            builder = builder.with_network(network);
        }
        if let Some(log) = &log {
            builder = builder.with_network_observer(Arc::clone(log) as _);
        }
        Ok((source, builder, log))
    });
    let (source, builder, log) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return complain(USAGE, &format!("{error:#}")),
    };
    let printer = match Printer::begin(&cancel) {
        Ok(printer) => printer,
        Err(error) => return complain(ENDED, &format!("cannot start: {error}")),
    };
    let builder = builder
        .on_stdout(printer.handler(Stream::Out))
        .on_stderr(printer.handler(Stream::Err));
    let sandbox = match builder.build() {
        Ok(sandbox) => sandbox,
        Err(error @ Error::Config(_)) => return complain(USAGE, &error.to_string()),
        Err(error) => return complain(ENDED, &error.to_string()),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(ENDED, &format!("cannot start: {error}")),
    };
    let status = runtime.block_on(async {
        let result = tokio::select! {
            result = sandbox.execute_cancellable(&source, &cancel) => result,
            () = interrupted(|| cancel.cancel()) => unreachable!("it never ends"),
        };
        let ended = match log.and_then(|log| log.failure()) {
            Some(failure) => Ended::because(ENDED, &failure),
            None => Ended::of(result),
        };
        let (interrupt, interruption) = oneshot::channel::<()>();
        let mut interrupt = Some(interrupt);
        tokio::select! {
            () = ended.tell(printer) => ended.status,
            _ = interruption => INTERRUPTED,
            () = interrupted(|| drop(interrupt.take())) => unreachable!("it never ends"),
        }
    });
    // Not waiting for what may never end: the printer's thread.
    runtime.shutdown_background();
    ExitCode::from(status)
}

/// Calls `act` at Ctrl-C; never ends. Without a handler Ctrl-C ends the process, as it does by default.
async fn interrupted(mut act: impl FnMut()) {
    while tokio::signal::ctrl_c().await.is_ok() {
        act();
    }
    std::future::pending().await
}

/// What to tell of how a script ended.
struct Ended {
    status: u8,
    /// For standard error.
    text: String,
    /// Whether the script came to its own end.
    by_itself: bool,
}

impl Ended {
    fn of(result: Result<ExecuteResult, Error>) -> Self {
        let by_itself = |status, text| Self {
            status,
            text,
            by_itself: true,
        };
        match result {
            Ok(_) => by_itself(0, String::new()),
            Err(Error::Exception(raised)) => match raised.exit_status {
                // A status is a byte; whatever else was asked for is not success.
                Some(status) => by_itself(u8::try_from(status).unwrap_or(1), String::new()),
                // As the interpreter would: the traceback, and nothing of ours.
                None if raised.traceback.is_empty() => by_itself(1, format!("{raised}\n")),
                None => by_itself(1, printable(&raised.traceback)),
            },
            Err(
                error @ Error::Limit {
                    limit: Limit::ExecutionTime(_),
                    ..
                },
            ) => Self::because(TIMED_OUT, &error.to_string()),
            Err(Error::Cancelled { .. }) => Self {
                text: String::new(),
                ..Self::because(INTERRUPTED, "")
            },
            Err(error) => Self::because(ENDED, &error.to_string()),
        }
    }

    /// Somebody else ended it.
    fn because(status: u8, reason: &str) -> Self {
        Self {
            status,
            text: format!("eryx: {reason}\n"),
            by_itself: false,
        }
    }

    /// Says how it ended, after all it printed. What is not read keeps only a script that ended by itself from being
    /// over.
    async fn tell(&self, printer: Printer) {
        let text = self.text.clone();
        if self.by_itself {
            printer.finish(text).await;
        } else {
            printer.leave(PATIENCE, text).await;
        }
    }
}

/// A traceback without what a terminal would act on: its lines stay, and what is invisible in them is escaped. What the
/// script prints itself is passed on as it is.
fn printable(traceback: &str) -> String {
    let lines: Vec<String> = traceback.split('\n').map(escape).collect();
    lines.join("\n")
}

fn complain(status: u8, text: &str) -> ExitCode {
    eprintln!("eryx: {text}");
    ExitCode::from(status)
}
