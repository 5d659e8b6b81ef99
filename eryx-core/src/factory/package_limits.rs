//! How much the packages of a factory may hold.

use crate::error::{ConfigError, Error};

/// Bounds on the packages of a [`SandboxFactory`](crate::SandboxFactory), all of them together. They are in memory as long as
/// the factory is.
///
/// ```
/// let limits = eryx_core::PackageLimits::default().with_max_bytes(1 << 30);
/// assert_eq!(limits.max_files(), 20_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageLimits {
    max_bytes: u64,
    max_files: usize,
}

/// Several times what the largest collections of pure Python packages take.
const MAX_BYTES: u64 = 256 << 20;
const MAX_FILES: usize = 20_000;

impl Default for PackageLimits {
    fn default() -> Self {
        Self {
            max_bytes: MAX_BYTES,
            max_files: MAX_FILES,
        }
    }
}

impl PackageLimits {
    /// Lets packages hold at most this many bytes, unpacked. The default is 256 MiB.
    #[must_use = "it returns the limits it changes"]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Lets packages have at most this many files. The default is 20,000.
    #[must_use = "it returns the limits it changes"]
    pub fn with_max_files(mut self, files: usize) -> Self {
        self.max_files = files;
        self
    }

    /// Returns the most bytes that packages may hold, unpacked.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Returns the most files that packages may have.
    pub fn max_files(&self) -> usize {
        self.max_files
    }

    /// Refuses limits that nothing keeps.
    pub(super) fn validate(&self) -> Result<(), Error> {
        if self.max_bytes == 0 || self.max_files == 0 {
            return Err(ConfigError::new(
                "the limits of packages: 0 leaves no room for any; give the most bytes and the most files they may have",
            )
            .into());
        }
        Ok(())
    }

    /// Returns how much there is room for while there are no packages.
    pub(super) fn room(&self) -> Room {
        Room {
            bytes: self.max_bytes,
            files: self.max_files,
        }
    }
}

/// How much more packages may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) bytes: u64,
    pub(super) files: usize,
}

/// What there is not enough of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Bytes,
    Files,
}

impl Room {
    /// Takes the room of a file of this size.
    pub(super) fn take(&mut self, size: u64) -> Result<(), Full> {
        self.bytes = self.bytes.checked_sub(size).ok_or(Full::Bytes)?;
        self.files = self.files.checked_sub(1).ok_or(Full::Files)?;
        Ok(())
    }
}
