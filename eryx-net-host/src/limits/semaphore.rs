//! Counting what a sandbox may hold at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Charge;
use crate::per_host::HostPermit;

/// A number of things that may exist at the same time.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    taken: Arc<AtomicUsize>,
    limit: usize,
}

/// One of an [`Allowance`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    taken: Arc<AtomicUsize>,
}

/// What a connection counts against, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _connection: Permit,
    _to_host: HostPermit,
    _memory: Charge,
    tls: Option<Charge>,
}

impl Place {
    pub(crate) fn new(connection: Permit, to_host: HostPermit, memory: Charge) -> Self {
        Self {
            _connection: connection,
            _to_host: to_host,
            _memory: memory,
            tls: None,
        }
    }

    /// Counts `charge` for the connection's TLS until it is closed, or begins TLS anew.
    pub(crate) fn set_tls(&mut self, charge: Charge) {
        self.tls = Some(charge);
    }
}

impl Allowance {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            taken: Arc::default(),
            limit,
        }
    }

    /// One more, unless the limit is reached.
    pub(crate) fn take(&self) -> Option<Permit> {
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                (taken < self.limit).then_some(taken + 1)
            })
            .ok()?;
        Some(Permit {
            taken: Arc::clone(&self.taken),
        })
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How many are out.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_counts_until_it_is_dropped() {
        let allowance = Allowance::new(2);
        let first = allowance.take();
        let second = allowance.take();
        assert!(first.is_some() && second.is_some());
        assert!(allowance.take().is_none());
        drop(first);
        assert_eq!(allowance.taken(), 1);
        assert!(allowance.take().is_some());
    }
}
