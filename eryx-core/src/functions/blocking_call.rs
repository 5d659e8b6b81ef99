//! One call of a blocking function, from its arguments to its result.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::functions::function::FunctionResult;
use crate::functions::running_call::{CallResult, RunningCall};

/// A call of a blocking function, which any thread can make.
pub(super) struct BlockingCall {
    pub(super) work: Box<dyn FnOnce() -> FunctionResult + Send>,
    pub(super) running: RunningCall,
    /// The slots of the execution and of the process that the call occupies.
    pub(super) slots: [OwnedSemaphorePermit; 2],
    /// Receives the result, or the panic of the function.
    pub(super) receiver: oneshot::Sender<thread::Result<CallResult>>,
}

/// A result that the program does not have yet.
pub(super) struct Returned {
    result: thread::Result<CallResult>,
    receiver: oneshot::Sender<thread::Result<CallResult>>,
}

impl BlockingCall {
    /// Runs the function on this thread.
    pub(super) fn run(self) -> Returned {
        let Self {
            work,
            running,
            slots,
            receiver,
        } = self;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let result = running.nesting.run(work);
            running.end(result)
        }));
        drop(slots);
        Returned { result, receiver }
    }
}

impl Returned {
    /// Passes the result to the program, if that still waits for it.
    pub(super) fn deliver(self) {
        let _ = self.receiver.send(self.result);
    }
}
