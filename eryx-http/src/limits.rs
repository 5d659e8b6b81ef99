//! Limits on the size of heads and the number of messages.

use thiserror::Error;

/// Limits on the size of heads and the number of messages.
///
/// The default values are also the maximum values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    head_bytes: usize,
    fields: usize,
    pipelined: usize,
}

impl Limits {
    /// The maximum length of a head or trailer section: 64 KiB.
    pub const MAX_HEAD_BYTES: usize = 64 * 1024;
    /// The maximum number of fields of a head or trailer section.
    pub const MAX_FIELDS: usize = 100;
    /// The maximum number of requests that wait for an answer.
    pub const MAX_PIPELINED: usize = 16;
    /// The maximum length of all chunk extensions of one response, in bytes.
    pub const MAX_CHUNK_EXTENSION_BYTES: usize = 4096;
    /// The maximum number of interim responses to one request.
    pub const MAX_INTERIM: usize = 32;

    /// Sets the maximum length of a head or trailer section, in bytes.
    ///
    /// # Errors
    ///
    /// Fails if `bytes` is 0 or more than [`Limits::MAX_HEAD_BYTES`].
    pub fn head_bytes(mut self, bytes: usize) -> Result<Self, LimitsError> {
        self.head_bytes = in_range("head_bytes", bytes, Self::MAX_HEAD_BYTES)?;
        Ok(self)
    }

    /// Sets the maximum number of fields of a head or trailer section.
    ///
    /// # Errors
    ///
    /// Fails if `fields` is 0 or more than [`Limits::MAX_FIELDS`].
    pub fn fields(mut self, fields: usize) -> Result<Self, LimitsError> {
        self.fields = in_range("fields", fields, Self::MAX_FIELDS)?;
        Ok(self)
    }

    /// Sets the maximum number of requests that wait for an answer.
    ///
    /// # Errors
    ///
    /// Fails if `requests` is 0 or more than [`Limits::MAX_PIPELINED`].
    pub fn pipelined(mut self, requests: usize) -> Result<Self, LimitsError> {
        self.pipelined = in_range("pipelined", requests, Self::MAX_PIPELINED)?;
        Ok(self)
    }

    pub(crate) fn max_head_bytes(&self) -> usize {
        self.head_bytes
    }

    pub(crate) fn max_fields(&self) -> usize {
        self.fields
    }

    pub(crate) fn max_pipelined(&self) -> usize {
        self.pipelined
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: Self::MAX_HEAD_BYTES,
            fields: Self::MAX_FIELDS,
            pipelined: Self::MAX_PIPELINED,
        }
    }
}

/// The error of a limit that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{limit} is {value}; set it to a number from 1 to {max}")]
pub struct LimitsError {
    limit: &'static str,
    value: usize,
    max: usize,
}

fn in_range(limit: &'static str, value: usize, max: usize) -> Result<usize, LimitsError> {
    if (1..=max).contains(&value) {
        Ok(value)
    } else {
        Err(LimitsError { limit, value, max })
    }
}
