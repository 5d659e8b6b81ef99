//! The one rule for time: a guest, and what the host does for it, has the processor for a slice, and then yields.
//!
//! A slice begins when the async runtime polls the execution. The image looks at the clock ("pause") a few thousand times a
//! second while it computes, and after every call of a host function; once the slice is used up, the look yields to the
//! runtime, which sees to deadlines, cancellation and other tasks. What the guest computes, what the host does for it and
//! how often it calls counts alike. Only one call of a host function is not divided: each bounds its own work, to a few
//! milliseconds.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::bindings::SandboxImports;
use crate::store_state::Host;
use crate::watchdog::Watchdog;

/// The slice: the grain of timeouts and cancellation.
const SLICE: Duration = Duration::from_millis(5);

/// Since when an execution has had the processor. Clones tell the same.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    clock: Arc<Clock>,
}

#[derive(Debug)]
struct Clock {
    origin: Instant,
    /// In nanoseconds after `origin`.
    begun: AtomicU64,
    watchdog: Watchdog,
}

impl Turn {
    /// A turn that begins now.
    pub(crate) fn new() -> Self {
        Self {
            clock: Arc::new(Clock {
                origin: Instant::now(),
                begun: AtomicU64::new(0),
                watchdog: Watchdog::default(),
            }),
        }
    }

    /// Notes that the guest calls a function of `interface`.
    pub(crate) fn calls(&self, interface: &'static str) {
        self.clock.watchdog.calls(interface);
    }

    /// Does what is not polled, watched.
    #[cfg(feature = "watchdog")]
    pub(crate) fn watch(&self, work: impl FnOnce()) {
        self.clock.watchdog.watch(work);
    }

    /// Runs `work`, and begins a turn whenever it is polled.
    pub(crate) async fn divide<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            self.begin();
            self.clock.watchdog.watch(|| work.as_mut().poll(cx))
        })
        .await
    }

    fn begin(&self) {
        // It fits for 584 years.
        let now = self.clock.origin.elapsed().as_nanos() as u64;
        self.clock.begun.store(now, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        let begun = Duration::from_nanos(self.clock.begun.load(Ordering::Relaxed));
        self.clock.origin.elapsed() >= begun + SLICE
    }
}

impl SandboxImports for Host {
    /// The image calls this by itself: see `xtask/src/rewrite/pauses.rs`.
    async fn yield_now(&mut self) -> wasmtime::Result<()> {
        self.turn.clock.watchdog.look();
        if self.turn.is_over() {
            tokio::task::yield_now().await;
        }
        // A program that is ahead of an observer that cannot keep up waits here.
        poll_fn(|cx| self.network.poll_observer(cx)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_turn_is_over_after_its_slice_and_begins_anew_with_each_poll() {
        let turn = Turn::new();
        let late = turn.clone();
        let mut begun = Vec::new();
        let mut work = pin!(turn.divide(std::future::poll_fn(|_| {
            begun.push(late.clock.begun.load(Ordering::Relaxed));
            std::thread::sleep(SLICE);
            assert!(late.is_over());
            if begun.len() == 2 {
                Poll::Ready(begun[1] - begun[0])
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
