use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::arguments::{each, keywords_only, source, wrong_type};
use crate::error::{EryxError, exception};
use crate::execution::{Execution, Job, Place};
use crate::limits::ResourceLimits;
use crate::net_config::NetConfig;
use crate::printer::{Callbacks, Printer};
use crate::result::ExecuteResult;
use crate::running::Owner;
use crate::session::Session;

/// Runs untrusted Python. Every execution starts from the same fresh interpreter, and no state of one
/// reaches another. What a ``NetConfig`` with ``shared_caches`` keeps is shared by all of its sandboxes.
///
/// A sandbox may be used by many threads and tasks at once; each ``execute`` lets others run meanwhile.
///
/// Args:
///     network: the network programs are granted, a :class:`NetConfig`. Without one there is none.
///     resource_limits: what one execution may use, a :class:`ResourceLimits`. The limits are on by default.
///     on_stdout: called with each piece of standard output, a str, as it is printed; a piece need not end
///         where a line does. ``execute`` calls it on its own thread, ``aexecute`` on the event loop's. An
///         exception it raises ends the program and comes out of ``execute``.
///     on_stderr: the same for standard error.
///     on_network_event: called with each :class:`NetworkEvent`, as it happens: on the same threads, and with the same
///         end if it raises. A program that is ahead of an event loop waits for it.
///
/// Raises:
///     ConfigError: for settings that cannot be honoured.
///     ImageError: when the guest image cannot be loaded.
///
/// >>> import eryx
/// >>> sandbox = eryx.Sandbox()
/// >>> sandbox.execute("print(6 * 7)").stdout
/// '42\n'
#[pyclass(module = "eryx", frozen, weakref)]
pub(crate) struct Sandbox {
    owner: Owner,
    builder: eryx::SandboxBuilder,
    /// What `builder` makes when nobody listens.
    quiet: eryx::Sandbox,
    callbacks: Callbacks,
    network: Option<Py<NetConfig>>,
    limits: Py<ResourceLimits>,
    closed: AtomicBool,
}

const NAMES: [&str; 5] = [
    "network",
    "resource_limits",
    "on_stdout",
    "on_stderr",
    "on_network_event",
];

#[pymethods]
impl Sandbox {
    #[new]
    #[pyo3(
        signature = (*positional, **settings),
        text_signature = "(*, network=None, resource_limits=None, on_stdout=None, on_stderr=None, on_network_event=None)"
    )]
    fn new(
        py: Python<'_>,
        positional: &Bound<'_, PyTuple>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords_only("Sandbox", &NAMES, positional)?;
        Self::make(py, "Sandbox", eryx::Sandbox::embedded(), settings)
    }

    /// Run a program and wait for it to end.
    ///
    /// Other threads run meanwhile. Ctrl-C ends the program and raises ``KeyboardInterrupt``.
    ///
    /// Args:
    ///     code: the program, a str, or bytes in UTF-8 or in the encoding its first lines declare (PEP 263).
    ///         ``await`` is allowed at its top level.
    ///
    /// Returns:
    ///     What it left, an :class:`ExecuteResult`.
    ///
    /// Raises:
    ///     ExecutionError: it raised, exited with a status other than 0, or does not compile.
    ///     TimeoutError: it took longer than its limit.
    ///     ResourceLimitError: it exceeded another limit.
    ///     CancelledError: :meth:`cancel` was called.
    ///
    /// >>> import eryx
    /// >>> eryx.Sandbox().execute("print(sum(range(5)))").stdout
    /// '10\n'
    /// >>> eryx.Sandbox().execute("1 / 0")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.ExecutionError: ZeroDivisionError: division by zero
    fn execute(&self, py: Python<'_>, code: &Bound<'_, PyAny>) -> PyResult<ExecuteResult> {
        self.job(py, code)?.run(py)
    }

    /// As :meth:`execute`, without keeping an asyncio event loop from its other work.
    ///
    /// Cancelling the task that awaits it ends the program.
    ///
    /// >>> import asyncio, eryx
    /// >>> sandbox = eryx.Sandbox()
    /// >>> async def main():
    /// ...     return await asyncio.gather(sandbox.aexecute("print(1)"), sandbox.aexecute("print(2)"))
    /// >>> [result.stdout for result in asyncio.run(main())]
    /// ['1\n', '2\n']
    fn aexecute<'py>(
        &self,
        py: Python<'py>,
        code: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Execution::coroutine(py, self.job(py, code)?)
    }

    /// End every execution of this sandbox that is under way, from any thread. Each raises
    /// :class:`CancelledError`. Executions begun later are not affected, and sessions neither.
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

    /// Open an interpreter that keeps what one execution defines for the next, open connections included.
    ///
    /// Raises:
    ///     ResourceLimitError: when its memory limit is too low for the interpreter to start.
    ///
    /// >>> import eryx
    /// >>> with eryx.Sandbox().session() as session:
    /// ...     _ = session.execute("x = 41")
    /// ...     print(session.execute("print(x + 1)").stdout)
    /// 42
    /// <BLANKLINE>
    pub(crate) fn session(&self, py: Python<'_>) -> PyResult<Session> {
        self.open()?;
        Session::open(
            py,
            self.builder.clone(),
            &self.quiet,
            self.callbacks.clone_ref(py),
        )
    }

    /// End what is under way, and refuse what comes later. Leaving a ``with`` block does it.
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

    /// The network programs are granted, or ``None``.
    #[getter]
    fn network(&self, py: Python<'_>) -> Option<Py<NetConfig>> {
        self.network.as_ref().map(|config| config.clone_ref(py))
    }

    /// What one execution may use.
    #[getter]
    fn resource_limits(&self, py: Python<'_>) -> Py<ResourceLimits> {
        self.limits.clone_ref(py)
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().open()?;
        Ok(slf)
    }

    #[pyo3(signature = (*exception))]
    fn __exit__(&self, py: Python<'_>, exception: &Bound<'_, PyAny>) {
        let _ = exception;
        self.close(py);
    }

    fn __aenter__<'py>(slf: Bound<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().open()?;
        py.import("eryx._asyncio")?.call_method1("done", (slf,))
    }

    #[pyo3(signature = (*exception))]
    fn __aexit__<'py>(
        &self,
        py: Python<'py>,
        exception: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = exception;
        self.close(py);
        py.import("eryx._asyncio")?
            .call_method1("done", (py.None(),))
    }

    /// What the collector of cycles follows. It need not be able to break one here: a sandbox never changes, so that
    /// every cycle has another object in it that does.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.callbacks.visit(&visit)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let network = match &self.network {
            Some(config) => config.bind(py).repr()?.to_string(),
            None => "None".to_owned(),
        };
        let limits = self.limits.bind(py).repr()?;
        Ok(format!(
            "eryx.Sandbox(network={network}, resource_limits={limits})"
        ))
    }
}

impl Sandbox {
    /// The sandbox that `builder` makes with the keyword arguments `settings` of `function`.
    pub(crate) fn make(
        py: Python<'_>,
        function: &str,
        builder: eryx::SandboxBuilder,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut network = None;
        let mut limits = None;
        let mut callbacks = Callbacks::default();
        each(function, &NAMES, settings, |name, value| {
            match name {
                "network" if value.is_none() => {}
                "network" => match value.cast::<NetConfig>() {
                    Ok(config) => network = Some(config.clone().unbind()),
                    Err(_) => return Err(wrong_type(name, "an eryx.NetConfig", value)),
                },
                "resource_limits" if value.is_none() => {}
                "resource_limits" => match value.cast::<ResourceLimits>() {
                    Ok(given) => limits = Some(given.clone().unbind()),
                    Err(_) => return Err(wrong_type(name, "an eryx.ResourceLimits", value)),
                },
                _ => callbacks.set(name, value)?,
            }
            Ok(())
        })?;
        let limits = match limits {
            Some(limits) => limits,
            None => Py::new(py, ResourceLimits::default())?,
        };
        let mut builder = builder.with_resource_limits(limits.get().0.clone());
        if let Some(config) = &network {
            builder = builder.with_network(config.get().0.clone());
        }
        // Attached to the interpreter: a fork must not happen while the image is being loaded, or the child
        // would wait for it for ever.
        let quiet = builder.clone().build().map_err(exception)?;
        Ok(Self {
            owner: Owner::new(py),
            builder,
            quiet,
            callbacks,
            network,
            limits,
            closed: false.into(),
        })
    }

    fn open(&self) -> PyResult<()> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(EryxError::new_err("the sandbox is closed: make a new one"));
        }
        Ok(())
    }

    fn job(&self, py: Python<'_>, code: &Bound<'_, PyAny>) -> PyResult<Job> {
        self.open()?;
        let source = source("code", code)?;
        let (sandbox, printer) = if self.callbacks.is_empty() {
            (self.quiet.clone(), None)
        } else {
            let printer = Printer::new(self.callbacks.clone_ref(py));
            let sandbox = printer.attach(self.builder.clone()).build();
            (sandbox.map_err(exception)?, Some(printer))
        };
        Ok(Job {
            owner: self.owner,
            place: Place::Sandbox(sandbox),
            source,
            printer,
        })
    }
}
