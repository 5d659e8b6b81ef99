//! The limits of a factory's packages, and the quota that is left of them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::config_error::ConfigError;

/// Limits of the packages of a [`SandboxFactory`](crate::SandboxFactory), for all of them together.
/// The packages are in memory as long as the factory is.
///
/// ```
/// let limits = eryx_core::PackageLimits::default().with_max_bytes(1 << 30);
/// assert_eq!(limits.max_files(), 50_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageLimits {
    max_bytes: u64,
    max_files: usize,
}

impl Default for PackageLimits {
    /// 512 MiB and 50,000 files: several times the largest collections of pure Python packages.
    fn default() -> Self {
        Self {
            max_bytes: 512 << 20,
            max_files: 50_000,
        }
    }
}

impl PackageLimits {
    /// Sets the most bytes of the packages, unpacked. The default is 512 MiB.
    #[must_use = "it returns the limits it changes"]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the most files of the packages. The default is 50,000.
    #[must_use = "it returns the limits it changes"]
    pub fn with_max_files(mut self, files: usize) -> Self {
        self.max_files = files;
        self
    }

    /// Returns the most bytes of the packages, unpacked.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Returns the most files of the packages.
    pub fn max_files(&self) -> usize {
        self.max_files
    }

    /// Rejects limits that no package meets.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let limit = match (self.max_bytes, self.max_files) {
            (0, _) => "the most bytes of packages (max_bytes)",
            (_, 0) => "the most files of packages (max_files)",
            _ => return Ok(()),
        };
        Err(ConfigError::limit(
            limit,
            "is 0, which allows no package; set it to at least 1",
        ))
    }

    /// Returns the quota of packages of which nothing is used.
    pub(super) fn quota(&self) -> Quota {
        Quota {
            bytes: self.max_bytes,
            files: self.max_files,
        }
    }
}

/// The bytes and files that packages may still add.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quota {
    pub(super) bytes: u64,
    pub(super) files: usize,
}

/// The quota that is exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuotaExceeded {
    Bytes,
    Files,
}

impl Quota {
    /// Takes a file of `size` bytes from the quota.
    pub(super) fn take_file(&mut self, size: u64) -> Result<(), QuotaExceeded> {
        self.bytes = self.bytes.checked_sub(size).ok_or(QuotaExceeded::Bytes)?;
        self.files = self.files.checked_sub(1).ok_or(QuotaExceeded::Files)?;
        Ok(())
    }
}

/// A quota that several threads take from.
#[derive(Debug)]
pub(super) struct SharedQuota {
    bytes: AtomicU64,
    files: AtomicUsize,
}

impl SharedQuota {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            bytes: AtomicU64::new(quota.bytes),
            files: AtomicUsize::new(quota.files),
        }
    }

    /// Takes a file of `size` bytes from the quota. After an error, the quota is too small for
    /// everything that was to be taken.
    pub(super) fn take_file(&self, size: u64) -> Result<(), QuotaExceeded> {
        self.bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bytes| {
                bytes.checked_sub(size)
            })
            .map_err(|_| QuotaExceeded::Bytes)?;
        self.files
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |files| {
                files.checked_sub(1)
            })
            .map_err(|_| QuotaExceeded::Files)?;
        Ok(())
    }

    /// Returns what is left of the quota.
    pub(super) fn left(&self) -> Quota {
        Quota {
            bytes: self.bytes.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
        }
    }
}
