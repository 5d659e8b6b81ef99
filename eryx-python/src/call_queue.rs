//! The queue of callback calls that an event loop has to make for one execution.

use std::collections::VecDeque;
use std::mem;
use std::task::{Context, Poll, Waker};

use eryx::CancelHandle;
use eryx_sync::{Mutex, MutexGuard};
use pyo3::prelude::*;

use crate::callbacks::Stream;
use crate::event::NetworkEvent;
use crate::function_report::FunctionCall;

/// How many bytes of text may be queued before the program has to wait: enough that a program and
/// a loop of about the same speed do not wait for each other, and little beside the memory of a
/// sandbox.
const MAX_TEXT: usize = 64 << 10;

/// How many calls may be queued before the program has to wait. Consecutive text of one stream is
/// one call, so this bound is met only where both streams alternate, or by events. It also bounds
/// the calls that the end of a program waits for.
const MAX_CALLS: usize = 16;

/// A call of one of the embedder's functions.
pub(crate) enum Call {
    /// A call with text that the program printed.
    Text(Stream, String),
    /// A call with a network event.
    Event(Box<NetworkEvent>),
    /// A call with a call of a function.
    Function(Box<FunctionCall>),
}

/// Calls that one execution hands to an event loop, in order. At most one wake-up of the loop is
/// outstanding; the loop takes one call per iteration. A program that is ahead by `MAX_TEXT` or
/// `MAX_CALLS` waits.
pub(crate) struct CallQueue {
    cancel: CancelHandle,
    state: Mutex<State>,
}

struct State {
    /// Wakes the loop, from any thread. `None` once no further call is to be made.
    wake: Option<Py<PyAny>>,
    /// Whether the loop was woken and has not found the queue empty since.
    woken: bool,
    calls: VecDeque<Call>,
    /// Bytes of text in `calls`.
    text: usize,
    /// Waker of the program, while it waits for the loop.
    waker: Option<Waker>,
}

impl CallQueue {
    /// Returns an empty queue. `wake` makes the loop call [`pop`](Self::pop) until that returns
    /// `None`. If `wake` raises, as that of a closed loop does, `cancel` ends the execution.
    pub(crate) fn new(wake: Py<PyAny>, cancel: CancelHandle) -> Self {
        Self {
            cancel,
            state: Mutex::new(State {
                wake: Some(wake),
                woken: false,
                calls: VecDeque::new(),
                text: 0,
                waker: None,
            }),
        }
    }

    /// Adds text printed to `stream`, to the last call if that is for the same stream. Does not
    /// wait: [`poll_ready`](Self::poll_ready) does.
    pub(crate) fn push_text(&self, stream: Stream, text: String) {
        self.push(|state| {
            state.text += text.len();
            match state.calls.back_mut() {
                Some(Call::Text(last, queued)) if *last == stream => queued.push_str(&text),
                _ => state.calls.push_back(Call::Text(stream, text)),
            }
        });
    }

    /// Adds a network event. Does not wait, like [`push_text`](Self::push_text).
    pub(crate) fn push_event(&self, event: NetworkEvent) {
        self.push(|state| state.calls.push_back(Call::Event(Box::new(event))));
    }

    /// Adds a call of a function. Their number is limited, so that the program need not wait.
    pub(crate) fn push_function_call(&self, call: FunctionCall) {
        self.push(|state| state.calls.push_back(Call::Function(Box::new(call))));
    }

    fn push(&self, add: impl FnOnce(&mut State)) {
        let woken = {
            let mut state = self.state();
            if state.wake.is_none() {
                return;
            }
            add(&mut state);
            mem::replace(&mut state.woken, true)
        };
        if !woken {
            self.wake_loop();
        }
    }

    /// Wakes the loop. The caller must not hold the lock: this waits for the interpreter, and the
    /// loop's thread waits for the lock while it is attached to the interpreter.
    fn wake_loop(&self) {
        // Once the embedder's Python has shut down, there is no loop to wake.
        Python::try_attach(|py| {
            let wake = self.state().wake.as_ref().map(|wake| wake.clone_ref(py));
            if let Some(wake) = wake
                && wake.call0(py).is_err()
            {
                self.close();
                self.cancel.cancel();
            }
        });
    }

    /// Returns `Pending` while the queue is full, and wakes `cx` once it is not.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        let full = state.text >= MAX_TEXT || state.calls.len() >= MAX_CALLS;
        if full && state.wake.is_some() {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Removes and returns the first call. After `None` the next push wakes the loop again.
    pub(crate) fn pop(&self) -> Option<Call> {
        let (call, waker) = {
            let mut state = self.state();
            let call = state.calls.pop_front();
            match &call {
                Some(Call::Text(_, text)) => state.text -= text.len(),
                Some(Call::Event(_) | Call::Function(_)) => {}
                None => state.woken = false,
            }
            (call, state.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        call
    }

    /// Merges the queued text into one call per stream. Used when a limit or a cancellation ended
    /// the program, whose end must not be delayed by as many loop iterations as there are calls.
    pub(crate) fn merge_text(&self) {
        let mut state = self.state();
        let mut merged: Vec<Call> = Vec::new();
        for call in mem::take(&mut state.calls) {
            let Call::Text(stream, text) = call else {
                merged.push(call);
                continue;
            };
            let same_stream = merged.iter_mut().find_map(|call| match call {
                Call::Text(other, before) if *other == stream => Some(before),
                _ => None,
            });
            match same_stream {
                Some(before) => before.push_str(&text),
                None => merged.push(Call::Text(stream, text)),
            }
        }
        state.calls = merged.into();
    }

    /// Ends the queue: queued calls can still be popped, but the loop is not woken any more.
    pub(crate) fn finish(&self) {
        let wake = self.state().wake.take();
        drop(wake);
    }

    /// Drops the queued calls and rejects later ones.
    pub(crate) fn close(&self) {
        let (wake, calls, waker) = {
            let mut state = self.state();
            state.text = 0;
            (
                state.wake.take(),
                mem::take(&mut state.calls),
                state.waker.take(),
            )
        };
        drop((wake, calls));
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Locks the state. A thread that holds this lock neither waits for the interpreter nor runs
    /// Python code.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
