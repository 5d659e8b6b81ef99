//! The calls of one interpreter: their limits, their start and their end.

use std::sync::Arc;

use eryx_net_host::{Charge, HostMemory};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::functions::admitted_call::{AdmittedCall, QueuedCall};
use crate::functions::arguments::Arguments;
use crate::functions::callback::Callbacks;
use crate::functions::error::FunctionError;
use crate::functions::log::{self, CallLog, CallObserver, CallsEnd, EndOnDrop};
use crate::functions::running_call::{CALL_OVERHEAD, RunningCall};
use crate::functions::set::Functions;
use crate::limits::ResourceLimits;
use crate::nesting::Nesting;

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
    nesting: Nesting,
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
            nesting: Nesting::default(),
            log_memory: None,
            callbacks: Callbacks::default(),
        })))
    }

    /// Begins an execution.
    pub(crate) fn begin_execution(&mut self, execution: u64, nesting: &Nesting) {
        if let Some(state) = &mut self.0 {
            state.made = 0;
            state.token = CancellationToken::new();
            state.execution = state.token.clone().drop_guard();
            state.nesting = nesting.clone();
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
        state.log.end_execution()
    }

    pub(crate) fn functions(&self) -> Option<&Functions> {
        self.0.as_ref().map(|state| &state.functions)
    }

    /// Counts a call that cannot be made since the guest holds too many resources.
    pub(crate) fn refuse_handle(&self) -> FunctionError {
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
    pub(crate) fn begin(
        &mut self,
        name: &str,
        text: Vec<u8>,
    ) -> Result<AdmittedCall, FunctionError> {
        match &mut self.0 {
            Some(state) => state.begin(name, text).map_err(|refusal| {
                state.log.refuse(refusal.reason);
                refusal.error
            }),
            None => Err(FunctionError::new(
                "AttributeError",
                "this sandbox has no functions: the embedder gives it some (with_functions in \
                 Rust, functions= in Python)",
            )),
        }
    }
}

/// The refusal of a call.
struct Refusal {
    /// The reason, for the report.
    reason: &'static str,
    /// The exception for the program.
    error: FunctionError,
}

impl State {
    fn begin(&mut self, name: &str, text: Vec<u8>) -> Result<AdmittedCall, Refusal> {
        let Some((name, function)) = self.functions.get(name) else {
            return Err(Refusal {
                reason: "unknown-function",
                error: unknown_function(name),
            });
        };
        let limits = &self.limits;
        if self.made >= limits.max_function_calls() {
            return Err(Refusal {
                reason: "max_function_calls",
                error: FunctionError::limit(format!(
                    "the program has made {} calls of the embedder's functions, the most it may: \
                     make fewer, or have the embedder raise max_function_calls",
                    self.made
                )),
            });
        }
        let argument_bytes = text.len() as u64;
        if argument_bytes > limits.max_function_value() {
            // Of larger ones the guest sends so many bytes, and none of the arguments.
            let bytes = match argument_bytes > ResourceLimits::MAX_VALUE {
                true => format!("more than {}", ResourceLimits::MAX_VALUE),
                false => argument_bytes.to_string(),
            };
            return Err(Refusal {
                reason: "max_function_value",
                error: FunctionError::limit(format!(
                    "the arguments of {name} have {bytes} bytes as JSON; the limit is \
                     {}: pass less, or have the embedder raise max_function_value",
                    limits.max_function_value()
                )),
            });
        }
        if self.log_memory.is_none() {
            self.log_memory = Some(charge(&self.memory, log::MEMORY)?);
        }
        let memory = charge(&self.memory, CALL_OVERHEAD + argument_memory(&text))?;
        let arguments = Arguments::from_guest(text).map_err(|error| {
            let message = format!("the arguments of {name} are malformed: {error}");
            Refusal {
                reason: "invalid-arguments",
                error: FunctionError::new("ValueError", message),
            }
        })?;
        self.made += 1;
        let record = Arc::new(self.log.begin(name, argument_bytes));
        let running = RunningCall {
            nesting: self.nesting.inner(),
            memory,
            max_value: limits.max_function_value(),
            record: EndOnDrop(Arc::clone(&record)),
        };
        let token = self.token.clone();
        let work = running.nesting.run(|| function.begin(arguments));
        let permit = Arc::clone(&self.in_flight).try_acquire_owned().ok();
        let queued = QueuedCall {
            running,
            permit,
            in_flight: Arc::clone(&self.in_flight),
            timeout: limits.function_timeout(),
            execution: token.clone(),
            memory: self.memory.clone(),
            callbacks: self.callbacks.clone(),
        };
        Ok(AdmittedCall {
            work,
            queued,
            record,
            token,
        })
    }
}

fn unknown_function(name: &str) -> FunctionError {
    let shown: String = name.chars().take(Functions::MAX_NAME).collect();
    FunctionError::new(
        "AttributeError",
        format!("the embedder has given this sandbox no function {shown:?}"),
    )
}

fn charge(memory: &HostMemory, bytes: u64) -> Result<Charge, Refusal> {
    memory.charge(bytes).map_err(|full| Refusal {
        reason: "max_host_memory",
        error: FunctionError::limit(full.to_string()),
    })
}

/// Returns the host memory for arguments: the text, and the objects that the embedder makes of it.
fn argument_memory(text: &[u8]) -> u64 {
    let values = text
        .iter()
        .filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{'))
        .count();
    text.len() as u64 + VALUE * values as u64
}
