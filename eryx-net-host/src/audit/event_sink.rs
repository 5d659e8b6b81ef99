//! Which events are handed on, so that a program cannot fill a log with what costs it nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tracing::Level;

use super::cause::Cause;
use super::counts::Counts;
use super::listing::{MAX_REFUSED, MAX_UNREFUSED};
use crate::{Event, EventKind, Observer};

/// What every entry of a network adds to, and who hears of its events.
#[derive(Default)]
pub(crate) struct Totals {
    observer: Option<Arc<dyn Observer>>,
    /// The execution that events belong to.
    execution: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    repeated: Mutex<Repeated>,
}

/// How many events a program can cause with what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Price {
    /// A connection of its own: each is handed on. `connects_per_second` bounds them.
    Connection,
    /// Nothing but a call: lookups that need no name server, and destinations of datagrams.
    Free,
    /// Nothing, and nothing came of it: what is refused, or fails.
    Refused,
}

/// How many events of each kind there have been, and of each kind and cause.
#[derive(Default)]
struct Repeated {
    kinds: Counts<(Price, &'static str), u64>,
    causes: Counts<(Price, &'static str), u64>,
}

impl Totals {
    pub(super) fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self {
            observer,
            ..Self::default()
        }
    }

    pub(super) fn begin(&self, execution: u64) {
        self.execution.store(execution, Ordering::Relaxed);
        *self.repeated.lock().unwrap_or_else(PoisonError::into_inner) = Repeated::default();
    }

    /// Whether anything hears of events of this level.
    pub(super) fn is_heard(&self, level: Level) -> bool {
        self.observer.is_some()
            || match level {
                Level::INFO => tracing::enabled!(target: "eryx::net", Level::INFO),
                _ => tracing::enabled!(target: "eryx::net", Level::DEBUG),
            }
    }

    /// Returns `Pending` while the observer can take no more events.
    pub(super) fn poll_observer(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.observer {
            Some(observer) => observer.poll_ready(cx),
            None => Poll::Ready(()),
        }
    }

    /// Hands an event on, unless there are too many like it.
    pub(super) fn announce(&self, price: Price, level: Level, mut event: Event) {
        event.execution = self.execution.load(Ordering::Relaxed);
        match self.place(price, &event.kind) {
            Place::Each => {}
            Place::Sample(count) => event.count = Some(count),
            Place::Withheld => return,
        }
        match level {
            Level::INFO => tracing::info!(target: "eryx::net", "{event}"),
            _ => tracing::debug!(target: "eryx::net", "{event}"),
        }
        if let Some(observer) = &self.observer {
            observer.event(&event);
        }
    }

    fn place(&self, price: Price, kind: &EventKind) -> Place {
        let most = match price {
            Price::Connection => return Place::Each,
            Price::Free => MAX_UNREFUSED,
            Price::Refused => MAX_REFUSED,
        };
        let name = (price, kind.name());
        let cause = Cause::of_event(kind);
        let mut repeated = self.repeated.lock().unwrap_or_else(PoisonError::into_inner);
        let of_cause = repeated.causes.entry(name, cause, || 0);
        *of_cause += 1;
        let of_cause = *of_cause;
        let of_kind = repeated.kinds.entry(name, Cause::word(""), || 0);
        *of_kind += 1;
        if *of_kind <= most as u64 {
            Place::Each
        } else if of_cause.is_power_of_two() {
            Place::Sample(of_cause)
        } else {
            Place::Withheld
        }
    }
}

/// An event's place among those like it.
enum Place {
    /// One of the first.
    Each,
    /// One of many: the 2^k-th of its cause.
    Sample(u64),
    /// One of many, and not the 2^k-th.
    Withheld,
}
