//! A session: one interpreter that runs several programs.

use std::fmt;

use eryx_net_host::NetworkReport;
use tokio::time::Instant;

use crate::cancel::CancelHandle;
use crate::error::Error;
use crate::instance::Instance;
use crate::program::Program;
use crate::result::ExecuteResult;
use crate::template::Template;

/// One interpreter that runs program after program. Names, imports and open connections stay.
///
/// An execution that hits a limit, is cancelled or dropped, or ends the process, ends the session:
/// the state it leaves behind cannot be trusted. One that raises an exception does not.
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
    instance: Instance,
    /// Keeps the factory of the session registered.
    _template: Template,
}

impl Session {
    pub(crate) fn new(instance: Instance, template: Template) -> Self {
        Self {
            instance,
            _template: template,
        }
    }

    /// Runs a program; see [`Sandbox::execute`](crate::Sandbox::execute).
    ///
    /// # Errors
    ///
    /// Those of [`Sandbox::execute`](crate::Sandbox::execute), and [`Error::SessionClosed`] when an
    /// earlier execution ended the session.
    pub async fn execute(&mut self, program: impl Into<Program>) -> Result<ExecuteResult, Error> {
        self.run(program.into(), None).await
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
        self.run(program.into(), Some(cancel)).await
    }

    /// Returns the report of the network since the last execution that ended with a result or an
    /// error: the activity of an execution whose future was dropped, and of connections still open.
    pub fn network_report(&self) -> NetworkReport {
        self.instance.network_report()
    }

    async fn run(
        &mut self,
        program: Program,
        cancel: Option<&CancelHandle>,
    ) -> Result<ExecuteResult, Error> {
        let started = Instant::now();
        program.validate()?;
        self.instance.execute(program, started, cancel).await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
