//! The time slice: how long an execution may run before it yields to the async runtime.
//!
//! A slice begins when the runtime polls the execution. The image calls `yield-now` a few thousand
//! times a second while it computes, and after every call of a host function; once the slice is
//! used up, that call yields to the runtime, which serves deadlines, cancellation and other tasks.
//! The guest's computation and the host's work for it count alike. A call of a host function cannot
//! be divided, so each bounds its own work to a few milliseconds.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::test_watchdog::Watchdog;

/// The length of a slice: the granularity of timeouts and cancellation.
const SLICE: Duration = Duration::from_millis(5);

/// The current time slice of an execution. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct TimeSlice {
    clock: Arc<Clock>,
}

#[derive(Debug)]
struct Clock {
    origin: Instant,
    /// When the slice began, in nanoseconds after `origin`.
    began: AtomicU64,
    watchdog: Watchdog,
}

impl TimeSlice {
    /// Returns a slice that begins now.
    pub(crate) fn new() -> Self {
        Self {
            clock: Arc::new(Clock {
                origin: Instant::now(),
                began: AtomicU64::new(0),
                watchdog: Watchdog::default(),
            }),
        }
    }

    /// Returns a slice that is over, until it runs something.
    #[cfg(test)]
    pub(crate) fn elapsed() -> Self {
        let slice = Self::new();
        std::thread::sleep(SLICE);
        slice
    }

    /// Returns the watchdog of the execution.
    pub(crate) fn watchdog(&self) -> &Watchdog {
        &self.clock.watchdog
    }

    /// Runs `work`, and begins a slice whenever `work` is polled.
    pub(crate) async fn run<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.begin();
            self.watchdog().watch(|| work.as_mut().poll(cx))
        })
        .await
    }

    /// Returns whether the slice is used up.
    pub(crate) fn is_over(&self) -> bool {
        let began = Duration::from_nanos(self.clock.began.load(Ordering::Relaxed));
        self.clock.origin.elapsed() >= began + SLICE
    }

    fn begin(&self) {
        // 64 bits of nanoseconds last for 584 years.
        let now = self.clock.origin.elapsed().as_nanos() as u64;
        self.clock.began.store(now, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_slice_is_over_after_its_length_and_begins_anew_with_each_poll() {
        let slice = TimeSlice::new();
        let clone = slice.clone();
        let mut began = Vec::new();
        let mut work = pin!(slice.run(poll_fn(|_| {
            began.push(clone.clock.began.load(Ordering::Relaxed));
            std::thread::sleep(SLICE);
            assert!(clone.is_over());
            if began.len() == 2 {
                Poll::Ready(began[1] - began[0])
            } else {
                Poll::Pending
            }
        })));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(work.as_mut().poll(&mut cx).is_pending());
        let Poll::Ready(apart) = work.as_mut().poll(&mut cx) else {
            panic!("it is done");
        };
        assert!(u128::from(apart) >= SLICE.as_nanos(), "{apart} ns");
    }
}
