//! The process-wide registry of executions and of running functions, for cancellation and for
//! interpreter shutdown.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use eryx::CancelHandle;
use eryx_sync::{Mutex, MutexGuard};
use pyo3::prelude::*;

use crate::error::EryxError;

/// The most time that interpreter shutdown waits for cancelled executions.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// Identifies the sandbox or session that an execution belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnerId(u64);

impl OwnerId {
    /// Returns an identifier that no other owner of this process has.
    pub(crate) fn new(py: Python<'_>) -> Self {
        let mut registry = registry(py);
        registry.counter += 1;
        Self(registry.counter)
    }

    /// Returns the identifier as a number.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// Cancels the active executions of this owner.
    pub(crate) fn cancel(self, py: Python<'_>) {
        let cancels: Vec<CancelHandle> = registry(py)
            .active
            .values()
            .filter(|(owner, _)| *owner == self)
            .map(|(_, cancel)| cancel.clone())
            .collect();
        for cancel in cancels {
            cancel.cancel();
        }
    }
}

/// A registered execution. Dropping it removes it from the registry, also during a panic.
#[derive(Debug)]
pub(crate) struct ActiveExecution {
    number: u64,
    cancel: CancelHandle,
}

impl ActiveExecution {
    /// Registers an execution.
    ///
    /// # Errors
    ///
    /// `EryxError` while Python shuts down.
    pub(crate) fn begin(py: Python<'_>, owner: OwnerId) -> PyResult<Self> {
        let mut registry = registry(py);
        if registry.shutting_down {
            return Err(EryxError::new_err(
                "Python is shutting down: no program can be started",
            ));
        }
        registry.counter += 1;
        let number = registry.counter;
        let cancel = CancelHandle::new();
        registry.active.insert(number, (owner, cancel.clone()));
        Ok(Self { number, cancel })
    }

    pub(crate) fn cancel_handle(&self) -> &CancelHandle {
        &self.cancel
    }

    /// Removes the execution from the registry. The caller does this last: once the registry is
    /// empty the interpreter may finalize, and a thread that then detaches from it never returns.
    pub(crate) fn end(self, _py: Python<'_>) {
        drop(self);
    }
}

impl Drop for ActiveExecution {
    fn drop(&mut self) {
        // After finalization of the interpreter nothing waits for the registry any more.
        Python::try_attach(|py| registry(py).active.remove(&self.number));
    }
}

/// The number of calls of the embedder's functions that are owned by threads that attach to the
/// interpreter.
static RUNNING_FUNCTIONS: AtomicUsize = AtomicUsize::new(0);

/// A call of a function. Interpreter shutdown waits for its end; the thread that ends it does so as
/// the last thing before it detaches, or without being attached again.
pub(crate) struct RunningFunction(());

impl RunningFunction {
    pub(crate) fn begin() -> Self {
        RUNNING_FUNCTIONS.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for RunningFunction {
    fn drop(&mut self) {
        RUNNING_FUNCTIONS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Cancels every execution and waits up to 2 s until all have ended, and the functions that they
/// called. `atexit` calls this: a thread
/// that returned from an execution after finalization of the interpreter would hang or crash.
#[pyfunction]
#[pyo3(name = "_shutdown")]
pub(crate) fn shutdown(py: Python<'_>) {
    let cancels: Vec<CancelHandle> = {
        let mut registry = registry(py);
        registry.shutting_down = true;
        registry
            .active
            .values()
            .map(|(_, cancel)| cancel.clone())
            .collect()
    };
    for cancel in cancels {
        cancel.cancel();
    }
    let deadline = Instant::now() + SHUTDOWN_GRACE;
    let runs = || !registry(py).active.is_empty() || RUNNING_FUNCTIONS.load(Ordering::SeqCst) > 0;
    while runs() && Instant::now() < deadline {
        py.detach(|| sleep(Duration::from_millis(1)));
    }
}

struct Registry {
    process: u32,
    counter: u64,
    shutting_down: bool,
    active: BTreeMap<u64, (OwnerId, CancelHandle)>,
}

/// Locks the registry. Only threads attached to the interpreter lock it, and they stay attached
/// while they hold the lock, so that a fork made by Python code never copies a locked mutex.
fn registry(_py: Python<'_>) -> MutexGuard<'static, Registry> {
    static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
        process: 0,
        counter: 0,
        shutting_down: false,
        active: BTreeMap::new(),
    });
    let mut registry = REGISTRY.lock();
    let process = std::process::id();
    if registry.process != process {
        // This is the child of a fork: the parent's executions do not run here, and their locks
        // may be in any state.
        mem::forget(mem::take(&mut registry.active));
        RUNNING_FUNCTIONS.store(0, Ordering::SeqCst);
        registry.process = process;
        registry.shutting_down = false;
    }
    registry
}
