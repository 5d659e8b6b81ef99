//! How long an operation may wait.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::NetError;
use crate::prompt::{self, Waiting};

/// How long one operation may wait: the caller's timeout, never longer than the host's ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all: an operation that cannot finish now would block.
    None,
    /// At most this long.
    AtMost(Duration),
}

impl Patience {
    /// `None` asks for the ceiling, zero for an answer at once, anything else is clamped.
    pub(crate) fn new(timeout: Option<Duration>, ceiling: Duration) -> Self {
        match timeout {
            None => Self::AtMost(ceiling),
            Some(Duration::ZERO) => Self::None,
            Some(timeout) => Self::AtMost(timeout.min(ceiling)),
        }
    }

    /// Polls `operation` until it is ready or patience runs out.
    ///
    /// It is polled once before a timer is armed: most reads and writes find what they need.
    pub(crate) async fn wait<T>(
        self,
        mut operation: impl FnMut(&mut Context<'_>) -> Poll<Result<T, NetError>>,
    ) -> Result<T, NetError> {
        match self {
            Self::None => {
                if let Poll::Ready(result) = now(&mut operation) {
                    return result;
                }
                // A program that only ever asks without blocking would otherwise never let the
                // runtime get on with what it does, and be told "would block" for ever.
                tokio::task::yield_now().await;
                match now(&mut operation) {
                    Poll::Ready(result) => result,
                    Poll::Pending => Err(NetError::WouldBlock),
                }
            }
            Self::AtMost(limit) => {
                let mut timer = pin!(None::<Sleep>);
                let mut waiting = None;
                uncounted(move |cx| {
                    if let Poll::Ready(result) = operation(cx) {
                        return Poll::Ready(result);
                    }
                    if timer.is_none() {
                        timer.set(Some(tokio::time::sleep(limit)));
                        waiting.get_or_insert_with(Waiting::begin);
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

/// A point in time that arms a timer only when someone really waits for it.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// The deadline `limit` from now.
    pub(crate) fn after(limit: Duration) -> Self {
        Self::at(Instant::now() + limit)
    }

    /// The deadline at that time.
    pub(crate) fn at(at: Instant) -> Self {
        Self { at, timer: None }
    }

    /// What is left of it; zero once it has passed.
    pub(crate) fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Ready once the deadline has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.remaining().is_zero() {
            return Poll::Ready(());
        }
        let at = self.at;
        self.timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)))
            .as_mut()
            .poll(cx)
    }
}

/// Polls once, for nobody who would wait.
pub(crate) fn now<T>(operation: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    operation(&mut Context::from_waker(prompt::nobody()))
}

/// Polls outside of tokio's cooperative budget, whose exhaustion looks like a socket that is not ready.
/// Fairness between guests is the business of whoever runs their code.
pub(crate) async fn uncounted<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    tokio::task::unconstrained(poll_fn(poll)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const CEILING: Duration = Duration::from_secs(60);

    #[test]
    fn a_timeout_can_shorten_the_ceiling_but_never_extend_it() {
        let table = [
            (None, Patience::AtMost(CEILING)),
            (Some(Duration::ZERO), Patience::None),
            (
                Some(Duration::from_nanos(1)),
                Patience::AtMost(Duration::from_nanos(1)),
            ),
            (Some(CEILING), Patience::AtMost(CEILING)),
            (Some(Duration::MAX), Patience::AtMost(CEILING)),
        ];
        for (timeout, expected) in table {
            assert_eq!(Patience::new(timeout, CEILING), expected, "{timeout:?}");
        }
    }

    #[tokio::test]
    async fn without_patience_an_operation_gets_two_polls_and_then_would_block() {
        let mut polls = 0;
        let outcome = Patience::None
            .wait(|_| {
                polls += 1;
                Poll::<Result<(), _>>::Pending
            })
            .await;
        assert_eq!(outcome, Err(NetError::WouldBlock));
        assert_eq!(polls, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_in_a_timeout() {
        let outcome = Patience::AtMost(Duration::from_secs(5))
            .wait(|_| Poll::<Result<(), _>>::Pending)
            .await;
        assert_eq!(outcome, Err(NetError::TimedOut));
    }

    #[tokio::test]
    async fn an_operation_that_is_ready_needs_no_timer_and_no_runtime_time() {
        let outcome = Patience::AtMost(Duration::ZERO)
            .wait(|_| Poll::Ready(Ok(7)))
            .await;
        assert_eq!(outcome, Ok(7));
    }
}
