//! A call that the limits permit: its wait for its turn, and its start.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use eryx_net_host::HostMemory;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use crate::functions::blocking_call::BlockingCall;
use crate::functions::blocking_slots;
use crate::functions::call::Call;
use crate::functions::callback::{self, Callbacks};
use crate::functions::error::FunctionError;
use crate::functions::execution_driver::{self, WorkSlot};
use crate::functions::function::{CancelOnDrop, Completion, FunctionResult, FunctionWork};
use crate::functions::log::CallRecord;
use crate::functions::report::FunctionOutcome;
use crate::functions::running_call::{CallResult, RunningCall, timed_out};

/// A call that is permitted, whose work may not run yet.
pub(crate) struct AdmittedCall {
    pub(super) work: FunctionWork,
    pub(super) queued: QueuedCall,
    pub(super) record: Arc<CallRecord>,
    pub(super) token: CancellationToken,
}

impl AdmittedCall {
    /// Starts the work, and returns without waiting for it.
    pub(crate) async fn start(self) -> Call {
        let Self {
            work,
            queued,
            record,
            token,
        } = self;
        match work {
            FunctionWork::Done(result) => Call::done(queued.running.end(result), record, token),
            FunctionWork::Blocking(work) => {
                Call::running(queued.spawn_blocking(work), record, token)
            }
            FunctionWork::Future(future) => queued.spawn_future(future, record, token),
            FunctionWork::Callback(begin) => queued.start_callback(begin, record, token).await,
        }
    }

    /// Waits for the result.
    pub(crate) async fn invoke(self) -> FunctionResult {
        let driver = execution_driver::work();
        match (self.work, driver) {
            (FunctionWork::Done(result), _) => self.queued.running.end(result).result,
            (FunctionWork::Blocking(work), Some(driver)) => {
                self.queued.run_on_driver(work, &driver, &self.record).await
            }
            (work, _) => {
                let mut call = Self { work, ..self }.start().await;
                call.wait(None).await;
                call.take()
            }
        }
    }
}

/// A call that may have to wait for its turn.
pub(super) struct QueuedCall {
    pub(super) running: RunningCall,
    pub(super) permit: Option<OwnedSemaphorePermit>,
    pub(super) in_flight: Arc<Semaphore>,
    pub(super) timeout: Option<Duration>,
    pub(super) execution: CancellationToken,
    pub(super) memory: HostMemory,
    pub(super) callbacks: Callbacks,
}

type Task = tokio::task::JoinHandle<Option<CallResult>>;

impl QueuedCall {
    /// Runs `work` on a thread, once it is the turn of the call and a thread is free.
    fn spawn_blocking(self, work: Box<dyn FnOnce() -> FunctionResult + Send>) -> Task {
        let slots = blocking_slots::at_depth(self.running.nesting.depth() - 1);
        let slot = Arc::clone(&slots).try_acquire_owned().ok();
        let run = |work: Box<dyn FnOnce() -> FunctionResult + Send>, running: RunningCall, held| {
            move || {
                let result = running.nesting.run(work);
                let result = running.end(result);
                drop::<[OwnedSemaphorePermit; 2]>(held);
                Some(result)
            }
        };
        match (self.permit, slot, self.timeout) {
            (Some(permit), Some(slot), None) => {
                tokio::task::spawn_blocking(run(work, self.running, [permit, slot]))
            }
            (permit, slot, timeout) => {
                let in_flight = self.in_flight;
                let running = self.running;
                let execution = self.execution;
                let memory = self.memory;
                tokio::spawn(async move {
                    let waiting = async {
                        let permit = acquire(permit, in_flight).await?;
                        let slot = acquire(slot, slots).await?;
                        let record = Arc::clone(&running.record.0);
                        // The thread keeps the charge of its call.
                        let memory = memory.charge(0).ok()?;
                        let task = tokio::task::spawn_blocking(run(work, running, [permit, slot]));
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
        let slots = blocking_slots::at_depth(self.running.nesting.depth() - 1);
        let slot = Arc::clone(&slots).try_acquire_owned().ok();
        let permit = acquire(self.permit, self.in_flight).await;
        let (Some(permit), Some(slot)) = (permit, acquire(slot, slots).await) else {
            return Err(not_called());
        };
        let (sender, receiver) = oneshot::channel();
        driver.put_call(BlockingCall {
            work,
            running: self.running,
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

    /// Begins work that reports its end from elsewhere: now, outside of the program, if it is the
    /// turn of the call, else when it is.
    async fn start_callback(
        mut self,
        begin: Box<dyn FnOnce(Completion) -> CancelOnDrop + Send>,
        record: Arc<CallRecord>,
        token: CancellationToken,
    ) -> Call {
        if self.timeout.is_none()
            && let Some(permit) = self.permit.take()
        {
            let running = self.running;
            let (sender, receiver) = oneshot::channel();
            let completion = Completion::new(move |result| {
                let result = running.end(result);
                drop(permit);
                // There is no receiver if the call was cancelled.
                let _ = sender.send(result);
            });
            let handle = self.callbacks.begin(begin, completion).await;
            return Call::callback(handle.with_receiver(receiver), record, token);
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
            running,
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
            let polled = running.nesting.run(|| future.as_mut().poll(&mut cx));
            if let Poll::Ready(result) = polled {
                return Call::done(running.end(result), record, token);
            }
        }
        let nesting = running.nesting.clone();
        let work = async move {
            let _permit = acquire(permit, in_flight).await?;
            Some(match timeout {
                None => running.end(future.await),
                Some(limit) => match tokio::time::timeout(limit, future).await {
                    Ok(result) => running.end(result),
                    Err(_) => running.end_by_timeout(limit),
                },
            })
        };
        let task = tokio::spawn(
            nesting.run_future(async move { execution.run_until_cancelled(work).await.flatten() }),
        );
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

fn not_called() -> FunctionError {
    FunctionError::new(
        "RuntimeError",
        "the function was not called: the embedder shuts down",
    )
}
