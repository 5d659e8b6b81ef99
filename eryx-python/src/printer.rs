//! Output and network events on their way to the embedder's functions.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use eryx::net::{Event, Observer};
use eryx::{CancelHandle, OutputSink, SandboxBuilder};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::arguments;
use crate::deliveries::Deliveries;
use crate::event::NetworkEvent;

/// The functions to call with output and with network events, if there are any.
#[derive(Default)]
pub(crate) struct Callbacks {
    stdout: Option<Py<PyAny>>,
    stderr: Option<Py<PyAny>>,
    network_event: Option<Py<PyAny>>,
}

impl Callbacks {
    /// Takes the arguments of the same names.
    pub(crate) fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = Some(value).filter(|value| !value.is_none());
        let callback = |argument| arguments::callback(name, argument, value);
        match name {
            "on_stdout" => self.stdout = callback("a str")?,
            "on_stderr" => self.stderr = callback("a str")?,
            _ => self.network_event = callback("an eryx.NetworkEvent")?,
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none() && self.network_event.is_none()
    }

    /// Shows the functions to the collector of cycles.
    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.stdout)?;
        visit.call(&self.stderr)?;
        visit.call(&self.network_event)
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        let clone = |callback: &Option<Py<PyAny>>| callback.as_ref().map(|one| one.clone_ref(py));
        Self {
            stdout: clone(&self.stdout),
            stderr: clone(&self.stderr),
            network_event: clone(&self.network_event),
        }
    }
}

/// Standard output or standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Calls the functions for one interpreter, with text, where a character that comes in two pieces is handed on
/// when it is whole, and with network events.
pub(crate) struct Printer {
    callbacks: Callbacks,
    /// The execution that is under way, or the last one.
    turn: Mutex<Arc<Turn>>,
}

/// What one execution prints and does.
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
    /// Nothing comes of a failure any more.
    over: bool,
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
        if self.callbacks.network_event.is_some() {
            builder = builder.with_network_observer(Arc::new(Watcher(Arc::clone(self))));
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
        let mut state = turn.state();
        state.over = true;
        match state.failure.take() {
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

    /// The function for network events.
    pub(crate) fn event_callback(&self) -> Option<&Py<PyAny>> {
        self.callbacks.network_event.as_ref()
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
                turn.fail(py, error);
            }
        });
    }

    fn observe(&self, turn: &Turn, event: &Event) {
        if turn.state().failure.is_some() {
            return;
        }
        let Some(callback) = self.event_callback() else {
            return;
        };
        Python::try_attach(|py| {
            let called = NetworkEvent::new(event).and_then(|event| match &turn.deliveries {
                Some(deliveries) => {
                    deliveries.observe(event);
                    Ok(())
                }
                None => callback.call1(py, (event,)).map(drop),
            });
            if let Err(error) = called {
                turn.fail(py, error);
            }
        });
    }
}

/// Hears of what happens on an interpreter's network.
struct Watcher(Arc<Printer>);

impl Observer for Watcher {
    fn event(&self, event: &Event) {
        self.0.observe(&self.0.turn(), event);
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.0.turn().deliveries {
            Some(deliveries) => deliveries.poll_ready(cx),
            None => Poll::Ready(()),
        }
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
    /// Notes that a function raised, which ends the execution; after its end there is only the hook for such.
    fn fail(&self, py: Python<'_>, error: PyErr) {
        self.cancel.cancel();
        let mut state = self.state();
        if state.over {
            drop(state);
            error.write_unraisable(py, None);
        } else {
            state.failure.get_or_insert(error);
        }
    }

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
