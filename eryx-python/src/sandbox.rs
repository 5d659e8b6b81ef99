//! The Python class `Sandbox`.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::arguments::{keywords_only, wrong_type};
use crate::callbacks::CallbackDispatcher;
use crate::error::{EryxError, exception};
use crate::execution::{Execution, ExecutionRequest, ForkTarget, Target, Work, completed};
use crate::execution_registry::OwnerId;
use crate::limits::ResourceLimits;
use crate::net_config::NetConfig;
use crate::program::program;
use crate::sandbox_settings::{NAMES, SandboxSettings};
use crate::session::Session;

/// Runs untrusted Python programs.
///
/// Every execution starts from the same snapshot of an interpreter, and no state passes from one
/// execution to another. Exception: sandboxes with the same ``NetConfig`` share DNS answers and TLS
/// sessions if it sets ``shared_caches``.
///
/// Any number of threads and tasks may use a sandbox at the same time; ``execute`` releases the
/// GIL.
///
/// Args:
///     network: the network of the programs, a :class:`NetConfig`. Without one they have none.
///     resource_limits: the limits of one execution, a :class:`ResourceLimits`. Without one the
///         default limits apply.
///     env: the environment variables of the programs, a dict from names to values, both str.
///         Without it they have ``HOME`` alone, ``/home/user``. Every execution starts with them in
///         ``os.environ``, and so does a session, which keeps what its programs change there. Names
///         are not empty and have no ``=``, neither names nor values have NUL characters, and all
///         together have 128 KiB at most. The ``repr`` of a sandbox shows the names alone.
///     files: the files that programs find when they start, a :class:`Files`, or a dict from paths
///         to content: bytes, or the path of a file of the machine (a str or :class:`os.PathLike`).
///         A str is a path, not content. Without it they find the empty directories ``/tmp`` and
///         ``/home/user``.
///     functions: functions that programs can call, a dict from names to callables. A program does
///         ``import tools``, then ``tools.name(...)``, or ``await tools.name(...)`` for an
///         ``async`` one. Arguments and results are JSON values and bytes; an exception is raised
///         in the program. A plain function runs on another thread. An ``async`` one runs on the
///         event loop of ``aexecute``, or with ``execute`` on one that all sandboxes share. The
///         arguments are chosen by the untrusted program.
///     functions_module: the name of the module with the functions.
///     instance_reuse: whether a program may run in an instance that ran another program before, of
///         any sandbox, and was reset since. It makes no difference to programs, and saves a start
///         about 250 µs. With ``False`` each program, session and fork gets a new instance.
///     on_stdout: a function that is called with each piece of standard output, a str, as the
///         program prints it; a piece need not end at the end of a line. ``execute`` calls it on
///         the calling thread, or on that of a plain function, ``aexecute`` on the thread of the
///         event loop. An exception that it raises ends the program and is raised by ``execute``.
///     on_stderr: the same for standard error.
///     on_network_event: a function that is called with each :class:`NetworkEvent` as it happens,
///         on the same threads and with the same effect of an exception. A program that is ahead
///         of the event loop waits for it.
///     on_function_call: a function that is called with each :class:`FunctionCall` when it has
///         ended. ``aexecute`` calls it on the thread of the event loop, ``execute`` on any thread.
///         An exception that it raises ends the program and is raised by ``execute``.
///
/// Raises:
///     ConfigError: a setting is invalid.
///     ImageError: the guest image cannot be loaded.
///
/// >>> import eryx
/// >>> sandbox = eryx.Sandbox()
/// >>> sandbox.execute("print(6 * 7)").stdout
/// '42\n'
#[pyclass(module = "eryx", frozen, weakref)]
pub(crate) struct Sandbox {
    owner: OwnerId,
    settings: SandboxSettings,
    closed: AtomicBool,
}

#[pymethods]
impl Sandbox {
    #[new]
    #[pyo3(
        signature = (*positional, **settings),
        text_signature = "(*, network=None, resource_limits=None, env=None, files=None, functions=None, functions_module='tools', instance_reuse=True, on_stdout=None, on_stderr=None, on_network_event=None, on_function_call=None)"
    )]
    fn new(
        py: Python<'_>,
        positional: &Bound<'_, PyTuple>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords_only("Sandbox", &NAMES, positional)?;
        Self::build(py, "Sandbox", eryx::Sandbox::embedded(), settings)
    }

    /// Run a program and wait until it ends.
    ///
    /// Other threads run meanwhile. Ctrl-C ends the program and raises ``KeyboardInterrupt``.
    ///
    /// Args:
    ///     code: the source, a str, or bytes in UTF-8 or in the encoding that its first lines
    ///         declare (PEP 263). ``await`` is allowed at its top level.
    ///     inputs: a dict from names to values. The program finds them as variables. Values are
    ///         made of None, bool, int, float, str, bytes, list, tuple and dict with keys of str,
    ///         in up to 3 MiB of JSON.
    ///     value: whether the result has the :attr:`~ExecuteResult.value` of the program: that of
    ///         its last statement, if that is an expression.
    ///     stdin: what the program reads from standard input, a str or bytes; empty by default.
    ///     argv: the list ``sys.argv``, whose first item is the name of the script; ``[""]`` by
    ///         default. Up to 128 KiB.
    ///     env: environment variables, a dict of str, in addition to those of the sandbox.
    ///     files: files in addition to those of the sandbox, a :class:`Files` or a dict as there.
    ///         Not in a session, which has :attr:`Session.files`.
    ///
    /// In a session, variables, ``sys.argv`` and the environment stay for the programs after it.
    ///
    /// Returns:
    ///     The output, the network report and the usage of the execution, an
    ///     :class:`ExecuteResult`.
    ///
    /// Raises:
    ///     ExecutionError: the program raised an exception, exited with a status other than 0, or
    ///         does not compile.
    ///     TimeoutError: the execution exceeded its time limit.
    ///     ResourceLimitError: the execution exceeded another limit.
    ///     CancelledError: :meth:`cancel` was called.
    ///     ConfigError, TypeError, ValueError: an argument cannot be passed to the program.
    ///
    /// >>> import eryx
    /// >>> eryx.Sandbox().execute("print(sum(range(5)))").stdout
    /// '10\n'
    /// >>> eryx.Sandbox().execute("a + b", inputs={"a": [1], "b": [2]}, value=True).value
    /// [1, 2]
    /// >>> eryx.Sandbox().execute("1 / 0")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.ExecutionError: ZeroDivisionError: division by zero
    #[pyo3(signature = (code, **arguments),
           text_signature = "($self, code, *, inputs=None, value=False, stdin=None, argv=None, env=None, files=None)")]
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
    /// Cancelling the task that awaits it ends the program.
    ///
    /// >>> import asyncio, eryx
    /// >>> sandbox = eryx.Sandbox()
    /// >>> async def main():
    /// ...     return await asyncio.gather(
    /// ...         sandbox.aexecute("print(1)"), sandbox.aexecute("print(2)")
    /// ...     )
    /// >>> [result.stdout for result in asyncio.run(main())]
    /// ['1\n', '2\n']
    #[pyo3(signature = (code, **arguments),
           text_signature = "($self, code, *, inputs=None, value=False, stdin=None, argv=None, env=None, files=None)")]
    fn aexecute<'py>(
        &self,
        py: Python<'py>,
        code: &Bound<'py, PyAny>,
        arguments: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Execution::coroutine(py, self.request(py, code, arguments)?)
    }

    /// Cancel the running executions of this sandbox; any thread may call it. Each of them raises
    /// :class:`CancelledError`. Later executions and sessions are not affected.
    ///
    /// >>> import eryx, threading
    /// >>> sandbox = eryx.Sandbox()
    /// >>> threading.Timer(0.2, sandbox.cancel).start()
    /// >>> sandbox.execute("while True: pass")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.CancelledError: the execution was cancelled
    fn cancel(&self, py: Python<'_>) {
        self.owner.cancel(py);
    }

    /// Open a session: an interpreter that keeps its state, open connections included, from one
    /// execution to the next.
    ///
    /// Raises:
    ///     ResourceLimitError: the memory limit is too low for the interpreter to start.
    ///
    /// >>> import eryx
    /// >>> with eryx.Sandbox().session() as session:
    /// ...     _ = session.execute("x = 41")
    /// ...     print(session.execute("print(x + 1)").stdout)
    /// 42
    /// <BLANKLINE>
    pub(crate) fn session(&self, py: Python<'_>) -> PyResult<Session> {
        self.ensure_open()?;
        Session::open(
            py,
            self.settings.builder.clone(),
            &self.settings.without_callbacks,
            self.settings.callbacks.clone_ref(py),
            self.settings.functions.clone_ref(py),
            self.settings.providers.clone_ref(py),
        )
    }

    /// Continue a session whose state :meth:`Session.snapshot` returned, also in another process or
    /// on another machine.
    ///
    /// The network, the limits and the environment variables are those of this sandbox. Connections
    /// and open files of the session are closed, as in :meth:`Session.fork`. The placeholders of
    /// secrets are new: ``os.environ`` has them, and placeholders that programs have copied before
    /// are no longer replaced.
    ///
    /// The bytes may come from an untrusted source: the session has no more rights than any
    /// program.
    ///
    /// Raises:
    ///     SnapshotError: the bytes are not a snapshot, are damaged, or are of another version of
    ///         eryx or another factory.
    ///     TimeoutError, ResourceLimitError: a limit was exceeded.
    ///
    /// >>> import eryx
    /// >>> sandbox = eryx.Sandbox()
    /// >>> data = sandbox.session().snapshot()
    /// >>> sandbox.restore(data).execute("print('restored')").stdout
    /// 'restored\n'
    fn restore(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.restore_request(py, data)?.run(py)
    }

    /// Like :meth:`restore`, as a coroutine that does not block the asyncio event loop.
    ///
    /// >>> import asyncio, eryx
    /// >>> async def main():
    /// ...     sandbox = eryx.Sandbox()
    /// ...     async with sandbox.session() as session:
    /// ...         await session.aexecute("x = 1")
    /// ...         data = await session.asnapshot()
    /// ...     async with await sandbox.arestore(data) as session:
    /// ...         return await session.aexecute("print(x)")
    /// >>> asyncio.run(main()).stdout
    /// '1\n'
    fn arestore<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Execution::coroutine(py, self.restore_request(py, data)?)
    }

    /// Cancel the running executions and reject later ones. The end of a ``with`` block calls it.
    ///
    /// >>> import eryx
    /// >>> with eryx.Sandbox() as sandbox:
    /// ...     _ = sandbox.execute("pass")
    /// >>> sandbox.execute("pass")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.EryxError: the sandbox is closed: make a new one
    fn close(&self, py: Python<'_>) {
        self.closed.store(true, Ordering::Relaxed);
        self.owner.cancel(py);
    }

    /// The functions of this sandbox as the text of a Python stub, for the prompt of a model: a
    /// ``def`` or ``async def`` with signature and docstring for each.
    ///
    /// >>> import eryx
    /// >>> def search(q: str, limit: int = 10) -> list:
    /// ...     '''Search the archive.'''
    /// >>> print(eryx.Sandbox(functions={"search": search}).describe_functions())
    /// def search(q: str, limit: int = 10) -> list:
    ///     """Search the archive."""
    /// <BLANKLINE>
    fn describe_functions(&self) -> String {
        self.settings.without_callbacks.describe_functions()
    }

    /// The network of the programs, a :class:`NetConfig`, or ``None``.
    #[getter]
    fn network(&self, py: Python<'_>) -> Option<Py<NetConfig>> {
        self.settings
            .network
            .as_ref()
            .map(|config| config.clone_ref(py))
    }

    /// The limits of one execution, a :class:`ResourceLimits`.
    #[getter]
    fn resource_limits(&self, py: Python<'_>) -> Py<ResourceLimits> {
        self.settings.limits.clone_ref(py)
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().ensure_open()?;
        Ok(slf)
    }

    #[pyo3(signature = (*exception))]
    fn __exit__(&self, py: Python<'_>, exception: &Bound<'_, PyAny>) {
        let _ = exception;
        self.close(py);
    }

    fn __aenter__<'py>(slf: Bound<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        completed(py, Self::__enter__(slf)?)
    }

    #[pyo3(signature = (*exception))]
    fn __aexit__<'py>(
        &self,
        py: Python<'py>,
        exception: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.__exit__(py, exception);
        completed(py, py.None())
    }

    /// Visits the references for the garbage collector. There is no `__clear__`: a sandbox is
    /// immutable, so that every reference cycle contains another, mutable object.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.settings.callbacks.visit(&visit)?;
        self.settings.functions.visit(&visit)?;
        self.settings.providers.visit(&visit)?;
        visit.call(&self.settings.network)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let network = match &self.settings.network {
            Some(config) => config.bind(py).repr()?.to_string(),
            None => "None".to_owned(),
        };
        let limits = self.settings.limits.bind(py).repr()?;
        let mut text = format!("eryx.Sandbox(network={network}, resource_limits={limits}");
        if !self.settings.env_names.is_empty() {
            let entries = self.settings.env_names.iter().map(|name| {
                let name = PyString::new(py, name).repr()?;
                Ok(format!("{name}: ..."))
            });
            let entries = entries.collect::<PyResult<Vec<_>>>()?.join(", ");
            text += &format!(", env={{{entries}}}");
        }
        if !self.settings.functions.names().is_empty() {
            let entries = self.settings.functions.names().iter().map(|name| {
                let name = PyString::new(py, name).repr()?;
                Ok(format!("{name}: ..."))
            });
            let entries = entries.collect::<PyResult<Vec<_>>>()?.join(", ");
            text += &format!(", functions={{{entries}}}");
        }
        if let Some(module) = &self.settings.functions_module {
            text += &format!(", functions_module={}", PyString::new(py, module).repr()?);
        }
        Ok(text + ")")
    }
}

impl Sandbox {
    /// Builds the sandbox of `builder` with the keyword arguments `settings` of `function`.
    pub(crate) fn build(
        py: Python<'_>,
        function: &str,
        builder: eryx::SandboxBuilder,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        Ok(Self {
            owner: OwnerId::new(py),
            settings: SandboxSettings::new(py, function, builder, settings)?,
            closed: false.into(),
        })
    }

    fn ensure_open(&self) -> PyResult<()> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(EryxError::new_err("the sandbox is closed: make a new one"));
        }
        Ok(())
    }

    fn restore_request(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<ExecutionRequest> {
        self.ensure_open()?;
        let Ok(bytes) = data.cast::<PyBytes>() else {
            return Err(wrong_type("data", "the bytes of Session.snapshot", data));
        };
        let target = ForkTarget::new(
            self.settings.builder.clone(),
            self.settings.callbacks.clone_ref(py),
            self.settings.functions.clone_ref(py),
            self.settings.providers.clone_ref(py),
        )?;
        let sandbox = target
            .sandbox
            .as_ref()
            .unwrap_or(&self.settings.without_callbacks);
        let providers = self.settings.providers.clone_ref(py);
        let functions = &self.settings.functions;
        Ok(ExecutionRequest {
            owner: self.owner,
            target: Target::Sandbox(sandbox.clone()),
            functions: functions.begin(py, self.owner, false, &providers.content)?,
            providers,
            dispatcher: target.dispatcher.clone(),
            work: Work::Restore(bytes.as_bytes().to_vec(), target),
        })
    }

    fn request(
        &self,
        py: Python<'_>,
        code: &Bound<'_, PyAny>,
        arguments: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<ExecutionRequest> {
        self.ensure_open()?;
        let provided = program(code, arguments)?;
        let (sandbox, dispatcher) = if self.settings.callbacks.is_empty() {
            (self.settings.without_callbacks.clone(), None)
        } else {
            let dispatcher = CallbackDispatcher::new(self.settings.callbacks.clone_ref(py));
            let sandbox = dispatcher.attach(self.settings.builder.clone()).build();
            (sandbox.map_err(exception)?, Some(dispatcher))
        };
        let providers = self
            .settings
            .providers
            .with_content(py, provided.providers)?;
        let functions = &self.settings.functions;
        Ok(ExecutionRequest {
            functions: functions.begin(py, self.owner, false, &providers.content)?,
            providers,
            owner: self.owner,
            target: Target::Sandbox(sandbox),
            work: Work::Execute(provided.program),
            dispatcher,
        })
    }
}
