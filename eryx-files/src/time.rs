//! Times of files.

use std::fmt;
use std::sync::Arc;

/// A point in time, since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    seconds: u64,
    nanoseconds: u32,
}

impl Timestamp {
    /// Returns the time that is `seconds` and `nanoseconds` after the start of 1970, or `None` if
    /// the nanoseconds are a second or more.
    pub const fn new(seconds: u64, nanoseconds: u32) -> Option<Self> {
        if nanoseconds < 1_000_000_000 {
            Some(Self {
                seconds,
                nanoseconds,
            })
        } else {
            None
        }
    }

    /// Returns the time that is `seconds` after the start of 1970.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self {
            seconds,
            nanoseconds: 0,
        }
    }

    /// Returns the whole seconds since the start of 1970.
    pub const fn seconds(self) -> u64 {
        self.seconds
    }

    /// Returns the nanoseconds since the start of the second.
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}

/// A change of one time of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewTime {
    /// Keeps the time.
    Keep,
    /// Sets it to the present time.
    Now,
    /// Sets it to this time.
    At(Timestamp),
}

impl NewTime {
    pub(crate) fn resolve(self, old: Timestamp, now: Timestamp) -> Timestamp {
        match self {
            Self::Keep => old,
            Self::Now => now,
            Self::At(time) => time,
        }
    }
}

/// The clock that a file system takes its times from.
#[derive(Clone)]
pub(crate) struct Clock(pub(crate) Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The times of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) accessed: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) changed: Timestamp,
}

impl Times {
    pub(crate) fn all(time: Timestamp) -> Self {
        Self {
            accessed: time,
            modified: time,
            changed: time,
        }
    }

    /// Records a change of the content.
    pub(crate) fn modify(&mut self, now: Timestamp) {
        self.modified = now;
        self.changed = now;
    }
}
