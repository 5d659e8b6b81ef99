//! Timeouts: the caller's, clamped to the configured ceiling.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use crate::error::NetError;
use crate::poll::inline_wait::BlockedOperation;
use crate::poll::noop_waker::poll_once;

/// How long one operation may wait: the caller's timeout, never longer than the configured ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperationTimeout {
    /// Not at all: an operation that cannot finish now returns [`NetError::WouldBlock`].
    NonBlocking,
    /// At most this long.
    AtMost(Duration),
}

impl OperationTimeout {
    /// Returns the ceiling for `None`, [`NonBlocking`](Self::NonBlocking) for zero, and otherwise
    /// the smaller of `timeout` and `ceiling`.
    pub(crate) fn new(timeout: Option<Duration>, ceiling: Duration) -> Self {
        match timeout {
            None => Self::AtMost(ceiling),
            Some(Duration::ZERO) => Self::NonBlocking,
            Some(timeout) => Self::AtMost(timeout.min(ceiling)),
        }
    }

    /// Polls `operation` until it is ready or the timeout passes.
    ///
    /// Polls once before it arms a timer: most reads and writes are ready at once.
    pub(crate) async fn run<T>(
        self,
        mut operation: impl FnMut(&mut Context<'_>) -> Poll<Result<T, NetError>>,
    ) -> Result<T, NetError> {
        match self {
            Self::NonBlocking => {
                if let Poll::Ready(result) = poll_once(&mut operation) {
                    return result;
                }
                // A guest program that only polls with a zero timeout would starve the runtime and
                // get "would block" for ever; yield once before giving up.
                tokio::task::yield_now().await;
                match poll_once(&mut operation) {
                    Poll::Ready(result) => result,
                    Poll::Pending => Err(NetError::WouldBlock),
                }
            }
            Self::AtMost(limit) => {
                let mut timer = pin!(None::<Sleep>);
                let mut blocked = None;
                unconstrained(move |cx| {
                    if let Poll::Ready(result) = operation(cx) {
                        return Poll::Ready(result);
                    }
                    if timer.is_none() {
                        timer.set(Some(tokio::time::sleep(limit)));
                        blocked.get_or_insert_with(BlockedOperation::begin);
                    }
                    match timer.as_mut().as_pin_mut() {
                        Some(timer) => timer.poll(cx).map(|()| Err(NetError::TimedOut)),
                        None => Poll::Pending,
                    }
                })
                .await
            }
        }
    }
}

/// Polls outside tokio's cooperative budget, whose exhaustion is indistinguishable from a socket
/// that is not ready. The code that runs the guest programs is responsible for fairness between
/// them.
pub(crate) async fn unconstrained<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    tokio::task::unconstrained(poll_fn(poll)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const CEILING: Duration = Duration::from_secs(60);

    #[test]
    fn a_timeout_can_shorten_the_ceiling_but_never_extend_it() {
        let table = [
            (None, OperationTimeout::AtMost(CEILING)),
            (Some(Duration::ZERO), OperationTimeout::NonBlocking),
            (
                Some(Duration::from_nanos(1)),
                OperationTimeout::AtMost(Duration::from_nanos(1)),
            ),
            (Some(CEILING), OperationTimeout::AtMost(CEILING)),
            (Some(Duration::MAX), OperationTimeout::AtMost(CEILING)),
        ];
        for (timeout, expected) in table {
            assert_eq!(
                OperationTimeout::new(timeout, CEILING),
                expected,
                "{timeout:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_non_blocking_operation_is_polled_twice_and_then_would_block() {
        let mut polls = 0;
        let outcome = OperationTimeout::NonBlocking
            .run(|_| {
                polls += 1;
                Poll::<Result<(), _>>::Pending
            })
            .await;
        assert_eq!(outcome, Err(NetError::WouldBlock));
        assert_eq!(polls, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_operation_that_is_never_ready_times_out() {
        let outcome = OperationTimeout::AtMost(Duration::from_secs(5))
            .run(|_| Poll::<Result<(), _>>::Pending)
            .await;
        assert_eq!(outcome, Err(NetError::TimedOut));
    }

    #[tokio::test]
    async fn an_operation_that_is_ready_finishes_within_a_zero_limit() {
        let outcome = OperationTimeout::AtMost(Duration::ZERO)
            .run(|_| Poll::Ready(Ok(7)))
            .await;
        assert_eq!(outcome, Ok(7));
    }
}
