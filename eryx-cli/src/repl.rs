//! Interactive mode, a read-eval-print loop: runs each input in a session, and prints its value.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result};
use eryx::{CancelHandle, Error, ExecuteResult, Program, Sandbox, Session};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use tokio::runtime::Runtime;

use crate::EXIT_FAILED;
use crate::interrupt::interrupted;
use crate::limit_message;
use crate::output_writer::{OutputWriter, escape_lines};

/// Defines the module `_eryx_repl` in the sandbox.
const DEFINE_MODULE: &str = include_str!("../python/repl.py");

/// The exception of an input that needs more lines.
const INCOMPLETE: &str = "_eryx_repl.Incomplete";

/// The exception of an input that uses `await`.
const AWAITS: &str = "_eryx_repl.Awaits";

/// Runs the input that uses `await`.
const WAIT: &str = "await __import__('_eryx_repl').wait()";

/// The number of inputs that the history keeps.
const HISTORY: usize = 1000;

/// The loop, and the session that it runs inputs in.
pub(crate) struct Repl<'a> {
    runtime: &'a Runtime,
    sandbox: Sandbox,
    writer: &'a OutputWriter,
    /// Cancelled when output cannot be written, or the network log.
    stop: CancelHandle,
    session: Option<Session>,
}

/// The step after an input.
enum Next {
    /// The next input is read.
    Continue,
    /// The input is incomplete.
    MoreLines,
    /// The input ended the loop with this status.
    Exit(u8),
}

impl<'a> Repl<'a> {
    pub(crate) fn new(
        runtime: &'a Runtime,
        sandbox: Sandbox,
        writer: &'a OutputWriter,
        stop: CancelHandle,
    ) -> Self {
        Self {
            runtime,
            sandbox,
            writer,
            stop,
            session: None,
        }
    }

    /// Runs a script in the session before the first input.
    pub(crate) fn run_script(&mut self, program: Program) -> Result<Option<u8>, Error> {
        let result = self.execute(program)?;
        Ok(match self.report(result) {
            Next::Exit(status) => Some(status),
            Next::Continue | Next::MoreLines => None,
        })
    }

    /// Reads inputs until their end, and returns the exit status.
    ///
    /// # Errors
    ///
    /// If the terminal cannot be read, or no sandbox can be started.
    pub(crate) fn run(&mut self) -> Result<u8> {
        let config = Config::builder().max_history_size(HISTORY)?.build();
        let mut editor: Editor<(), FileHistory> = Editor::with_config(config)?;
        let history = history_file();
        if let Some(path) = history.as_deref().filter(|path| path.exists())
            && let Err(error) = editor.load_history(path)
        {
            eprintln!(
                "eryx: the history {} is not loaded: {error}",
                path.display()
            );
        }
        eprintln!(
            "Python 3.14 in a sandbox. Ctrl-D exits, Ctrl-C ends a program and its variables."
        );
        let status = self.read_inputs(&mut editor)?;
        if let Some(path) = &history
            && let Err(error) = save_history(&mut editor, path)
        {
            eprintln!("eryx: the history is not saved: {error:#}");
        }
        Ok(status)
    }

    /// Ends the session as a process ends: the handlers of `atexit` run, and open files are
    /// written.
    pub(crate) fn finish(mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        let result = self.runtime.block_on(async {
            let cancel = CancelHandle::new();
            let last = Box::pin(session.execute_last("", &cancel));
            wait_for_end(last, &cancel, &self.stop, self.writer).await
        });
        match result {
            // A program has ended the interpreter, or Ctrl-C the handlers.
            Ok(_) | Err(Error::SessionClosed { .. } | Error::Cancelled { .. }) => {}
            Err(error) => eprintln!("eryx: {}", limit_message::message(&error)),
        }
    }

    fn read_inputs(&mut self, editor: &mut Editor<(), FileHistory>) -> Result<u8> {
        let mut input = String::new();
        loop {
            let prompt = if input.is_empty() { ">>> " } else { "... " };
            match editor.readline(prompt) {
                Ok(line) => input.push_str(&line),
                Err(ReadlineError::Interrupted) => {
                    input.clear();
                    continue;
                }
                Err(ReadlineError::Eof) => return Ok(0),
                Err(error) => return Err(error).context("cannot read the terminal"),
            }
            if input.trim().is_empty() {
                input.clear();
                continue;
            }
            match self.feed(&input)? {
                Next::MoreLines => {
                    input.push('\n');
                    continue;
                }
                next => {
                    editor.add_history_entry(input.trim_end())?;
                    input.clear();
                    if let Next::Exit(status) = next {
                        return Ok(status);
                    }
                }
            }
        }
    }

    /// Runs an input.
    fn feed(&mut self, input: &str) -> Result<Next> {
        // A string of JSON is one of Python.
        let literal = serde_json::to_string(input)?;
        let mut result = self.execute(format!("__import__('_eryx_repl').feed({literal})"))?;
        if is_raised(&result, AWAITS) {
            result = self.execute(WAIT)?;
        }
        if is_raised(&result, INCOMPLETE) {
            return Ok(Next::MoreLines);
        }
        Ok(self.report(result))
    }

    /// Prints the error of an input, if it failed, and returns the next step.
    fn report(&mut self, result: Result<ExecuteResult, Error>) -> Next {
        if self.stop.is_cancelled() {
            return Next::Exit(EXIT_FAILED);
        }
        match result {
            Ok(_) => Next::Continue,
            Err(Error::Exception(raised)) => match raised.exit_status {
                Some(status) => Next::Exit(u8::try_from(status).unwrap_or(1)),
                None => {
                    eprint!("{}", escape_lines(&raised.traceback));
                    Next::Continue
                }
            },
            Err(error) => {
                self.session = None;
                eprintln!(
                    "eryx: {}; the next input starts without variables",
                    limit_message::message(&error)
                );
                Next::Continue
            }
        }
    }

    /// Runs a program in the session, which is started if there is none. Ctrl-C ends the program.
    /// The outer error is one of starting a session.
    fn execute(
        &mut self,
        program: impl Into<Program>,
    ) -> Result<Result<ExecuteResult, Error>, Error> {
        self.runtime.block_on(async {
            let session = match &mut self.session {
                Some(session) => session,
                empty => {
                    let mut session = self.sandbox.session().await?;
                    session.execute(DEFINE_MODULE).await?;
                    empty.insert(session)
                }
            };
            let cancel = CancelHandle::new();
            let running = session.execute_cancellable(program, &cancel);
            let result = wait_for_end(running, &cancel, &self.stop, self.writer).await;
            Ok(result)
        })
    }
}

/// Waits for the end of a program and for its output. Ctrl-C and `stop` end it, through `cancel`.
async fn wait_for_end(
    program: impl Future<Output = Result<ExecuteResult, Error>>,
    cancel: &CancelHandle,
    stop: &CancelHandle,
    writer: &OutputWriter,
) -> Result<ExecuteResult, Error> {
    let stopped = async {
        stop.cancelled().await;
        cancel.cancel();
        std::future::pending::<()>().await;
    };
    let result = tokio::select! {
        result = program => result,
        () = interrupted(|| cancel.cancel()) => unreachable!("it never ends"),
        () = stopped => unreachable!("it never ends"),
    };
    tokio::select! {
        () = writer.flush() => {}
        // The terminal accepts no output.
        _ = tokio::signal::ctrl_c() => {}
    }
    result
}

/// Returns whether a program ended with an exception of this type.
fn is_raised(result: &Result<ExecuteResult, Error>, exception_type: &str) -> bool {
    matches!(result, Err(Error::Exception(raised)) if raised.exception_type == exception_type)
}

/// Returns the file of the history, as the XDG Base Directory Specification places it; `None`
/// without a home directory.
fn history_file() -> Option<PathBuf> {
    let absolute = |name| Some(PathBuf::from(env::var_os(name)?)).filter(|path| path.is_absolute());
    let state =
        absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("eryx/history"))
}

/// Writes the history to its file, which only the user can read.
fn save_history(editor: &mut Editor<(), FileHistory>, path: &Path) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    editor.save_history(path)?;
    Ok(())
}
