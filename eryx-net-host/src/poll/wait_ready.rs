//! Waiting until one of many items is ready.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use crate::poll::inline_wait::BlockedOperation;
use crate::poll::noop_waker::noop_waker;
use crate::poll::operation_timeout::unconstrained;
use crate::poll::poll_set::Readiness;
use crate::poll::sweep::Sweep;

/// Calls `sweep_items` until it returns `true` or `timeout` passes. Returns whether any item was
/// ready.
///
/// `sweep_items` polls every item (see [`Connection::poll_readable`], [`Connection::poll_writable`]
/// and [`Lookup::poll_ready`]) through [`Sweep::poll`], records which are ready and returns whether
/// any is. It runs once at the start and once for every wake-up. `None` waits without an end; a
/// zero timeout never waits. With no item to poll the function is a plain sleep.
///
/// [`Connection::poll_readable`]: crate::Connection::poll_readable
/// [`Connection::poll_writable`]: crate::Connection::poll_writable
/// [`Lookup::poll_ready`]: crate::Lookup::poll_ready
///
/// ```
/// use std::time::Duration;
/// use eryx_net_host::poll::wait_ready;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let nothing_ready = wait_ready(Some(Duration::from_millis(1)), |_| false).await;
/// assert!(!nothing_ready);
/// # }
/// ```
pub async fn wait_ready(
    timeout: Option<Duration>,
    sweep_items: impl FnMut(&mut Sweep<'_, '_>) -> bool,
) -> bool {
    wait_ready_after(&Readiness::default(), timeout, sweep_items).await
}

/// Does the same as [`wait_ready`], but the first sweep skips the items that are not ready
/// according to `readiness`.
pub async fn wait_ready_after(
    readiness: &Readiness,
    timeout: Option<Duration>,
    mut sweep_items: impl FnMut(&mut Sweep<'_, '_>) -> bool,
) -> bool {
    let mut sweep_once = |readiness: Option<&Readiness>| {
        let mut cx = Context::from_waker(noop_waker());
        sweep_items(&mut Sweep::new(&mut cx, readiness))
    };
    if sweep_once(Some(readiness)) {
        return true;
    }
    if timeout == Some(Duration::ZERO) {
        // A guest program that only polls with a zero timeout must not starve the runtime.
        tokio::task::yield_now().await;
        return sweep_once(None);
    }
    let _blocked = BlockedOperation::begin();
    let mut timer = pin!(None::<Sleep>);
    unconstrained(move |cx| {
        if sweep_items(&mut Sweep::new(cx, None)) {
            return Poll::Ready(true);
        }
        let Some(timeout) = timeout else {
            return Poll::Pending;
        };
        if timer.is_none() {
            timer.set(Some(tokio::time::sleep(timeout)));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(cx).map(|()| false),
            None => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_without_items_is_a_sleep() {
        let before = tokio::time::Instant::now();
        assert!(!wait_ready(Some(Duration::from_secs(3)), |_| false).await);
        assert!(before.elapsed() >= Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_up_polls_every_item_again() {
        let mut sleep = pin!(tokio::time::sleep(Duration::from_secs(1)));
        let ready = wait_ready(Some(Duration::from_secs(10)), |sweep| {
            sweep.poll(|cx| sleep.as_mut().poll(cx))
        })
        .await;
        assert!(ready);
    }

    #[tokio::test]
    async fn a_zero_timeout_never_waits() {
        let mut polls = 0;
        assert!(
            !wait_ready(Some(Duration::ZERO), |_| {
                polls += 1;
                false
            })
            .await
        );
        assert_eq!(polls, 2);
    }
}
