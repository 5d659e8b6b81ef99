//! `eryx run`.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use eryx::net::NetConfig;
use eryx::{CancelHandle, Error, ExecuteResult, Limit, ResourceLimits, Sandbox};

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
    /// Grant the network, except private, loopback and other special addresses
    #[arg(long)]
    net: bool,
    /// Grant the network, but only to hosts this matches: a name, `*.name`, an address, a network, each
    /// with an optional `:port` (repeatable)
    #[arg(long, value_name = "PATTERN")]
    allow_host: Vec<String>,
    /// Refuse hosts this matches, whatever else allows them (repeatable)
    #[arg(long, value_name = "PATTERN")]
    block_host: Vec<String>,
    /// Let the script reach this machine's own loopback addresses
    #[arg(long)]
    allow_localhost: bool,
    /// Trust the certificates in this file too (PEM or DER) (repeatable)
    #[arg(long, value_name = "FILE")]
    root_cert: Vec<PathBuf>,
    /// How many connections the script may have at once
    #[arg(long, value_name = "N")]
    max_connections: Option<usize>,
    /// How long connecting, TLS included, may take
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    connect_timeout: Option<Duration>,
    /// How long one read or write may take
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    io_timeout: Option<Duration>,
    /// How long the script may run [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    timeout: Option<Duration>,
    /// How much memory the script may use, the interpreter included [default: 128M]
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    max_memory: Option<u64>,
    /// How much the script may print [default: 8M]
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    max_output: Option<u64>,
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

    /// The network the options grant; `None` when they grant none.
    fn network(&self) -> Result<Option<NetConfig>> {
        if !self.net && self.allow_host.is_empty() {
            let without_effect = [
                ("--block-host", !self.block_host.is_empty()),
                ("--allow-localhost", self.allow_localhost),
                ("--root-cert", !self.root_cert.is_empty()),
                ("--max-connections", self.max_connections.is_some()),
                ("--connect-timeout", self.connect_timeout.is_some()),
                ("--io-timeout", self.io_timeout.is_some()),
            ];
            if let Some((option, _)) = without_effect.iter().find(|(_, given)| *given) {
                anyhow::bail!(
                    "{option} has no effect without a network: add --net, or --allow-host PATTERN"
                );
            }
            return Ok(None);
        }
        let mut config = NetConfig::default();
        if self.allow_localhost {
            config = config.allow_localhost();
        }
        for pattern in &self.allow_host {
            config = config.allow_host(pattern).context("--allow-host")?;
        }
        for pattern in &self.block_host {
            config = config.block_host(pattern).context("--block-host")?;
        }
        for path in &self.root_cert {
            let certificate = fs::read(path)
                .with_context(|| format!("--root-cert: cannot read {}", path.display()))?;
            config = config
                .with_root_cert(&certificate)
                .with_context(|| format!("--root-cert {}", path.display()))?;
        }
        if let Some(count) = self.max_connections {
            config = config.with_max_connections(count);
        }
        if let Some(timeout) = self.connect_timeout {
            config = config
                .with_connect_timeout(timeout)
                .context("--connect-timeout")?;
        }
        if let Some(timeout) = self.io_timeout {
            config = config.with_io_timeout(timeout).context("--io-timeout")?;
        }
        Ok(Some(config))
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
    let prepared = options.source().and_then(|source| {
        let mut builder = Sandbox::embedded().with_resource_limits(options.limits());
        if let Some(network) = options.network()? {
            builder = builder.with_network(network);
        }
        Ok((source, builder))
    });
    let (source, builder) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return complain(USAGE, &format!("{error:#}")),
    };
    let cancel = CancelHandle::new();
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
    finish(result)
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
