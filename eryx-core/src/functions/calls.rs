//! The calls of one interpreter: their limits, their start and their end.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use eryx_net_host::{Charge, HostMemory};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::functions::arguments::Arguments;
use crate::functions::blocking_call::BlockingCall;
use crate::functions::blocking_slots;
use crate::functions::call::{Call, CallResult};
use crate::functions::callback::{self, Callbacks, Completion};
use crate::functions::driver::{self, WorkSlot};
use crate::functions::error::FunctionError;
use crate::functions::function::{CancelOnDrop, FunctionResult, FunctionWork};
use crate::functions::log::{self, CallLog, CallObserver, CallRecord, EndOnDrop};
use crate::functions::nesting;
use crate::functions::report::{FunctionOutcome, FunctionReport};
use crate::functions::set::Functions;
use crate::limits::ResourceLimits;

/// The host memory of a call beside its arguments and its result, in bytes: its task.
const CALL: u64 = 4 << 10;

/// The host memory of one value inside of arguments, in bytes: an object of Python or of
/// `serde_json`, and its place in a list or dict.
const VALUE: u64 = 64;

/// The functions of a sandbox, and who receives their calls.
#[derive(Clone, Default)]
pub(crate) struct OfferedFunctions {
    pub(crate) functions: Functions,
    pub(crate) observer: Option<CallObserver>,
}

/// The calls of one interpreter. Without functions it is empty, and has no cost.
#[derive(Default)]
pub(crate) struct Calls(Option<Box<State>>);

struct State {
    functions: Functions,
    limits: ResourceLimits,
    memory: HostMemory,
    log: Arc<CallLog>,
    in_flight: Arc<Semaphore>,
    /// The calls of this execution.
    made: u64,
    execution: DropGuard,
    token: CancellationToken,
    /// The number of functions of other sandboxes that this execution runs in.
    depth: usize,
    /// The host memory of the log, from the first call on.
    log_memory: Option<Charge>,
    callbacks: Callbacks,
}

impl Calls {
    pub(crate) fn new(
        offered: &OfferedFunctions,
        limits: &ResourceLimits,
        memory: &HostMemory,
    ) -> Self {
        if offered.functions.is_empty() {
            return Self(None);
        }
        let token = CancellationToken::new();
        Self(Some(Box::new(State {
            functions: offered.functions.clone(),
            limits: limits.clone(),
            memory: memory.clone(),
            log: Arc::new(CallLog::new(offered.observer.clone())),
            in_flight: Arc::new(Semaphore::new(limits.max_function_calls_in_flight())),
            made: 0,
            execution: token.clone().drop_guard(),
            token,
            depth: 0,
            log_memory: None,
            callbacks: Callbacks::default(),
        })))
    }

    /// Begins an execution.
    pub(crate) fn begin_execution(&mut self, execution: u64) {
        if let Some(state) = &mut self.0 {
            state.made = 0;
            state.token = CancellationToken::new();
            state.execution = state.token.clone().drop_guard();
            state.depth = nesting::depth();
            state.log.begin_execution(execution);
        }
    }

    /// Ends an execution: cancels its calls, and returns its report.
    pub(crate) fn end_execution(&mut self) -> CallsEnd {
        let Some(state) = &self.0 else {
            return CallsEnd::default();
        };
        state.token.cancel();
        state.callbacks.cancel_all();
        let (report, panicked) = state.log.end_execution();
        CallsEnd { report, panicked }
    }

    pub(super) fn functions(&self) -> Option<&Functions> {
        self.0.as_ref().map(|state| &state.functions)
    }

    /// Counts a call that cannot be made since the guest holds too many resources.
    pub(super) fn refuse_handle(&self) -> FunctionError {
        if let Some(state) = &self.0 {
            state.log.refuse("handles");
        }
        FunctionError::limit("the program holds more calls and other objects than it may")
    }

    /// Checks a call, and begins its work as far as that is the function's own.
    ///
    /// # Errors
    ///
    /// The exception for the program, when there is no such function, a limit is reached, or the
    /// arguments are malformed.
    pub(super) fn begin(&mut self, name: &str, text: Vec<u8>) -> Result<BegunCall, FunctionError> {
        match &mut self.0 {
            Some(state) => state.begin(name, text).map_err(|(reason, error)| {
                state.log.refuse(reason);
                error
            }),
            None => Err(FunctionError::new(
                "AttributeError",
                "this sandbox has no functions: the embedder gives it some (with_functions in \
                 Rust, functions= in Python)",
            )),
        }
    }
}

/// The result of the calls of an execution that ended.
#[derive(Default)]
pub(crate) struct CallsEnd {
    report: FunctionReport,
    panicked: Option<Arc<str>>,
}

impl CallsEnd {
    /// Returns the report.
    ///
    /// # Panics
    ///
    /// If a function panicked and its call was not awaited.
    pub(crate) fn into_report(self) -> FunctionReport {
        if let Some(name) = self.panicked {
            panic!("the function `{name}` of the sandbox panicked; its message is above");
        }
        self.report
    }
}

/// The reason of a refusal for the report, and the exception for the program.
type Refusal = (&'static str, FunctionError);

impl State {
    fn begin(&mut self, name: &str, text: Vec<u8>) -> Result<BegunCall, Refusal> {
        let Some((name, function)) = self.functions.get(name) else {
            return Err(("unknown-function", unknown(name)));
        };
        let limits = &self.limits;
        if self.made >= limits.max_function_calls() {
            return Err((
                "max_function_calls",
                FunctionError::limit(format!(
                    "the program has made {} calls of the embedder's functions, the most it may: \
                     make fewer, or have the embedder raise max_function_calls",
                    self.made
                )),
            ));
        }
        let argument_bytes = text.len() as u64;
        if argument_bytes > limits.max_function_value() {
            return Err((
                "max_function_value",
                FunctionError::limit(format!(
                    "the arguments of {name} have {argument_bytes} bytes as JSON; the limit is \
                     {}: pass less, or have the embedder raise max_function_value",
                    limits.max_function_value()
                )),
            ));
        }
        if self.log_memory.is_none() {
            self.log_memory = Some(charge(&self.memory, log::MEMORY)?);
        }
        let memory = charge(&self.memory, CALL + argument_memory(&text))?;
        let arguments = Arguments::from_guest(text).map_err(|error| {
            let message = format!("the arguments of {name} are malformed: {error}");
            (
                "invalid-arguments",
                FunctionError::new("ValueError", message),
            )
        })?;
        self.made += 1;
        let record = Arc::new(self.log.begin(name, argument_bytes));
        let started = StartedCall {
            depth: self.depth + 1,
            memory,
            max_value: limits.max_function_value(),
            record: EndOnDrop(Arc::clone(&record)),
        };
        let token = self.token.clone();
        let work = nesting::run_at(started.depth, || function.begin(arguments));
        let permit = Arc::clone(&self.in_flight).try_acquire_owned().ok();
        let waiting = Waiting {
            started,
            permit,
            in_flight: Arc::clone(&self.in_flight),
            timeout: limits.function_timeout(),
            execution: token.clone(),
            memory: self.memory.clone(),
            callbacks: self.callbacks.clone(),
        };
        Ok(BegunCall {
            work,
            waiting,
            record,
            token,
        })
    }
}

/// A call that is permitted, whose work may not run yet.
pub(super) struct BegunCall {
    work: FunctionWork,
    waiting: Waiting,
    record: Arc<CallRecord>,
    token: CancellationToken,
}

impl BegunCall {
    /// Lets the work run by itself.
    pub(super) async fn start(self) -> Call {
        let Self {
            work,
            waiting,
            record,
            token,
        } = self;
        match work {
            FunctionWork::Done(result) => Call::done(waiting.started.end(result), record, token),
            FunctionWork::Blocking(work) => {
                Call::running(waiting.spawn_blocking(work), record, token)
            }
            FunctionWork::Future(future) => waiting.spawn_future(future, record, token),
            FunctionWork::Callback(begin) => waiting.start_callback(begin, record, token).await,
        }
    }

    /// Waits for the result.
    pub(super) async fn invoke(self) -> FunctionResult {
        let driver = driver::work();
        match (self.work, driver) {
            (FunctionWork::Done(result), _) => self.waiting.started.end(result).result,
            (FunctionWork::Blocking(work), Some(driver)) => {
                self.waiting
                    .run_on_driver(work, &driver, &self.record)
                    .await
            }
            (work, _) => {
                let mut call = Self { work, ..self }.start().await;
                call.wait(None).await;
                call.take()
            }
        }
    }
}

fn unknown(name: &str) -> FunctionError {
    let shown: String = name.chars().take(Functions::MAX_NAME).collect();
    FunctionError::new(
        "AttributeError",
        format!("the embedder has given this sandbox no function {shown:?}"),
    )
}

fn charge(memory: &HostMemory, bytes: u64) -> Result<Charge, Refusal> {
    memory
        .charge(bytes)
        .map_err(|full| ("max_host_memory", FunctionError::limit(full.to_string())))
}

/// Returns the host memory for arguments: the text, and the objects that the embedder makes of it.
fn argument_memory(text: &[u8]) -> u64 {
    let values = text
        .iter()
        .filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{'))
        .count();
    text.len() as u64 + VALUE * values as u64
}

/// A call that has begun, owned by the code that runs its function.
pub(super) struct StartedCall {
    /// The depth of the function.
    pub(super) depth: usize,
    memory: Charge,
    max_value: u64,
    record: EndOnDrop,
}

impl StartedCall {
    /// Ends the call with the result of its function.
    pub(super) fn end(mut self, result: FunctionResult) -> CallResult {
        let result = result.and_then(|value| {
            let bytes = value.as_str().len() as u64;
            if bytes > self.max_value {
                return Err(FunctionError::limit(format!(
                    "the result has {bytes} bytes as JSON; the limit is {}: ask for less, or \
                     have the embedder raise max_function_value",
                    self.max_value
                )));
            }
            let arguments = self.memory.bytes().saturating_sub(CALL);
            self.memory.shrink(arguments);
            match self.memory.grow(bytes) {
                Ok(()) => Ok(value),
                Err(full) => Err(FunctionError::limit(full.to_string())),
            }
        });
        match &result {
            Ok(value) => {
                let bytes = value.as_str().len() as u64;
                self.record.0.end(FunctionOutcome::Returned, bytes);
            }
            Err(error) => {
                let raised = FunctionOutcome::Raised(error.exception_type().to_owned());
                self.record.0.end(raised, 0);
            }
        }
        CallResult {
            result,
            _memory: self.memory,
        }
    }

    /// Ends the call since its function took longer than `limit`.
    fn end_by_timeout(self, limit: Duration) -> CallResult {
        self.record.0.end(FunctionOutcome::TimedOut, 0);
        self.end(Err(timed_out(limit)))
    }
}

fn not_called() -> FunctionError {
    FunctionError::new(
        "RuntimeError",
        "the function was not called: the embedder shuts down",
    )
}

fn timed_out(limit: Duration) -> FunctionError {
    FunctionError::new(
        "TimeoutError",
        format!("the function took longer than its limit of {limit:?} (function_timeout)"),
    )
}

/// A call that may have to wait for its turn.
struct Waiting {
    started: StartedCall,
    permit: Option<OwnedSemaphorePermit>,
    in_flight: Arc<Semaphore>,
    timeout: Option<Duration>,
    execution: CancellationToken,
    memory: HostMemory,
    callbacks: Callbacks,
}

type Task = tokio::task::JoinHandle<Option<CallResult>>;

impl Waiting {
    /// Runs `work` on a thread, once it is the turn of the call and a thread is free.
    fn spawn_blocking(self, work: Box<dyn FnOnce() -> FunctionResult + Send>) -> Task {
        let slots = blocking_slots::at_depth(self.started.depth - 1);
        let slot = Arc::clone(&slots).try_acquire_owned().ok();
        let run = |work: Box<dyn FnOnce() -> FunctionResult + Send>, started: StartedCall, held| {
            move || {
                let result = nesting::run_at(started.depth, work);
                let result = started.end(result);
                drop::<[OwnedSemaphorePermit; 2]>(held);
                Some(result)
            }
        };
        match (self.permit, slot, self.timeout) {
            (Some(permit), Some(slot), None) => {
                tokio::task::spawn_blocking(run(work, self.started, [permit, slot]))
            }
            (permit, slot, timeout) => {
                let in_flight = self.in_flight;
                let started = self.started;
                let execution = self.execution;
                let memory = self.memory;
                tokio::spawn(async move {
                    let waiting = async {
                        let permit = acquire(permit, in_flight).await?;
                        let slot = acquire(slot, slots).await?;
                        let record = Arc::clone(&started.record.0);
                        // The thread keeps the charge of its call.
                        let memory = memory.charge(0).ok()?;
                        let task = tokio::task::spawn_blocking(run(work, started, [permit, slot]));
                        let joined = match timeout {
                            None => task.await,
                            Some(limit) => match tokio::time::timeout(limit, task).await {
                                Ok(joined) => joined,
                                Err(_) => {
                                    record.end(FunctionOutcome::TimedOut, 0);
                                    return Some(CallResult {
                                        result: Err(timed_out(limit)),
                                        _memory: memory,
                                    });
                                }
                            },
                        };
                        match joined {
                            Ok(result) => result,
                            Err(failed) => match failed.try_into_panic() {
                                Ok(panic) => std::panic::resume_unwind(panic),
                                Err(_) => None,
                            },
                        }
                    };
                    execution.run_until_cancelled(waiting).await.flatten()
                })
            }
        }
    }

    /// Makes the call on the thread that drives the execution, and waits for its result.
    async fn run_on_driver(
        self,
        work: Box<dyn FnOnce() -> FunctionResult + Send>,
        driver: &WorkSlot,
        record: &CallRecord,
    ) -> FunctionResult {
        let slots = blocking_slots::at_depth(self.started.depth - 1);
        let slot = Arc::clone(&slots).try_acquire_owned().ok();
        let permit = acquire(self.permit, self.in_flight).await;
        let (Some(permit), Some(slot)) = (permit, acquire(slot, slots).await) else {
            return Err(not_called());
        };
        let (sender, receiver) = oneshot::channel();
        driver.put_call(BlockingCall {
            work,
            started: self.started,
            slots: [permit, slot],
            receiver: sender,
        });
        let returned = match self.timeout {
            None => receiver.await,
            Some(limit) => match tokio::time::timeout(limit, receiver).await {
                Ok(returned) => returned,
                Err(_) => {
                    record.end(FunctionOutcome::TimedOut, 0);
                    return Err(timed_out(limit));
                }
            },
        };
        match returned {
            Ok(Ok(result)) => result.result,
            Ok(Err(panic)) => {
                record.log().panic_passed_on();
                resume_unwind(panic)
            }
            Err(_) => Err(not_called()),
        }
    }

    /// Begins work that ends elsewhere: at once, outside of the program, or once it is the turn of
    /// the call.
    async fn start_callback(
        mut self,
        begin: Box<dyn FnOnce(Completion) -> CancelOnDrop + Send>,
        record: Arc<CallRecord>,
        token: CancellationToken,
    ) -> Call {
        if self.timeout.is_none()
            && let Some(permit) = self.permit.take()
        {
            let started = self.started;
            let (sender, receiver) = oneshot::channel();
            let completion = Completion::new(move |result| {
                let result = started.end(result);
                drop(permit);
                // Without a receiver the call is cancelled.
                let _ = sender.send(result);
            });
            let running = self.callbacks.begin(begin, completion).await;
            return Call::callback(running.with_receiver(receiver), record, token);
        }
        self.spawn_future(callback::into_future(begin), record, token)
    }

    /// Polls `future` once, and runs the rest as a task, once it is the turn of the call.
    fn spawn_future(
        self,
        mut future: Pin<Box<dyn Future<Output = FunctionResult> + Send>>,
        record: Arc<CallRecord>,
        token: CancellationToken,
    ) -> Call {
        let Self {
            started,
            permit,
            in_flight,
            timeout,
            execution,
            memory: _,
            callbacks: _,
        } = self;
        if permit.is_some() {
            // Many functions have their result at once; a task would cost more than they do.
            let mut cx = Context::from_waker(Waker::noop());
            let polled = nesting::run_at(started.depth, || future.as_mut().poll(&mut cx));
            if let Poll::Ready(result) = polled {
                return Call::done(started.end(result), record, token);
            }
        }
        let depth = started.depth;
        let work = async move {
            let _permit = acquire(permit, in_flight).await?;
            Some(match timeout {
                None => started.end(future.await),
                Some(limit) => match tokio::time::timeout(limit, future).await {
                    Ok(result) => started.end(result),
                    Err(_) => started.end_by_timeout(limit),
                },
            })
        };
        let task = tokio::spawn(nesting::at(depth, async move {
            execution.run_until_cancelled(work).await.flatten()
        }));
        Call::running(task, record, token)
    }
}

/// Returns the permit, or waits for one. Returns `None` if there will be none.
async fn acquire(
    permit: Option<OwnedSemaphorePermit>,
    semaphore: Arc<Semaphore>,
) -> Option<OwnedSemaphorePermit> {
    match permit {
        Some(permit) => Some(permit),
        None => semaphore.acquire_owned().await.ok(),
    }
}
