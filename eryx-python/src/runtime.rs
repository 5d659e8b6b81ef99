//! The process's tokio runtime, and blocking on it from Python.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use eryx::{CancelHandle, FunctionThread};
use eryx_sync::Mutex;
use pyo3::prelude::*;
use tokio::runtime::{Handle, Runtime};
use tokio::time::timeout;

use crate::error::EryxError;
use crate::execution_registry::RunningFunction;

mod start;

/// The interval at which signals are checked while a call blocks.
const SIGNAL_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// The most time that a cancelled execution may take to end before it is dropped.
const CANCEL_GRACE: Duration = Duration::from_millis(200);

/// Returns the runtime of this process, and starts it on the first call. The threads of a runtime
/// do not survive a fork, so that the child starts a runtime of its own.
///
/// Only threads attached to the interpreter lock the mutex, and they stay attached while they hold
/// it, so that a fork made by Python code never copies a locked mutex.
pub(crate) fn runtime(_py: Python<'_>) -> PyResult<&'static Runtime> {
    static CURRENT: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);
    let mut current = CURRENT.lock();
    let process = std::process::id();
    match *current {
        Some((owner, runtime)) if owner == process => Ok(runtime),
        _ => {
            let runtime = start::runtime()?;
            // Never dropped: after a fork the threads to join do not exist, and at exit there is
            // nothing to wait for.
            let runtime: &'static Runtime = Box::leak(Box::new(runtime));
            *current = Some((process, runtime));
            Ok(runtime)
        }
    }
}

thread_local! {
    /// Whether a function of the embedder runs on this thread, which tokio lends for blocking work.
    static IN_FUNCTION: Cell<bool> = const { Cell::new(false) };
}

/// Sets `IN_FUNCTION` to an earlier value.
pub(crate) struct RestoreInFunction(bool);

impl Drop for RestoreInFunction {
    fn drop(&mut self) {
        IN_FUNCTION.set(self.0);
    }
}

/// Lets this thread, which belongs to the runtime, run programs until the returned value is
/// dropped.
pub(crate) fn allow_nested() -> RestoreInFunction {
    RestoreInFunction(IN_FUNCTION.replace(true))
}

/// The thread of a function, attached to the interpreter while the function runs.
pub(crate) struct AttachedThread;

impl FunctionThread for AttachedThread {
    fn enter(&self, drive: &mut (dyn FnMut() + Send)) {
        let running = RunningFunction::begin();
        // After finalization of the interpreter there is no function to call.
        Python::try_attach(move |_| {
            drive();
            drop(running);
        });
    }

    fn poll_program(&self, poll: &mut (dyn FnMut() + Send)) {
        Python::attach(|py| py.detach(poll));
    }
}

/// Returns whether a callback runs on this thread, which executes the program.
pub(crate) fn in_callback() -> bool {
    Handle::try_current().is_ok() && !IN_FUNCTION.get()
}

/// Runs `future` on this thread, detached from the interpreter, and checks for signals meanwhile.
/// An exception of a signal handler, such as KeyboardInterrupt, cancels the execution of `cancel`.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    cancel: &CancelHandle,
    future: impl Future<Output = T> + Send,
) -> PyResult<T> {
    if in_callback() {
        return Err(EryxError::new_err(
            "on_stdout, on_stderr and on_network_event are called while a program runs, and cannot run another \
             program: use another thread, or run it afterwards",
        ));
    }
    // What runs below, on this thread, is not the function any more.
    let _restored = RestoreInFunction(IN_FUNCTION.replace(false));
    let runtime = runtime(py)?;
    py.detach(|| {
        runtime.block_on(async {
            let mut future = pin!(future);
            loop {
                if let Ok(value) = timeout(SIGNAL_CHECK_INTERVAL, &mut future).await {
                    return Ok(value);
                }
                if let Some(Err(error)) = Python::try_attach(|py| py.check_signals()) {
                    cancel.cancel();
                    let _ = timeout(CANCEL_GRACE, &mut future).await;
                    return Err(error);
                }
            }
        })
    })
}
