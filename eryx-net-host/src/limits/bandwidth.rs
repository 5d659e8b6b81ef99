//! The bandwidth limits of a sandbox: a byte quota and a rate limit for each direction.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use crate::error::NetError;
use crate::limits::kind::NetLimit;
use crate::limits::rate_limiter::{RateLimitWait, RateLimiter};

/// The limits of all sockets together in one direction: an optional byte quota and an optional rate
/// limit.
#[derive(Debug)]
pub(crate) struct BandwidthLimiter {
    quota: Option<ByteQuota>,
    rate: Option<(RateLimiter, NetLimit)>,
}

/// A byte quota: once it is used up, every reservation fails.
#[derive(Debug)]
struct ByteQuota {
    limit: u64,
    left: AtomicU64,
    kind: NetLimit,
}

/// A reservation of a [`BandwidthLimiter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// This many bytes, at least one unless none were wanted. The caller has to
    /// [refund](BandwidthLimiter::refund) those it does not use.
    Bytes(usize),
    /// The quota is exhausted.
    Exhausted,
}

impl BandwidthLimiter {
    /// Returns the limits on sent bytes.
    pub(crate) fn sending(max_bytes: Option<u64>, bytes_per_second: Option<u64>) -> Self {
        Self {
            quota: quota(max_bytes, NetLimit::MaxSentBytes),
            rate: rate(bytes_per_second, NetLimit::SentBytesPerSecond),
        }
    }

    /// Returns the limits on received bytes.
    pub(crate) fn receiving(max_bytes: Option<u64>, bytes_per_second: Option<u64>) -> Self {
        Self {
            quota: quota(max_bytes, NetLimit::MaxReceivedBytes),
            rate: rate(bytes_per_second, NetLimit::ReceivedBytesPerSecond),
        }
    }

    /// Reserves up to `wanted` bytes. Waits only for the rate limit.
    pub(crate) fn poll_reserve(
        &self,
        cx: &mut Context<'_>,
        wait: &mut RateLimitWait,
        wanted: usize,
    ) -> Poll<Grant> {
        let reserved = match &self.quota {
            Some(quota) => quota.reserve(wanted),
            None => wanted,
        };
        if reserved == 0 {
            return Poll::Ready(match wanted {
                0 => Grant::Bytes(0),
                _ => Grant::Exhausted,
            });
        }
        let Some((limiter, _)) = &self.rate else {
            return Poll::Ready(Grant::Bytes(reserved));
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
        Poll::Ready(Grant::Bytes(granted))
    }

    /// Ready when [`poll_reserve`](Self::poll_reserve) would be.
    pub(crate) fn poll_available(
        &self,
        cx: &mut Context<'_>,
        wait: &mut RateLimitWait,
    ) -> Poll<()> {
        match &self.rate {
            Some((limiter, _)) if !self.is_exhausted() => {
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
        if let Some((limiter, _)) = &self.rate {
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
        if let Some((limiter, _)) = &self.rate {
            limiter.refund(unused as u64);
        }
    }

    /// Returns the kind of the rate limit, if there is one.
    pub(crate) fn rate_limit(&self) -> Option<NetLimit> {
        self.rate.as_ref().map(|(_, kind)| *kind)
    }

    /// Returns the kind of the byte quota, if there is one, and the error for exceeding it.
    pub(crate) fn quota_error(&self) -> Option<(NetLimit, NetError)> {
        let quota = self.quota.as_ref()?;
        let kind = quota.kind;
        let done = match kind {
            NetLimit::MaxSentBytes => "sent",
            _ => "received",
        };
        let error = NetError::QuotaExceeded(format!(
            "this sandbox has {done} {} bytes, all it may ({kind}): have the embedder raise {kind}",
            quota.limit
        ));
        Some((kind, error))
    }

    fn is_exhausted(&self) -> bool {
        self.quota
            .as_ref()
            .is_some_and(|quota| quota.left.load(Ordering::Acquire) == 0)
    }
}

impl ByteQuota {
    fn reserve(&self, wanted: usize) -> usize {
        let wanted = wanted as u64;
        let left = self
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                Some(left - left.min(wanted))
            })
            .unwrap_or(0);
        // At most `wanted`, so it fits.
        left.min(wanted) as usize
    }

    fn debit(&self, amount: usize) -> bool {
        self.left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(amount as u64)
            })
            .is_ok()
    }

    fn refund(&self, unused: usize) {
        self.left.fetch_add(unused as u64, Ordering::AcqRel);
    }
}

fn quota(limit: Option<u64>, kind: NetLimit) -> Option<ByteQuota> {
    limit.map(|limit| ByteQuota {
        limit,
        left: AtomicU64::new(limit),
        kind,
    })
}

fn rate(per_second: Option<u64>, kind: NetLimit) -> Option<(RateLimiter, NetLimit)> {
    per_second.map(|per_second| (RateLimiter::new(per_second), kind))
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::*;

    fn reserve(limiter: &BandwidthLimiter, wanted: usize) -> Poll<Grant> {
        let mut cx = Context::from_waker(Waker::noop());
        limiter.poll_reserve(&mut cx, &mut RateLimitWait::default(), wanted)
    }

    #[tokio::test]
    async fn the_bytes_of_a_quota_are_granted_once() {
        let limiter = BandwidthLimiter::sending(Some(10), None);
        assert_eq!(reserve(&limiter, 4), Poll::Ready(Grant::Bytes(4)));
        assert_eq!(reserve(&limiter, 100), Poll::Ready(Grant::Bytes(6)));
        assert_eq!(reserve(&limiter, 1), Poll::Ready(Grant::Exhausted));
        assert_eq!(reserve(&limiter, 0), Poll::Ready(Grant::Bytes(0)));
        limiter.refund(2);
        assert_eq!(reserve(&limiter, 5), Poll::Ready(Grant::Bytes(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_waits_for_the_rate_holds_no_part_of_the_quota() {
        let limiter = BandwidthLimiter::receiving(Some(150), Some(100));
        assert_eq!(reserve(&limiter, 1000), Poll::Ready(Grant::Bytes(100)));
        assert_eq!(reserve(&limiter, 1000), Poll::Pending);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(reserve(&limiter, 1000), Poll::Ready(Grant::Bytes(50)));
        assert_eq!(reserve(&limiter, 1000), Poll::Ready(Grant::Exhausted));
    }

    #[tokio::test(start_paused = true)]
    async fn a_debit_is_all_or_nothing_and_delays_later_reservations() {
        let limiter = BandwidthLimiter::sending(Some(400), Some(100));
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
        assert_eq!(reserve(&limiter, 1), Poll::Ready(Grant::Exhausted));
    }

    #[tokio::test]
    async fn without_limits_every_reservation_is_granted() {
        let limiter = BandwidthLimiter::sending(None, None);
        assert_eq!(
            reserve(&limiter, usize::MAX),
            Poll::Ready(Grant::Bytes(usize::MAX))
        );
        assert_eq!(limiter.rate_limit(), None);
        assert!(limiter.quota_error().is_none());
    }
}
