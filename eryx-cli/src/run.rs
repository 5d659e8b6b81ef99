//! `eryx run`: runs a script in a sandbox.

use std::fs;
use std::io::{self, IsTerminal as _, Read};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use eryx::{CancelHandle, Error, ExecuteResult, Limit, Program};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::file_size_limit;
use crate::files_args::OutArg;
use crate::har_file::HarFile;
use crate::interrupt::interrupted;
use crate::limit_message;
use crate::output_writer::{OutputWriter, escape_lines};
use crate::repl::Repl;
use crate::sandbox_args::{SandboxArgs, SetupError};
use crate::snapshot_file::SnapshotArgs;
use crate::{EXIT_FAILED, EXIT_INTERRUPTED, exit_with};

/// Exit status when the script exceeded its time limit, the same as that of `timeout(1)`.
const EXIT_TIMED_OUT: u8 = 124;

/// The longest time without progress in writing the output of a stopped script; the rest is then
/// discarded.
const STALL_TIMEOUT: Duration = Duration::from_secs(1);

/// Exit status: 0 when the script succeeds, 1 when it raises an exception, its own status when it
/// calls sys.exit, 2 for bad usage, 124 when it exceeds its time limit, 125 when another limit ends
/// it, it cannot be run, or it succeeds and a file of --har, --out or --save cannot be written, 130
/// after Ctrl-C.
#[derive(Args)]
#[command(after_help = Options::EXAMPLES_AND_EXIT_STATUS)]
pub(crate) struct Options {
    /// The script; `-` reads it from standard input. Without one, on a terminal, as --interactive
    #[arg(conflicts_with = "code")]
    script: Option<PathBuf>,
    /// Run this program in place of a script
    #[arg(short = 'c', value_name = "CODE")]
    code: Option<String>,
    /// Read inputs from the terminal and print their values, as Python does without a script; after
    /// the script, if there is one
    #[arg(short, long)]
    interactive: bool,
    /// Arguments of the script, its `sys.argv[1:]`, after `--`
    #[arg(last = true, value_name = "ARG")]
    args: Vec<String>,
    #[command(flatten)]
    sandbox: SandboxArgs,
    #[command(flatten)]
    out: OutArg,
    #[command(flatten)]
    snapshot: SnapshotArgs,
    /// Write the HTTP requests to hosts with rules, with secrets or matching --inspect to this file
    /// when the script ends, as an HTTP Archive (HAR)
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    har: Option<PathBuf>,
}

impl Options {
    const EXAMPLES_AND_EXIT_STATUS: &str = "Examples:\n  \
                          eryx run script.py                               without a network\n  \
                          eryx run script.py --allow-host api.example.com  with one host\n  \
                          eryx run script.py -r requests --net             with a package\n  \
                          eryx run -c 'print(6 * 7)' --timeout 1s\n\n\
                          Exit status: 0 when the script succeeds, 1 when it raises an exception, its own when it calls \
                          sys.exit; 2 for bad usage, 124 when it exceeds its time limit, 125 when another limit ends it, it \
                          cannot be run, or it succeeds and a file of --har, --out or --save cannot be written, 130 after \
                          Ctrl-C.";

    /// Creates the HTTP Archive, if there is one.
    fn har_file(&self) -> Result<Option<HarFile>> {
        self.har.as_deref().map(HarFile::create).transpose()
    }

    /// Returns the source of the script; `None` if there is none.
    fn source(&self) -> Result<Option<Vec<u8>>> {
        let Some(path) = &self.script else {
            return Ok(self.code.clone().map(String::into_bytes));
        };
        if path.as_os_str() == "-" {
            let mut source = Vec::new();
            io::stdin()
                .read_to_end(&mut source)
                .context("cannot read the script from standard input")?;
            return Ok(Some(source));
        }
        fs::read(path)
            .map(Some)
            .with_context(|| format!("cannot read the script {}", path.display()))
    }

    /// Returns the program with its `sys.argv`, as the interpreter sets it.
    fn program(&self, source: Vec<u8>) -> Program {
        let name = match (&self.script, &self.code) {
            (Some(path), _) => path.to_string_lossy().into_owned(),
            (None, Some(_)) => "-c".to_owned(),
            (None, None) => String::new(),
        };
        let arguments = self.args.iter().cloned();
        Program::new(source).with_arguments([name].into_iter().chain(arguments))
    }

    /// Returns whether standard input is that of the script, rather than its source.
    fn has_stdin(&self) -> bool {
        self.script
            .as_ref()
            .is_none_or(|path| path.as_os_str() != "-")
    }

    /// Returns whether inputs are read from the terminal.
    fn is_interactive(&self) -> Result<bool> {
        if self.interactive {
            return match (&self.har, &self.script) {
                (Some(_), _) => {
                    bail!("--har has no effect in interactive mode: leave out --interactive")
                }
                _ if self.out.is_given() => {
                    bail!("--out has no effect in interactive mode: leave out --interactive")
                }
                _ if self.snapshot.is_given() => {
                    bail!(
                        "--save and --resume have no effect in interactive mode: leave out --interactive"
                    )
                }
                (_, Some(path)) if path.as_os_str() == "-" => bail!(
                    "--interactive reads its inputs from standard input, and so does the script `-`: \
                     name a file, or leave one of them out"
                ),
                _ => Ok(true),
            };
        }
        if self.script.is_some() || self.code.is_some() {
            return Ok(false);
        }
        if io::stdin().is_terminal()
            && self.args.is_empty()
            && self.har.is_none()
            && !self.out.is_given()
            && !self.snapshot.is_given()
        {
            return Ok(true);
        }
        bail!("there is no script: name a file, write `-` for standard input, or -c CODE");
    }
}

/// Runs the script that the options name, and returns the exit status.
pub(crate) fn run(options: &Options) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return exit_with(EXIT_FAILED, &format!("cannot start: {error}")),
    };
    file_size_limit::make_writes_fail(&runtime);
    let status = options
        .is_interactive()
        .map_err(SetupError::from)
        .and_then(|is_interactive| match is_interactive {
            true => run_interactive(options, &runtime),
            false => runtime.block_on(run_script(options)),
        });
    // Does not wait for the output thread, which may never end.
    runtime.shutdown_background();
    status.unwrap_or_else(|error| exit_with(error.status, &error.message))
}

async fn run_script(options: &Options) -> Result<u8, SetupError> {
    let cancel = CancelHandle::new();
    let mut program = options.program(options.source()?.unwrap_or_default());
    if options.has_stdin() {
        program = program.with_stdin_reader(tokio::io::stdin());
    }
    let prepared = options.sandbox.prepare(&cancel, options.har.is_some());
    let prepared = prepared.await?;
    let har = options.har_file()?;
    let out = options.out.create()?;
    let snapshots = options.snapshot.open()?;
    let writer = OutputWriter::start(&cancel)?;
    let sandbox = writer.connect(prepared.builder).build()?;
    let (result, saved) = tokio::select! {
        result = snapshots.execute(&sandbox, program, &cancel) => result,
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
    let changed = match &result {
        Ok(result) => Some(&result.files),
        Err(error) => error.files(),
    };
    let written = match (&out, changed) {
        (Some(out), Some(changed)) => out.save(changed),
        _ => Ok(()),
    };
    let log_failure = prepared.net_log.and_then(|log| log.failure());
    let mut exit = match log_failure {
        // It has ended the script.
        Some(failure) => Exit::with_reason(EXIT_FAILED, &failure),
        None => Exit::new(result),
    };
    let after = [archived, written, saved];
    for failure in after.into_iter().filter_map(Result::err) {
        exit = exit.with_failure(&format!("{failure:#}"));
    }
    let (interrupt, interruption) = oneshot::channel::<()>();
    let mut interrupt = Some(interrupt);
    Ok(tokio::select! {
        () = exit.report(writer) => exit.status,
        _ = interruption => EXIT_INTERRUPTED,
        () = interrupted(|| drop(interrupt.take())) => unreachable!("it never ends"),
    })
}

fn run_interactive(options: &Options, runtime: &Runtime) -> Result<u8, SetupError> {
    let stop = CancelHandle::new();
    let source = options.source()?;
    let prepared = runtime.block_on(options.sandbox.prepare(&stop, false))?;
    let writer = OutputWriter::start(&stop)?;
    let sandbox = writer.connect(prepared.builder).build()?;
    let mut repl = Repl::new(runtime, sandbox, &writer, stop);
    // Without a script, this sets its arguments.
    let program = options.program(source.unwrap_or_default());
    let exited = repl.run_script(program)?;
    let status = match exited {
        Some(status) => status,
        None => repl.run()?,
    };
    repl.finish();
    match prepared.net_log.and_then(|log| log.failure()) {
        Some(failure) => Ok(exit_with(EXIT_FAILED, &failure)),
        None => Ok(status),
    }
}

/// The end of a script.
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
            ) => Self::with_reason(EXIT_TIMED_OUT, &limit_message::message(&error)),
            Err(Error::Cancelled { .. }) => Self {
                message: String::new(),
                ..Self::with_reason(EXIT_INTERRUPTED, "")
            },
            Err(error) => Self::with_reason(EXIT_FAILED, &limit_message::message(&error)),
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

    /// Adds the failure of an option that takes effect after the script. The status stays that of
    /// the script, unless it succeeded.
    fn with_failure(mut self, failure: &str) -> Self {
        self.message += &format!("eryx: {failure}\n");
        if self.status == 0 {
            self.status = EXIT_FAILED;
        }
        self
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
