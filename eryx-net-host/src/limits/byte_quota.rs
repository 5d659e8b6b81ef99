//! Byte quotas: the most bytes that the sockets of a sandbox may send, or receive.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::NetError;
use crate::limits::kind::NetLimit;

/// The error of an operation that exceeds a byte quota.
pub(crate) struct QuotaError {
    pub(crate) limit: NetLimit,
    pub(crate) error: NetError,
}

/// A byte quota: once it is used up, every reservation fails.
#[derive(Debug)]
pub(super) struct ByteQuota {
    limit: u64,
    left: AtomicU64,
    kind: NetLimit,
}

impl ByteQuota {
    pub(super) fn new(limit: u64, kind: NetLimit) -> Self {
        Self {
            limit,
            left: AtomicU64::new(limit),
            kind,
        }
    }

    /// Reserves up to `wanted` bytes, and returns how many.
    pub(super) fn reserve(&self, wanted: usize) -> usize {
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

    /// Debits all of `amount`. Returns `false`, and debits nothing, if fewer bytes are left.
    pub(super) fn debit(&self, amount: usize) -> bool {
        self.left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(amount as u64)
            })
            .is_ok()
    }

    /// Returns bytes that were reserved or debited and not used.
    pub(super) fn refund(&self, unused: usize) {
        self.left.fetch_add(unused as u64, Ordering::AcqRel);
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }

    /// Returns the error for exceeding the quota.
    pub(super) fn error(&self) -> QuotaError {
        let kind = self.kind;
        let done = match kind {
            NetLimit::MaxSentBytes => "sent",
            _ => "received",
        };
        let error = NetError::QuotaExceeded(format!(
            "this sandbox has {done} {} bytes, all it may ({kind}): have the embedder raise {kind}",
            self.limit
        ));
        QuotaError { limit: kind, error }
    }
}
