//! The one asynchronous runtime of the process, and waiting for it from Python.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use eryx::CancelHandle;
use pyo3::prelude::*;
use tokio::runtime::{Handle, Runtime};
use tokio::time::timeout;

use crate::error::EryxError;

mod start;

/// How long Ctrl-C may go unnoticed.
const ATTENTION: Duration = Duration::from_millis(20);

/// How long an execution that was cancelled may take to end before it is dropped.
const FAREWELL: Duration = Duration::from_millis(200);

/// The runtime of this process, made when it is first asked for. A fork leaves a runtime's threads behind,
/// so the child makes one of its own.
///
/// The lock is only taken by threads attached to the interpreter, and never while one lets go of it. So no
/// fork that Python makes finds it taken.
pub(crate) fn runtime(_py: Python<'_>) -> PyResult<&'static Runtime> {
    static CURRENT: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    match *current {
        Some((owner, runtime)) if owner == process => Ok(runtime),
        _ => {
            let runtime = start::runtime()?;
            // Never dropped: after a fork there would be no threads to wait for, and at exit nothing to wait for.
            let runtime: &'static Runtime = Box::leak(Box::new(runtime));
            *current = Some((process, runtime));
            Ok(runtime)
        }
    }
}

/// Runs `future` on this thread, detached from the interpreter, and looks after signals meanwhile. An
/// exception from a signal's handler, such as KeyboardInterrupt, cancels what `cancel` stands for.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    cancel: &CancelHandle,
    future: impl Future<Output = T> + Send,
) -> PyResult<T> {
    if Handle::try_current().is_ok() {
        return Err(EryxError::new_err(
            "on_stdout and on_stderr, like on_network_event, are called while a program runs, and cannot run another one: use a \
             thread of its own for it, or do it afterwards",
        ));
    }
    let runtime = runtime(py)?;
    py.detach(|| {
        runtime.block_on(async {
            let mut future = pin!(future);
            loop {
                if let Ok(value) = timeout(ATTENTION, &mut future).await {
                    return Ok(value);
                }
                if let Some(Err(error)) = Python::try_attach(|py| py.check_signals()) {
                    cancel.cancel();
                    let _ = timeout(FAREWELL, &mut future).await;
                    return Err(error);
                }
            }
        })
    })
}
