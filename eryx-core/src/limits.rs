//! The resource limits of an execution.

use std::time::Duration;

use eryx_files::Limits as FileLimits;
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
    max_file_bytes: u64,
    max_files: usize,
    max_value: u64,
    max_function_calls: u64,
    max_function_calls_in_flight: usize,
    max_function_value: u64,
    function_timeout: Option<Duration>,
}

impl Default for ResourceLimits {
    /// 30 seconds, 128 MiB of memory, 8 MiB of output, 64 MiB of host memory, 64 MiB in 10,000
    /// files, values of 1 MiB, 1,000 calls of functions, 32 of them at a time, with values of 1
    /// MiB.
    fn default() -> Self {
        Self {
            execution_timeout: Duration::from_secs(30),
            max_memory: 128 << 20,
            max_output: 8 << 20,
            max_host_memory: HostMemory::DEFAULT,
            max_file_bytes: FileLimits::default().max_file_bytes(),
            max_files: FileLimits::default().max_files(),
            max_value: 1 << 20,
            max_function_calls: 1000,
            max_function_calls_in_flight: 32,
            max_function_value: 1 << 20,
            function_timeout: None,
        }
    }
}

impl ResourceLimits {
    /// The least [memory](Self::with_max_memory) an interpreter starts in, in bytes.
    pub const MIN_MEMORY: u64 = 48 << 20;

    /// The part of its [host memory](Self::with_max_host_memory) that every execution uses, in
    /// bytes: the data of one host call, the state of the handles a program holds, and the
    /// network's report.
    pub const HOST_MEMORY_BASE: u64 = (8 << 20) + Network::MAX_REPORT_MEMORY;

    /// The most [bytes of files](Self::with_max_file_bytes).
    pub const MAX_FILE_BYTES: u64 = FileLimits::MAX_FILE_BYTES;

    /// The most [files](Self::with_max_files).
    pub const MAX_FILES: usize = FileLimits::MAX_FILES;

    /// The most bytes of a [value](Self::with_max_value).
    pub const MAX_VALUE: u64 = 3 << 20;
    /// The most [calls at a time](Self::with_max_function_calls_in_flight).
    pub const MAX_FUNCTION_CALLS_IN_FLIGHT: usize = 1024;

    /// The most [bytes of a value](Self::with_max_function_value).
    pub const MAX_FUNCTION_VALUE: u64 = 3 << 20;

    /// The most memory a guest can address, in bytes. The last 64 KiB are never used.
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

    /// Sets how many bytes the files of one execution or session may have together. They are in the
    /// memory of this process, in addition to [host memory](Self::with_max_host_memory). At the
    /// limit, a write fails with ENOSPC or EIO, and the program can go on. At most
    /// [`MAX_FILE_BYTES`](Self::MAX_FILE_BYTES).
    ///
    /// Holes count as if they were filled. The files of packages do not count.
    #[must_use]
    pub fn with_max_file_bytes(mut self, bytes: u64) -> Self {
        self.max_file_bytes = bytes;
        self
    }

    /// Sets how many files, directories and links one execution or session may create. Each takes
    /// up to a kilobyte of the memory of this process. At the limit, the program gets ENOSPC. From
    /// 1 to [`MAX_FILES`](Self::MAX_FILES).
    #[must_use]
    pub fn with_max_files(mut self, files: usize) -> Self {
        self.max_files = files;
        self
    }

    /// Sets how many bytes the JSON of a program's value and its representations may have together;
    /// see [`Program::with_value`](crate::Program::with_value). A larger value is missing from the
    /// result, with the reason in its place. At most [`MAX_VALUE`](Self::MAX_VALUE).
    #[must_use]
    pub fn with_max_value(mut self, bytes: u64) -> Self {
        self.max_value = bytes;
        self
    }

    /// Sets how many calls of the embedder's [functions](crate::Functions) one execution may make.
    /// More raise `tools.LimitError` in the program. At least 1.
    #[must_use]
    pub fn with_max_function_calls(mut self, calls: u64) -> Self {
        self.max_function_calls = calls;
        self
    }

    /// Sets how many of these calls may be in progress at a time. More wait for their turn. From 1
    /// to [`MAX_FUNCTION_CALLS_IN_FLIGHT`](Self::MAX_FUNCTION_CALLS_IN_FLIGHT).
    #[must_use]
    pub fn with_max_function_calls_in_flight(mut self, calls: usize) -> Self {
        self.max_function_calls_in_flight = calls;
        self
    }

    /// Sets how many bytes the arguments of one of these calls, and its result, may have as JSON.
    /// Larger ones raise `tools.LimitError` in the program. At most
    /// [`MAX_FUNCTION_VALUE`](Self::MAX_FUNCTION_VALUE).
    #[must_use]
    pub fn with_max_function_value(mut self, bytes: u64) -> Self {
        self.max_function_value = bytes;
        self
    }

    /// Sets how long one of these calls may take, without the time that it waits for its turn. A
    /// longer one raises `TimeoutError` in the program. `None`, the default, is no limit other than
    /// the [time limit of the execution](Self::with_execution_timeout).
    #[must_use]
    pub fn with_function_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.function_timeout = timeout;
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

    /// Returns the limit set by [`with_max_file_bytes`](Self::with_max_file_bytes), in bytes.
    pub fn max_file_bytes(&self) -> u64 {
        self.max_file_bytes
    }

    /// Returns the limit set by [`with_max_files`](Self::with_max_files).
    pub fn max_files(&self) -> usize {
        self.max_files
    }

    /// Returns the limit set by [`with_max_value`](Self::with_max_value), in bytes.
    pub fn max_value(&self) -> u64 {
        self.max_value
    }

    /// Returns the limit set by [`with_max_function_calls`](Self::with_max_function_calls).
    pub fn max_function_calls(&self) -> u64 {
        self.max_function_calls
    }

    /// Returns the limit set by
    /// [`with_max_function_calls_in_flight`](Self::with_max_function_calls_in_flight).
    pub fn max_function_calls_in_flight(&self) -> usize {
        self.max_function_calls_in_flight
    }

    /// Returns the limit set by [`with_max_function_value`](Self::with_max_function_value), in
    /// bytes.
    pub fn max_function_value(&self) -> u64 {
        self.max_function_value
    }

    /// Returns the limit set by [`with_function_timeout`](Self::with_function_timeout).
    pub fn function_timeout(&self) -> Option<Duration> {
        self.function_timeout
    }

    /// Checks the limits on calls of functions.
    fn validate_functions(&self) -> Result<(), ConfigError> {
        if self.max_function_calls == 0 {
            return Err(ConfigError::limit(
                "max_function_calls",
                "is 0; give it at least 1, or give the sandbox no functions",
            ));
        }
        if !(1..=Self::MAX_FUNCTION_CALLS_IN_FLIGHT).contains(&self.max_function_calls_in_flight) {
            return Err(ConfigError::limit(
                "max_function_calls_in_flight",
                format!(
                    "is {}; give it a number from 1 to {}",
                    self.max_function_calls_in_flight,
                    Self::MAX_FUNCTION_CALLS_IN_FLIGHT
                ),
            ));
        }
        if !(1..=Self::MAX_FUNCTION_VALUE).contains(&self.max_function_value) {
            return Err(ConfigError::limit(
                "max_function_value",
                format!(
                    "is {} bytes; give it a number from 1 to {}",
                    self.max_function_value,
                    Self::MAX_FUNCTION_VALUE
                ),
            ));
        }
        if self.function_timeout == Some(Duration::ZERO) {
            return Err(ConfigError::limit(
                "function_timeout",
                "is 0: every call would fail; give it a positive duration, or none",
            ));
        }
        Ok(())
    }

    /// Returns the limits of the files.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Limit`] for a limit that is out of range.
    pub(crate) fn file_limits(&self) -> Result<FileLimits, ConfigError> {
        if self.max_file_bytes > Self::MAX_FILE_BYTES {
            return Err(ConfigError::limit(
                "max_file_bytes",
                format!(
                    "is {} bytes; give it at most {}",
                    self.max_file_bytes,
                    Self::MAX_FILE_BYTES
                ),
            ));
        }
        FileLimits::default()
            .with_max_file_bytes(self.max_file_bytes)
            .and_then(|limits| limits.with_max_files(self.max_files))
            .map_err(|_| {
                ConfigError::limit(
                    "max_files",
                    format!(
                        "is {}; give it a number from 1 to {}",
                        self.max_files,
                        Self::MAX_FILES
                    ),
                )
            })
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if self.max_value > Self::MAX_VALUE {
            return Err(ConfigError::limit(
                "max_value",
                format!(
                    "is {} bytes; give it at most {}",
                    self.max_value,
                    Self::MAX_VALUE
                ),
            ));
        }
        self.validate_functions()?;
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
                    "is {} bytes, but the interpreter alone needs {} ({} MiB); give it at least that",
                    self.max_memory,
                    Self::MIN_MEMORY,
                    Self::MIN_MEMORY >> 20
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
        self.file_limits()?;
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
        let default = ResourceLimits::default;
        for (limits, name) in [
            (
                default().with_execution_timeout(Duration::ZERO),
                "execution_timeout",
            ),
            (default().with_max_memory(1 << 20), "max_memory"),
            (default().with_max_memory(u64::MAX), "max_memory"),
            (
                default().with_max_host_memory(ResourceLimits::HOST_MEMORY_BASE),
                "max_host_memory",
            ),
            (default().with_max_output(64 << 20), "max_output"),
            (default().with_max_file_bytes(u64::MAX), "max_file_bytes"),
            (default().with_max_function_calls(0), "max_function_calls"),
            (
                default().with_max_function_calls_in_flight(0),
                "max_function_calls_in_flight",
            ),
            (
                default().with_max_function_calls_in_flight(1025),
                "max_function_calls_in_flight",
            ),
            (default().with_max_function_value(0), "max_function_value"),
            (
                default().with_max_function_value((3 << 20) + 1),
                "max_function_value",
            ),
            (
                default().with_function_timeout(Some(Duration::ZERO)),
                "function_timeout",
            ),
            (default().with_max_files(0), "max_files"),
            (default().with_max_value(u64::MAX), "max_value"),
            (default().with_max_files(usize::MAX), "max_files"),
        ] {
            let error = limits.validate().expect_err("rejected").to_string();
            assert!(error.contains(name), "{error}");
        }
        ResourceLimits::default().validate().expect("accepted");
    }
}
