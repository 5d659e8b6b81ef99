//! Answers that are on their way: a thread that waits in the kernel goes on at once when they come.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Wake, Waker};
use std::time::Duration;

use tokio::runtime::Handle;

/// The waker of whoever asks and does not wait. It wakes nobody, and [`is_nobody`] knows it.
pub(crate) fn nobody() -> &'static Waker {
    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    static NOBODY: LazyLock<Waker> = LazyLock::new(|| Waker::from(Arc::new(Nobody)));
    &NOBODY
}

/// Whether nobody waits.
pub(crate) fn is_nobody(waker: &Waker) -> bool {
    waker.will_wake(nobody())
}

/// How many operations wait in this process.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// An operation that waits.
pub(crate) struct Waiting;

impl Waiting {
    pub(crate) fn begin() -> Self {
        WAITING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long this thread may wait in the kernel: for as long as it takes to have the runtime wait instead and be woken
/// by it. Not at all while as many operations wait as the runtime has threads, which could see to them.
pub(crate) fn linger() -> Option<Duration> {
    let runtime = Handle::try_current().ok()?;
    if WAITING.load(Ordering::Relaxed) >= runtime.metrics().num_workers() {
        return None;
    }
    Some(LINGER)
}

/// How long that is. Elsewhere than on Linux the kernel counts in milliseconds, which is too long.
pub(crate) const LINGER: Duration = if cfg!(target_os = "linux") {
    Duration::from_micros(50)
} else {
    Duration::ZERO
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_known() {
        assert!(is_nobody(nobody()));
        assert!(is_nobody(&nobody().clone()));
        assert!(!is_nobody(Waker::noop()));
    }

    #[tokio::test]
    async fn nobody_lingers_while_another_operation_needs_the_only_thread() {
        assert!(linger().is_some());
        let other = Waiting::begin();
        assert!(linger().is_none());
        drop(other);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 64)]
    async fn where_there_are_threads_for_all_who_wait_others_linger() {
        let other = Waiting::begin();
        assert!(linger().is_some());
        drop(other);
    }
}
