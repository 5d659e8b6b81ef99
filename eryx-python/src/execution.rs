//! One execution of a program, or another call of a sandbox that waits, blocking or as a coroutine.

use std::convert::Infallible;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eryx::{CancelHandle, Nesting};
use eryx_sync::{Mutex, MutexGuard};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyString};
use tokio::sync::Mutex as AsyncMutex;

use crate::call_queue::{Call, CallQueue};
use crate::callbacks::{CallbackDispatcher, Callbacks, ExecutionCallbacks};
use crate::changed_files::ChangedFiles;
use crate::error::{CancelledError, SessionClosedError, exception};
use crate::execution_registry::{ActiveExecution, OwnerId};
use crate::functions::{EmbedderFunctions, FunctionContext};
use crate::providers::Providers;
use crate::result::ExecuteResult;
use crate::runtime::{runtime, wait};
use crate::session::Session;

/// A session, for the objects and calls that use it one at a time.
pub(crate) type SharedSession = Arc<SessionSlot>;

/// The place of a session.
pub(crate) struct SessionSlot {
    /// `None` once the session is closed.
    session: AsyncMutex<Option<eryx::Session>>,
    /// Whether the call that has the session drops it at its end.
    is_closing: AtomicBool,
}

impl SessionSlot {
    pub(crate) fn new(session: eryx::Session) -> SharedSession {
        Arc::new(Self {
            session: AsyncMutex::new(Some(session)),
            is_closing: AtomicBool::new(false),
        })
    }

    /// Waits until no other call has the session.
    pub(crate) async fn lock(&self) -> SlotGuard<'_> {
        let mut session = self.session.lock().await;
        if self.is_closing.load(Ordering::SeqCst) {
            drop(session.take());
        }
        session
    }

    /// Returns the session, unless a call has it.
    pub(crate) fn try_lock(&self) -> Option<SlotGuard<'_>> {
        self.session.try_lock().ok()
    }

    /// Closes the session without waiting. Returns it for the caller to drop, unless a call has it:
    /// then that drops it at its end.
    pub(crate) fn close(&self) -> Option<eryx::Session> {
        self.is_closing.store(true, Ordering::SeqCst);
        self.try_lock()?.take()
    }

    /// Drops the session if it was closed during a call that has ended. No end is missed: a call
    /// gives the session back before it comes here, and `close` announces itself before it looks.
    pub(crate) fn drop_if_closing(&self) {
        if self.is_closing.load(Ordering::SeqCst) {
            drop(self.try_lock().and_then(|mut session| session.take()));
        }
    }
}

type SlotGuard<'a> = tokio::sync::MutexGuard<'a, Option<eryx::Session>>;

/// Where a program runs.
pub(crate) enum Target {
    /// In a fresh interpreter.
    Sandbox(eryx::Sandbox),
    /// In a session, after the executions that wait for it already.
    Session(SharedSession),
}

/// The operation.
pub(crate) enum Work {
    /// Run a program.
    Execute(eryx::Program),
    /// Fork the session, for a copy of the object that has this.
    Fork(ForkTarget),
    /// Return the state of the session.
    Snapshot,
    /// Close the session, whose other calls were cancelled.
    Close,
    /// Continue the session with this state.
    Restore(Vec<u8>, ForkTarget),
}

/// The parts of a forked or restored session besides the session itself.
pub(crate) struct ForkTarget {
    /// The sandbox with the callbacks of the copy; `None` if there are none.
    pub(crate) sandbox: Option<eryx::Sandbox>,
    pub(crate) builder: eryx::SandboxBuilder,
    pub(crate) dispatcher: Option<Arc<CallbackDispatcher>>,
    pub(crate) functions: EmbedderFunctions,
    pub(crate) providers: Providers,
}

impl ForkTarget {
    /// Returns the parts of a session of the sandbox of `builder` with these callbacks, functions
    /// and providers.
    pub(crate) fn new(
        builder: eryx::SandboxBuilder,
        callbacks: Callbacks,
        functions: EmbedderFunctions,
        providers: Providers,
    ) -> PyResult<Self> {
        if callbacks.is_empty() {
            return Ok(Self {
                sandbox: None,
                builder,
                dispatcher: None,
                functions,
                providers,
            });
        }
        let dispatcher = CallbackDispatcher::new(callbacks);
        let sandbox = dispatcher.attach(builder.clone()).build();
        Ok(Self {
            sandbox: Some(sandbox.map_err(exception)?),
            builder,
            dispatcher: Some(dispatcher),
            functions,
            providers,
        })
    }
}

/// A call, and where it is made.
pub(crate) struct ExecutionRequest {
    pub(crate) owner: OwnerId,
    pub(crate) target: Target,
    pub(crate) work: Work,
    pub(crate) dispatcher: Option<Arc<CallbackDispatcher>>,
    /// What calls of functions need; `None` if there are none.
    pub(crate) functions: Option<FunctionContext>,
    /// What provides the content of the files, until the program has ended.
    pub(crate) providers: Providers,
}

/// The result of a call.
enum Returned {
    Result(Box<eryx::ExecuteResult>),
    Session(Box<(eryx::Session, ForkTarget)>),
    Snapshot(Vec<u8>),
    Closed,
}

impl Returned {
    fn into_object(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(match self {
            Self::Result(result) => Bound::new(py, ExecuteResult::from(*result))?.into_any(),
            Self::Session(session) => {
                let (session, target) = *session;
                Bound::new(py, Session::new(py, session, target))?.into_any()
            }
            Self::Snapshot(bytes) => PyBytes::new(py, &bytes).into_any(),
            Self::Closed => PyBool::new(py, true).to_owned().into_any(),
        }
        .unbind())
    }
}

impl ExecutionRequest {
    /// Makes the call on this thread and waits for its end.
    pub(crate) fn run(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(functions) = &self.functions {
            functions.check_blocking(py)?;
        }
        let active = ActiveExecution::begin(py, self.owner)?;
        let cancel = active.cancel_handle().clone();
        let outcome = wait(py, &cancel, self.execute(cancel.clone(), None));
        let result = outcome.and_then(|outcome| outcome.into_result(py));
        active.end(py);
        result
    }

    async fn execute(mut self, cancel: CancelHandle, queue: Option<Arc<CallQueue>>) -> Outcome {
        let functions = self.functions.take().map(Arc::new);
        let providers = mem::take(&mut self.providers);
        let execution = Box::pin(self.execute_in_scope(cancel, queue));
        let outcome = FunctionContext::scope(functions, execution).await;
        Outcome {
            providers,
            ..outcome
        }
    }

    async fn execute_in_scope(
        self,
        cancel: CancelHandle,
        queue: Option<Arc<CallQueue>>,
    ) -> Outcome {
        let start = |dispatcher: Option<Arc<CallbackDispatcher>>| {
            dispatcher.map(|dispatcher| (dispatcher.start(cancel.clone(), queue), dispatcher))
        };
        match self.target {
            Target::Sandbox(sandbox) => {
                let callbacks = start(self.dispatcher);
                let result = match self.work {
                    Work::Execute(program) => sandbox
                        .execute_cancellable(program, &cancel)
                        .await
                        .map(|result| Returned::Result(Box::new(result)))
                        .map_err(CallError::Execution),
                    Work::Restore(bytes, target) => {
                        until_cancelled(&cancel, Box::pin(sandbox.restore(&bytes)))
                            .await
                            .map(|session| Returned::Session(Box::new((session, target))))
                    }
                    Work::Fork(_) | Work::Snapshot | Work::Close => {
                        unreachable!("these are of sessions")
                    }
                };
                Outcome {
                    callbacks,
                    result,
                    providers: Providers::default(),
                }
            }
            Target::Session(shared) if matches!(self.work, Work::Close) => {
                let mut guard = shared.lock().await;
                let callbacks = start(self.dispatcher);
                // The events of the connections that this closes are passed to the callbacks.
                drop(guard.take());
                Outcome {
                    callbacks,
                    result: Ok(Returned::Closed),
                    providers: Providers::default(),
                }
            }
            Target::Session(shared) => {
                // A call that waits for another one of the session has not used the session yet.
                let mut guard = tokio::select! {
                    biased;
                    () = cancel.cancelled() => {
                        return Outcome {
                            callbacks: None,
                            result: Err(CallError::Cancelled),
                            providers: Providers::default(),
                        };
                    }
                    guard = shared.lock() => guard,
                };
                let Some(session) = guard.as_mut() else {
                    return Outcome {
                        callbacks: None,
                        result: Err(CallError::SessionClosed),
                        providers: Providers::default(),
                    };
                };
                let callbacks = start(self.dispatcher);
                let result = match self.work {
                    Work::Execute(program) => session
                        .execute_cancellable(program, &cancel)
                        .await
                        .map(|result| Returned::Result(Box::new(result)))
                        .map_err(CallError::Execution),
                    Work::Fork(target) => {
                        // Not part of the future of an execution, which it would enlarge.
                        let fork = Box::pin(async {
                            match &target.sandbox {
                                Some(sandbox) => session.fork_into(sandbox).await,
                                None => session.fork().await,
                            }
                        });
                        until_cancelled(&cancel, fork)
                            .await
                            .map(|fork| Returned::Session(Box::new((fork, target))))
                    }
                    Work::Snapshot => until_cancelled(&cancel, Box::pin(session.snapshot()))
                        .await
                        .map(Returned::Snapshot),
                    Work::Close => unreachable!("closed above"),
                    Work::Restore(..) => unreachable!("this is of sandboxes"),
                };
                drop(guard);
                // A callback may have closed it. These callbacks get the events of its connections.
                shared.drop_if_closing();
                Outcome {
                    callbacks,
                    result,
                    providers: Providers::default(),
                }
            }
        }
    }
}

/// The most bytes of the future of a call on the heap, and of the future around it, which is copied
/// on its way to the runtime. What only rare calls need is in boxes of its own. A few KiB more cost
/// an execution in a session as much time as its program takes.
const MAX_BOXED_FUTURE: usize = 8 << 10;
const MAX_FUTURE: usize = 2560;

const fn size_of_future<S, C, Q, T>(_: &impl Fn(S, C, Q) -> T) -> usize {
    size_of::<T>()
}

const _: () = {
    assert!(size_of_future(&ExecutionRequest::execute_in_scope) <= MAX_BOXED_FUTURE);
    assert!(size_of_future(&ExecutionRequest::execute) <= MAX_FUTURE);
};

/// Waits for `work`, until `cancel` ends it.
async fn until_cancelled<T>(
    cancel: &CancelHandle,
    work: impl Future<Output = Result<T, eryx::Error>>,
) -> Result<T, CallError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(CallError::Cancelled),
        result = work => result.map_err(CallError::Execution),
    }
}

/// The outcome of an execution, before the exceptions of callbacks are considered.
struct Outcome {
    callbacks: Option<(Arc<ExecutionCallbacks>, Arc<CallbackDispatcher>)>,
    result: Result<Returned, CallError>,
    /// What provides the content of files that the program renamed and did not read.
    providers: Providers,
}

impl Outcome {
    /// Whether a limit or a cancellation ended the program.
    fn is_cut_off(&self) -> bool {
        matches!(
            self.result,
            Err(CallError::Cancelled
                | CallError::Execution(eryx::Error::Limit { .. } | eryx::Error::Cancelled { .. }))
        )
    }

    fn into_result(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        // The exception of a callback comes first: it is the reason of the cancellation.
        if let Some((callbacks, dispatcher)) = &self.callbacks {
            dispatcher.finish(callbacks)?;
        }
        let result = self.result.map_err(PyErr::from);
        let result = result.and_then(|returned| returned.into_object(py));
        if !self.providers.content.is_empty() {
            let returned = match &result {
                Ok(object) => object.bind(py),
                Err(error) => error.value(py).as_any(),
            };
            if let Ok(files) = returned.getattr("files")
                && let Ok(files) = files.cast::<ChangedFiles>()
            {
                files.get().keep(py, &self.providers.content);
            }
        }
        result
    }
}

/// The error of a call.
enum CallError {
    Execution(eryx::Error),
    Cancelled,
    SessionClosed,
}

impl From<CallError> for PyErr {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Execution(error) => exception(error),
            CallError::Cancelled => CancelledError::new_err("the call was cancelled"),
            CallError::SessionClosed => session_closed(),
        }
    }
}

/// Returns the exception for a session that was closed.
pub(crate) fn session_closed() -> PyErr {
    SessionClosedError::new_err("the session is closed: open a new one with Sandbox.session()")
}

/// Returns an awaitable whose result is `value`.
pub(crate) fn completed<'py>(
    py: Python<'py>,
    value: impl IntoPyObject<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    py.import("eryx._asyncio")?
        .call_method1("completed", (value,))
}

/// An execution for an event loop. `eryx._asyncio` makes a coroutine of it.
#[pyclass(module = "eryx._eryx", frozen)]
pub(crate) struct Execution {
    state: Mutex<State>,
    dispatcher: Option<Arc<CallbackDispatcher>>,
    /// References to the functions of `dispatcher`: the garbage collector finds them in use until
    /// this object is dropped.
    _callbacks: Option<Callbacks>,
}

enum State {
    Waiting(Box<ExecutionRequest>),
    Started(CancelHandle, Arc<CallQueue>),
    Finished,
}

impl Execution {
    fn new(py: Python<'_>, request: ExecutionRequest) -> Self {
        Self {
            _callbacks: request
                .dispatcher
                .as_ref()
                .map(|dispatcher| dispatcher.callbacks().clone_ref(py)),
            dispatcher: request.dispatcher.clone(),
            state: Mutex::new(State::Waiting(Box::new(request))),
        }
    }

    /// Returns the coroutine that runs `request`.
    pub(crate) fn coroutine(
        py: Python<'_>,
        request: ExecutionRequest,
    ) -> PyResult<Bound<'_, PyAny>> {
        py.import("eryx._asyncio")?
            .call_method1("run", (Bound::new(py, Self::new(py, request))?,))
    }

    /// Returns the coroutine that runs `request`, a [`Work::Close`] of `session`, and returns
    /// `None`.
    pub(crate) fn coroutine_of_close<'py>(
        session: &Bound<'py, Session>,
        request: ExecutionRequest,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = session.py();
        let execution = Bound::new(py, Self::new(py, request))?;
        py.import("eryx._asyncio")?
            .call_method1("close", (session, execution))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

#[pymethods]
impl Execution {
    /// Start the program. Another thread calls `wake()` when there is a call to `take` and the last
    /// `take` returned `None`, and once, at the end, `set_result(result, error)`. When
    /// `is_closed()` returns true, which is checked every two seconds, the program is ended.
    fn start(
        &self,
        py: Python<'_>,
        wake: Py<PyAny>,
        set_result: Py<PyAny>,
        is_closed: Py<PyAny>,
    ) -> PyResult<()> {
        let mut state = self.state();
        let State::Waiting(mut request) = mem::replace(&mut *state, State::Finished) else {
            return Err(PyRuntimeError::new_err("an execution starts once"));
        };
        if let Some(functions) = &mut request.functions {
            functions.use_running_loop(py)?;
        }
        let runtime = runtime(py)?;
        let active = ActiveExecution::begin(py, request.owner)?;
        let cancel = active.cancel_handle().clone();
        let queue = Arc::new(CallQueue::new(wake, cancel.clone()));
        *state = State::Started(cancel.clone(), Arc::clone(&queue));
        let completion = Completion {
            pending: Some((set_result, active)),
            queue,
        };
        // The loop may run in a function that a program calls, or that provides a file.
        let nesting = Nesting::current();
        runtime.spawn(async move {
            let queue = Arc::clone(&completion.queue);
            let execution = request.execute(cancel.clone(), Some(Arc::clone(&queue)));
            let outcome = tokio::select! {
                outcome = nesting.run_future(execution) => outcome,
                never = cancel_when_closed(is_closed, cancel, queue) => match never {},
            };
            completion.complete(outcome);
        });
        Ok(())
    }

    /// Return the next call for the loop to make, as a function and its argument.
    fn take(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>, Py<PyAny>)>> {
        let queue = match &*self.state() {
            State::Started(_, queue) => Arc::clone(queue),
            State::Waiting(_) | State::Finished => return Ok(None),
        };
        let (Some(call), Some(dispatcher)) = (queue.pop(), &self.dispatcher) else {
            return Ok(None);
        };
        let (callback, argument) = match call {
            Call::Text(stream, text) => (
                dispatcher.callback(stream),
                PyString::new(py, &text).into_any().unbind(),
            ),
            Call::Function(call) => (
                dispatcher.function_call_callback(),
                Bound::new(py, *call)?.into_any().unbind(),
            ),
            Call::Event(event) => (
                dispatcher.event_callback(),
                Bound::new(py, *event)?.into_any().unbind(),
            ),
        };
        Ok(callback.map(|callback| (callback.clone_ref(py), argument)))
    }

    /// End the program, unless it has ended. From then on `take` returns `None`.
    fn cancel(&self) {
        let state = mem::replace(&mut *self.state(), State::Finished);
        if let State::Started(cancel, queue) = state {
            cancel.cancel();
            queue.close();
        }
    }
}

/// The interval at which an execution checks whether the loop that awaits it is closed.
const CLOSED_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Cancels the execution once its loop is closed. A closed loop makes no calls and awaits no
/// result, and none of its tasks gets to know: without this, a program would run until its time
/// limit.
async fn cancel_when_closed(
    is_closed: Py<PyAny>,
    cancel: CancelHandle,
    queue: Arc<CallQueue>,
) -> Infallible {
    loop {
        tokio::time::sleep(CLOSED_CHECK_INTERVAL).await;
        let closed = Python::try_attach(|py| is_closed.call0(py)?.is_truthy(py));
        if !matches!(closed, Some(Ok(false))) {
            queue.close();
            cancel.cancel();
            return std::future::pending().await;
        }
    }
}

/// Passes the outcome of an execution to the loop that awaits it. When dropped before that, it
/// passes an error: then the task has panicked.
struct Completion {
    /// The function that sets the result; `None` once it was called.
    pending: Option<(Py<PyAny>, ActiveExecution)>,
    queue: Arc<CallQueue>,
}

impl Completion {
    fn complete(mut self, outcome: Outcome) {
        // Once the embedder's Python has shut down, no loop awaits the result.
        Python::try_attach(|py| {
            if outcome.is_cut_off() {
                self.queue.merge_text();
            }
            let result = outcome.into_result(py);
            self.set_result(py, result);
        });
    }

    fn set_result(&mut self, py: Python<'_>, result: PyResult<Py<PyAny>>) {
        let Some((set_result, active)) = self.pending.take() else {
            return;
        };
        self.queue.finish();
        let returned = match result {
            Ok(result) => set_result.call1(py, (result, py.None())),
            Err(error) => set_result.call1(py, (py.None(), error)),
        };
        if returned.is_err() {
            // The loop is closed, and with it every task that waited for the result.
            self.queue.close();
        }
        drop(returned);
        drop(set_result);
        active.end(py);
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if self.pending.is_some() {
            Python::try_attach(|py| {
                let error = PyRuntimeError::new_err(
                    "the execution ended by a bug in eryx; the panic message is on standard error",
                );
                self.set_result(py, Err(error));
            });
        }
    }
}
