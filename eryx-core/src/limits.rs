use std::time::Duration;

use eryx_net_host::{HostMemory, Network};
use wasmtime::ResourceLimiter;

use crate::{ConfigError, Error};

/// What one execution may use at most. Every limit is on by default.
///
/// ```
/// use std::time::Duration;
/// use eryx_core::ResourceLimits;
///
/// let limits = ResourceLimits::default()
///     .with_execution_timeout(Duration::from_secs(5))
///     .with_max_memory(64 << 20);
/// assert_eq!(limits.max_output(), 8 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceLimits {
    execution_timeout: Duration,
    max_memory: u64,
    max_output: u64,
    max_host_memory: u64,
}

impl Default for ResourceLimits {
    /// 30 seconds, 128 MiB of memory, 8 MiB of output, 64 MiB that the host keeps.
    fn default() -> Self {
        Self {
            execution_timeout: Duration::from_secs(30),
            max_memory: 128 << 20,
            max_output: 8 << 20,
            max_host_memory: HostMemory::DEFAULT,
        }
    }
}

impl ResourceLimits {
    /// The least [memory](Self::with_max_memory) an interpreter starts in, in bytes.
    pub const MIN_MEMORY: u64 = 48 << 20;

    /// What every execution takes of its [host memory](Self::with_max_host_memory), in bytes: what one call of the host
    /// may carry, what the host knows of the handles a program holds, and the network's report.
    pub const HOST_MEMORY_BASE: u64 = (8 << 20) + Network::REPORT_MEMORY;

    /// The most memory a guest can address, in bytes.
    pub const MAX_MEMORY: u64 = 4 << 30;

    /// How long one execution may take by the wall clock, waiting included.
    #[must_use]
    pub fn with_execution_timeout(mut self, timeout: Duration) -> Self {
        self.execution_timeout = timeout;
        self
    }

    /// How many bytes of memory the interpreter may use, its own share (about 40 MiB) included.
    #[must_use]
    pub fn with_max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = bytes;
        self
    }

    /// How many bytes one execution may print, standard output and standard error together.
    #[must_use]
    pub fn with_max_output(mut self, bytes: u64) -> Self {
        self.max_output = bytes;
        self
    }

    /// How many bytes the host may keep on behalf of one execution or session, outside of the interpreter's memory: what
    /// was printed, buffers of connections, TLS settings, name lookups in progress.
    ///
    /// A network call that would need more fails, and the program can go on with less; printing more ends it. At least
    /// [`HOST_MEMORY_BASE`](Self::HOST_MEMORY_BASE) and [`max_output`](Self::with_max_output) together.
    #[must_use]
    pub fn with_max_host_memory(mut self, bytes: u64) -> Self {
        self.max_host_memory = bytes;
        self
    }

    /// See [`with_execution_timeout`](Self::with_execution_timeout).
    pub fn execution_timeout(&self) -> Duration {
        self.execution_timeout
    }

    /// See [`with_max_memory`](Self::with_max_memory).
    pub fn max_memory(&self) -> u64 {
        self.max_memory
    }

    /// See [`with_max_output`](Self::with_max_output).
    pub fn max_output(&self) -> u64 {
        self.max_output
    }

    /// See [`with_max_host_memory`](Self::with_max_host_memory).
    pub fn max_host_memory(&self) -> u64 {
        self.max_host_memory
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.execution_timeout.is_zero() {
            return Err(ConfigError::new(
                "execution_timeout is 0: nothing could run; give it a positive duration",
            )
            .into());
        }
        if self.max_memory < Self::MIN_MEMORY {
            return Err(ConfigError::new(format!(
                "max_memory is {} bytes, but the interpreter alone needs {}; give it at least that",
                self.max_memory,
                Self::MIN_MEMORY
            ))
            .into());
        }
        if self.max_memory > Self::MAX_MEMORY {
            return Err(ConfigError::new(format!(
                "max_memory is {} bytes, but a guest can address {} at most",
                self.max_memory,
                Self::MAX_MEMORY
            ))
            .into());
        }
        let least = Self::HOST_MEMORY_BASE.saturating_add(self.max_output);
        if self.max_host_memory < least {
            return Err(ConfigError::new(format!(
                "max_host_memory is {} bytes, but every execution takes {} of it, and what a program prints up to {} \
                 (max_output); give it at least {least}, or lower max_output",
                self.max_host_memory,
                Self::HOST_MEMORY_BASE,
                self.max_output
            ))
            .into());
        }
        Ok(())
    }
}

/// A limit that ended an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`ResourceLimits::with_execution_timeout`]: this much time has passed.
    ExecutionTime(Duration),
    /// [`ResourceLimits::with_max_memory`]: the program wanted more than this many bytes.
    Memory(u64),
    /// [`ResourceLimits::with_max_output`]: the program printed more than this many bytes.
    Output(u64),
    /// [`ResourceLimits::with_max_host_memory`]: the host would have had to keep more than this many bytes.
    HostMemory(u64),
    /// The program recursed deeper, in native code, than the stack allows.
    Stack,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ExecutionTime(limit) => write!(
                f,
                "the execution took longer than its limit of {limit:?} (ResourceLimits: execution_timeout)"
            ),
            Self::Memory(limit) => write!(
                f,
                "the program needed more memory than its limit of {limit} bytes (ResourceLimits: max_memory)"
            ),
            Self::Output(limit) => write!(
                f,
                "the program printed more than its limit of {limit} bytes (ResourceLimits: max_output)"
            ),
            Self::HostMemory(limit) => write!(
                f,
                "the host would have to keep more for the program than its limit of {limit} bytes (ResourceLimits: max_host_memory)"
            ),
            Self::Stack => f.write_str("the program recursed deeper than the stack allows"),
        }
    }
}

/// Counts the memory of one instance, and says no.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    max: u64,
    used: u64,
    peak: u64,
    refused: bool,
}

impl MemoryLimiter {
    /// An instance's tables hold its functions; it never needs more entries than this.
    const MAX_TABLE: usize = 1 << 17;

    pub(crate) fn new(max: u64) -> Self {
        Self {
            max,
            used: 0,
            peak: 0,
            refused: false,
        }
    }

    /// The most bytes in use at once since the last [`begin`](Self::begin).
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    /// Whether a request was refused since the last [`begin`](Self::begin).
    pub(crate) fn refused(&self) -> bool {
        self.refused
    }

    /// Start counting for an execution.
    pub(crate) fn begin(&mut self) {
        self.peak = self.used;
        self.refused = false;
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
        if wanted > self.max {
            self.refused = true;
            return Ok(false);
        }
        self.used = wanted;
        self.peak = self.peak.max(wanted);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= Self::MAX_TABLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories_and_refused_past_the_limit() {
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 40, None).expect("answers"));
        assert!(limiter.memory_growing(0, 60, None).expect("answers"));
        assert!(!limiter.refused());
        assert!(!limiter.memory_growing(60, 61, None).expect("answers"));
        assert!(limiter.refused());
        assert_eq!(limiter.peak(), 100);
        limiter.begin();
        assert!(!limiter.refused());
        assert_eq!(limiter.peak(), 100);
    }

    #[test]
    fn limits_nothing_can_run_under_are_refused_by_name() {
        for (limits, name) in [
            (
                ResourceLimits::default().with_execution_timeout(Duration::ZERO),
                "execution_timeout",
            ),
            (
                ResourceLimits::default().with_max_memory(1 << 20),
                "max_memory",
            ),
            (
                ResourceLimits::default().with_max_memory(u64::MAX),
                "max_memory",
            ),
            (
                ResourceLimits::default().with_max_host_memory(ResourceLimits::HOST_MEMORY_BASE),
                "max_host_memory",
            ),
            (
                ResourceLimits::default().with_max_output(64 << 20),
                "max_output",
            ),
        ] {
            let error = limits.validate().expect_err("refused").to_string();
            assert!(error.contains(name), "{error}");
        }
        ResourceLimits::default().validate().expect("accepted");
    }
}
