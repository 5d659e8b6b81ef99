//! The monotonic clock of a session, which a fork of the session continues.

use std::time::{Duration, Instant};

use wasmtime_wasi::HostMonotonicClock;

/// A monotonic clock: the time since the session began. The time between a snapshot and its
/// restoration does not count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionClock {
    started: Instant,
    /// The reading at `started`.
    offset: Duration,
}

impl SessionClock {
    /// Returns a clock that now reads `offset`.
    pub(crate) fn starting_at(offset: Duration) -> Self {
        Self {
            started: Instant::now(),
            offset,
        }
    }

    /// Returns the reading.
    pub(crate) fn reading(&self) -> Duration {
        self.offset.saturating_add(self.started.elapsed())
    }
}

impl HostMonotonicClock for SessionClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        // 64 bits of nanoseconds last for 584 years.
        u64::try_from(self.reading().as_nanos()).unwrap_or(u64::MAX)
    }
}
