//! The encoding of messages into a buffer that grows to the size they need.

use rustls::unbuffered::{self, EncryptError, InsufficientSizeError};

use crate::buffer::Buffer;
use crate::error::TlsError;

/// The error of an encoder.
pub(crate) enum EncodeError {
    /// The space is too small.
    InsufficientSize(InsufficientSizeError),
    /// The usage limit of the connection's keys is reached.
    KeyLimit,
}

impl EncodeError {
    /// Converts the result of encoding a handshake message. A message that is encoded already adds
    /// 0 bytes.
    pub(crate) fn unless_encoded(
        result: Result<usize, unbuffered::EncodeError>,
    ) -> Result<usize, Self> {
        match result {
            Ok(len) => Ok(len),
            Err(unbuffered::EncodeError::InsufficientSize(size)) => {
                Err(Self::InsufficientSize(size))
            }
            Err(unbuffered::EncodeError::AlreadyEncoded) => Ok(0),
        }
    }
}

impl From<EncryptError> for EncodeError {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(size) => Self::InsufficientSize(size),
            EncryptError::EncryptExhausted => Self::KeyLimit,
        }
    }
}

/// Encodes a message at the end of `outgoing`, with `size` bytes of space at first, and with the
/// space that the encoder asks for after that.
pub(crate) fn encode_into(
    outgoing: &mut Buffer,
    mut size: usize,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), TlsError> {
    loop {
        let space = outgoing.space(size);
        let available = space.len();
        match encode(space) {
            Ok(len) => {
                outgoing.fill(len);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(error)) if available < error.required_size => {
                if size >= error.required_size {
                    return Err(TlsError::protocol(
                        "internal error",
                        "the message does not fit into the outgoing buffer",
                    ));
                }
                size = error.required_size;
            }
            Err(_) => {
                return Err(TlsError::protocol(
                    "internal error",
                    "the connection's keys have reached their usage limit",
                ));
            }
        }
    }
}
