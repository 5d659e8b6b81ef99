//! One pass over the items that a call waits for.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::poll::poll_set::Readiness;

/// How long one sweep may take before it yields to the runtime, and so to deadlines and other
/// tasks.
///
/// The peer decides how much work a poll finds, up to some milliseconds for the certificates of a
/// handshake, and each of a hundred items may be a handshake. An item that had much to do in one
/// sweep has little to do in the next, so that every item is reached.
const MAX_SWEEP: Duration = Duration::from_millis(5);

/// One pass over all items, in the order in which they were added to the
/// [`PollSet`](crate::poll::PollSet).
pub struct Sweep<'a, 'b> {
    cx: &'a mut Context<'b>,
    readiness: Option<std::slice::Iter<'a, bool>>,
    began: Instant,
    limit: Duration,
    polled: bool,
}

impl<'a, 'b> Sweep<'a, 'b> {
    pub(super) fn new(cx: &'a mut Context<'b>, readiness: Option<&'a Readiness>) -> Self {
        Self {
            cx,
            readiness: readiness.map(|readiness| readiness.0.iter()),
            began: Instant::now(),
            limit: MAX_SWEEP,
            polled: false,
        }
    }

    /// Polls the next item and returns whether it is ready.
    ///
    /// Skips the item if poll(2) has found that it is not ready. Skips it as well once the items
    /// before it have taken 5 ms: the task is then woken, and the next sweep polls the item.
    pub fn poll(&mut self, poll: impl FnOnce(&mut Context<'_>) -> Poll<()>) -> bool {
        if let Some(readiness) = &mut self.readiness
            && readiness.next() == Some(&false)
        {
            return false;
        }
        if self.polled && self.began.elapsed() >= self.limit {
            self.cx.waker().wake_by_ref();
            return false;
        }
        self.polled = true;
        poll(self.cx).is_ready()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_past_its_time_limit_postpones_the_other_items_and_wakes_the_task() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let woken = std::sync::Arc::new(Count(0.into()));
        let waker = std::task::Waker::from(std::sync::Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let mut sweep = Sweep {
            limit: Duration::ZERO,
            ..Sweep::new(&mut cx, None)
        };
        let mut polled = 0;
        for item in 0..3 {
            let ready = sweep.poll(|_| {
                polled += 1;
                Poll::Ready(())
            });
            assert_eq!(ready, item == 0);
        }
        assert_eq!(polled, 1);
        assert!(woken.0.load(std::sync::atomic::Ordering::Relaxed) > 0);
    }
}
