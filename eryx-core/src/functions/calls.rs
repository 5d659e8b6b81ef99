//! The calls of one interpreter: their limits, their start and their end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use eryx_net_host::{Charge, HostMemory};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::functions::arguments::Arguments;
use crate::functions::blocking_slots;
use crate::functions::call::{Call, CallResult};
use crate::functions::error::FunctionError;
use crate::functions::function::{FunctionResult, FunctionWork};
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
    /// How many functions of sandboxes this execution runs in.
    depth: usize,
    /// The host memory of the log, from the first call on.
    log_memory: Option<Charge>,
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

    /// Begins a call.
    ///
    /// # Errors
    ///
    /// The exception for the program, when there is no such function, a limit is reached, or the
    /// arguments are malformed.
    pub(super) fn start(&mut self, name: &str, text: Vec<u8>) -> Result<Call, FunctionError> {
        match &mut self.0 {
            Some(state) => state.start(name, text).map_err(|(reason, error)| {
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

/// What the end of an execution leaves.
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
    fn start(&mut self, name: &str, text: Vec<u8>) -> Result<Call, Refusal> {
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
                    "the arguments of {name} have {argument_bytes} bytes as JSON, but {} are the \
                     most: pass less, or have the embedder raise max_function_value",
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
        };
        Ok(match work {
            FunctionWork::Done(result) => Call::done(waiting.started.end(result), record, token),
            FunctionWork::Blocking(work) => {
                Call::running(waiting.spawn_blocking(work), record, token)
            }
            FunctionWork::Future(future) => waiting.spawn_future(future, record, token),
        })
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

/// A call that has begun, in the hands of the code that runs its function.
struct StartedCall {
    /// The depth of the function.
    depth: usize,
    memory: Charge,
    max_value: u64,
    record: EndOnDrop,
}

impl StartedCall {
    /// Ends the call with the result of its function.
    fn end(mut self, result: FunctionResult) -> CallResult {
        let result = result.and_then(|value| {
            let bytes = value.as_str().len() as u64;
            if bytes > self.max_value {
                return Err(FunctionError::limit(format!(
                    "the result has {bytes} bytes as JSON, but {} are the most: ask for less, or \
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
