//! Short inline waits: a thread blocks in poll(2) for up to 50 µs before its task registers with
//! the runtime's reactor.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

/// The longest inline wait. Elsewhere than on Linux poll(2) counts in milliseconds, which is too
/// long.
pub(crate) const INLINE_WAIT: Duration = if cfg!(target_os = "linux") {
    Duration::from_micros(50)
} else {
    Duration::ZERO
};

/// How many operations of this process are waiting.
static BLOCKED: AtomicUsize = AtomicUsize::new(0);

/// An operation that waits. Dropping it ends the wait.
pub(crate) struct BlockedOperation;

impl BlockedOperation {
    pub(crate) fn begin() -> Self {
        BLOCKED.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for BlockedOperation {
    fn drop(&mut self) {
        BLOCKED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns how long this thread may block in poll(2): about as long as it takes to register with
/// the reactor and be woken by it.
///
/// `None` while at least as many operations wait as the runtime has worker threads, since blocking
/// one of those threads would delay the operations.
pub(crate) fn inline_wait_limit() -> Option<Duration> {
    let runtime = Handle::try_current().ok()?;
    if BLOCKED.load(Ordering::Relaxed) >= runtime.metrics().num_workers() {
        return None;
    }
    Some(INLINE_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_thread_waits_inline_while_another_operation_needs_the_only_one() {
        assert!(inline_wait_limit().is_some());
        let other = BlockedOperation::begin();
        assert!(inline_wait_limit().is_none());
        drop(other);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 64)]
    async fn a_thread_waits_inline_while_there_are_threads_for_all_operations() {
        let other = BlockedOperation::begin();
        assert!(inline_wait_limit().is_some());
        drop(other);
    }
}
