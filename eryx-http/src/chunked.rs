//! Decoding of the chunked transfer coding (RFC 9112, 7.1).

use crate::body::Sender;
use crate::error::{HttpError, HttpErrorKind};
use crate::field_line::{check_override, is_like};
use crate::fields::Fields;
use crate::head_buffer::{HeadBuffer, Progress};
use crate::limits::Limits;
use crate::step::{Event, Step};

/// The maximum number of digits of a chunk size.
const MAX_DIGITS: u8 = 16;

/// Fields that are not permitted in trailers: those that frame, route, authenticate or condition
/// the message, describe its content, or select that of the response (RFC 9110, 6.5.1). Some
/// servers add trailers to the fields of the head.
const NO_TRAILERS: [&str; 30] = [
    "a-im",
    "accept-charset",
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "pragma",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "request-range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The state of a chunked body.
#[derive(Debug)]
pub(crate) struct ChunkedDecoder {
    sender: Sender,
    extension_bytes: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// In the size of a chunk, of which some digits were read.
    Size { size: u64, digits: u8 },
    /// In the extensions of a chunk.
    Extension { size: u64 },
    /// After the CR of a chunk's first line.
    SizeLf { size: u64 },
    /// In the data of a chunk.
    Data { rest: u64 },
    /// After the data of a chunk.
    DataCr,
    /// After the CR that follows the data of a chunk.
    DataLf,
    /// After the last chunk.
    LastChunk,
    /// After the CR of the empty line that ends a body without trailers.
    EndLf,
    /// In the trailer section.
    Trailers(HeadBuffer),
    /// After the body.
    End,
}

impl ChunkedDecoder {
    pub(crate) fn new(sender: Sender) -> Self {
        Self {
            sender,
            extension_bytes: 0,
            state: State::Size { size: 0, digits: 0 },
        }
    }

    /// Returns how many bytes are missing from the current chunk's data.
    pub(crate) fn content(&self) -> u64 {
        match self.state {
            State::Data { rest } => rest,
            _ => 0,
        }
    }

    /// Parses the input up to the next event.
    pub(crate) fn advance<H>(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Step<H>, HttpError> {
        let mut at = 0;
        loop {
            match &mut self.state {
                State::End => return Ok(forwarded(at, Some(Event::End))),
                State::Trailers(buffer) => {
                    let forward = at;
                    let (taken, progress) = buffer.push(&input[at..], limits)?;
                    at += taken;
                    let event = match progress {
                        Progress::End => Some(Event::Trailers(self.end_trailers()?)),
                        Progress::FirstLine | Progress::Partial => None,
                    };
                    return Ok(Step {
                        consumed: at,
                        forward,
                        event,
                    });
                }
                State::Data { rest } if *rest > 0 => {
                    let available = input.len() - at;
                    if available == 0 {
                        return Ok(forwarded(at, None));
                    }
                    let length = available.min(usize::try_from(*rest).unwrap_or(usize::MAX));
                    *rest -= length as u64;
                    let range = at..at + length;
                    return Ok(forwarded(range.end, Some(Event::Body(range))));
                }
                State::Data { .. } => self.state = State::DataCr,
                _ => {
                    let Some(&byte) = input.get(at) else {
                        return Ok(forwarded(at, None));
                    };
                    if self.framing_byte(byte)? {
                        at += 1;
                    }
                }
            }
        }
    }

    /// Parses a byte of the framing, and returns whether it was consumed.
    fn framing_byte(&mut self, byte: u8) -> Result<bool, HttpError> {
        let error = |kind| Err(HttpError::new(&[byte], kind));
        self.state = match (&self.state, byte) {
            (&State::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).expect("the byte is a digit");
                if digits == MAX_DIGITS || size > (i64::MAX as u64) >> 4 {
                    return error(HttpErrorKind::ChunkSizeOverflow);
                }
                State::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                }
            }
            (&State::Size { size, digits: 1.. }, b'\r') => State::SizeLf { size },
            (&State::Size { size, digits: 1.. }, b';') => {
                if self.sender == Sender::Client {
                    return error(HttpErrorKind::ChunkExtension);
                }
                State::Extension { size }
            }
            (&State::Size { digits: 1.., .. }, b'\n') => return error(HttpErrorKind::ChunkEnd),
            (State::Size { .. }, _) => return error(HttpErrorKind::ChunkSize),
            (&State::Extension { size }, b'\r') => State::SizeLf { size },
            (&State::Extension { size }, b'\t' | b' '..=b'~') => {
                self.extension_bytes += 1;
                if self.extension_bytes > Limits::MAX_CHUNK_EXTENSION_BYTES {
                    let limit = Limits::MAX_CHUNK_EXTENSION_BYTES;
                    return error(HttpErrorKind::ChunkExtensionTooLong { limit });
                }
                State::Extension { size }
            }
            (State::Extension { .. }, _) => return error(HttpErrorKind::ChunkEnd),
            (State::SizeLf { size: 0 }, b'\n') => State::LastChunk,
            (&State::SizeLf { size }, b'\n') => State::Data { rest: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { size: 0, digits: 0 },
            (State::LastChunk, b'\r') => State::EndLf,
            (State::LastChunk, _) => {
                self.state = State::Trailers(HeadBuffer::of_trailers());
                return Ok(false);
            }
            (State::EndLf, b'\n') => State::End,
            _ => return error(HttpErrorKind::ChunkEnd),
        };
        Ok(true)
    }

    fn end_trailers(&mut self) -> Result<Fields, HttpError> {
        let State::Trailers(buffer) = std::mem::replace(&mut self.state, State::End) else {
            unreachable!("called in the trailer section");
        };
        let fields = Fields::parse(buffer.into_bytes(), 0)?;
        if self.sender == Sender::Client {
            for (name, value) in fields.iter_bytes() {
                // There is no reason to repeat the method here.
                check_override(name, value, b"")?;
            }
        }
        for (name, _) in fields.iter() {
            if NO_TRAILERS
                .iter()
                .any(|other| is_like(name.as_bytes(), other))
            {
                return Err(HttpError::new(name.as_bytes(), HttpErrorKind::TrailerField));
            }
        }
        Ok(fields)
    }
}

fn forwarded<H>(length: usize, event: Option<Event<H>>) -> Step<H> {
    Step {
        consumed: length,
        forward: length,
        event,
    }
}
