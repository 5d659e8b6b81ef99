//! The files and bytes of a program, counted against its limits.

use crate::error::{Error, Result};
use crate::limits::Limits;

/// The bytes and files that a program stores.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    bytes: u64,
    files: usize,
    limits: Limits,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            bytes: 0,
            files: 0,
            limits,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn files(&self) -> usize {
        self.files
    }

    /// Returns the bytes that are left.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.limits.max_file_bytes() - self.bytes
    }

    /// Returns the most bytes that a file can have, of which `original` do not count.
    pub(crate) fn max_size(&self, original: u64) -> u64 {
        original.saturating_add(self.limits.max_file_bytes())
    }

    pub(crate) fn take_bytes(&mut self, bytes: u64) -> Result<()> {
        if bytes > self.free_bytes() {
            return Err(Error::NoSpace);
        }
        self.bytes += bytes;
        Ok(())
    }

    pub(crate) fn return_bytes(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.bytes, "more is returned than was taken");
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(crate) fn take_file(&mut self) -> Result<()> {
        if self.files >= self.limits.max_files() {
            return Err(Error::NoSpace);
        }
        self.files += 1;
        Ok(())
    }

    pub(crate) fn return_file(&mut self) {
        debug_assert!(self.files > 0, "more is returned than was taken");
        self.files = self.files.saturating_sub(1);
    }
}
