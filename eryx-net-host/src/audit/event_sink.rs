//! The sink of a network's events, which samples repeated events so that a guest program cannot
//! flood the log with operations that cost it nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use eryx_sync::Mutex;
use tracing::Level;

use crate::audit::cause::Cause;
use crate::audit::cause_map::CauseMap;
use crate::audit::event::{Event, EventKind, Observer};
use crate::audit::report_builder::{MAX_FINISHED, MAX_REJECTED};

/// The observer and the byte counters that all entries of a network share.
#[derive(Default)]
pub(crate) struct EventSink {
    observer: Option<Arc<dyn Observer>>,
    /// The execution that events belong to.
    execution: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    counts: Mutex<EventCounts>,
}

/// A class of events, by how many of them a guest program can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum EventClass {
    /// Events of an established connection. All are emitted; `connects_per_second` bounds them.
    Connection,
    /// Events that cost the guest program no more than a call: lookups that need no name server,
    /// and UDP destinations.
    Cheap,
    /// Denials and failures, which cost no more than a call and have no effect.
    Rejected,
}

/// The number of events of each kind, and of each kind and cause.
#[derive(Default)]
struct EventCounts {
    kinds: CauseMap<(EventClass, &'static str), u64>,
    causes: CauseMap<(EventClass, &'static str), u64>,
}

/// The decision about one event.
enum Sampling {
    /// Emit it: it is one of the first.
    Emit,
    /// Emit it with this count: it is the 2^k-th event of its cause.
    EmitSample(u64),
    /// Drop it.
    Drop,
}

impl EventSink {
    pub(super) fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self {
            observer,
            ..Self::default()
        }
    }

    pub(super) fn begin_execution(&self, execution: u64) {
        self.execution.store(execution, Ordering::Relaxed);
        *self.counts.lock() = EventCounts::default();
    }

    /// Returns whether the observer or the logger receives events of this level.
    pub(super) fn is_enabled(&self, level: Level) -> bool {
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

    /// Emits an event, unless there were too many like it.
    pub(super) fn emit(&self, class: EventClass, level: Level, mut event: Event) {
        event.execution = self.execution.load(Ordering::Relaxed);
        match self.sample(class, &event.kind) {
            Sampling::Emit => {}
            Sampling::EmitSample(count) => event.count = Some(count),
            Sampling::Drop => return,
        }
        match level {
            Level::INFO => tracing::info!(target: "eryx::net", "{event}"),
            _ => tracing::debug!(target: "eryx::net", "{event}"),
        }
        if let Some(observer) = &self.observer {
            observer.event(&event);
        }
    }

    fn sample(&self, class: EventClass, kind: &EventKind) -> Sampling {
        let all_up_to = match class {
            EventClass::Connection => return Sampling::Emit,
            EventClass::Cheap => MAX_FINISHED,
            EventClass::Rejected => MAX_REJECTED,
        };
        let key = (class, kind.as_str());
        let mut counts = self.counts.lock();
        let of_cause = counts.causes.entry(key, Cause::of_event(kind), || 0);
        *of_cause += 1;
        let of_cause = *of_cause;
        let of_kind = counts.kinds.entry(key, Cause::without_rule(""), || 0);
        *of_kind += 1;
        if *of_kind <= all_up_to as u64 {
            Sampling::Emit
        } else if of_cause.is_power_of_two() {
            Sampling::EmitSample(of_cause)
        } else {
            Sampling::Drop
        }
    }
}
