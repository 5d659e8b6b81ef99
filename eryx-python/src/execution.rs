//! One run of a program, for those who wait for it and for those who are told.

use std::sync::{Arc, Mutex, PoisonError};

use eryx::CancelHandle;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::sync::Mutex as AsyncMutex;

use crate::error::{SessionOverError, exception};
use crate::printer::Printer;
use crate::result::ExecuteResult;
use crate::running::{Owner, Running};
use crate::runtime::{runtime, wait};

/// An interpreter that lives on; none once it is closed.
pub(crate) type SharedSession = Arc<AsyncMutex<Option<eryx::Session>>>;

/// Where a program runs.
pub(crate) enum Place {
    /// In an interpreter of its own.
    Sandbox(eryx::Sandbox),
    /// In a session, when its turn comes.
    Session(SharedSession),
}

/// A program that is to be run.
pub(crate) struct Job {
    pub(crate) owner: Owner,
    pub(crate) place: Place,
    pub(crate) source: Vec<u8>,
    pub(crate) printer: Option<Arc<Printer>>,
}

impl Job {
    /// Runs it and waits.
    pub(crate) fn run(self, py: Python<'_>) -> PyResult<ExecuteResult> {
        let running = Running::begin(py, self.owner)?;
        let cancel = running.cancel_handle().clone();
        let printer = self.printer.clone();
        let ended = wait(py, &cancel, self.play(cancel.clone(), None));
        let concluded = ended.and_then(|ended| conclude(py, printer.as_deref(), ended));
        running.end(py);
        concluded
    }

    async fn play(
        self,
        cancel: CancelHandle,
        post: Option<Py<PyAny>>,
    ) -> Result<eryx::ExecuteResult, Failure> {
        match self.place {
            Place::Sandbox(sandbox) => {
                if let Some(printer) = &self.printer {
                    printer.begin(cancel.clone(), post);
                }
                Ok(sandbox.execute_cancellable(self.source, &cancel).await?)
            }
            Place::Session(session) => {
                let mut session = session.lock().await;
                let session = session.as_mut().ok_or(Failure::Closed)?;
                if let Some(printer) = &self.printer {
                    printer.begin(cancel.clone(), post);
                }
                Ok(session.execute_cancellable(self.source, &cancel).await?)
            }
        }
    }
}

/// Why there is no result.
enum Failure {
    Ended(eryx::Error),
    Closed,
}

impl From<eryx::Error> for Failure {
    fn from(error: eryx::Error) -> Self {
        Self::Ended(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Ended(error) => exception(error),
            Failure::Closed => closed(),
        }
    }
}

/// The exception for a session that was closed.
pub(crate) fn closed() -> PyErr {
    SessionOverError::new_err("the session is closed: open a new one with Sandbox.session()")
}

fn conclude(
    py: Python<'_>,
    printer: Option<&Printer>,
    ended: Result<eryx::ExecuteResult, Failure>,
) -> PyResult<ExecuteResult> {
    // What a callback raised is why the program was cancelled.
    if let Some(printer) = printer {
        printer.end(py)?;
    }
    Ok(ExecuteResult::from(ended?))
}

/// A program that an event loop is to be told of; `eryx._asyncio` makes a coroutine of it.
#[pyclass(module = "eryx._eryx", frozen)]
pub(crate) struct Execution {
    state: Mutex<State>,
}

enum State {
    Waiting(Box<Job>),
    Started(CancelHandle),
    Over,
}

impl Execution {
    /// The coroutine that runs `job`.
    pub(crate) fn coroutine(py: Python<'_>, job: Job) -> PyResult<Bound<'_, PyAny>> {
        let execution = Self {
            state: Mutex::new(State::Waiting(Box::new(job))),
        };
        py.import("eryx._asyncio")?
            .call_method1("run", (Bound::new(py, execution)?,))
    }
}

#[pymethods]
impl Execution {
    /// Begin. `settle(result, error)` is called once, from another thread, at the end; `post(callback, text)`
    /// with what is printed.
    fn start(&self, py: Python<'_>, settle: Py<PyAny>, post: Py<PyAny>) -> PyResult<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Waiting(job) = std::mem::replace(&mut *state, State::Over) else {
            return Err(PyRuntimeError::new_err("an execution starts once"));
        };
        let runtime = runtime(py)?;
        let running = Running::begin(py, job.owner)?;
        let cancel = running.cancel_handle().clone();
        *state = State::Started(cancel.clone());
        let printer = job.printer.clone();
        runtime.spawn(async move {
            let ended = job.play(cancel, Some(post)).await;
            // Once the interpreter is gone there is nobody to tell.
            Python::try_attach(|py| {
                let settled = match conclude(py, printer.as_deref(), ended) {
                    Ok(result) => settle.call1(py, (result, py.None())),
                    Err(error) => settle.call1(py, (py.None(), error)),
                };
                // The loop may be closed by now; whoever closed it does not wait.
                drop(settled);
                drop(settle);
                drop(printer);
                running.end(py);
            });
        });
        Ok(())
    }

    /// End it, if it has not ended.
    fn cancel(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Started(cancel) = &*state {
            cancel.cancel();
        }
    }
}
