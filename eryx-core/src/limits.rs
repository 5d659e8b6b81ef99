//! The resource limits of an execution.

use std::time::Duration;

use eryx_net_host::{HostMemory, Network};

use crate::config_error::ConfigError;

/// The most resources that one execution may use. Every limit is on by default.
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
    /// 30 seconds, 128 MiB of memory, 8 MiB of output, 64 MiB of host memory.
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

    /// The part of its [host memory](Self::with_max_host_memory) that every execution uses, in
    /// bytes: the data of one host call, the state of the handles a program holds, and the
    /// network's report.
    pub const HOST_MEMORY_BASE: u64 = (8 << 20) + Network::REPORT_MEMORY;

    /// The most memory a guest can address, in bytes.
    pub const MAX_MEMORY: u64 = 4 << 30;

    /// Sets how long one execution may take by the wall clock, waiting included.
    #[must_use]
    pub fn with_execution_timeout(mut self, timeout: Duration) -> Self {
        self.execution_timeout = timeout;
        self
    }

    /// Sets how many bytes of memory the interpreter may use, its own share (about 40 MiB)
    /// included.
    #[must_use]
    pub fn with_max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = bytes;
        self
    }

    /// Sets how many bytes one execution may print, standard output and standard error together.
    #[must_use]
    pub fn with_max_output(mut self, bytes: u64) -> Self {
        self.max_output = bytes;
        self
    }

    /// Sets how many bytes the host may hold on behalf of one execution or session, outside of the
    /// interpreter's memory: captured output, buffers of connections, TLS settings, name lookups in
    /// progress.
    ///
    /// A network call that would need more fails, and the program can go on with less; printing
    /// more ends the program. The least is [`HOST_MEMORY_BASE`](Self::HOST_MEMORY_BASE) and
    /// [`max_output`](Self::with_max_output) together.
    #[must_use]
    pub fn with_max_host_memory(mut self, bytes: u64) -> Self {
        self.max_host_memory = bytes;
        self
    }

    /// Returns the limit set by [`with_execution_timeout`](Self::with_execution_timeout).
    pub fn execution_timeout(&self) -> Duration {
        self.execution_timeout
    }

    /// Returns the limit set by [`with_max_memory`](Self::with_max_memory), in bytes.
    pub fn max_memory(&self) -> u64 {
        self.max_memory
    }

    /// Returns the limit set by [`with_max_output`](Self::with_max_output), in bytes.
    pub fn max_output(&self) -> u64 {
        self.max_output
    }

    /// Returns the limit set by [`with_max_host_memory`](Self::with_max_host_memory), in bytes.
    pub fn max_host_memory(&self) -> u64 {
        self.max_host_memory
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if self.execution_timeout.is_zero() {
            return Err(ConfigError::limit(
                "execution_timeout",
                "is 0: nothing could run; give it a positive duration",
            ));
        }
        if self.max_memory < Self::MIN_MEMORY {
            return Err(ConfigError::limit(
                "max_memory",
                format!(
                    "is {} bytes, but the interpreter alone needs {}; give it at least that",
                    self.max_memory,
                    Self::MIN_MEMORY
                ),
            ));
        }
        if self.max_memory > Self::MAX_MEMORY {
            return Err(ConfigError::limit(
                "max_memory",
                format!(
                    "is {} bytes, but a guest can address {} at most",
                    self.max_memory,
                    Self::MAX_MEMORY
                ),
            ));
        }
        let least = Self::HOST_MEMORY_BASE.saturating_add(self.max_output);
        if self.max_host_memory < least {
            return Err(ConfigError::limit(
                "max_host_memory",
                format!(
                    "is {} bytes, but every execution takes {} of it, and its output up to {} \
                     (max_output); give it at least {least}, or lower max_output",
                    self.max_host_memory,
                    Self::HOST_MEMORY_BASE,
                    self.max_output
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_under_which_nothing_can_run_is_rejected_by_name() {
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
            let error = limits.validate().expect_err("rejected").to_string();
            assert!(error.contains(name), "{error}");
        }
        ResourceLimits::default().validate().expect("accepted");
    }
}
