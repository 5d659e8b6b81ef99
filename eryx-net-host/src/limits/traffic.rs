//! The limits on the traffic of a sandbox in one direction: a byte quota and a rate limit.

use std::task::{Context, Poll};

use crate::limits::byte_quota::{ByteQuota, QuotaError};
use crate::limits::kind::NetLimit;
use crate::limits::rate_limiter::{RateLimitWait, RateLimiter};

/// The limits of all sockets together in one direction: an optional byte quota and an optional rate
/// limit.
#[derive(Debug)]
pub(crate) struct TrafficLimiter {
    quota: Option<ByteQuota>,
    rate: Option<RateLimit>,
}

/// A rate limit, and which one it is.
#[derive(Debug)]
struct RateLimit {
    limiter: RateLimiter,
    kind: NetLimit,
}

/// Bytes that a [`TrafficLimiter`] has reserved. Dropping it returns those that were not spent.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    limiter: &'a TrafficLimiter,
    unspent: usize,
}

impl TrafficLimiter {
    /// Returns the limits on sent bytes.
    pub(crate) fn sending(max_bytes: Option<u64>, bytes_per_second: Option<u64>) -> Self {
        Self {
            quota: max_bytes.map(|limit| ByteQuota::new(limit, NetLimit::MaxSentBytes)),
            rate: rate(bytes_per_second, NetLimit::SentBytesPerSecond),
        }
    }

    /// Returns the limits on received bytes.
    pub(crate) fn receiving(max_bytes: Option<u64>, bytes_per_second: Option<u64>) -> Self {
        Self {
            quota: max_bytes.map(|limit| ByteQuota::new(limit, NetLimit::MaxReceivedBytes)),
            rate: rate(bytes_per_second, NetLimit::ReceivedBytesPerSecond),
        }
    }

    /// Reserves up to `wanted` bytes, at least one unless none are wanted. Waits only for the rate
    /// limit. Returns `None` if the quota is exhausted.
    pub(crate) fn poll_reserve(
        &self,
        cx: &mut Context<'_>,
        wait: &mut RateLimitWait,
        wanted: usize,
    ) -> Poll<Option<Grant<'_>>> {
        let reserved = match &self.quota {
            Some(quota) => quota.reserve(wanted),
            None => wanted,
        };
        if reserved == 0 {
            return Poll::Ready((wanted == 0).then(|| self.grant(0)));
        }
        let Some(RateLimit { limiter, .. }) = &self.rate else {
            return Poll::Ready(Some(self.grant(reserved)));
        };
        let granted = match wait.poll_acquire(cx, limiter, reserved as u64) {
            // At most `reserved`, so it fits.
            Poll::Ready(granted) => granted as usize,
            Poll::Pending => 0,
        };
        if let Some(quota) = &self.quota {
            quota.refund(reserved - granted);
        }
        if granted == 0 {
            return Poll::Pending;
        }
        Poll::Ready(Some(self.grant(granted)))
    }

    fn grant(&self, bytes: usize) -> Grant<'_> {
        Grant {
            limiter: self,
            unspent: bytes,
        }
    }

    /// Ready when [`poll_reserve`](Self::poll_reserve) would be.
    pub(crate) fn poll_available(
        &self,
        cx: &mut Context<'_>,
        wait: &mut RateLimitWait,
    ) -> Poll<()> {
        match &self.rate {
            Some(RateLimit { limiter, .. }) if !self.is_exhausted() => {
                wait.poll_available(cx, limiter, u64::MAX)
            }
            _ => Poll::Ready(()),
        }
    }

    /// Debits all of `amount`, even if the rate limit does not allow as many now: later
    /// reservations wait for the debt. Returns `false`, and debits nothing, if the quota does not
    /// cover it.
    pub(crate) fn debit(&self, amount: usize) -> bool {
        if let Some(quota) = &self.quota
            && !quota.debit(amount)
        {
            return false;
        }
        if let Some(RateLimit { limiter, .. }) = &self.rate {
            limiter.debit(amount as u64);
        }
        true
    }

    /// Returns bytes that were reserved or debited and not used.
    pub(crate) fn refund(&self, unused: usize) {
        if unused == 0 {
            return;
        }
        if let Some(quota) = &self.quota {
            quota.refund(unused);
        }
        if let Some(RateLimit { limiter, .. }) = &self.rate {
            limiter.refund(unused as u64);
        }
    }

    /// Returns the kind of the rate limit, if there is one.
    pub(crate) fn rate_limit(&self) -> Option<NetLimit> {
        self.rate.as_ref().map(|rate| rate.kind)
    }

    /// Returns the error for exceeding the byte quota, if there is one.
    pub(crate) fn quota_error(&self) -> Option<QuotaError> {
        self.quota.as_ref().map(ByteQuota::error)
    }

    fn is_exhausted(&self) -> bool {
        self.quota.as_ref().is_some_and(ByteQuota::is_exhausted)
    }
}

impl Grant<'_> {
    /// Returns the number of bytes that may still be transferred.
    pub(crate) fn unspent(&self) -> usize {
        self.unspent
    }

    /// Records that `bytes` of the grant were transferred.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.unspent -= bytes;
    }
}

impl Drop for Grant<'_> {
    fn drop(&mut self) {
        self.limiter.refund(self.unspent);
    }
}

fn rate(per_second: Option<u64>, kind: NetLimit) -> Option<RateLimit> {
    per_second.map(|per_second| RateLimit {
        limiter: RateLimiter::new(per_second),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::*;

    fn reserve(limiter: &TrafficLimiter, wanted: usize) -> Poll<Option<Grant<'_>>> {
        let mut cx = Context::from_waker(Waker::noop());
        limiter.poll_reserve(&mut cx, &mut RateLimitWait::default(), wanted)
    }

    /// Reserves bytes and spends them. Returns how many, or `None` if the quota is exhausted.
    fn spend(limiter: &TrafficLimiter, wanted: usize) -> Poll<Option<usize>> {
        reserve(limiter, wanted).map(|grant| {
            grant.map(|mut grant| {
                let bytes = grant.unspent();
                grant.spend(bytes);
                bytes
            })
        })
    }

    #[tokio::test]
    async fn the_bytes_of_a_quota_are_granted_once() {
        let limiter = TrafficLimiter::sending(Some(10), None);
        assert_eq!(spend(&limiter, 4), Poll::Ready(Some(4)));
        assert_eq!(spend(&limiter, 100), Poll::Ready(Some(6)));
        assert_eq!(spend(&limiter, 1), Poll::Ready(None));
        assert_eq!(spend(&limiter, 0), Poll::Ready(Some(0)));
        limiter.refund(2);
        assert_eq!(spend(&limiter, 5), Poll::Ready(Some(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_waits_for_the_rate_holds_no_part_of_the_quota() {
        let limiter = TrafficLimiter::receiving(Some(150), Some(100));
        assert_eq!(spend(&limiter, 1000), Poll::Ready(Some(100)));
        assert_eq!(spend(&limiter, 1000), Poll::Pending);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(spend(&limiter, 1000), Poll::Ready(Some(50)));
        assert_eq!(spend(&limiter, 1000), Poll::Ready(None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_spent_of_a_grant_returns_to_the_quota_and_to_the_rate() {
        let limiter = TrafficLimiter::sending(Some(150), Some(100));
        let Poll::Ready(Some(mut grant)) = reserve(&limiter, 1000) else {
            panic!("nothing was granted");
        };
        assert_eq!(grant.unspent(), 100);
        grant.spend(30);
        drop(grant);
        assert_eq!(spend(&limiter, 1000), Poll::Ready(Some(70)));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(spend(&limiter, 1000), Poll::Ready(Some(50)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_debit_is_all_or_nothing_and_delays_later_reservations() {
        let limiter = TrafficLimiter::sending(Some(400), Some(100));
        assert!(limiter.debit(300));
        assert!(!limiter.debit(101));
        let mut cx = Context::from_waker(Waker::noop());
        let mut is_available = || {
            limiter
                .poll_available(&mut cx, &mut RateLimitWait::default())
                .is_ready()
        };
        assert!(!is_available());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(is_available());
        assert!(limiter.debit(100));
        assert_eq!(spend(&limiter, 1), Poll::Ready(None));
    }

    #[tokio::test]
    async fn without_limits_every_reservation_is_granted() {
        let limiter = TrafficLimiter::sending(None, None);
        assert_eq!(spend(&limiter, usize::MAX), Poll::Ready(Some(usize::MAX)));
        assert_eq!(limiter.rate_limit(), None);
        assert!(limiter.quota_error().is_none());
    }
}
