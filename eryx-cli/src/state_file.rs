//! The options `--save` and `--resume`: the state that a script leaves, for the next script.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result, bail};
use clap::Args;
use eryx::{CancelHandle, Error, ExecuteResult, Program, Sandbox};

/// The options.
#[derive(Args)]
pub(crate) struct StateArgs {
    /// Continue from the state that --save wrote to this file: the names, modules and files of an
    /// earlier script
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Write the state that the script leaves to this file, for --resume. It contains all that the
    /// script has in memory, and is not encrypted
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

impl StateArgs {
    /// Returns whether one of the options is given.
    pub(crate) fn is_given(&self) -> bool {
        self.resume.is_some() || self.save.is_some()
    }

    /// Reads the state to continue from, and creates the file of the other one.
    pub(crate) fn open(&self) -> Result<States> {
        Ok(States {
            resumed: self.resume.as_deref().map(read).transpose()?,
            saved: self.save.as_deref().map(StateFile::create).transpose()?,
        })
    }
}

/// The states before and after the script.
pub(crate) struct States {
    resumed: Option<Vec<u8>>,
    saved: Option<StateFile>,
}

impl States {
    /// Runs the script, and saves the state that it leaves: also after an exception, which does not
    /// end a session. Returns the result of the script, and that of saving.
    pub(crate) async fn execute(
        &self,
        sandbox: &Sandbox,
        program: Program,
        cancel: &CancelHandle,
    ) -> (Result<ExecuteResult, Error>, Result<()>) {
        if self.resumed.is_none() && self.saved.is_none() {
            return (sandbox.execute_cancellable(program, cancel).await, Ok(()));
        }
        let started = match &self.resumed {
            Some(state) => sandbox.restore(state).await,
            None => sandbox.session().await,
        };
        let mut session = match started {
            Ok(session) => session,
            Err(error) => return (Err(error), Ok(())),
        };
        let result = session.execute_cancellable(program, cancel).await;
        let saved = match (&self.saved, &result) {
            (Some(file), Ok(_) | Err(Error::Exception(_))) => match session.snapshot().await {
                Ok(state) => file.write(&state),
                Err(error) => Err(error).context("--save: the state cannot be saved"),
            },
            _ => Ok(()),
        };
        (result, saved)
    }
}

/// The file of a state, written beside its path and put in place when it is complete.
struct StateFile {
    path: PathBuf,
    incomplete: PathBuf,
    file: File,
}

impl StateFile {
    /// Creates the file, so that a wrong path is an error before the script runs. A state may
    /// contain passwords: only the user can read it.
    fn create(path: &Path) -> Result<Self> {
        let failed = || format!("--save: cannot write {}", path.display());
        let Some(name) = path.file_name().filter(|_| !path.is_dir()) else {
            bail!(
                "--save: {} is no file; write the name of one",
                path.display()
            );
        };
        let mut incomplete = name.to_owned();
        incomplete.push(format!(".{}.incomplete", process::id()));
        let incomplete = path.with_file_name(incomplete);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&incomplete)
            .with_context(failed)?;
        Ok(Self {
            path: path.to_owned(),
            incomplete,
            file,
        })
    }

    /// Writes a state, in place of an older one.
    fn write(&self, state: &[u8]) -> Result<()> {
        (&self.file)
            .write_all(state)
            .and_then(|()| fs::rename(&self.incomplete, &self.path))
            .with_context(|| format!("the state {} cannot be written", self.path.display()))
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        // Does not exist once it is in place.
        let _ = fs::remove_file(&self.incomplete);
    }
}

/// Reads the state that `--save` wrote.
fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("--resume: cannot read {}", path.display()))
}
