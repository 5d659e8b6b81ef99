use eryx_net_host::NetworkReport;
use tokio::time::Instant;

use crate::cancel::CancelHandle;
use crate::error::Error;
use crate::factory::SandboxFactory;
use crate::instance::Instance;
use crate::result::ExecuteResult;

/// One interpreter that runs program after program. Names, imports and open connections stay.
///
/// An execution that hits a limit, is cancelled or dropped, or ends the process, ends the session: what it
/// left half done cannot be trusted. One that raises does not.
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
    /// Has the packages the interpreter imports from.
    _factory: Option<SandboxFactory>,
}

impl Session {
    pub(crate) fn new(instance: Instance, factory: Option<SandboxFactory>) -> Self {
        Self {
            instance,
            _factory: factory,
        }
    }

    /// Run a program; see [`Sandbox::execute`](crate::Sandbox::execute).
    ///
    /// # Errors
    ///
    /// Those of [`Sandbox::execute`](crate::Sandbox::execute), and [`Error::SessionClosed`] when an earlier
    /// execution ended the session.
    pub async fn execute(&mut self, source: impl AsRef<[u8]>) -> Result<ExecuteResult, Error> {
        self.instance
            .execute(source.as_ref(), Instant::now(), None)
            .await
    }

    /// As [`execute`](Self::execute), and `cancel` can end it.
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute), and [`Error::Cancelled`].
    pub async fn execute_cancellable(
        &mut self,
        source: impl AsRef<[u8]>,
        cancel: &CancelHandle,
    ) -> Result<ExecuteResult, Error> {
        self.instance
            .execute(source.as_ref(), Instant::now(), Some(cancel))
            .await
    }
}

impl Session {
    /// Returns what happened on the session's network since the last execution that ended with a result or an error:
    /// what an execution did whose future was dropped, and what still lasts.
    pub fn network_report(&self) -> NetworkReport {
        self.instance.network_report()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
