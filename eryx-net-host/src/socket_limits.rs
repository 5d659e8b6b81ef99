//! The byte quotas, the rate limits, the I/O timeout and the abort flag, as they apply to one
//! socket.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::audit::entry::AuditEntry;
use crate::context::NetworkContext;
use crate::error::NetError;
use crate::limits::byte_quota::QuotaError;
use crate::limits::rate_limiter::RateLimitWait;
use crate::limits::traffic::{Grant, TrafficLimiter};
use crate::poll::operation_timeout::OperationTimeout;

/// The limits of one TCP or UDP socket, and its waits for the two rate limits.
pub(crate) struct SocketLimits {
    pub(crate) context: Arc<NetworkContext>,
    sending: RateLimitWait,
    receiving: RateLimitWait,
}

/// A direction in which bytes are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Send,
    Receive,
}

impl SocketLimits {
    pub(crate) fn new(context: Arc<NetworkContext>) -> Self {
        Self {
            context,
            sending: RateLimitWait::default(),
            receiving: RateLimitWait::default(),
        }
    }

    /// Returns the timeout of a read or write.
    pub(crate) fn io_timeout(&self, timeout: Option<Duration>) -> OperationTimeout {
        OperationTimeout::new(timeout, self.context.config.io_timeout())
    }

    pub(crate) fn check_not_aborted(&self) -> Result<(), NetError> {
        if self.context.is_aborted() {
            return Err(NetError::ConnectionAborted);
        }
        Ok(())
    }

    pub(crate) fn limiter(&self, direction: Direction) -> &TrafficLimiter {
        match direction {
            Direction::Send => &self.context.sent,
            Direction::Receive => &self.context.received,
        }
    }

    /// Reserves up to `wanted` bytes. Returns `None` if the quota is exhausted.
    #[inline]
    pub(crate) fn poll_reserve(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        entry: &AuditEntry,
        wanted: usize,
    ) -> Poll<Option<Grant<'_>>> {
        let (limiter, wait) = self.limiter_and_wait(direction);
        let grant = limiter.poll_reserve(cx, wait, wanted);
        record_throttled(limiter, Some(entry), grant)
    }

    /// Ready when bytes may be transferred, or when the quota is exhausted.
    pub(crate) fn poll_available(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        entry: Option<&AuditEntry>,
    ) -> Poll<()> {
        let (limiter, wait) = self.limiter_and_wait(direction);
        let available = limiter.poll_available(cx, wait);
        record_throttled(limiter, entry, available)
    }

    /// Records that the quota is exhausted and returns the error for it.
    pub(crate) fn quota_error(&self, direction: Direction, entry: Option<&AuditEntry>) -> NetError {
        // A limiter without a quota grants every reservation.
        let Some(QuotaError { limit, error }) = self.limiter(direction).quota_error() else {
            return NetError::Other("a limit was reached that is not set".into());
        };
        if let Some(entry) = entry {
            entry.limit_reached(limit);
        }
        error
    }

    fn limiter_and_wait(&mut self, direction: Direction) -> (&TrafficLimiter, &mut RateLimitWait) {
        match direction {
            Direction::Send => (&self.context.sent, &mut self.sending),
            Direction::Receive => (&self.context.received, &mut self.receiving),
        }
    }
}

/// Records in `entry` that the socket waits for the rate limit, if it does.
fn record_throttled<T>(
    limiter: &TrafficLimiter,
    entry: Option<&AuditEntry>,
    outcome: Poll<T>,
) -> Poll<T> {
    if outcome.is_pending()
        && let (Some(limit), Some(entry)) = (limiter.rate_limit(), entry)
    {
        entry.throttled(limit);
    }
    outcome
}
