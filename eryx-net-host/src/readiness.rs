//! Waiting for many things at once, without a task or an allocation for each.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use crate::patience::uncounted;

/// Calls `poll_all` until it says that something is ready, or `timeout` passes. Returns whether anything
/// was ready.
///
/// `poll_all` polls every item it stands for (see [`Connection::poll_readable`],
/// [`Connection::poll_writable`] and [`Lookup::poll_ready`]), notes which are ready and returns whether
/// any is. It runs once at the start and once for every wake-up. `None` waits without an end; a zero
/// timeout never waits. With nothing to poll it is a plain sleep.
///
/// [`Connection::poll_readable`]: crate::Connection::poll_readable
/// [`Connection::poll_writable`]: crate::Connection::poll_writable
/// [`Lookup::poll_ready`]: crate::Lookup::poll_ready
///
/// ```
/// use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let nothing_ready = eryx_net_host::readiness::wait(Some(Duration::from_millis(1)), |_| false).await;
/// assert!(!nothing_ready);
/// # }
/// ```
pub async fn wait(
    timeout: Option<Duration>,
    mut poll_all: impl FnMut(&mut Context<'_>) -> bool,
) -> bool {
    if uncounted(|cx| Poll::Ready(poll_all(cx))).await {
        return true;
    }
    if timeout == Some(Duration::ZERO) {
        // Lets the runtime look at its sockets, so that a program that only ever polls gets on.
        tokio::task::yield_now().await;
        return uncounted(|cx| Poll::Ready(poll_all(cx))).await;
    }
    let mut timer = pin!(None::<Sleep>);
    uncounted(move |cx| {
        if poll_all(cx) {
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
    async fn with_nothing_to_poll_it_sleeps() {
        let before = tokio::time::Instant::now();
        assert!(!wait(Some(Duration::from_secs(3)), |_| false).await);
        assert!(before.elapsed() >= Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_up_polls_everything_again() {
        let mut sleep = pin!(tokio::time::sleep(Duration::from_secs(1)));
        let ready = wait(Some(Duration::from_secs(10)), |cx| {
            sleep.as_mut().poll(cx).is_ready()
        })
        .await;
        assert!(ready);
    }

    #[tokio::test]
    async fn a_zero_timeout_never_waits() {
        let mut polls = 0;
        assert!(
            !wait(Some(Duration::ZERO), |_| {
                polls += 1;
                false
            })
            .await
        );
        assert_eq!(polls, 2);
    }
}
