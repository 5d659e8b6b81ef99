//! One interpreter: made from the image, run under limits, and ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eryx_net_host::{HostMemory, HostMemoryFull, Network, NetworkReport};
use tokio::time::Instant;
use wasmtime::component::Instance as Exports;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};
use wasmtime_wasi::I32Exit;

use crate::bindings::{Outcome, Sandbox as Guest};
use crate::cancel::CancelHandle;
use crate::error::{Error, PythonException};
use crate::files::Tree;
use crate::store_state::Host;
use crate::host_resource::HostResourceError;
use crate::image::{Image, Linked};
use crate::limits::{Limit, MemoryLimiter, ResourceLimits};
use crate::output::{Capture, Handlers};
use crate::result::{ExecuteResult, PartialResult, Usage};
use crate::signals;

/// The most a guest may hand to the host in one call, in bytes.
const MAX_CALL: usize = 4 << 20;

/// How many component handles a guest may hold at once.
const MAX_HANDLES: usize = 8192;

/// How many executions this process has begun.
static EXECUTIONS: AtomicU64 = AtomicU64::new(0);

/// An interpreter and everything it holds.
pub(crate) struct Instance {
    /// Gone once no further program can run, and its connections with it.
    store: Option<Store<Host>>,
    /// Outlives the store: what an execution did is reported even when the execution was dropped.
    network: Network,
    guest: Guest,
    capture: Capture,
    limits: ResourceLimits,
    /// Why no further program can run; an execution that is dropped half way leaves its reason behind.
    over: String,
}

impl Instance {
    /// Make an interpreter from the image's snapshot.
    pub(crate) async fn start(
        image: &Image,
        limits: &ResourceLimits,
        network: Network,
        handlers: &Handlers,
        packages: Option<&Arc<Tree>>,
    ) -> Result<Self, Error> {
        let capture = Capture::new(HostMemory::new(limits.max_host_memory()));
        let host = host(limits, network, &capture, handlers, packages)?;
        let (store, guest, _) = instantiate(image, host, limits).await?;
        Ok(Self::with(store, guest, capture, limits))
    }

    /// Make an interpreter without a network, whose state is going to be read: together with its exports.
    pub(crate) async fn start_readable(
        image: &Image,
        limits: &ResourceLimits,
        packages: &Arc<Tree>,
    ) -> Result<(Self, Exports), Error> {
        let capture = Capture::new(HostMemory::new(limits.max_host_memory()));
        let handlers = Handlers::default();
        let host = host(limits, Network::off(), &capture, &handlers, Some(packages))?;
        let (store, guest, exports) = instantiate(image, host, limits).await?;
        Ok((Self::with(store, guest, capture, limits), exports))
    }

    fn with(store: Store<Host>, guest: Guest, capture: Capture, limits: &ResourceLimits) -> Self {
        Self {
            network: store.data().network.clone(),
            store: Some(store),
            guest,
            capture,
            limits: limits.clone(),
            over: String::new(),
        }
    }

    /// What the interpreter lives in, unless nothing more can run in it.
    pub(crate) fn into_store(self) -> Option<Store<Host>> {
        self.store
    }

    /// Returns what the network did since the last report.
    pub(crate) fn network_report(&self) -> NetworkReport {
        self.network.report()
    }

    /// Run one program.
    pub(crate) async fn execute(
        &mut self,
        source: &[u8],
        started: Instant,
        cancel: Option<&CancelHandle>,
    ) -> Result<ExecuteResult, Error> {
        self.run(Job::Execute(source), started, cancel).await
    }

    /// Run one program, or what a snapshot is to be taken after.
    pub(crate) async fn run(
        &mut self,
        job: Job<'_>,
        started: Instant,
        cancel: Option<&CancelHandle>,
    ) -> Result<ExecuteResult, Error> {
        // The store travels with this future: whoever drops it half way ends the interpreter and its connections.
        let Some(mut store) = self.store.take() else {
            return Err(Error::SessionClosed {
                reason: self.over.clone(),
            });
        };
        "an execution was dropped before it ended".clone_into(&mut self.over);
        self.capture.begin(self.limits.max_output());
        store.data_mut().memory.begin();
        store.data().host_memory.begin();
        let execution = EXECUTIONS.fetch_add(1, Ordering::Relaxed) + 1;
        self.network.begin_execution(execution);
        let end = {
            let turn = store.data().turn.clone();
            let call = signals::watch(turn.divide(job.call(&self.guest, &mut store)));
            let cancelled = async {
                match cancel {
                    Some(cancel) => cancel.cancelled().await,
                    None => std::future::pending().await,
                }
            };
            let out_of_time = async {
                // A limit beyond the end of the clock is none.
                match started.checked_add(self.limits.execution_timeout()) {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = cancelled => End::Cancelled,
                ended = call => End::Returned(ended),
                () = out_of_time => End::TimedOut,
            }
        };
        let peak_host_memory = store.data().host_memory.peak();
        let left = PartialResult {
            output: self.capture.take(),
            usage: Usage {
                execution,
                duration: started.elapsed(),
                peak_memory: store.data().memory.peak(),
                peak_host_memory,
                network: self.network.take_report(),
            },
        };
        let refused = store.data().memory.refused();
        let (over, result) = self.judge(end, refused, left);
        match over {
            // Nothing of this instance runs again: no lingering connection either.
            Some(reason) => {
                self.network.abort();
                self.over = reason;
            }
            None => self.store = Some(store),
        }
        result.map(ExecuteResult::from)
    }

    /// What an end means to the embedder, and to programs that would follow.
    fn judge(
        &self,
        end: End,
        refused: bool,
        output: PartialResult,
    ) -> (Option<String>, Result<PartialResult, Error>) {
        match end {
            End::Returned(Ok(outcome)) => {
                let result = self.finished(outcome, refused, output);
                // What gave up for want of memory is as half done as what was cut off.
                let reason = match &result {
                    Err(Error::Limit { limit, .. }) => Some(limit.to_string()),
                    _ => None,
                };
                (reason, result)
            }
            End::Returned(Err(error)) => {
                let result = self.trapped(&error, refused, output);
                let reason = match &result {
                    Ok(_) => "the program ended the process".to_owned(),
                    Err(error) => error.to_string(),
                };
                (Some(reason), result)
            }
            End::Cancelled => (
                Some("an execution was cancelled".to_owned()),
                Err(Error::Cancelled {
                    output: Box::new(output),
                }),
            ),
            End::TimedOut => {
                let limit = Limit::ExecutionTime(self.limits.execution_timeout());
                (
                    Some(limit.to_string()),
                    Err(Error::Limit {
                        limit,
                        output: Box::new(output),
                    }),
                )
            }
        }
    }

    fn finished(
        &self,
        outcome: Outcome,
        refused: bool,
        output: PartialResult,
    ) -> Result<PartialResult, Error> {
        match outcome {
            Outcome::Finished => Ok(output),
            Outcome::Exited(status) => exited(status, output),
            // A MemoryError of the interpreter's own making, such as a list too long to exist, is the program's.
            Outcome::Exception(raised) if refused && raised.exception_type == "MemoryError" => {
                Err(Error::Limit {
                    limit: Limit::Memory(self.limits.max_memory()),
                    output: Box::new(output),
                })
            }
            Outcome::Exception(raised) => Err(Error::Exception(Box::new(PythonException {
                exception_type: raised.exception_type,
                message: raised.message,
                traceback: raised.traceback,
                exit_status: None,
                output: output.output,
                usage: output.usage,
            }))),
        }
    }

    fn trapped(
        &self,
        error: &wasmtime::Error,
        refused: bool,
        output: PartialResult,
    ) -> Result<PartialResult, Error> {
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return exited(exit.0, output);
        }
        if let Some(missing) = error.downcast_ref::<HostResourceError>() {
            return Err(missing.clone().into());
        }
        let limit = if self.capture.exceeded() {
            Limit::Output(self.limits.max_output())
        } else if error.is::<HostMemoryFull>() {
            Limit::HostMemory(self.limits.max_host_memory())
        } else if error.downcast_ref::<Trap>() == Some(&Trap::StackOverflow) {
            Limit::Stack
        } else if refused {
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

/// What an interpreter is to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Job<'a> {
    /// Run a program.
    Execute(&'a [u8]),
    /// Import and run for a snapshot.
    Preload {
        /// Where packages are.
        paths: &'a [String],
        /// The modules.
        imports: &'a [String],
        /// The program.
        setup: Option<&'a [u8]>,
    },
}

impl Job<'_> {
    async fn call(self, guest: &Guest, store: &mut Store<Host>) -> wasmtime::Result<Outcome> {
        match self {
            Self::Execute(source) => guest.call_execute(store, source).await,
            Self::Preload {
                paths,
                imports,
                setup,
            } => {
                let preloaded = guest.call_preload(store, paths, imports, setup).await?;
                Ok(preloaded.map_or_else(Outcome::Exception, |()| Outcome::Finished))
            }
        }
    }
}

/// Make an instance in the pool, or with memory of its own where the pool is full.
async fn instantiate(
    image: &Image,
    mut host: Host,
    limits: &ResourceLimits,
) -> Result<(Store<Host>, Guest, Exports), Error> {
    signals::check()?;
    image.check()?;
    if let Some(linked) = image.pooled() {
        let mut store = store(linked, host);
        match linked.instantiate(&mut store).await {
            Ok((guest, exports)) => return Ok((store, guest, exports)),
            Err(error) if error.is::<PoolConcurrencyLimitError>() => {
                host = store.into_data();
                host.memory = MemoryLimiter::new(limits.max_memory());
            }
            Err(error) => return Err(not_started(&store, limits, &error)),
        }
    }
    let linked = image.plain()?;
    let mut store = store(linked, host);
    match linked.instantiate(&mut store).await {
        Ok((guest, exports)) => Ok((store, guest, exports)),
        Err(error) => Err(not_started(&store, limits, &error)),
    }
}

/// What the host keeps for an interpreter under these limits.
fn host(
    limits: &ResourceLimits,
    network: Network,
    capture: &Capture,
    handlers: &Handlers,
    packages: Option<&Arc<Tree>>,
) -> Result<Host, Error> {
    Host::new(network, limits, capture, handlers, packages)
}

/// What an interpreter lives in.
fn store(linked: &Linked, host: Host) -> Store<Host> {
    let mut store = Store::new(linked.engine(), host);
    store.limiter(|host| &mut host.memory);
    store.set_hostcall_fuel(MAX_CALL);
    store.set_max_component_handles(MAX_HANDLES);
    store
}

fn not_started(store: &Store<Host>, limits: &ResourceLimits, error: &wasmtime::Error) -> Error {
    if store.data().memory.refused() {
        Error::Limit {
            limit: Limit::Memory(limits.max_memory()),
            output: Box::default(),
        }
    } else {
        Error::image("it does not start", error)
    }
}

/// How a call of the guest came to its end.
enum End {
    Returned(wasmtime::Result<Outcome>),
    Cancelled,
    TimedOut,
}

fn exited(status: i32, output: PartialResult) -> Result<PartialResult, Error> {
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
