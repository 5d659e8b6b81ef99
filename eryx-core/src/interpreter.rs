//! One interpreter: instantiated from the image, run under limits, and ended.

mod fork;
pub(crate) mod guest_call;
mod reuse;
mod snapshot;
mod start;

use std::mem;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use eryx_net_host::{HostMemoryFull, Network, NetworkReport};
use tokio::time::Instant;
use wasmtime::component::Instance;
use wasmtime::{Store, Trap};
use wasmtime_wasi::I32Exit;

use crate::bindings::{Outcome, Sandbox as Guest};
use crate::cancel::CancelHandle;
use crate::environment::Environment;
use crate::error::{Error, PythonException};
use crate::execution_timeout::deadline;
use crate::files::{ChangedFiles, SharedFiles};
use crate::host_resource::HostResourceError;
use crate::interpreter::guest_call::{CallEnd, GuestCall, race};
use crate::limit::Limit;
use crate::limits::ResourceLimits;
use crate::memory_access::MemoryAccess;
use crate::nesting::{self, Nesting};
use crate::program::Program;
use crate::result::{ExecuteResult, PartialResult, Usage};
use crate::signals;
use crate::stdin::Stdin;
use crate::stdio::Capture;
use crate::store_state::StoreState;
use crate::value::{ProgramEnd, ProgramValueError, TakenValue};

/// The number of executions that this process has begun.
static EXECUTIONS: AtomicU64 = AtomicU64::new(0);

/// The most characters of the type, the message and the traceback of an exception. The image cuts
/// them to less (`eryx_guest/runner.py`), which a program can change.
const MAX_EXCEPTION_TYPE: usize = 512;
const MAX_MESSAGE: usize = 17 << 10;
const MAX_TRACEBACK: usize = 65 << 10;

/// An interpreter and its state.
pub(crate) struct Interpreter {
    /// `None` once no further program can run; the connections are closed with the store.
    store: Option<Store<StoreState>>,
    /// Outlives the store: the activity of an execution is reported even when its future was
    /// dropped.
    network: Network,
    guest: Guest,
    instance: Instance,
    /// The access to its memory, if it was needed before.
    access: Option<Box<MemoryAccess>>,
    capture: Capture,
    limits: ResourceLimits,
    /// The variables to set before the next program.
    environment: Environment,
    /// Whether a program had standard input, which the interpreter may have read in advance.
    had_stdin: bool,
    /// Why no further program can run. Set in advance when an execution begins, in case the
    /// future is dropped.
    close_reason: String,
}

/// The result of a call of the guest.
struct CallResult {
    /// Why no further program can run, if none can.
    close_reason: Option<String>,
    result: Result<PartialResult, Error>,
}

impl Interpreter {
    /// Sets the variables that the next program finds, in addition to those that exist.
    pub(crate) fn set_environment(&mut self, environment: Environment) {
        self.environment = environment;
    }

    /// Returns the files of the interpreter.
    ///
    /// # Errors
    ///
    /// [`Error::SessionClosed`] when nothing more can run in it.
    pub(crate) fn files(&self) -> Result<&SharedFiles, Error> {
        match &self.store {
            Some(store) => Ok(&store.data().files),
            None => Err(Error::SessionClosed {
                reason: self.close_reason.clone(),
            }),
        }
    }

    /// Returns the interpreter's store, unless nothing more can run in it.
    pub(crate) fn into_store(self) -> Option<Store<StoreState>> {
        self.store
    }

    /// Returns the network's activity since the last report.
    pub(crate) fn network_report(&self) -> NetworkReport {
        self.network.report()
    }

    /// Runs one program, which is valid. With `exits`, it is the last one of this interpreter, and
    /// the handlers of `atexit` run at its end.
    pub(crate) async fn execute(
        &mut self,
        mut program: Program,
        exits: bool,
        started: Instant,
        cancel: Option<&CancelHandle>,
    ) -> Result<ExecuteResult, Error> {
        if cancel.is_some_and(CancelHandle::is_cancelled) {
            // Nothing has run, so later programs can.
            return Err(Error::Cancelled {
                output: Box::default(),
            });
        }
        // A program of a session may be nested deeper than the start of the session was, which is
        // all that `Sandbox::start` has checked. Before anything is taken that the first program
        // that runs needs.
        nesting::check()?;
        // Later programs find the variables as the ones before left them.
        let mut environment = mem::take(&mut self.environment);
        if !environment.variables().is_empty() {
            environment.extend(program.environment.variables().iter().cloned());
            program.environment = environment;
        }
        let stdin = mem::take(&mut program.stdin);
        let has_stdin = !matches!(stdin, Stdin::Empty);
        let opens_stdin = mem::replace(&mut self.had_stdin, has_stdin) || has_stdin;
        let start = program.start_state(opens_stdin);
        let execute = GuestCall::Execute {
            source: &program.source,
            start: start.as_ref(),
            stdin,
            // The largest limit fits into a u32.
            max_value: program
                .wants_value
                .then(|| u32::try_from(self.limits.max_value()).unwrap_or(u32::MAX)),
            exits,
        };
        let mut result = self.run(execute, started, cancel).await?;
        if program.wants_value && result.value.is_none() {
            result.value = Some(Err(ProgramValueError::exited()));
        }
        Ok(result)
    }

    /// Calls an export of the guest, with the limits counted from `started`.
    pub(crate) async fn run(
        &mut self,
        guest_call: GuestCall<'_>,
        started: Instant,
        cancel: Option<&CancelHandle>,
    ) -> Result<ExecuteResult, Error> {
        // This future owns the store meanwhile, so dropping the future ends the interpreter and its
        // connections.
        let Some(mut store) = self.store.take() else {
            return Err(Error::SessionClosed {
                reason: self.close_reason.clone(),
            });
        };
        "an execution was dropped before it ended".clone_into(&mut self.close_reason);
        self.begin(&mut store);
        let files = store.data().files.lock().snapshot();
        let execution = EXECUTIONS.fetch_add(1, Ordering::Relaxed) + 1;
        self.network.begin_execution(execution);
        let nesting = store.data().nesting.clone();
        store.data_mut().calls.begin_execution(execution, &nesting);
        let end = {
            let time_slice = store.data().time_slice.clone();
            // Pinned here, so that the functions around it get and keep a pointer. Each would copy
            // the future, and keep it twice.
            let call = pin!(guest_call.call(&self.guest, &mut store));
            let call = pin!(signals::watch(time_slice.run(call)));
            race(
                call,
                deadline(started, self.limits.execution_timeout()),
                cancel,
            )
            .await
        };
        if self.had_stdin {
            // The reader is the embedder's: it is not kept until the next program.
            store.data().stdin.clear();
        }
        let calls = store.data_mut().calls.end_execution();
        let mut value = TakenValue::default();
        let end = end.map(|end: ProgramEnd| {
            value = end.value;
            end.outcome
        });
        let mut output = self.partial_result(&store, started);
        output.usage.execution = execution;
        output.usage.network = self.network.take_report();
        output.usage.files = ChangedFiles::between(files, store.data().files.lock().snapshot());
        output.usage.function_calls = calls.into_report();
        let denied_growth = store.data().memory.denied_growth();
        let CallResult {
            close_reason,
            result,
        } = self.classify(end, denied_growth, output);
        match close_reason {
            // Nothing of this instance runs again, so no connection lingers either.
            Some(reason) => {
                self.network.abort();
                self.close_reason = reason;
            }
            None => self.store = Some(store),
        }
        result.map(|result| ExecuteResult::new(result, value))
    }

    /// Begins to count what a call of the guest uses.
    fn begin(&mut self, store: &mut Store<StoreState>) {
        self.capture.begin(self.limits.max_output());
        store.data_mut().memory.begin();
        store.data_mut().nesting = Nesting::current();
        store.data().host_memory.begin();
    }

    /// Returns the resources used by the call that began at `started`, without its network
    /// activity.
    fn partial_result(&mut self, store: &Store<StoreState>, started: Instant) -> PartialResult {
        let peak_host_memory = store.data().host_memory.peak();
        PartialResult {
            output: self.capture.take(),
            usage: Usage {
                execution: 0,
                duration: started.elapsed(),
                peak_memory: store.data().memory.peak(),
                peak_host_memory,
                ..Usage::default()
            },
        }
    }

    /// Maps the end of a call to its result.
    fn classify(
        &self,
        end: CallEnd<Outcome>,
        denied_growth: bool,
        output: PartialResult,
    ) -> CallResult {
        match end {
            CallEnd::Returned(Ok(outcome)) => {
                let result = self.outcome_result(outcome, denied_growth, output);
                // After out-of-memory the interpreter's state cannot be trusted, just as after a
                // timeout.
                let close_reason = match &result {
                    Err(Error::Limit { limit, .. }) => Some(limit.to_string()),
                    _ => None,
                };
                CallResult {
                    close_reason,
                    result,
                }
            }
            CallEnd::Returned(Err(error)) => {
                let result = self.trap_result(&error, denied_growth, output);
                let reason = match &result {
                    Ok(_) => "the program ended the process".to_owned(),
                    Err(error) => error.to_string(),
                };
                CallResult {
                    close_reason: Some(reason),
                    result,
                }
            }
            CallEnd::Cancelled => CallResult {
                close_reason: Some("an execution was cancelled".to_owned()),
                result: Err(Error::Cancelled {
                    output: Box::new(output),
                }),
            },
            CallEnd::TimedOut => {
                let limit = Limit::ExecutionTime(self.limits.execution_timeout());
                CallResult {
                    close_reason: Some(limit.to_string()),
                    result: Err(Error::Limit {
                        limit,
                        output: Box::new(output),
                    }),
                }
            }
        }
    }

    fn outcome_result(
        &self,
        outcome: Outcome,
        denied_growth: bool,
        output: PartialResult,
    ) -> Result<PartialResult, Error> {
        match outcome {
            Outcome::Finished => Ok(output),
            Outcome::Exited(status) => exit_result(status, output),
            // A MemoryError without denied growth, such as for a list too long to exist, is the
            // program's own exception.
            Outcome::Exception(exception)
                if denied_growth && exception.exception_type == "MemoryError" =>
            {
                Err(Error::Limit {
                    limit: Limit::Memory(self.limits.max_memory()),
                    output: Box::new(output),
                })
            }
            Outcome::Exception(exception) => Err(Error::Exception(Box::new(PythonException {
                exception_type: cut(exception.exception_type, MAX_EXCEPTION_TYPE),
                message: cut(exception.message, MAX_MESSAGE),
                traceback: cut(exception.traceback, MAX_TRACEBACK),
                exit_status: None,
                output: output.output,
                usage: output.usage,
            }))),
        }
    }

    fn trap_result(
        &self,
        error: &wasmtime::Error,
        denied_growth: bool,
        output: PartialResult,
    ) -> Result<PartialResult, Error> {
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return exit_result(exit.0, output);
        }
        if let Some(missing) = error.downcast_ref::<HostResourceError>() {
            return Err(missing.clone().with_partial_result(output).into());
        }
        let limit = if self.capture.exceeded() {
            Limit::Output(self.limits.max_output())
        } else if error.is::<HostMemoryFull>() {
            Limit::HostMemory(self.limits.max_host_memory())
        } else if error.downcast_ref::<Trap>() == Some(&Trap::StackOverflow) {
            Limit::Stack
        } else if denied_growth {
            Limit::Memory(self.limits.max_memory())
        } else {
            let reason = match error.downcast_ref::<Trap>() {
                Some(trap) => trap.to_string(),
                None => error.root_cause().to_string(),
            };
            return Err(Error::InterpreterCrashed {
                reason,
                output: Box::new(output),
            });
        };
        Err(Error::Limit {
            limit,
            output: Box::new(output),
        })
    }
}

fn exit_result(status: i32, output: PartialResult) -> Result<PartialResult, Error> {
    if status == 0 {
        return Ok(output);
    }
    Err(Error::Exception(Box::new(PythonException {
        exception_type: "SystemExit".to_owned(),
        message: status.to_string(),
        traceback: String::new(),
        exit_status: Some(status),
        output: output.output,
        usage: output.usage,
    })))
}

/// Returns the first `max` characters of a text.
fn cut(mut text: String, max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(max) {
        text.truncate(end);
    }
    text
}
