//! The Python class `Session`.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eryx::CancelHandle;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::arguments::keywords_only;
use crate::callbacks::{CallbackDispatcher, Callbacks};
use crate::error::{SessionClosedError, exception};
use crate::execution::{
    Execution, ExecutionRequest, ForkTarget, SessionSlot, SharedSession, Target, Work, completed,
    session_closed,
};
use crate::execution_registry::{ActiveExecution, OwnerId};
use crate::functions::{EmbedderFunctions, runs_for};
use crate::program::program;
use crate::providers::Providers;
use crate::runtime::{in_callback, runtime, wait};
use crate::sandbox_settings::{NAMES, SandboxSettings};
use crate::session_files::SessionFiles;

/// An interpreter that keeps its names, imports and open connections from one program to the next.
///
/// :meth:`Sandbox.session` opens a session, or ``Session(...)`` with the arguments of
/// :class:`Sandbox`. It runs one program at a time; further calls wait. An
/// execution that exceeds a limit, is cancelled or exits the interpreter ends the session; an
/// exception does not.
///
/// >>> import eryx
/// >>> with eryx.Sandbox().session() as session:
/// ...     _ = session.execute("import json")
/// ...     print(session.execute("print(json.dumps([1]))").stdout)
/// [1]
/// <BLANKLINE>
#[pyclass(module = "eryx", frozen, weakref)]
pub(crate) struct Session {
    owner: OwnerId,
    process: u32,
    /// `None` only during `drop`.
    inner: Option<SharedSession>,
    /// For copies of the session, whose callbacks need a sandbox of their own.
    builder: eryx::SandboxBuilder,
    dispatcher: Option<Arc<CallbackDispatcher>>,
    functions: EmbedderFunctions,
    providers: Providers,
    closed: AtomicBool,
}

#[pymethods]
impl Session {
    #[new]
    #[pyo3(
        signature = (*positional, **settings),
        text_signature = "(*, network=None, resource_limits=None, env=None, files=None, functions=None, functions_module='tools', instance_reuse=True, on_stdout=None, on_stderr=None, on_network_event=None, on_function_call=None)"
    )]
    fn construct(
        py: Python<'_>,
        positional: &Bound<'_, PyTuple>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords_only("Session", &NAMES, positional)?;
        let settings = SandboxSettings::new(py, "Session", eryx::Sandbox::embedded(), settings)?;
        Self::open(
            py,
            settings.builder,
            &settings.without_callbacks,
            settings.callbacks,
            settings.functions,
            settings.providers,
        )
    }

    /// Run a program and wait until it ends; see :meth:`Sandbox.execute`.
    ///
    /// Raises:
    ///     SessionClosedError: an earlier execution ended the session, or :meth:`close` was called.
    ///
    /// >>> import eryx
    /// >>> session = eryx.Sandbox().session()
    /// >>> _ = session.execute("x = 1")
    /// >>> session.execute("print(x)").stdout
    /// '1\n'
    #[pyo3(signature = (code, **arguments),
           text_signature = "($self, code, *, inputs=None, value=False, stdin=None, argv=None, env=None)")]
    fn execute(
        &self,
        py: Python<'_>,
        code: &Bound<'_, PyAny>,
        arguments: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        self.request(py, code, arguments)?.run(py)
    }

    /// Like :meth:`execute`, as a coroutine that does not block the asyncio event loop.
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
    #[pyo3(signature = (code, **arguments),
           text_signature = "($self, code, *, inputs=None, value=False, stdin=None, argv=None, env=None)")]
    fn aexecute<'py>(
        &self,
        py: Python<'py>,
        code: &Bound<'py, PyAny>,
        arguments: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Execution::coroutine(py, self.request(py, code, arguments)?)
    }

    /// Fork the session: return a copy that continues independently of this session.
    ///
    /// The copy has the same names, modules, suspended coroutines and timers, and a copy of the
    /// files. Its connections raise ``ConnectionResetError`` and its open files ``OSError``, as
    /// both belong to this session; libraries with a pool connect anew. The module ``random`` is
    /// seeded anew. The functions of ``os.register_at_fork`` are called.
    ///
    /// Both sessions use up the byte quotas and rate limits of the network together.
    ///
    /// Raises:
    ///     SnapshotError: the copy does not continue.
    ///     SessionClosedError: the session is closed.
    ///     TimeoutError, ResourceLimitError: a limit was exceeded.
    ///
    /// >>> import eryx
    /// >>> session = eryx.Sandbox().session()
    /// >>> _ = session.execute("x = [1]")
    /// >>> fork = session.fork()
    /// >>> _ = fork.execute("x.append(2)")
    /// >>> fork.execute("x", value=True).value, session.execute("x", value=True).value
    /// ([1, 2], [1])
    fn fork(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.call(py, Work::Fork(self.fork_target(py)?))?.run(py)
    }

    /// Like :meth:`fork`, as a coroutine that does not block the asyncio event loop.
    ///
    /// >>> import asyncio, eryx
    /// >>> async def main():
    /// ...     async with eryx.Sandbox().session() as session:
    /// ...         await session.aexecute("x = 1")
    /// ...         async with await session.afork() as fork:
    /// ...             return await fork.aexecute("print(x)")
    /// >>> asyncio.run(main()).stdout
    /// '1\n'
    fn afork<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Execution::coroutine(py, self.call(py, Work::Fork(self.fork_target(py)?))?)
    }

    /// Return the state of the session as bytes, for :meth:`Sandbox.restore`: its memory and its
    /// files, compressed. The session continues.
    ///
    /// The bytes contain everything that programs have in memory and in files, passwords included,
    /// and are neither encrypted nor signed. Only the same version of eryx, with the same build of
    /// the factory, can restore them.
    ///
    /// Raises:
    ///     The exceptions of :meth:`fork`.
    ///
    /// >>> import eryx
    /// >>> sandbox = eryx.Sandbox()
    /// >>> session = sandbox.session()
    /// >>> _ = session.execute("x = 41")
    /// >>> data = session.snapshot()
    /// >>> sandbox.restore(data).execute("print(x + 1)").stdout
    /// '42\n'
    fn snapshot(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.call(py, Work::Snapshot)?.run(py)
    }

    /// Like :meth:`snapshot`, as a coroutine that does not block the asyncio event loop.
    ///
    /// >>> import asyncio, eryx
    /// >>> async def main():
    /// ...     sandbox = eryx.Sandbox()
    /// ...     async with sandbox.session() as session:
    /// ...         await session.aexecute("x = 1")
    /// ...         return len(await session.asnapshot()) > 0
    /// >>> asyncio.run(main())
    /// True
    fn asnapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Execution::coroutine(py, self.call(py, Work::Snapshot)?)
    }

    fn __copy__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err(
            "a session cannot be copied with the module copy: call its method fork",
        ))
    }

    fn __deepcopy__(&self, memo: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let _ = memo;
        self.__copy__()
    }

    /// Cancel the running execution and those that wait for it; any thread may call it. That ends
    /// the session. Without a running execution it has no effect.
    ///
    /// >>> import eryx
    /// >>> session = eryx.Sandbox().session()
    /// >>> session.cancel()
    /// >>> session.execute("print('still here')").stdout
    /// 'still here\n'
    fn cancel(&self, py: Python<'_>) {
        self.owner.cancel(py);
    }

    /// The files of the session, to read and change them between two executions, a
    /// :class:`SessionFiles`.
    ///
    /// >>> import eryx
    /// >>> with eryx.Sandbox().session() as session:
    /// ...     _ = session.execute("open('note', 'w').write('kept')")
    /// ...     print(session.files["/home/user/note"])
    /// b'kept'
    #[getter]
    fn files(slf: Bound<'_, Self>) -> PyResult<SessionFiles> {
        slf.get().ensure_usable()?;
        Ok(SessionFiles::new(slf.unbind()))
    }

    /// Cancel the running execution, and close the interpreter and its connections. The end of a
    /// ``with`` block calls it. In ``on_stdout`` and other callbacks of the session, and in
    /// functions that it called, it returns at once, and the session ends with the execution. No
    /// code of a program runs: what a program wrote to a file and did not flush is lost.
    ///
    /// >>> import eryx
    /// >>> session = eryx.Sandbox().session()
    /// >>> session.close()
    /// >>> session.execute("pass")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.SessionClosedError: the session is closed: open a new one with Sandbox.session()
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let Some(inner) = self.begin_close(py) else {
            return Ok(());
        };
        let dispatcher = self.dispatcher.clone();
        // The events of the connections that this closes are delivered on this thread, also after
        // an execution on an event loop.
        let end = move |session: Option<eryx::Session>, cancel: CancelHandle| {
            let session = session?;
            let callbacks =
                dispatcher.map(|dispatcher| (dispatcher.start(cancel, None), dispatcher));
            drop(session);
            callbacks
        };
        let ended = if self.is_in_use_here(py)? {
            // This thread cannot wait for the execution, which may be its own. If that has ended,
            // the session is dropped here: the runtime has its connections.
            let _inside = runtime(py)?.enter();
            end(inner.close(), CancelHandle::new())
        } else {
            let active = ActiveExecution::begin(py, self.owner)?;
            let cancel = active.cancel_handle().clone();
            let waited = wait(py, active.cancel_handle(), async move {
                let session = inner.lock().await.take();
                end(session, cancel)
            });
            active.end(py);
            waited?
        };
        match ended {
            Some((callbacks, dispatcher)) => dispatcher.finish(&callbacks),
            None => Ok(()),
        }
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().ensure_usable()?;
        Ok(slf)
    }

    #[pyo3(signature = (*exception))]
    fn __exit__(&self, py: Python<'_>, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = exception;
        self.close(py)
    }

    fn __aenter__<'py>(slf: Bound<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        completed(py, Self::__enter__(slf)?)
    }

    #[pyo3(signature = (*exception))]
    fn __aexit__<'py>(
        slf: &Bound<'py, Self>,
        exception: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, session) = (slf.py(), slf.get());
        // Callbacks of the session are called on the loop, so it must not be blocked.
        let Some(slot) = session.begin_close(py) else {
            return completed(py, py.None());
        };
        if session.is_in_use_here(py)? {
            session.__exit__(py, exception)?;
            return completed(py, py.None());
        }
        Execution::coroutine_of_close(slf, session.request_on(slot, Work::Close))
    }

    /// Visits the references for the garbage collector, as `Sandbox::__traverse__` does.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.dispatcher
            .as_ref()
            .map_or(Ok(()), |dispatcher| dispatcher.callbacks().visit(&visit))?;
        self.functions.visit(&visit)?;
        self.providers.visit(&visit)
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
    /// Opens a session of the sandbox of `builder`; `without_callbacks` is that sandbox without
    /// callbacks.
    pub(crate) fn open(
        py: Python<'_>,
        builder: eryx::SandboxBuilder,
        without_callbacks: &eryx::Sandbox,
        callbacks: Callbacks,
        functions: EmbedderFunctions,
        providers: Providers,
    ) -> PyResult<Self> {
        let target = ForkTarget::new(builder, callbacks, functions, providers)?;
        let sandbox = target.sandbox.as_ref().unwrap_or(without_callbacks);
        let owner = OwnerId::new(py);
        let active = ActiveExecution::begin(py, owner)?;
        let opened = wait(py, active.cancel_handle(), sandbox.session());
        active.end(py);
        Ok(Self::new(py, opened?.map_err(exception)?, target))
    }

    /// Returns the object for a session.
    pub(crate) fn new(py: Python<'_>, session: eryx::Session, target: ForkTarget) -> Self {
        Self {
            owner: OwnerId::new(py),
            process: std::process::id(),
            inner: Some(SessionSlot::new(session)),
            builder: target.builder,
            dispatcher: target.dispatcher,
            functions: target.functions,
            providers: target.providers,
            closed: AtomicBool::new(false),
        }
    }

    fn fork_target(&self, py: Python<'_>) -> PyResult<ForkTarget> {
        let callbacks = self.dispatcher.as_ref();
        let callbacks = callbacks.map(|dispatcher| dispatcher.callbacks().clone_ref(py));
        ForkTarget::new(
            self.builder.clone(),
            callbacks.unwrap_or_default(),
            self.functions.clone_ref(py),
            self.providers.clone_ref(py),
        )
    }

    fn call(&self, py: Python<'_>, work: Work) -> PyResult<ExecutionRequest> {
        self.ensure_usable()?;
        let slot = self.inner.clone().ok_or_else(session_closed)?;
        Ok(ExecutionRequest {
            functions: self
                .functions
                .begin(py, self.owner, true, &self.providers.content)?,
            providers: self.providers.clone_ref(py),
            ..self.request_on(slot, work)
        })
    }

    /// Returns the request for a call that runs no code of a program.
    fn request_on(&self, slot: SharedSession, work: Work) -> ExecutionRequest {
        ExecutionRequest {
            functions: None,
            providers: Providers::default(),
            owner: self.owner,
            target: Target::Session(slot),
            work,
            dispatcher: self.dispatcher.clone(),
        }
    }

    /// Refuses further calls, and cancels those that there are. Returns the place of the
    /// interpreter, if this process has it.
    fn begin_close(&self, py: Python<'_>) -> Option<SharedSession> {
        self.closed.store(true, Ordering::Relaxed);
        if !self.is_owner_process() {
            return None;
        }
        self.owner.cancel(py);
        self.inner.clone()
    }

    /// Returns whether the caller is part of an execution, which so cannot end before the caller
    /// returns: a callback, or a function that the execution called.
    fn is_in_use_here(&self, py: Python<'_>) -> PyResult<bool> {
        let has_calls = !self.functions.names().is_empty() || !self.providers.content.is_empty();
        Ok(in_callback() || (has_calls && runs_for(py, self.owner)?))
    }

    fn is_owner_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Returns the place of the interpreter.
    pub(crate) fn slot(&self) -> PyResult<&SharedSession> {
        self.inner.as_ref().ok_or_else(session_closed)
    }

    pub(crate) fn owner(&self) -> OwnerId {
        self.owner
    }

    /// Returns whether functions of the embedder provide files.
    pub(crate) fn has_providers(&self) -> bool {
        !self.providers.content.is_empty()
    }

    pub(crate) fn ensure_usable(&self) -> PyResult<()> {
        if !self.is_owner_process() {
            return Err(SessionClosedError::new_err(format!(
                "the session belongs to process {}; a forked process cannot use it: open a new one",
                self.process
            )));
        }
        if self.closed.load(Ordering::Relaxed) {
            return Err(session_closed());
        }
        Ok(())
    }

    fn request(
        &self,
        py: Python<'_>,
        code: &Bound<'_, PyAny>,
        arguments: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<ExecutionRequest> {
        self.ensure_usable()?;
        // The files of a session are not those of one execution.
        let provided = program(code, arguments)?;
        self.call(py, Work::Execute(provided.program))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // In the child of a fork the connections belong to the parent: closing them here would shut
        // them down for the parent, and deregister them from its runtime's epoll instance.
        let inner = self.inner.take();
        if !self.is_owner_process() {
            mem::forget(inner);
            return;
        }
        // The garbage collector may drop the session after it has taken the callbacks apart, and a
        // call of a function that it has cleared ends the process.
        if let Some(dispatcher) = &self.dispatcher {
            dispatcher.silence();
        }
        Python::attach(|py| {
            let runtime = runtime(py).ok();
            let _inside = runtime.map(|runtime| runtime.enter());
            drop(inner);
        });
    }
}
