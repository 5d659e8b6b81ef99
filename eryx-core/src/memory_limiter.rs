//! Enforcement of the memory limit of one instance.

use wasmtime::ResourceLimiter;

use crate::session_snapshot::MAX_MEMORY;

/// Counts the linear memory of one instance, and denies growth past the limit, and of one memory
/// past [`MAX_MEMORY`].
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    max: u64,
    used: u64,
    peak: u64,
    denied_growth: bool,
    has_ever_grown: bool,
}

impl MemoryLimiter {
    /// The most entries of a table: an instance's tables hold its functions, which are fewer.
    const MAX_TABLE_ELEMENTS: usize = 1 << 17;

    pub(crate) fn new(max: u64) -> Self {
        Self {
            max,
            used: 0,
            peak: 0,
            denied_growth: false,
            has_ever_grown: false,
        }
    }

    /// Counts `bytes` of memory that an instance has already.
    pub(crate) fn adopt(&mut self, bytes: u64) {
        self.used = bytes;
        self.peak = bytes;
    }

    /// Returns the limit in bytes.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// Returns the bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Returns whether memory grew since the instance was made.
    pub(crate) fn has_ever_grown(&self) -> bool {
        self.has_ever_grown
    }

    /// Returns the most bytes in use at the same time since the last [`begin`](Self::begin).
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    /// Returns whether growth was denied since the last [`begin`](Self::begin).
    pub(crate) fn denied_growth(&self) -> bool {
        self.denied_growth
    }

    /// Starts counting for an execution.
    pub(crate) fn begin(&mut self) {
        self.peak = self.used;
        self.denied_growth = false;
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self
            .used
            .saturating_add(desired.saturating_sub(current) as u64);
        if wanted > self.max || desired as u64 > MAX_MEMORY {
            self.denied_growth = true;
            return Ok(false);
        }
        self.used = wanted;
        self.has_ever_grown |= current > 0;
        self.peak = self.peak.max(wanted);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= Self::MAX_TABLE_ELEMENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_counts_over_all_memories_and_is_denied_past_the_limit() {
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 40, None).expect("answers"));
        assert!(limiter.memory_growing(0, 60, None).expect("answers"));
        assert!(!limiter.denied_growth());
        assert!(!limiter.memory_growing(60, 61, None).expect("answers"));
        assert!(limiter.denied_growth());
        assert_eq!(limiter.peak(), 100);
        limiter.begin();
        assert!(!limiter.denied_growth());
        assert_eq!(limiter.peak(), 100);
    }

    /// Regression: the memory had a size without a 32-bit number, and a fork panicked.
    #[test]
    fn the_last_page_that_a_guest_can_address_is_denied() {
        let max = usize::try_from(MAX_MEMORY).expect("64 bits");
        for limit in [4 << 30, u64::MAX] {
            let mut limiter = MemoryLimiter::new(limit);
            let grown = |limiter: &mut MemoryLimiter, from, to| {
                limiter.memory_growing(from, to, None).expect("answers")
            };
            assert!(grown(&mut limiter, 0, max));
            assert!(!limiter.denied_growth());
            assert!(!grown(&mut limiter, max, 4 << 30));
            assert!(limiter.denied_growth());
            assert_eq!(limiter.used(), MAX_MEMORY);
        }
    }
}
