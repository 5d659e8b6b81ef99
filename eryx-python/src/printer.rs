//! Output on its way to the embedder's functions.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eryx::{CancelHandle, SandboxBuilder};
use pyo3::prelude::*;

use crate::arguments;

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

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        let clone = |callback: &Option<Py<PyAny>>| callback.as_ref().map(|one| one.clone_ref(py));
        Self {
            stdout: clone(&self.stdout),
            stderr: clone(&self.stderr),
        }
    }
}

/// Calls the functions for one interpreter, with text: a character that comes in two pieces is handed on
/// when it is whole.
pub(crate) struct Printer {
    callbacks: Callbacks,
    turn: Mutex<Turn>,
}

/// The state of one execution.
#[derive(Default)]
struct Turn {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Hands a function and its argument to another thread, an event loop's. Without it they are called here.
    post: Option<Py<PyAny>>,
    cancel: CancelHandle,
    failure: Option<PyErr>,
}

#[derive(Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

impl Printer {
    /// A printer for `callbacks`.
    pub(crate) fn new(callbacks: Callbacks) -> Arc<Self> {
        Arc::new(Self {
            callbacks,
            turn: Mutex::default(),
        })
    }

    /// `builder` with its output sent here.
    pub(crate) fn attach(self: &Arc<Self>, mut builder: SandboxBuilder) -> SandboxBuilder {
        if self.callbacks.stdout.is_some() {
            let own = Arc::clone(self);
            builder = builder.on_stdout(move |bytes| own.print(Stream::Stdout, bytes));
        }
        if self.callbacks.stderr.is_some() {
            let own = Arc::clone(self);
            builder = builder.on_stderr(move |bytes| own.print(Stream::Stderr, bytes));
        }
        builder
    }

    /// Starts an execution, which a function that raises ends through `cancel`.
    pub(crate) fn begin(&self, cancel: CancelHandle, post: Option<Py<PyAny>>) {
        *self.turn() = Turn {
            post,
            cancel,
            ..Turn::default()
        };
    }

    /// Hands on what is left, and fails if one of the functions raised.
    pub(crate) fn end(&self, py: Python<'_>) -> PyResult<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = mem::take(self.turn().pending(stream));
            if !rest.is_empty() {
                self.call(py, stream, &String::from_utf8_lossy(&rest));
            }
        }
        match mem::take(&mut *self.turn()).failure {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn print(&self, stream: Stream, bytes: &[u8]) {
        let text = {
            let mut turn = self.turn();
            if turn.failure.is_some() {
                return;
            }
            decode(turn.pending(stream), bytes)
        };
        if !text.is_empty() {
            // Nobody is left to be told once the interpreter is gone.
            Python::try_attach(|py| self.call(py, stream, &text));
        }
    }

    fn call(&self, py: Python<'_>, stream: Stream, text: &str) {
        let callback = match stream {
            Stream::Stdout => &self.callbacks.stdout,
            Stream::Stderr => &self.callbacks.stderr,
        };
        let Some(callback) = callback else { return };
        let post = self.turn().post.as_ref().map(|post| post.clone_ref(py));
        let called = match post {
            Some(post) => post.call1(py, (callback, text)),
            None => callback.call1(py, (text,)),
        };
        if let Err(error) = called {
            let mut turn = self.turn();
            turn.cancel.cancel();
            turn.failure.get_or_insert(error);
        }
    }

    /// Nobody waits for the interpreter while holding this lock.
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
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
