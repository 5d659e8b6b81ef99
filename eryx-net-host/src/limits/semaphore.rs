//! A counting semaphore.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A counting semaphore that never waits. Unlike tokio's it takes any limit.
#[derive(Clone, Debug)]
pub(crate) struct Semaphore {
    in_use: Arc<AtomicUsize>,
    limit: usize,
}

/// One permit of a [`Semaphore`]. Released on drop.
#[derive(Debug)]
pub(crate) struct Permit {
    in_use: Arc<AtomicUsize>,
}

impl Semaphore {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            in_use: Arc::default(),
            limit,
        }
    }

    /// Returns a permit, or `None` when the limit is reached.
    pub(crate) fn try_acquire(&self) -> Option<Permit> {
        self.in_use
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |in_use| {
                (in_use < self.limit).then_some(in_use + 1)
            })
            .ok()?;
        Some(Permit {
            in_use: Arc::clone(&self.in_use),
        })
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the number of permits in use.
    pub(crate) fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Acquire)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.in_use.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_counts_until_it_is_dropped() {
        let semaphore = Semaphore::new(2);
        let first = semaphore.try_acquire();
        let second = semaphore.try_acquire();
        assert!(first.is_some() && second.is_some());
        assert!(semaphore.try_acquire().is_none());
        drop(first);
        assert_eq!(semaphore.in_use(), 1);
        assert!(semaphore.try_acquire().is_some());
    }
}
