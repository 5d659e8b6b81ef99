//! A no-op waker, for polling without waiting.

use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};

/// Returns a waker that does nothing, and that [`is_noop`] recognises.
pub(crate) fn noop_waker() -> &'static Waker {
    struct Noop;

    impl Wake for Noop {
        fn wake(self: Arc<Self>) {}
    }

    static NOOP: LazyLock<Waker> = LazyLock::new(|| Waker::from(Arc::new(Noop)));
    &NOOP
}

/// Returns whether `waker` is the [`noop_waker`], so that no task waits.
pub(crate) fn is_noop(waker: &Waker) -> bool {
    waker.will_wake(noop_waker())
}

/// Polls once with the [`noop_waker`].
pub(crate) fn poll_once<T>(operation: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    operation(&mut Context::from_waker(noop_waker()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noop_waker_and_its_clones_are_recognised() {
        assert!(is_noop(noop_waker()));
        assert!(is_noop(&noop_waker().clone()));
        assert!(!is_noop(Waker::noop()));
    }
}
