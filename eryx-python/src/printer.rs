//! Output on its way to the embedder's functions.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use eryx::{CancelHandle, OutputSink, SandboxBuilder};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::arguments;
use crate::deliveries::Deliveries;

/// The functions to call with output, if there are any.
#[derive(Default)]
pub(crate) struct Callbacks {
    stdout: Option<Py<PyAny>>,
    stderr: Option<Py<PyAny>>,
}

impl Callbacks {
    /// Takes the arguments of the same names.
    pub(crate) fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = Some(value).filter(|value| !value.is_none());
        let callback = arguments::callback(name, value)?;
        match name {
            "on_stdout" => self.stdout = callback,
            _ => self.stderr = callback,
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    /// Shows the functions to the collector of cycles.
    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.stdout)?;
        visit.call(&self.stderr)
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        let clone = |callback: &Option<Py<PyAny>>| callback.as_ref().map(|one| one.clone_ref(py));
        Self {
            stdout: clone(&self.stdout),
            stderr: clone(&self.stderr),
        }
    }
}

/// Standard output or standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Calls the functions for one interpreter, with text: a character that comes in two pieces is handed on
/// when it is whole.
pub(crate) struct Printer {
    callbacks: Callbacks,
    /// The execution that is under way, or the last one.
    turn: Mutex<Arc<Turn>>,
}

/// What one execution prints.
#[derive(Default)]
pub(crate) struct Turn {
    cancel: CancelHandle,
    /// Calls the functions on an event loop. Without it they are called where the program runs.
    deliveries: Option<Arc<Deliveries>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The beginning of a character.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    failure: Option<PyErr>,
}

impl Printer {
    /// A printer for `callbacks`.
    pub(crate) fn new(callbacks: Callbacks) -> Arc<Self> {
        Arc::new(Self {
            callbacks,
            turn: Mutex::default(),
        })
    }

    /// The functions it calls.
    pub(crate) fn callbacks(&self) -> &Callbacks {
        &self.callbacks
    }

    /// `builder` with its output sent here.
    pub(crate) fn attach(self: &Arc<Self>, mut builder: SandboxBuilder) -> SandboxBuilder {
        let sink = |stream| {
            let printer = Arc::clone(self);
            Arc::new(Sink { printer, stream })
        };
        if self.callbacks.stdout.is_some() {
            builder = builder.with_stdout(sink(Stream::Stdout));
        }
        if self.callbacks.stderr.is_some() {
            builder = builder.with_stderr(sink(Stream::Stderr));
        }
        builder
    }

    /// Starts an execution, which a function that raises ends through `cancel`.
    pub(crate) fn begin(
        &self,
        cancel: CancelHandle,
        deliveries: Option<Arc<Deliveries>>,
    ) -> Arc<Turn> {
        let turn = Arc::new(Turn {
            cancel,
            deliveries,
            state: Mutex::default(),
        });
        let mut current = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::clone(&turn);
        turn
    }

    fn turn(&self) -> Arc<Turn> {
        Arc::clone(&self.turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands on what is left of `turn`, and fails if one of the functions raised.
    pub(crate) fn end(&self, turn: &Turn) -> PyResult<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = mem::take(turn.state().pending(stream));
            if !rest.is_empty() {
                self.hand_on(turn, stream, String::from_utf8_lossy(&rest).into_owned());
            }
        }
        match turn.state().failure.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The function for `stream`.
    pub(crate) fn callback(&self, stream: Stream) -> Option<&Py<PyAny>> {
        match stream {
            Stream::Stdout => self.callbacks.stdout.as_ref(),
            Stream::Stderr => self.callbacks.stderr.as_ref(),
        }
    }

    fn hand_on(&self, turn: &Turn, stream: Stream, text: String) {
        if let Some(deliveries) = &turn.deliveries {
            deliveries.print(stream, text);
            return;
        }
        let Some(callback) = self.callback(stream) else {
            return;
        };
        // Nobody is left to be told once the interpreter is gone.
        Python::try_attach(|py| {
            if let Err(error) = callback.call1(py, (text,)) {
                turn.cancel.cancel();
                turn.state().failure.get_or_insert(error);
            }
        });
    }
}

/// One stream of an interpreter.
struct Sink {
    printer: Arc<Printer>,
    stream: Stream,
}

impl OutputSink for Sink {
    fn write(&self, bytes: &[u8]) {
        let turn = self.printer.turn();
        let text = {
            let mut state = turn.state();
            if state.failure.is_some() {
                return;
            }
            decode(state.pending(self.stream), bytes)
        };
        if !text.is_empty() {
            self.printer.hand_on(&turn, self.stream, text);
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.printer.turn().deliveries {
            Some(deliveries) => deliveries.poll_ready(cx),
            None => Poll::Ready(()),
        }
    }
}

impl Turn {
    /// Nobody waits for the interpreter while holding this lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pending(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

/// The text of `pending` and `bytes`; the beginning of a character at their end becomes `pending`.
fn decode(pending: &mut Vec<u8>, bytes: &[u8]) -> String {
    pending.extend_from_slice(bytes);
    let mut text = String::with_capacity(pending.len());
    let mut rest = 0;
    for chunk in pending.utf8_chunks() {
        text.push_str(chunk.valid());
        rest += chunk.valid().len();
        let invalid = chunk.invalid();
        if invalid.is_empty() {
            break;
        }
        if rest + invalid.len() == pending.len() && is_beginning(invalid) {
            break;
        }
        text.push(char::REPLACEMENT_CHARACTER);
        rest += invalid.len();
    }
    pending.drain(..rest);
    text
}

/// Whether more bytes could make a character of it.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
