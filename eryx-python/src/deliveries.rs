//! Calls of the embedder's functions that wait for an event loop to make them.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use eryx::CancelHandle;
use pyo3::prelude::*;

use crate::event::NetworkEvent;
use crate::printer::Stream;

/// How much text may wait before the program does, in bytes: enough that a program and a loop that are about as fast do
/// not wait for each other, and little beside what a sandbox takes.
const MAX_TEXT: usize = 64 << 10;

/// How many calls may wait before the program does: what is printed to one stream is one call, so this many are left
/// only where both streams take turns. It is also how many the end of the program waits for.
const MAX_CALLS: usize = 16;

/// A call of one of the embedder's functions.
pub(crate) enum Call {
    /// With text that was printed.
    Text(Stream, String),
    /// With something that happened on the network.
    Event(Box<NetworkEvent>),
}

/// The calls that one execution waits for an event loop to make, in order. The loop is asked to come at most once at a
/// time, and takes one call a turn; a program that is further ahead than the constants say waits.
pub(crate) struct Deliveries {
    cancel: CancelHandle,
    state: Mutex<State>,
}

struct State {
    /// Asks the loop to come, from any thread; none once nothing is to be delivered any more.
    wake: Option<Py<PyAny>>,
    /// Whether the loop has been asked, and has not yet found nothing to do.
    asked: bool,
    calls: VecDeque<Call>,
    /// The bytes of text in `calls`.
    text: usize,
    /// The program's, while it waits.
    waker: Option<Waker>,
}

impl Deliveries {
    /// None so far. `wake` is called to have [`take`](Self::take) called on the loop until it returns `None`; when it
    /// raises, as that of a closed loop does, the execution is ended through `cancel`.
    pub(crate) fn new(wake: Py<PyAny>, cancel: CancelHandle) -> Self {
        Self {
            cancel,
            state: Mutex::new(State {
                wake: Some(wake),
                asked: false,
                calls: VecDeque::new(),
                text: 0,
                waker: None,
            }),
        }
    }

    /// Adds text that was printed to `stream`, to the last call if that is of the same stream. Does not wait:
    /// [`poll_ready`](Self::poll_ready) does.
    pub(crate) fn print(&self, stream: Stream, text: String) {
        let asked = {
            let mut state = self.state();
            if state.wake.is_none() {
                return;
            }
            state.text += text.len();
            match state.calls.back_mut() {
                Some(Call::Text(last, waiting)) if *last == stream => waiting.push_str(&text),
                _ => state.calls.push_back(Call::Text(stream, text)),
            }
            mem::replace(&mut state.asked, true)
        };
        if !asked {
            self.ask();
        }
    }

    /// Adds a network event. Does not wait, as above.
    pub(crate) fn observe(&self, event: NetworkEvent) {
        let asked = {
            let mut state = self.state();
            if state.wake.is_none() {
                return;
            }
            state.calls.push_back(Call::Event(Box::new(event)));
            mem::replace(&mut state.asked, true)
        };
        if !asked {
            self.ask();
        }
    }

    /// The lock is not held here: this waits for the interpreter, and the loop's thread, which has it, for the lock.
    fn ask(&self) {
        // Nobody is left to be told once the interpreter is gone.
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

    /// Returns `Pending` while as much waits as may, and has `cx` woken once it does not.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        let full = state.text >= MAX_TEXT || state.calls.len() >= MAX_CALLS;
        if full && state.wake.is_some() {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// The first of the calls, for the loop to make. When there is none the next one has the loop asked to come again.
    pub(crate) fn take(&self) -> Option<Call> {
        let (call, waker) = {
            let mut state = self.state();
            let call = state.calls.pop_front();
            match &call {
                Some(Call::Text(_, text)) => state.text -= text.len(),
                Some(Call::Event(_)) => {}
                None => state.asked = false,
            }
            (call, state.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        call
    }

    /// Makes what waits one call a stream: for the end of a program that was cut off, which is not to take as long as
    /// the loop needs for all of it.
    pub(crate) fn join(&self) {
        let mut state = self.state();
        let mut joined: Vec<Call> = Vec::new();
        for call in mem::take(&mut state.calls) {
            let Call::Text(stream, text) = call else {
                joined.push(call);
                continue;
            };
            let same = joined.iter_mut().find_map(|call| match call {
                Call::Text(other, before) if *other == stream => Some(before),
                _ => None,
            });
            match same {
                Some(before) => before.push_str(&text),
                None => joined.push(Call::Text(stream, text)),
            }
        }
        state.calls = joined.into();
    }

    /// Nothing more comes: what waits can still be taken, but the loop is not asked to.
    pub(crate) fn finish(&self) {
        let wake = self.state().wake.take();
        drop(wake);
    }

    /// Drops what waits and what comes: nobody takes it any more.
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

    /// Whoever holds it neither waits for the interpreter nor runs code of Python's.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
