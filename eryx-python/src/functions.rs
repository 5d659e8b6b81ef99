//! The embedder's functions: which ones a sandbox has, the Rust side of a call, and the context of
//! the calls of an execution.

use std::pin::Pin;
use std::sync::Arc;

use eryx::{
    Arguments, CancelOnDrop, Completion, Function, FunctionError, FunctionKind, FunctionResult,
    FunctionWork, JsonValue, drive,
};
use eryx_sync::Mutex;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;
use pyo3::{PyTraverseError, PyVisit};

use crate::arguments::{Item, items, string, wrong_type};
use crate::execution_registry::{OwnerId, RunningFunction};
use crate::runtime::{AttachedThread, allow_nested};
use crate::traced_functions::TracedFunctions;

tokio::task_local! {
    /// The execution that a call belongs to.
    static EXECUTION: Arc<FunctionContext>;
}

/// The functions of a sandbox.
#[derive(Default)]
pub(crate) struct EmbedderFunctions {
    names: Vec<String>,
    /// The functions, in the order of `names`. Each call finds its function in the
    /// [`FunctionContext`]: the garbage collector would not see a reference in `eryx::Functions`.
    callables: Vec<Py<PyAny>>,
    functions: eryx::Functions,
    has_async: bool,
}

impl EmbedderFunctions {
    /// Returns the functions of a dict from names to callables.
    pub(crate) fn new(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let items = items(argument, "a dict from names to functions", value)?;
        let module = value.py().import("eryx._functions")?;
        let mut this = Self::default();
        for Item {
            key,
            value: callable,
        } in items
        {
            let Ok(name) = key.cast::<PyString>() else {
                return Err(wrong_type(&format!("a name in {argument}"), "a str", &key));
            };
            let name = string(&format!("a name in {argument}"), name)?;
            if !callable.is_callable() {
                let entry = format!("{argument}[{name:?}]");
                return Err(wrong_type(&entry, "a function", &callable));
            }
            let (is_async, signature, documentation): (bool, String, String) = module
                .call_method1("describe", (&name, &callable))?
                .extract()?;
            let position = this.callables.len();
            let function = match is_async {
                true => Function::custom(FunctionKind::Asynchronous, move |arguments| {
                    let execution = execution();
                    FunctionWork::Callback(Box::new(move |completion| {
                        begin_async(position, execution, &arguments, completion)
                    }))
                }),
                false => Function::custom(FunctionKind::Plain, move |arguments| {
                    let execution = execution();
                    FunctionWork::Blocking(Box::new(move || {
                        let execution = execution?;
                        run_plain(position, &execution, &arguments)
                    }))
                }),
            };
            let function = function
                .with_signature(signature)
                .with_documentation(documentation);
            this.functions = this.functions.with_function(&*name, function);
            this.names.push(name);
            this.callables.push(callable.unbind());
            this.has_async |= is_async;
        }
        Ok(this)
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn functions(&self) -> eryx::Functions {
        self.functions.clone()
    }

    /// Visits the functions for the garbage collector.
    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.callables.iter().try_for_each(|each| visit.call(each))
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            names: self.names.clone(),
            callables: self
                .callables
                .iter()
                .map(|each| each.clone_ref(py))
                .collect(),
            functions: self.functions.clone(),
            has_async: self.has_async,
        }
    }

    /// Returns what the calls of an execution of `owner` need; `None` if it calls neither functions
    /// nor `providers`.
    ///
    /// # Errors
    ///
    /// `EryxError` if the execution cannot begin where this is called.
    pub(crate) fn begin(
        &self,
        py: Python<'_>,
        owner: OwnerId,
        is_session: bool,
        providers: &TracedFunctions,
    ) -> PyResult<Option<FunctionContext>> {
        if self.callables.is_empty() && providers.is_empty() {
            return Ok(None);
        }
        let context = py
            .import("eryx._functions")?
            .call_method1("enter", (owner.number(), is_session))?;
        Ok(Some(FunctionContext {
            callables: self
                .callables
                .iter()
                .map(|each| each.clone_ref(py))
                .collect(),
            has_async: self.has_async,
            context: context.unbind(),
            event_loop: None,
        }))
    }
}

/// The context of the calls of one execution.
pub(crate) struct FunctionContext {
    callables: Vec<Py<PyAny>>,
    has_async: bool,
    /// The `contextvars.Context` that functions run in copies of.
    context: Py<PyAny>,
    /// The loop that runs async functions. `None`: that of the package.
    event_loop: Option<Py<PyAny>>,
}

impl FunctionContext {
    /// Checks that an execution may block this thread.
    pub(crate) fn check_blocking(&self, py: Python<'_>) -> PyResult<()> {
        if self.has_async {
            py.import("eryx._functions")?
                .call_method0("require_no_running_loop")?;
        }
        Ok(())
    }

    /// Lets async functions run on the loop that runs on this thread.
    pub(crate) fn use_running_loop(&mut self, py: Python<'_>) -> PyResult<()> {
        if self.has_async {
            let running = py.import("asyncio")?.call_method0("get_running_loop")?;
            self.event_loop = Some(running.unbind());
        }
        Ok(())
    }

    /// Calls the function that provides a file, on the thread that loads it.
    pub(crate) fn call_provider<'py>(
        &self,
        function: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        // A context can be entered once at a time.
        let context = self.context.bind(function.py()).call_method0("copy")?;
        context.call_method1("run", (function,))
    }

    /// Runs an execution whose calls find this. It is large: a copy of each wrapper around it would
    /// cost more than a small program.
    pub(crate) async fn scope<T: Send + 'static>(
        this: Option<Arc<Self>>,
        execution: Pin<Box<impl Future<Output = T> + Send + 'static>>,
    ) -> T {
        match this {
            Some(this) if this.callables.is_empty() => EXECUTION.scope(this, execution).await,
            Some(this) => drive(EXECUTION.scope(this, execution), Arc::new(AttachedThread)).await,
            None => execution.await,
        }
    }
}

/// Returns the context of the execution that this code runs in, if it runs in one.
pub(crate) fn current_execution() -> Option<Arc<FunctionContext>> {
    EXECUTION.try_with(Arc::clone).ok()
}

fn execution() -> Result<Arc<FunctionContext>, FunctionError> {
    current_execution()
        .ok_or_else(|| FunctionError::new("RuntimeError", "the call belongs to no execution"))
}

/// A session that this thread holds while it calls code of the embedder, outside of an execution.
pub(crate) struct HeldSession<'py> {
    /// Ends it.
    release: Bound<'py, PyAny>,
}

impl<'py> HeldSession<'py> {
    /// Lets what runs on this thread find that it runs for the session `owner`.
    pub(crate) fn begin(py: Python<'py>, owner: OwnerId) -> PyResult<Self> {
        let module = py.import("eryx._functions")?;
        let release = module.call_method1("hold", (owner.number(),))?;
        Ok(Self { release })
    }
}

impl Drop for HeldSession<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.release.call0() {
            error.write_unraisable(self.release.py(), None);
        }
    }
}

/// Returns whether this code runs in a call of an execution of `owner`.
pub(crate) fn runs_for(py: Python<'_>, owner: OwnerId) -> PyResult<bool> {
    py.import("eryx._functions")?
        .call_method1("runs_for", (owner.number(),))?
        .extract()
}

fn shutting_down() -> FunctionError {
    FunctionError::new("RuntimeError", "the embedder's Python is shutting down")
}

/// Calls a plain function, on this thread.
fn run_plain(
    position: usize,
    execution: &FunctionContext,
    arguments: &Arguments,
) -> FunctionResult {
    static CALL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let _nested = allow_nested();
    let running = RunningFunction::begin();
    // After finalization of the interpreter there is no function to call.
    let called = Python::try_attach(move |py| {
        let called = (|| {
            let call = CALL.import(py, "eryx._functions", "call")?;
            let function = &execution.callables[position];
            outcome(&call.call1((function, arguments.as_str(), &execution.context))?)
        })();
        drop(running);
        called
    });
    match called {
        None => Err(shutting_down()),
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(FunctionError::new("RuntimeError", error.to_string())),
    }
}

/// Converts the `Outcome` of `eryx._functions`.
fn outcome(returned: &Bound<'_, PyAny>) -> PyResult<FunctionResult> {
    if let Ok(text) = returned.cast::<PyString>() {
        return Ok(JsonValue::from_text(text.to_cow()?.into_owned()).map_err(Into::into));
    }
    let (kind, message): (String, String) = returned.extract()?;
    Ok(Err(FunctionError::new(kind, message)))
}

/// Begins a call of an async function, on an event loop. Returns what cancels it.
fn begin_async(
    position: usize,
    execution: Result<Arc<FunctionContext>, FunctionError>,
    arguments: &Arguments,
    completion: Completion,
) -> CancelOnDrop {
    let execution = match execution {
        Ok(execution) => execution,
        Err(error) => {
            completion.complete(Err(error));
            return Box::new(());
        }
    };
    let pending = Arc::new(Mutex::new(Some(completion)));
    let running = RunningFunction::begin();
    let started = Python::try_attach(|py| -> PyResult<Py<PyAny>> {
        static ASYNC_CALL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let class = ASYNC_CALL.import(py, "eryx._functions", "AsyncCall")?;
        let call = class.call1((
            &execution.event_loop,
            &execution.callables[position],
            arguments.as_str(),
            &execution.context,
            CallCompletion(Arc::clone(&pending)),
        ))?;
        Ok(call.unbind())
    });
    let error = match started {
        Some(Ok(call)) => {
            return Box::new(CancelAsyncCall {
                call: Some(call),
                pending,
                running: Some(running),
            });
        }
        Some(Err(error)) => FunctionError::new("RuntimeError", error.to_string()),
        None => shutting_down(),
    };
    let completion = pending.lock().take();
    if let Some(completion) = completion {
        completion.complete(Err(error));
    }
    Box::new(())
}

/// Cancels a call of an async function that has not ended.
struct CancelAsyncCall {
    call: Option<Py<PyAny>>,
    /// Empty once the call has ended.
    pending: PendingCompletion,
    running: Option<RunningFunction>,
}

type PendingCompletion = Arc<Mutex<Option<Completion>>>;

impl Drop for CancelAsyncCall {
    fn drop(&mut self) {
        let running = self.running.take();
        // Without a result: the program does not wait for one.
        let pending = self.pending.lock().take();
        if let (Some(call), Some(completion)) = (self.call.take(), pending) {
            Python::try_attach(|py| {
                if let Err(error) = call.call_method0(py, "cancel") {
                    error.write_unraisable(py, None);
                }
                drop(call);
                drop(running);
            });
            drop(completion);
        }
    }
}

/// Receives the outcome of a call of an async function.
#[pyclass(module = "eryx._eryx", frozen)]
struct CallCompletion(PendingCompletion);

#[pymethods]
impl CallCompletion {
    fn __call__(&self, returned: &Bound<'_, PyAny>) -> PyResult<()> {
        let result = outcome(returned)?;
        let completion = self.0.lock().take();
        // Without one, the call is cancelled.
        if let Some(completion) = completion {
            completion.complete(result);
        }
        Ok(())
    }
}

impl Drop for CallCompletion {
    fn drop(&mut self) {
        // Completing calls the embedder's functions: not with the lock held.
        let completion = self.0.lock().take();
        if let Some(completion) = completion {
            let message = "the event loop ended before the function";
            completion.complete(Err(FunctionError::new("RuntimeError", message)));
        }
    }
}
