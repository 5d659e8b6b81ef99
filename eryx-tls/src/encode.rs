use rustls::unbuffered::{EncryptError, InsufficientSizeError};

use crate::TlsError;
use crate::buffer::Buffer;

/// Why a message was not put into the space it was given.
pub(crate) enum Refusal {
    TooSmall(InsufficientSizeError),
    Exhausted,
}

impl From<EncryptError> for Refusal {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(size) => Self::TooSmall(size),
            EncryptError::EncryptExhausted => Self::Exhausted,
        }
    }
}

/// Lets `message` write itself behind what is in `outgoing`, with as much room as it turns out to need.
pub(crate) fn put(
    outgoing: &mut Buffer,
    mut want: usize,
    mut message: impl FnMut(&mut [u8]) -> Result<usize, Refusal>,
) -> Result<(), TlsError> {
    loop {
        let space = outgoing.space(want);
        let room = space.len();
        match message(space) {
            Ok(len) => {
                outgoing.fill(len);
                return Ok(());
            }
            Err(Refusal::TooSmall(size)) if room < size.required_size => {
                if want >= size.required_size {
                    return Err(TlsError::protocol(
                        "internal error",
                        "what the protocol has to send does not fit the outgoing buffer",
                    ));
                }
                want = size.required_size;
            }
            Err(_) => {
                return Err(TlsError::protocol(
                    "internal error",
                    "this connection has encrypted as much as its keys are good for",
                ));
            }
        }
    }
}
