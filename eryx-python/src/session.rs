use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use tokio::sync::Mutex as AsyncMutex;

use crate::arguments::source;
use crate::error::{SessionClosedError, exception};
use crate::execution::{Execution, Job, Place, SharedSession, closed};
use crate::printer::{Callbacks, Printer};
use crate::result::ExecuteResult;
use crate::running::{Owner, Running};
use crate::runtime::{runtime, wait};

/// One interpreter that runs program after program. Names, imports and open connections stay.
///
/// :meth:`Sandbox.session` opens one. It runs one program at a time; a second one waits for its turn. An
/// execution that hits a limit, is cancelled or ends the process ends the session; one that raises does not.
///
/// >>> import eryx
/// >>> with eryx.Sandbox().session() as session:
/// ...     _ = session.execute("import json")
/// ...     print(session.execute("print(json.dumps([1]))").stdout)
/// [1]
/// <BLANKLINE>
#[pyclass(module = "eryx", frozen, weakref)]
pub(crate) struct Session {
    owner: Owner,
    process: u32,
    /// `None` only while it is dropped.
    inner: Option<SharedSession>,
    printer: Option<Arc<Printer>>,
    closed: AtomicBool,
}

#[pymethods]
impl Session {
    /// Run a program and wait for it to end; see :meth:`Sandbox.execute`.
    ///
    /// Raises:
    ///     SessionClosedError: an earlier execution ended the session, or it is closed.
    ///
    /// >>> import eryx
    /// >>> session = eryx.Sandbox().session()
    /// >>> _ = session.execute("x = 1")
    /// >>> session.execute("print(x)").stdout
    /// '1\n'
    fn execute(&self, py: Python<'_>, code: &Bound<'_, PyAny>) -> PyResult<ExecuteResult> {
        self.job(code)?.run(py)
    }

    /// As :meth:`execute`, without keeping an asyncio event loop from its other work.
    ///
    /// Cancelling the task that awaits it ends the program, and with it the session.
    ///
    /// >>> import asyncio, eryx
    /// >>> async def main():
    /// ...     async with eryx.Sandbox().session() as session:
    /// ...         await session.aexecute("x = 1")
    /// ...         return await session.aexecute("print(x)")
    /// >>> asyncio.run(main()).stdout
    /// '1\n'
    fn aexecute<'py>(
        &self,
        py: Python<'py>,
        code: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Execution::coroutine(py, self.job(code)?)
    }

    /// End the execution that is under way, and those that wait for their turn, from any thread. That ends the
    /// session. When nothing is under way nothing happens.
    ///
    /// >>> import eryx
    /// >>> session = eryx.Sandbox().session()
    /// >>> session.cancel()
    /// >>> session.execute("print('still here')").stdout
    /// 'still here\n'
    fn cancel(&self, py: Python<'_>) {
        self.owner.cancel(py);
    }

    /// End what is under way and close the interpreter and its connections. Leaving a ``with`` block does it.
    ///
    /// >>> import eryx
    /// >>> session = eryx.Sandbox().session()
    /// >>> session.close()
    /// >>> session.execute("pass")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.SessionClosedError: the session is closed: open a new one with Sandbox.session()
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.closed.store(true, Ordering::Relaxed);
        if !self.is_at_home() {
            return Ok(());
        }
        self.owner.cancel(py);
        let running = Running::begin(py, self.owner)?;
        let inner = self.inner.clone();
        let printer = self.printer.clone();
        let cancel = running.cancel_handle().clone();
        let waited = wait(py, running.cancel_handle(), async move {
            let inner = inner?;
            let mut session = inner.lock().await;
            // The connections that are closed now are told of here, also after an execution on an event loop.
            let turn = printer.map(|printer| (printer.begin(cancel, None), printer));
            drop(session.take());
            turn
        });
        running.end(py);
        match waited? {
            Some((turn, printer)) => printer.end(&turn),
            None => Ok(()),
        }
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().usable()?;
        Ok(slf)
    }

    #[pyo3(signature = (*exception))]
    fn __exit__(&self, py: Python<'_>, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = exception;
        self.close(py)
    }

    fn __aenter__<'py>(slf: Bound<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().usable()?;
        py.import("eryx._asyncio")?.call_method1("done", (slf,))
    }

    #[pyo3(signature = (*exception))]
    fn __aexit__<'py>(
        &self,
        py: Python<'py>,
        exception: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = exception;
        // An execution that is cancelled ends within milliseconds.
        self.close(py)?;
        py.import("eryx._asyncio")?
            .call_method1("done", (py.None(),))
    }

    /// What the collector of cycles follows; see the sandbox's.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.printer
            .as_ref()
            .map_or(Ok(()), |printer| printer.callbacks().visit(&visit))
    }

    fn __repr__(&self) -> &'static str {
        if self.closed.load(Ordering::Relaxed) {
            "<eryx.Session, closed>"
        } else {
            "<eryx.Session>"
        }
    }
}

impl Session {
    /// Opens one on what `builder` makes; `quiet` is that without callbacks.
    pub(crate) fn open(
        py: Python<'_>,
        builder: eryx::SandboxBuilder,
        quiet: &eryx::Sandbox,
        callbacks: Callbacks,
    ) -> PyResult<Self> {
        let (sandbox, printer) = if callbacks.is_empty() {
            (quiet.clone(), None)
        } else {
            let printer = Printer::new(callbacks);
            let sandbox = printer.attach(builder).build().map_err(exception)?;
            (sandbox, Some(printer))
        };
        let owner = Owner::new(py);
        let running = Running::begin(py, owner)?;
        let opened = wait(py, running.cancel_handle(), sandbox.session());
        running.end(py);
        Ok(Self {
            owner,
            process: std::process::id(),
            inner: Some(Arc::new(AsyncMutex::new(Some(opened?.map_err(exception)?)))),
            printer,
            closed: AtomicBool::new(false),
        })
    }

    fn is_at_home(&self) -> bool {
        self.process == std::process::id()
    }

    fn usable(&self) -> PyResult<()> {
        if !self.is_at_home() {
            return Err(SessionClosedError::new_err(format!(
                "the session belongs to process {}, and a fork does not take it along: open one in this process",
                self.process
            )));
        }
        if self.closed.load(Ordering::Relaxed) {
            return Err(closed());
        }
        Ok(())
    }

    fn job(&self, code: &Bound<'_, PyAny>) -> PyResult<Job> {
        self.usable()?;
        Ok(Job {
            owner: self.owner,
            place: Place::Session(self.inner.clone().ok_or_else(closed)?),
            source: source("code", code)?,
            printer: self.printer.clone(),
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // In the child of a fork its connections are the parent's: closing them here would end them there, and
        // take them out of what the parent's runtime watches.
        let inner = self.inner.take();
        if !self.is_at_home() {
            mem::forget(inner);
            return;
        }
        Python::attach(|py| {
            let runtime = runtime(py).ok();
            let _inside = runtime.map(|runtime| runtime.enter());
            drop(inner);
        });
    }
}
