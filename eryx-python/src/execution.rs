//! One run of a program, for those who wait for it and for those who are told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eryx::CancelHandle;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use tokio::sync::Mutex as AsyncMutex;

use crate::deliveries::{Call, Deliveries};
use crate::error::{SessionClosedError, exception};
use crate::printer::{Callbacks, Printer, Turn};
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
        let ended = wait(py, &cancel, self.play(cancel.clone(), None));
        let concluded = ended.and_then(Ended::conclude);
        running.end(py);
        concluded
    }

    async fn play(self, cancel: CancelHandle, deliveries: Option<Arc<Deliveries>>) -> Ended {
        let begin = |printer: Option<Arc<Printer>>| {
            printer.map(|printer| (printer.begin(cancel.clone(), deliveries), printer))
        };
        match self.place {
            Place::Sandbox(sandbox) => {
                let turn = begin(self.printer);
                let played = sandbox.execute_cancellable(self.source, &cancel).await;
                Ended::new(turn, played)
            }
            Place::Session(session) => {
                let mut session = session.lock().await;
                let Some(session) = session.as_mut() else {
                    return Ended {
                        turn: None,
                        result: Err(Failure::Closed),
                    };
                };
                let turn = begin(self.printer);
                let played = session.execute_cancellable(self.source, &cancel).await;
                Ended::new(turn, played)
            }
        }
    }
}

/// A program that ended.
struct Ended {
    turn: Option<(Arc<Turn>, Arc<Printer>)>,
    result: Result<eryx::ExecuteResult, Failure>,
}

impl Ended {
    fn new(
        turn: Option<(Arc<Turn>, Arc<Printer>)>,
        result: Result<eryx::ExecuteResult, eryx::Error>,
    ) -> Self {
        Self {
            turn,
            result: result.map_err(Failure::Ended),
        }
    }

    /// Whether it was ended, and did not end.
    fn is_cut_off(&self) -> bool {
        matches!(
            self.result,
            Err(Failure::Ended(
                eryx::Error::Limit { .. } | eryx::Error::Cancelled { .. }
            ))
        )
    }

    fn conclude(self) -> PyResult<ExecuteResult> {
        // What a callback raised is why the program was cancelled.
        if let Some((turn, printer)) = &self.turn {
            printer.end(turn)?;
        }
        Ok(ExecuteResult::from(self.result?))
    }
}

/// Why there is no result.
enum Failure {
    Ended(eryx::Error),
    Closed,
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
    SessionClosedError::new_err("the session is closed: open a new one with Sandbox.session()")
}

/// A program that an event loop is to be told of; `eryx._asyncio` makes a coroutine of it.
#[pyclass(module = "eryx._eryx", frozen)]
pub(crate) struct Execution {
    state: Mutex<State>,
    printer: Option<Arc<Printer>>,
    /// The printer's, once more: the collector of cycles finds them in use until this is gone.
    _callbacks: Option<Callbacks>,
}

enum State {
    Waiting(Box<Job>),
    Started(CancelHandle, Arc<Deliveries>),
    Over,
}

impl Execution {
    /// The coroutine that runs `job`.
    pub(crate) fn coroutine(py: Python<'_>, job: Job) -> PyResult<Bound<'_, PyAny>> {
        let execution = Self {
            _callbacks: job
                .printer
                .as_ref()
                .map(|printer| printer.callbacks().clone_ref(py)),
            printer: job.printer.clone(),
            state: Mutex::new(State::Waiting(Box::new(job))),
        };
        py.import("eryx._asyncio")?
            .call_method1("run", (Bound::new(py, execution)?,))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Execution {
    /// Begin. From another thread, `wake()` is called when there is something to `take` and the last `take` found
    /// nothing, and `settle(result, error)` once, at the end.
    fn start(&self, py: Python<'_>, wake: Py<PyAny>, settle: Py<PyAny>) -> PyResult<()> {
        let mut state = self.state();
        let State::Waiting(job) = std::mem::replace(&mut *state, State::Over) else {
            return Err(PyRuntimeError::new_err("an execution starts once"));
        };
        let runtime = runtime(py)?;
        let running = Running::begin(py, job.owner)?;
        let cancel = running.cancel_handle().clone();
        let deliveries = Arc::new(Deliveries::new(wake, cancel.clone()));
        *state = State::Started(cancel.clone(), Arc::clone(&deliveries));
        let settlement = Settlement {
            settle: Some((settle, running)),
            deliveries,
        };
        runtime.spawn(async move {
            let deliveries = Arc::clone(&settlement.deliveries);
            let ended = job.play(cancel, Some(deliveries)).await;
            settlement.settle(ended);
        });
        Ok(())
    }

    /// The first call that the loop has to make, as a function and its argument.
    fn take(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>, Py<PyAny>)>> {
        let deliveries = match &*self.state() {
            State::Started(_, deliveries) => Arc::clone(deliveries),
            State::Waiting(_) | State::Over => return Ok(None),
        };
        let (Some(call), Some(printer)) = (deliveries.take(), &self.printer) else {
            return Ok(None);
        };
        let (callback, argument) = match call {
            Call::Text(stream, text) => (
                printer.callback(stream),
                PyString::new(py, &text).into_any().unbind(),
            ),
            Call::Event(event) => (
                printer.event_callback(),
                Bound::new(py, *event)?.into_any().unbind(),
            ),
        };
        Ok(callback.map(|callback| (callback.clone_ref(py), argument)))
    }

    /// End it, if it has not ended. Nothing is there to `take` any more.
    fn cancel(&self) {
        let state = std::mem::replace(&mut *self.state(), State::Over);
        if let State::Started(cancel, deliveries) = state {
            cancel.cancel();
            deliveries.close();
        }
    }
}

/// Has the end of a program told to the loop that awaits it, whatever the end is.
struct Settlement {
    /// The function to tell it with; none once that is done.
    settle: Option<(Py<PyAny>, Running)>,
    deliveries: Arc<Deliveries>,
}

impl Settlement {
    fn settle(mut self, ended: Ended) {
        // Once the interpreter is gone there is nobody to tell.
        Python::try_attach(|py| {
            if ended.is_cut_off() {
                self.deliveries.join();
            }
            let concluded = ended.conclude();
            self.tell(py, concluded);
        });
    }

    fn tell(&mut self, py: Python<'_>, ended: PyResult<ExecuteResult>) {
        let Some((settle, running)) = self.settle.take() else {
            return;
        };
        self.deliveries.finish();
        let told = match ended {
            Ok(result) => settle.call1(py, (result, py.None())),
            Err(error) => settle.call1(py, (py.None(), error)),
        };
        if told.is_err() {
            // The loop is closed; whoever closed it does not wait.
            self.deliveries.close();
        }
        drop(told);
        drop(settle);
        running.end(py);
    }
}

/// What is dropped before it has told has panicked.
impl Drop for Settlement {
    fn drop(&mut self) {
        if self.settle.is_some() {
            Python::try_attach(|py| {
                let error = PyRuntimeError::new_err(
                    "the execution ended by a fault of eryx's own: what it says about it is on standard error",
                );
                self.tell(py, Err(error));
            });
        }
    }
}
