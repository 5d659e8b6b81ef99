//! The host-memory budget of one sandbox.

pub(crate) mod estimate;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::NetError;

/// A budget for the host memory of one sandbox: buffers, TLS settings, lookups, captured output.
///
/// Clones share one budget. The owner of the memory holds a [`Charge`], which releases its bytes on
/// drop.
///
/// ```
/// use eryx_net_host::HostMemory;
///
/// let memory = HostMemory::new(1000);
/// let charge = memory.charge(600)?;
/// assert!(memory.charge(600).is_err());
/// drop(charge);
/// assert_eq!((memory.used(), memory.peak()), (0, 600));
/// # Ok::<(), eryx_net_host::HostMemoryFull>(())
/// ```
#[derive(Clone)]
pub struct HostMemory {
    budget: Arc<Budget>,
}

struct Budget {
    max: u64,
    used: AtomicU64,
    peak: AtomicU64,
    denied_charge: AtomicBool,
}

impl HostMemory {
    /// The default budget of a sandbox, in bytes: enough for about a hundred connections with TLS.
    pub const DEFAULT: u64 = 64 << 20;

    /// Returns a budget of `max` bytes, none of them used.
    #[must_use]
    pub fn new(max: u64) -> Self {
        Self {
            budget: Arc::new(Budget {
                max,
                used: AtomicU64::new(0),
                peak: AtomicU64::new(0),
                denied_charge: AtomicBool::new(false),
            }),
        }
    }

    /// Reserves `bytes` of the budget until the charge is dropped.
    ///
    /// # Errors
    ///
    /// [`HostMemoryFull`] when less than that is left; no byte is reserved then.
    pub fn charge(&self, bytes: u64) -> Result<Charge, HostMemoryFull> {
        self.reserve(bytes)?;
        Ok(Charge {
            memory: self.clone(),
            bytes,
        })
    }

    /// Returns the size of the budget in bytes.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.budget.max
    }

    /// Returns the bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.budget.used.load(Ordering::Relaxed)
    }

    /// Returns the most bytes in use at the same time since the last [`begin`](Self::begin).
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.budget.peak.load(Ordering::Relaxed)
    }

    /// Returns whether a charge has failed since the last [`begin`](Self::begin).
    #[must_use]
    pub fn denied_charge(&self) -> bool {
        self.budget.denied_charge.load(Ordering::Relaxed)
    }

    /// Begins an execution: resets the peak to the bytes in use now, and
    /// [`denied_charge`](Self::denied_charge).
    pub fn begin(&self) {
        self.budget.peak.store(self.used(), Ordering::Relaxed);
        self.budget.denied_charge.store(false, Ordering::Relaxed);
    }

    fn reserve(&self, bytes: u64) -> Result<(), HostMemoryFull> {
        let budget = &*self.budget;
        let reserved = budget
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|used| *used <= budget.max)
            });
        let Ok(before) = reserved else {
            budget.denied_charge.store(true, Ordering::Relaxed);
            return Err(HostMemoryFull { max: budget.max });
        };
        budget.peak.fetch_max(before + bytes, Ordering::Relaxed);
        Ok(())
    }

    fn release(&self, bytes: u64) {
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Default for HostMemory {
    /// A budget of [`DEFAULT`](Self::DEFAULT) bytes.
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

impl fmt::Debug for HostMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostMemory")
            .field("max", &self.max())
            .field("used", &self.used())
            .field("peak", &self.peak())
            .finish_non_exhaustive()
    }
}

/// A part of a [`HostMemory`] that is in use. Released on drop.
#[derive(Debug)]
pub struct Charge {
    memory: HostMemory,
    bytes: u64,
}

impl Charge {
    /// Returns the bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reserves `bytes` more.
    ///
    /// # Errors
    ///
    /// [`HostMemoryFull`] when less than that is left; the charge is then unchanged.
    pub fn grow(&mut self, bytes: u64) -> Result<(), HostMemoryFull> {
        self.memory.reserve(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Releases `bytes`, at most all that it holds.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.memory.release(bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.release(self.bytes);
    }
}

/// The host-memory budget of a sandbox is exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this sandbox already uses all of its host memory, {max} bytes (max_host_memory): \
     close connections, sessions or sockets first, or have the embedder raise max_host_memory"
)]
pub struct HostMemoryFull {
    max: u64,
}

impl From<HostMemoryFull> for NetError {
    fn from(full: HostMemoryFull) -> Self {
        Self::LimitReached(full.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_counts_until_it_is_dropped() {
        let memory = HostMemory::new(100);
        let first = memory.charge(60).expect("fits");
        assert_eq!(memory.charge(41).expect_err("full").max, 100);
        assert!(memory.denied_charge());
        let second = memory.charge(40).expect("fits exactly");
        assert_eq!((memory.used(), memory.peak()), (100, 100));
        drop(first);
        assert_eq!((memory.used(), memory.peak()), (40, 100));
        memory.begin();
        assert_eq!((memory.peak(), memory.denied_charge()), (40, false));
        drop(second);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn a_charge_that_cannot_grow_is_unchanged() {
        let memory = HostMemory::new(100);
        let mut charge = memory.charge(10).expect("fits");
        charge.grow(90).expect("fits");
        charge.grow(1).expect_err("full");
        charge
            .grow(u64::MAX)
            .expect_err("full, without an integer overflow");
        assert_eq!((charge.bytes(), memory.used()), (100, 100));
        charge.shrink(30);
        assert_eq!((charge.bytes(), memory.used()), (70, 70));
        charge.shrink(1000);
        drop(charge);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn the_error_names_the_limit_and_its_setting() {
        let memory = HostMemory::new(12_345);
        let error = NetError::from(memory.charge(20_000).expect_err("full"));
        let NetError::LimitReached(text) = error else {
            panic!("{error:?}")
        };
        assert!(text.contains("12345 bytes (max_host_memory)"), "{text}");
    }
}
