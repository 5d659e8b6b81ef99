//! Every execution of the process, so that they can be cancelled together.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use eryx::CancelHandle;
use pyo3::prelude::*;

use crate::error::EryxError;

/// How long the end of the process waits for executions that were cancelled.
const FAREWELL: Duration = Duration::from_secs(2);

/// Whose executions they are: a sandbox or a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u64);

impl Owner {
    /// One that is like no other.
    pub(crate) fn new(py: Python<'_>) -> Self {
        let mut table = table(py);
        table.counter += 1;
        Self(table.counter)
    }

    /// Cancels what it has running.
    pub(crate) fn cancel(self, py: Python<'_>) {
        let found: Vec<CancelHandle> = table(py)
            .entries
            .values()
            .filter(|(owner, _)| *owner == self)
            .map(|(_, cancel)| cancel.clone())
            .collect();
        for cancel in found {
            cancel.cancel();
        }
    }
}

/// An execution that is under way.
#[derive(Debug)]
pub(crate) struct Running {
    number: u64,
    cancel: CancelHandle,
}

impl Running {
    /// Enters an execution.
    ///
    /// # Errors
    ///
    /// `EryxError` when the interpreter is ending.
    pub(crate) fn begin(py: Python<'_>, owner: Owner) -> PyResult<Self> {
        let mut table = table(py);
        if table.ending {
            return Err(EryxError::new_err(
                "the interpreter is shutting down: no program is begun any more",
            ));
        }
        table.counter += 1;
        let number = table.counter;
        let cancel = CancelHandle::new();
        table.entries.insert(number, (owner, cancel.clone()));
        Ok(Self { number, cancel })
    }

    pub(crate) fn cancel_handle(&self) -> &CancelHandle {
        &self.cancel
    }

    /// Takes the execution out. This comes last: once all are out the interpreter may end, and a thread that lets
    /// go of it then does not come back.
    pub(crate) fn end(self, _py: Python<'_>) {
        drop(self);
    }
}

/// So that a panic takes it out, too.
impl Drop for Running {
    fn drop(&mut self) {
        // Nobody waits for it once the interpreter is gone.
        Python::try_attach(|py| table(py).entries.remove(&self.number));
    }
}

/// Cancels every execution and waits for them to end: what `atexit` calls. A thread that came back from one
/// after the interpreter is gone would hang or crash.
#[pyfunction]
#[pyo3(name = "_end_all")]
pub(crate) fn end_all(py: Python<'_>) {
    let cancels: Vec<CancelHandle> = {
        let mut table = table(py);
        table.ending = true;
        table
            .entries
            .values()
            .map(|(_, cancel)| cancel.clone())
            .collect()
    };
    for cancel in cancels {
        cancel.cancel();
    }
    let end = Instant::now() + FAREWELL;
    while !table(py).entries.is_empty() && Instant::now() < end {
        py.detach(|| sleep(Duration::from_millis(1)));
    }
}

struct Table {
    process: u32,
    counter: u64,
    ending: bool,
    entries: BTreeMap<u64, (Owner, CancelHandle)>,
}

/// Only for threads attached to the interpreter, which never let go of it while they hold the lock: so no
/// fork that Python makes finds it taken.
fn table(_py: Python<'_>) -> MutexGuard<'static, Table> {
    static TABLE: Mutex<Table> = Mutex::new(Table {
        process: 0,
        counter: 0,
        ending: false,
        entries: BTreeMap::new(),
    });
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if table.process != process {
        // What the parent of a fork had running does not run here. Its locks may be in any state.
        mem::forget(mem::take(&mut table.entries));
        table.process = process;
        table.ending = false;
    }
    table
}
