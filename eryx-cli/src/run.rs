//! `eryx run`.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use eryx::{CancelHandle, Error, ExecuteResult, Limit, ResourceLimits, Sandbox};

use crate::net_log::NetLog;
use crate::network_options::NetworkOptions;
use crate::quantity;

/// Bad usage, as clap reports it.
const USAGE: u8 = 2;
/// The script ran out of time, as `timeout(1)` reports it.
const TIMED_OUT: u8 = 124;
/// Another limit ended the script, or it could not be run at all.
const ENDED: u8 = 125;
/// Ctrl-C, as a shell reports it.
const INTERRUPTED: u8 = 130;

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
    let builder = builder
        .on_stdout(printer(io::stdout, &cancel))
        .on_stderr(printer(io::stderr, &cancel));
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
    let result = runtime.block_on(async {
        let interrupt = {
            let cancel = cancel.clone();
            async move {
                // Without a handler Ctrl-C ends the process, as it does by default.
                if tokio::signal::ctrl_c().await.is_ok() {
                    cancel.cancel();
                }
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            result = sandbox.execute_cancellable(&source, &cancel) => result,
            () = interrupt => unreachable!("it never ends"),
        }
    });
    match log.and_then(|log| log.failure()) {
        Some(failure) => complain(ENDED, &failure),
        None => finish(result),
    }
}

fn finish(result: Result<ExecuteResult, Error>) -> ExitCode {
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(Error::Raised(raised)) => match raised.exit_status {
            // A status is a byte; whatever else was asked for is not success.
            Some(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
            None => {
                // As the interpreter would: the traceback, and nothing of ours.
                let _ = io::stderr().write_all(raised.traceback.as_bytes());
                ExitCode::from(1)
            }
        },
        Err(
            error @ Error::Limit {
                limit: Limit::ExecutionTime(_),
                ..
            },
        ) => complain(TIMED_OUT, &error.to_string()),
        Err(Error::Cancelled { .. }) => ExitCode::from(INTERRUPTED),
        Err(error) => complain(ENDED, &error.to_string()),
    }
}

/// Passes output on as it comes. Nobody reads it any more: the script need not go on.
fn printer<W: Write + 'static>(
    stream: fn() -> W,
    cancel: &CancelHandle,
) -> impl Fn(&[u8]) + Send + Sync + 'static {
    let cancel = cancel.clone();
    move |bytes| {
        let mut stream = stream();
        if stream
            .write_all(bytes)
            .and_then(|()| stream.flush())
            .is_err()
        {
            cancel.cancel();
        }
    }
}

fn complain(status: u8, text: &str) -> ExitCode {
    eprintln!("eryx: {text}");
    ExitCode::from(status)
}
