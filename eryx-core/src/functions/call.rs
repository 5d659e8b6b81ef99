//! A call in progress, as a resource of the guest.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use std::future::poll_fn;
use tokio::task::{JoinHandle, unconstrained};
use tokio_util::sync::CancellationToken;

use crate::functions::callback::RunningCallback;
use crate::functions::error::FunctionError;
use crate::functions::function::FunctionResult;
use crate::functions::log::CallRecord;
use crate::functions::report::FunctionOutcome;
use crate::functions::running_call::CallResult;

/// A call in progress. Dropping it cancels it.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Call {
    state: State,
    record: Arc<CallRecord>,
    /// Cancelled when the execution ends that made the call.
    execution: CancellationToken,
}

enum State {
    /// The task returns nothing if the execution ended before it.
    Running(JoinHandle<Option<CallResult>>),
    Callback(RunningCallback),
    Done(CallResult),
    Taken,
}

impl Call {
    pub(super) fn done(
        result: CallResult,
        record: Arc<CallRecord>,
        execution: CancellationToken,
    ) -> Self {
        Self {
            state: State::Done(result),
            record,
            execution,
        }
    }

    pub(super) fn running(
        task: JoinHandle<Option<CallResult>>,
        record: Arc<CallRecord>,
        execution: CancellationToken,
    ) -> Self {
        Self {
            state: State::Running(task),
            record,
            execution,
        }
    }

    pub(super) fn callback(
        callback: RunningCallback,
        record: Arc<CallRecord>,
        execution: CancellationToken,
    ) -> Self {
        Self {
            state: State::Callback(callback),
            record,
            execution,
        }
    }

    /// Ready when the function has returned or failed, or the call was cancelled.
    ///
    /// # Panics
    ///
    /// If the function panicked, with its panic.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.state, State::Done(_) | State::Taken) {
            return Poll::Ready(());
        }
        if self.execution.is_cancelled() {
            // Of an earlier execution of a session. What still runs has no result.
            self.state = State::Taken;
            return Poll::Ready(());
        }
        let task = match &mut self.state {
            State::Running(task) => task,
            State::Callback(callback) => {
                let Poll::Ready(result) = callback.poll(cx) else {
                    return Poll::Pending;
                };
                self.state = result.map_or(State::Taken, State::Done);
                return Poll::Ready(());
            }
            State::Done(_) | State::Taken => return Poll::Ready(()),
        };
        let Poll::Ready(joined) = Pin::new(task).poll(cx) else {
            return Poll::Pending;
        };
        self.state = match joined {
            Ok(Some(result)) => State::Done(result),
            Ok(None) => State::Taken,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => {
                    self.record.log().panic_passed_on();
                    resume_unwind(panic)
                }
                Err(_cancelled) => State::Taken,
            },
        };
        Poll::Ready(())
    }

    /// Waits for the end of the call, at most for `timeout`. Returns whether it has ended.
    pub(crate) async fn wait(&mut self, timeout: Option<Duration>) -> bool {
        if matches!(self.state, State::Done(_) | State::Taken) {
            return true;
        }
        let ended = unconstrained(poll_fn(|cx| self.poll_ready(cx)));
        match timeout {
            None => {
                ended.await;
                true
            }
            Some(timeout) if timeout.is_zero() => {
                // Yields to the runtime, so that a program that polls in a loop does not
                // starve its own functions.
                let mut ended = std::pin::pin!(ended);
                let mut turns = 0;
                poll_fn(|cx| {
                    turns += 1;
                    match ended.as_mut().poll(cx) {
                        Poll::Ready(()) => Poll::Ready(true),
                        Poll::Pending if turns > 1 => Poll::Ready(false),
                        Poll::Pending => {
                            cx.waker().wake_by_ref();
                            Poll::Pending
                        }
                    }
                })
                .await
            }
            Some(timeout) => tokio::time::timeout(timeout, ended).await.is_ok(),
        }
    }

    /// Returns the result of a call that has ended.
    pub(crate) fn take(&mut self) -> FunctionResult {
        match std::mem::replace(&mut self.state, State::Taken) {
            State::Done(done) => done.result,
            State::Running(_) | State::Callback(_) | State::Taken => Err(FunctionError::new(
                "RuntimeError",
                "this call has no result: it was taken already, or the execution that made the \
                 call has ended",
            )),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        match &self.state {
            State::Running(task) => {
                self.record.end(FunctionOutcome::Cancelled, 0);
                task.abort();
            }
            State::Callback(_) => self.record.end(FunctionOutcome::Cancelled, 0),
            State::Done(_) | State::Taken => {}
        }
    }
}
