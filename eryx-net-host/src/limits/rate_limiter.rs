//! A rate limiter: a token bucket kept as a GCRA timestamp.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use eryx_sync::Mutex;
use tokio::time::{Instant, Sleep};

/// The unit of rates, and the default size of the bucket: up to one second's worth of tokens may be
/// taken in a burst after an idle period.
const SECOND: Duration = Duration::from_secs(1);

/// The smallest grant is 1/50 of a second's tokens (or all that the caller wants, if that is less),
/// so that a waiting caller is not woken for single bytes.
const MIN_GRANT_DIVISOR: u64 = 50;

/// A rate limiter that many callers share.
///
/// The bucket is stored as one point in time, up to which all tokens are used (GCRA, the "generic
/// cell rate algorithm"): no task is needed to refill it.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    per_second: u64,
    burst: Duration,
    theoretical_arrival: Mutex<Instant>,
}

impl RateLimiter {
    /// Returns a limiter for `per_second` tokens, at least 1, whose bucket holds one second's
    /// worth.
    pub(crate) fn new(per_second: u64) -> Self {
        Self {
            per_second: per_second.max(1),
            burst: SECOND,
            theoretical_arrival: Mutex::new(Instant::now()),
        }
    }

    /// Returns a limiter for `per_second` tokens, at least 1, whose bucket holds `burst` tokens.
    pub(crate) fn with_burst(per_second: u64, burst: u64) -> Self {
        let mut limiter = Self::new(per_second);
        limiter.burst = limiter.duration_of(burst.max(1));
        limiter
    }

    /// Grants up to `wanted` tokens, or returns the instant at which some will be available.
    fn try_acquire(&self, wanted: u64) -> Result<u64, Instant> {
        let now = Instant::now();
        let mut arrival = self.theoretical_arrival.lock();
        let granted = self.available(*arrival, now, wanted)?.min(wanted);
        *arrival = (*arrival).max(now) + self.duration_of(granted);
        Ok(granted)
    }

    /// Returns whether [`try_acquire`](Self::try_acquire) would grant tokens, or when it will.
    fn check_available(&self, wanted: u64) -> Result<(), Instant> {
        self.available(*self.theoretical_arrival.lock(), Instant::now(), wanted)
            .map(drop)
    }

    /// Debits `amount` even if it exceeds the balance; no caller is granted tokens until the debt
    /// is refilled.
    pub(crate) fn debit(&self, amount: u64) {
        let mut arrival = self.theoretical_arrival.lock();
        *arrival = (*arrival).max(Instant::now()) + self.duration_of(amount);
    }

    /// Returns tokens that were granted and not used.
    pub(crate) fn refund(&self, unused: u64) {
        let mut arrival = self.theoretical_arrival.lock();
        if let Some(earlier) = arrival.checked_sub(self.duration_of(unused)) {
            *arrival = earlier;
        }
    }

    /// Reserves one token and returns the instant from which it may be used. `None`, and no token
    /// is taken, if that is after `latest`.
    pub(crate) fn reserve_slot(&self, latest: Instant) -> Option<Instant> {
        let now = Instant::now();
        let mut arrival = self.theoretical_arrival.lock();
        let ahead = arrival.saturating_duration_since(now) + self.duration_of(1);
        let slot = now + ahead.saturating_sub(self.burst);
        if slot > latest {
            return None;
        }
        *arrival = now + ahead;
        Some(slot)
    }

    /// Returns the tokens in the bucket, or when it will hold the smallest grant.
    fn available(&self, arrival: Instant, now: Instant, wanted: u64) -> Result<u64, Instant> {
        let ahead = arrival.saturating_duration_since(now);
        let left = self.burst.saturating_sub(ahead).as_nanos() * u128::from(self.per_second);
        let available = u64::try_from(left / SECOND.as_nanos()).unwrap_or(u64::MAX);
        let min_grant = (self.per_second / MIN_GRANT_DIVISOR).clamp(1, wanted.max(1));
        if available >= min_grant {
            return Ok(available);
        }
        // The smallest grant takes longer than the rest of the burst, so this is in the future.
        Err(now + (ahead + self.duration_of(min_grant)).saturating_sub(self.burst))
    }

    /// Returns how long the bucket takes to refill by `amount`, rounded up.
    fn duration_of(&self, amount: u64) -> Duration {
        let nanos = (u128::from(amount) * SECOND.as_nanos()).div_ceil(u128::from(self.per_second));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A caller's wait for a [`RateLimiter`]. Arms a timer only while no tokens are available.
#[derive(Debug, Default)]
pub(crate) struct RateLimitWait {
    timer: Option<Pin<Box<Sleep>>>,
}

impl RateLimitWait {
    /// Ready with up to `wanted` tokens, at least one.
    pub(crate) fn poll_acquire(
        &mut self,
        cx: &mut Context<'_>,
        limiter: &RateLimiter,
        wanted: u64,
    ) -> Poll<u64> {
        self.poll_until(cx, || limiter.try_acquire(wanted))
    }

    /// Ready when [`poll_acquire`](Self::poll_acquire) would be.
    pub(crate) fn poll_available(
        &mut self,
        cx: &mut Context<'_>,
        limiter: &RateLimiter,
        wanted: u64,
    ) -> Poll<()> {
        self.poll_until(cx, || limiter.check_available(wanted))
    }

    fn poll_until<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> Result<T, Instant>,
    ) -> Poll<T> {
        loop {
            let when = match attempt() {
                Ok(outcome) => {
                    self.timer = None;
                    return Poll::Ready(outcome);
                }
                Err(when) => when,
            };
            match &mut self.timer {
                Some(timer) if timer.deadline() == when => {}
                Some(timer) => timer.as_mut().reset(when),
                none => *none = Some(Box::pin(tokio::time::sleep_until(when))),
            }
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn acquire(limiter: &RateLimiter, wanted: u64) -> u64 {
        let mut wait = RateLimitWait::default();
        poll_fn(|cx| wait.poll_acquire(cx, limiter, wanted)).await
    }

    #[tokio::test(start_paused = true)]
    async fn one_seconds_tokens_are_granted_at_once_and_the_rest_at_the_rate() {
        for rate in [1, 10, 1000, 1 << 20, 1 << 40] {
            let limiter = RateLimiter::new(rate);
            let begun = Instant::now();
            let mut left = rate * 4;
            while left > 0 {
                let granted = acquire(&limiter, left).await;
                assert!(granted > 0);
                left -= granted;
            }
            let took = begun.elapsed();
            assert!(took >= Duration::from_millis(2999), "{rate}: {took:?}");
            assert!(took <= Duration::from_millis(3100), "{rate}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_granted_at_once_and_the_rest_at_the_rate() {
        let limiter = RateLimiter::with_burst(100, 256);
        let begun = Instant::now();
        for n in 0..456 {
            assert_eq!(acquire(&limiter, 1).await, 1);
            if n == 255 {
                assert_eq!(begun.elapsed(), Duration::ZERO);
            }
        }
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(1999), "{took:?}");
        assert!(took <= Duration::from_millis(2300), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn refunded_tokens_are_granted_again_and_no_more_than_those() {
        let limiter = RateLimiter::new(100);
        let begun = Instant::now();
        for _ in 0..50 {
            let granted = acquire(&limiter, 100).await;
            limiter.refund(granted);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(acquire(&limiter, 1000).await, 100);
        assert!(limiter.check_available(1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_period_fills_the_bucket_with_one_seconds_tokens_and_no_more() {
        let limiter = RateLimiter::new(100);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(acquire(&limiter, 1000).await, 100);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(acquire(&limiter, 1000).await, 50);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_caller_is_not_woken_for_single_tokens() {
        let limiter = RateLimiter::new(10_000);
        acquire(&limiter, 10_000).await;
        let mut wait = RateLimitWait::default();
        let mut polls = 0;
        let mut left: u64 = 10_000;
        poll_fn(|cx| {
            polls += 1;
            while left > 0 {
                left -= ready!(wait.poll_acquire(cx, &limiter, left));
            }
            Poll::Ready(())
        })
        .await;
        assert!(polls <= 60, "{polls}");
    }

    #[tokio::test(start_paused = true)]
    async fn slots_are_reserved_in_order_until_the_latest_instant() {
        let limiter = RateLimiter::new(2);
        let now = Instant::now();
        let latest = now + Duration::from_secs(1);
        let slots: Vec<_> = (0..6)
            .map(|_| limiter.reserve_slot(latest).map(|slot| slot - now))
            .collect();
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(slots, [ms(0), ms(0), ms(500), ms(1000), None, None]);
        tokio::time::advance(Duration::from_millis(600)).await;
        let later = limiter.reserve_slot(Instant::now() + Duration::from_secs(1));
        assert_eq!(
            later.map(|slot| slot - now),
            ms(1500),
            "a failed reservation takes no token"
        );
    }
}
