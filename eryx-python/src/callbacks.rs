//! The embedder's callbacks: passing on output, network events and calls of functions to them.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use eryx::net::{Event, Observer};
use eryx::{CancelHandle, OutputSink, SandboxBuilder};
use eryx_sync::{Mutex, MutexGuard};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::arguments;
use crate::call_queue::CallQueue;
use crate::event::NetworkEvent;
use crate::function_report::FunctionCall;

/// The functions that the embedder gave for output, network events and calls of functions.
#[derive(Default)]
pub(crate) struct Callbacks {
    stdout: Option<Py<PyAny>>,
    stderr: Option<Py<PyAny>>,
    network_event: Option<Py<PyAny>>,
    function_call: Option<Py<PyAny>>,
}

impl Callbacks {
    /// Sets the callback of the keyword argument `name`.
    pub(crate) fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = Some(value).filter(|value| !value.is_none());
        let callback = |argument| arguments::callback(name, argument, value);
        match name {
            "on_stdout" => self.stdout = callback("a str")?,
            "on_stderr" => self.stderr = callback("a str")?,
            "on_function_call" => self.function_call = callback("an eryx.FunctionCall")?,
            _ => self.network_event = callback("an eryx.NetworkEvent")?,
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stdout.is_none()
            && self.stderr.is_none()
            && self.network_event.is_none()
            && self.function_call.is_none()
    }

    /// Visits the functions for the garbage collector.
    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.stdout)?;
        visit.call(&self.stderr)?;
        visit.call(&self.network_event)?;
        visit.call(&self.function_call)
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        let clone =
            |callback: &Option<Py<PyAny>>| callback.as_ref().map(|function| function.clone_ref(py));
        Self {
            stdout: clone(&self.stdout),
            stderr: clone(&self.stderr),
            network_event: clone(&self.network_event),
            function_call: clone(&self.function_call),
        }
    }
}

/// Standard output or standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Calls the callbacks for the programs of one execution or session. A character whose bytes arrive
/// in two writes is passed on when it is complete.
pub(crate) struct CallbackDispatcher {
    callbacks: Callbacks,
    /// The current execution, or the last one.
    current: Mutex<Arc<ExecutionCallbacks>>,
    /// Whether no callback is called any more.
    is_silent: AtomicBool,
}

/// The callback state of one execution.
#[derive(Default)]
pub(crate) struct ExecutionCallbacks {
    cancel: CancelHandle,
    /// The queue for an event loop. `None`: callbacks are called on the thread that runs the
    /// program.
    queue: Option<Arc<CallQueue>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The first bytes of an incomplete character on standard output.
    stdout: Vec<u8>,
    /// The same for standard error.
    stderr: Vec<u8>,
    /// The first exception that a callback raised.
    exception: Option<PyErr>,
    /// Whether the execution is over, so that a later exception can no longer be its outcome.
    finished: bool,
}

impl CallbackDispatcher {
    pub(crate) fn new(callbacks: Callbacks) -> Arc<Self> {
        Arc::new(Self {
            callbacks,
            current: Mutex::default(),
            is_silent: AtomicBool::new(false),
        })
    }

    /// Calls no callback from now on.
    pub(crate) fn silence(&self) {
        self.is_silent.store(true, Ordering::Relaxed);
    }

    /// Returns `callback`, unless none is called any more.
    fn audible<'a>(&self, callback: Option<&'a Py<PyAny>>) -> Option<&'a Py<PyAny>> {
        callback.filter(|_| !self.is_silent.load(Ordering::Relaxed))
    }

    pub(crate) fn callbacks(&self) -> &Callbacks {
        &self.callbacks
    }

    /// Returns `builder` with its output and events sent to this dispatcher.
    pub(crate) fn attach(self: &Arc<Self>, mut builder: SandboxBuilder) -> SandboxBuilder {
        let sink = |stream| {
            let dispatcher = Arc::clone(self);
            Arc::new(StreamSink { dispatcher, stream })
        };
        if self.callbacks.stdout.is_some() {
            builder = builder.with_stdout(sink(Stream::Stdout));
        }
        if self.callbacks.stderr.is_some() {
            builder = builder.with_stderr(sink(Stream::Stderr));
        }
        if self.callbacks.network_event.is_some() {
            builder = builder.with_network_observer(Arc::new(EventObserver(Arc::clone(self))));
        }
        if self.callbacks.function_call.is_some() {
            let dispatcher = Arc::clone(self);
            builder = builder.on_function_call(move |call| {
                dispatcher.deliver_function_call(&dispatcher.current(), call);
            });
        }
        builder
    }

    /// Starts an execution. An exception of a callback ends it through `cancel`.
    pub(crate) fn start(
        &self,
        cancel: CancelHandle,
        queue: Option<Arc<CallQueue>>,
    ) -> Arc<ExecutionCallbacks> {
        let execution = Arc::new(ExecutionCallbacks {
            cancel,
            queue,
            state: Mutex::default(),
        });
        let mut current = self.current.lock();
        *current = Arc::clone(&execution);
        execution
    }

    fn current(&self) -> Arc<ExecutionCallbacks> {
        Arc::clone(&self.current.lock())
    }

    /// Passes on incomplete characters and ends `execution`.
    ///
    /// # Errors
    ///
    /// The first exception that one of the callbacks raised.
    pub(crate) fn finish(&self, execution: &ExecutionCallbacks) -> PyResult<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = mem::take(execution.state().incomplete(stream));
            if !rest.is_empty() {
                let text = String::from_utf8_lossy(&rest).into_owned();
                self.deliver_text(execution, stream, text);
            }
        }
        let mut state = execution.state();
        state.finished = true;
        match state.exception.take() {
            Some(exception) => Err(exception),
            None => Ok(()),
        }
    }

    pub(crate) fn callback(&self, stream: Stream) -> Option<&Py<PyAny>> {
        self.audible(match stream {
            Stream::Stdout => self.callbacks.stdout.as_ref(),
            Stream::Stderr => self.callbacks.stderr.as_ref(),
        })
    }

    pub(crate) fn event_callback(&self) -> Option<&Py<PyAny>> {
        self.audible(self.callbacks.network_event.as_ref())
    }

    pub(crate) fn function_call_callback(&self) -> Option<&Py<PyAny>> {
        self.audible(self.callbacks.function_call.as_ref())
    }

    fn deliver_function_call(&self, execution: &ExecutionCallbacks, call: &eryx::FunctionCall) {
        if execution.state().exception.is_some() {
            return;
        }
        let call = FunctionCall::from(call.clone());
        if let Some(queue) = &execution.queue {
            queue.push_function_call(call);
            return;
        }
        let Some(callback) = self.function_call_callback() else {
            return;
        };
        Python::try_attach(|py| {
            if let Err(exception) = callback.call1(py, (call,)) {
                execution.record_exception(py, exception);
            }
        });
    }

    fn deliver_text(&self, execution: &ExecutionCallbacks, stream: Stream, text: String) {
        if let Some(queue) = &execution.queue {
            queue.push_text(stream, text);
            return;
        }
        let Some(callback) = self.callback(stream) else {
            return;
        };
        // Once the embedder's Python has shut down, there is no callback to call.
        Python::try_attach(|py| {
            if let Err(exception) = callback.call1(py, (text,)) {
                execution.record_exception(py, exception);
            }
        });
    }

    fn deliver_event(&self, execution: &ExecutionCallbacks, event: &Event) {
        if execution.state().exception.is_some() {
            return;
        }
        let Some(callback) = self.event_callback() else {
            return;
        };
        Python::try_attach(|py| {
            let called = NetworkEvent::new(event).and_then(|event| match &execution.queue {
                Some(queue) => {
                    queue.push_event(event);
                    Ok(())
                }
                None => callback.call1(py, (event,)).map(drop),
            });
            if let Err(exception) = called {
                execution.record_exception(py, exception);
            }
        });
    }
}

/// Passes the network events of an interpreter to its dispatcher.
struct EventObserver(Arc<CallbackDispatcher>);

impl Observer for EventObserver {
    fn event(&self, event: &Event) {
        self.0.deliver_event(&self.0.current(), event);
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.current().poll_ready(cx)
    }
}

/// Passes one output stream of an interpreter to its dispatcher.
struct StreamSink {
    dispatcher: Arc<CallbackDispatcher>,
    stream: Stream,
}

impl OutputSink for StreamSink {
    fn write(&self, bytes: &[u8]) {
        let execution = self.dispatcher.current();
        let text = {
            let mut state = execution.state();
            if state.exception.is_some() {
                return;
            }
            decode(state.incomplete(self.stream), bytes)
        };
        if !text.is_empty() {
            self.dispatcher.deliver_text(&execution, self.stream, text);
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.dispatcher.current().poll_ready(cx)
    }
}

impl ExecutionCallbacks {
    /// Waits until the event loop, if there is one, has taken enough queued calls.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.queue {
            Some(queue) => queue.poll_ready(cx),
            None => Poll::Ready(()),
        }
    }

    /// Records the exception of a callback and cancels the execution. Once the execution is
    /// finished, the exception goes to `sys.unraisablehook`.
    fn record_exception(&self, py: Python<'_>, exception: PyErr) {
        self.cancel.cancel();
        let mut state = self.state();
        if state.finished {
            drop(state);
            exception.write_unraisable(py, None);
        } else {
            state.exception.get_or_insert(exception);
        }
    }

    /// Locks the state. A thread that holds this lock does not wait for the interpreter.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn incomplete(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

/// Decodes `incomplete` followed by `bytes`. The first bytes of a character that is not complete
/// at the end stay in `incomplete`.
fn decode(incomplete: &mut Vec<u8>, bytes: &[u8]) -> String {
    incomplete.extend_from_slice(bytes);
    let mut text = String::with_capacity(incomplete.len());
    let mut decoded = 0;
    for chunk in incomplete.utf8_chunks() {
        text.push_str(chunk.valid());
        decoded += chunk.valid().len();
        let invalid = chunk.invalid();
        if invalid.is_empty() {
            break;
        }
        if decoded + invalid.len() == incomplete.len() && is_incomplete(invalid) {
            break;
        }
        text.push(char::REPLACEMENT_CHARACTER);
        decoded += invalid.len();
    }
    incomplete.drain(..decoded);
    text
}

/// Whether `bytes` could be a character once more bytes follow.
fn is_incomplete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
