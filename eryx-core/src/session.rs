//! A session: one interpreter that runs several programs.

use std::fmt;

use eryx_net_host::NetworkReport;
use tokio::time::Instant;

use crate::cancel::CancelHandle;
use crate::config_error::ConfigError;
use crate::error::Error;
use crate::files::{ChangedFiles, SessionFiles};
use crate::interpreter::Interpreter;
use crate::program::Program;
use crate::program_error::ProgramError;
use crate::result::ExecuteResult;
use crate::sandbox::Sandbox;

/// One interpreter that runs program after program. Names, imports and open connections stay.
///
/// An execution that hits a limit, is cancelled or dropped, or ends the process, ends the session:
/// the state it leaves behind cannot be trusted. One that raises an exception does not.
///
/// The end of a session runs no code of its programs: what is in the buffers of open files is lost.
///
/// ```no_run
/// # async fn example(sandbox: eryx_core::Sandbox) -> Result<(), eryx_core::Error> {
/// let mut session = sandbox.session().await?;
/// session.execute("x = 41").await?;
/// assert_eq!(session.execute("print(x + 1)").await?.stdout, "42\n");
/// # Ok(())
/// # }
/// ```
pub struct Session {
    interpreter: Interpreter,
    /// Keeps the factory of the session registered, too.
    sandbox: Sandbox,
}

impl Sandbox {
    /// Returns an interpreter that keeps the definitions of one execution for the next, open
    /// connections included.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] when the interpreter does not start, [`Error::Limit`] when its memory limit
    /// is too low to start it.
    pub async fn session(&self) -> Result<Session, Error> {
        Ok(Session::new(self.start_session().await?, self.clone()))
    }

    /// Returns a session that continues the one whose state [`Session::snapshot`] returned, also in
    /// another process or on another machine.
    ///
    /// The network, the limits and the environment variables are those of this sandbox: nothing of
    /// what the other sandbox allowed is in the bytes. Connections and open files of the session
    /// are closed, as in a [fork](Session::fork). The placeholders of secrets are new: they are in
    /// `os.environ`, and placeholders that programs have copied before are no longer replaced.
    ///
    /// The bytes may come from an untrusted source. They are checked, but they are the memory of a
    /// program: the restored session is as untrusted as any program. They count against the limits
    /// of memory and files, and the execution timeout applies to this call.
    ///
    /// ```no_run
    /// # async fn example(sandbox: eryx_core::Sandbox) -> Result<(), eryx_core::Error> {
    /// let mut session = sandbox.session().await?;
    /// session.execute("x = 41").await?;
    /// let bytes = session.snapshot().await?;
    /// let mut later = sandbox.restore(&bytes).await?;
    /// assert_eq!(later.execute("print(x + 1)").await?.stdout, "42\n");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Snapshot`] when the bytes are not a snapshot, are damaged, or are of another guest
    /// image or factory; [`Error::Limit`] when the session exceeds a limit while it is restored.
    pub async fn restore(&self, bytes: &[u8]) -> Result<Session, Error> {
        Ok(Session::new(
            self.restore_session(bytes).await?,
            self.clone(),
        ))
    }
}

impl Session {
    pub(crate) fn new(interpreter: Interpreter, sandbox: Sandbox) -> Self {
        Self {
            interpreter,
            sandbox,
        }
    }

    /// Runs a program; see [`Sandbox::execute`](crate::Sandbox::execute).
    ///
    /// # Errors
    ///
    /// Those of [`Sandbox::execute`](crate::Sandbox::execute), and [`Error::SessionClosed`] when an
    /// earlier execution ended the session.
    pub async fn execute(&mut self, program: impl Into<Program>) -> Result<ExecuteResult, Error> {
        self.run(program.into(), false, None).await
    }

    /// Runs a program as [`execute`](Self::execute) does, until `cancel` ends it.
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute), and [`Error::Cancelled`].
    pub async fn execute_cancellable(
        &mut self,
        program: impl Into<Program>,
        cancel: &CancelHandle,
    ) -> Result<ExecuteResult, Error> {
        self.run(program.into(), false, Some(cancel)).await
    }

    /// Runs the last program of the session, which ends as a program of
    /// [`Sandbox::execute`](crate::Sandbox::execute) does: the handlers of `atexit` run, and open
    /// files are written.
    #[doc(hidden)]
    pub async fn execute_last(
        mut self,
        program: impl Into<Program>,
        cancel: &CancelHandle,
    ) -> Result<ExecuteResult, Error> {
        self.run(program.into(), true, Some(cancel)).await
    }

    /// Returns the files of the session, to read and change them between two executions.
    ///
    /// ```no_run
    /// # async fn example(sandbox: eryx_core::Sandbox) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut session = sandbox.session().await?;
    /// session.files()?.write("/data/in.txt", b"21")?;
    /// session
    ///     .execute("n = int(open('/data/in.txt').read())\nopen('out', 'w').write(str(2 * n))")
    ///     .await?;
    /// assert_eq!(session.files()?.read("/home/user/out")?, b"42");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::SessionClosed`] when an earlier execution ended the session.
    pub fn files(&mut self) -> Result<SessionFiles<'_>, Error> {
        self.interpreter.files().map(SessionFiles::new)
    }

    /// Returns what has changed until now since the execution began that changed `files`.
    ///
    /// # Errors
    ///
    /// Those of [`files`](Self::files).
    #[doc(hidden)]
    pub fn changes_since(&mut self, files: &ChangedFiles) -> Result<ChangedFiles, Error> {
        let now = self.interpreter.files()?.lock().snapshot();
        Ok(files.until(now))
    }

    /// Returns a copy of the session, which continues independently of this one: with the same
    /// names, modules, suspended coroutines and timers, and a copy of the files.
    ///
    /// The copy has no connections: those of its programs answer `ConnectionResetError`, as after a
    /// failure of the network, and open files are closed; what this session has in their buffers is
    /// written before. The module `random` is seeded again. The
    /// limits of executions count for each session by itself, but both use up the byte quotas and
    /// rate limits of the network together.
    ///
    /// The callbacks of `os.register_at_fork` are called: those of this session now, within the
    /// execution timeout, those of the copy before its next program or copy.
    ///
    /// ```no_run
    /// # async fn example(sandbox: eryx_core::Sandbox) -> Result<(), eryx_core::Error> {
    /// let mut session = sandbox.session().await?;
    /// session.execute("x = 41").await?;
    /// let mut fork = session.fork().await?;
    /// fork.execute("x += 1").await?;
    /// assert_eq!(fork.execute("print(x)").await?.stdout, "42\n");
    /// assert_eq!(session.execute("print(x)").await?.stdout, "41\n");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::SessionClosed`] when an earlier execution ended the session, [`Error::Limit`] when
    /// the callbacks or the copy exceed a limit, [`Error::Snapshot`] when the copy does not
    /// continue. If the callbacks exceed a limit, or the future is dropped, the session is closed.
    pub async fn fork(&mut self) -> Result<Self, Error> {
        let interpreter = self.sandbox.fork(&mut self.interpreter).await?;
        Ok(Self::new(interpreter, self.sandbox.clone()))
    }

    /// Returns a copy of the session as [`fork`](Self::fork) does, whose output and network events
    /// go where `sandbox` sends those of its programs.
    #[doc(hidden)]
    pub async fn fork_into(&mut self, sandbox: &Sandbox) -> Result<Self, Error> {
        let interpreter = sandbox.fork(&mut self.interpreter).await?;
        Ok(Self::new(interpreter, sandbox.clone()))
    }

    /// Returns the state of the session as bytes, for [`Sandbox::restore`]: its memory and its
    /// files, compressed. The session continues.
    ///
    /// The bytes contain everything that programs have in memory and in files, passwords included.
    /// They are neither encrypted nor signed. Only the same version of Eryx, with the same build of
    /// the factory, can restore them.
    ///
    /// # Errors
    ///
    /// Those of [`fork`](Self::fork).
    pub async fn snapshot(&mut self) -> Result<Vec<u8>, Error> {
        self.sandbox.snapshot(&mut self.interpreter).await
    }

    /// Returns the report of the network since the last execution that ended with a result or an
    /// error: the activity of an execution whose future was dropped, and of connections still open.
    pub fn network_report(&self) -> NetworkReport {
        self.interpreter.network_report()
    }

    async fn run(
        &mut self,
        program: Program,
        exits: bool,
        cancel: Option<&CancelHandle>,
    ) -> Result<ExecuteResult, Error> {
        let started = Instant::now();
        program.validate()?;
        if !program.files.is_empty() {
            return Err(ConfigError::from(ProgramError::FilesInSession).into());
        }
        self.interpreter
            .execute(program, exits, started, cancel)
            .await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every function that passes the future of an execution on copies it. When it had grown by a
    /// few KiB, an execution in a session took twice the time of the program. What is rarely needed
    /// belongs on the heap (`Box::pin`).
    #[test]
    fn the_futures_of_an_execution_are_small() {
        fn size_of_future<T>(_: impl FnOnce(&'static mut Session, &'static Sandbox) -> T) -> usize {
            size_of::<T>()
        }
        let sizes = [
            size_of_future(|session, _| session.execute("")),
            size_of_future(|_, sandbox| sandbox.execute("")),
        ];
        assert!(sizes.iter().all(|size| *size <= 16 << 10), "{sizes:?}");
    }

    #[test]
    fn a_fork_can_be_awaited_on_any_thread() {
        fn is_send<T: Send>(_: impl FnOnce(&'static mut Session) -> T) {}
        is_send(Session::fork);
        is_send(Session::snapshot);
    }
}
