//! Calls of functions that run elsewhere and report their end.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use eryx_sync::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::functions::error::FunctionError;
use crate::functions::execution_driver;
use crate::functions::function::{CancelOnDrop, Completion, FunctionResult};
use crate::functions::running_call::CallResult;

/// The calls of an execution that run elsewhere.
#[derive(Clone, Default)]
pub(super) struct Callbacks(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    next: u64,
    calls: BTreeMap<u64, CancelOnDrop>,
}

impl Callbacks {
    /// Begins work, outside of the program.
    pub(super) async fn begin(
        &self,
        begin: Box<dyn FnOnce(Completion) -> CancelOnDrop + Send>,
        completion: Completion,
    ) -> CallbackHandle {
        let number = {
            let mut running = self.0.lock();
            running.next += 1;
            running.next
        };
        let callbacks = self.clone();
        let work = move || {
            let cancel = begin(completion);
            callbacks.0.lock().calls.insert(number, cancel);
        };
        let handle = CallbackHandle {
            callbacks: self.clone(),
            number,
        };
        match execution_driver::work() {
            Some(driver) => driver.run_outside(Box::new(work)).await,
            None => work(),
        }
        handle
    }

    /// Cancels all calls.
    pub(super) fn cancel_all(&self) {
        let calls = mem::take(&mut self.0.lock().calls);
        drop(calls);
    }

    fn remove(&self, number: u64) -> Option<CancelOnDrop> {
        self.0.lock().calls.remove(&number)
    }
}

/// A call that runs elsewhere.
pub(super) struct CallbackHandle {
    callbacks: Callbacks,
    number: u64,
}

impl CallbackHandle {
    pub(super) fn with_receiver(self, receiver: oneshot::Receiver<CallResult>) -> RunningCallback {
        RunningCallback {
            receiver,
            handle: self,
        }
    }
}

impl Drop for CallbackHandle {
    fn drop(&mut self) {
        let cancel = self.callbacks.remove(self.number);
        // Code of the embedder, which does not know the stack of the program that drops the call.
        if let (Some(cancel), Ok(runtime)) = (cancel, Handle::try_current()) {
            runtime.spawn(async move { drop(cancel) });
        }
    }
}

/// A call that runs elsewhere, and its result. Dropping it cancels it.
pub(super) struct RunningCallback {
    receiver: oneshot::Receiver<CallResult>,
    handle: CallbackHandle,
}

impl RunningCallback {
    /// Ready with the result of the call, or with `None` if there will be none.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<CallResult>> {
        let Poll::Ready(received) = Pin::new(&mut self.receiver).poll(cx) else {
            return Poll::Pending;
        };
        // It has ended, so that dropping this cancels nothing.
        drop(self.handle.callbacks.remove(self.handle.number));
        Poll::Ready(received.ok())
    }
}

/// Returns a future that begins work, and waits for its end.
pub(super) fn into_future(
    begin: Box<dyn FnOnce(Completion) -> CancelOnDrop + Send>,
) -> Pin<Box<dyn Future<Output = FunctionResult> + Send>> {
    Box::pin(async move {
        leave_program().await;
        let (sender, receiver) = oneshot::channel();
        let _cancel: Box<dyn Any + Send> = begin(Completion::new(move |result| {
            let _ = sender.send(result);
        }));
        receiver.await.unwrap_or_else(|_| {
            Err(FunctionError::new(
                "RuntimeError",
                "the function did not end",
            ))
        })
    })
}

/// Waits until the future runs in a task of its own. The first poll is on the stack of the fiber
/// that runs the program, which is smaller than that of a thread.
async fn leave_program() {
    let mut is_first = true;
    poll_fn(|cx| {
        if mem::take(&mut is_first) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}
