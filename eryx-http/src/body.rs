//! Decoding of bodies.

use crate::chunked::ChunkedDecoder;
use crate::error::{HttpError, HttpErrorKind};
use crate::framing::Framing;
use crate::limits::Limits;
use crate::step::{Event, Step};

/// The sender of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
}

/// The state of a body.
#[derive(Debug)]
pub(crate) enum BodyDecoder {
    Length(u64),
    Chunked(Box<ChunkedDecoder>),
    UntilClose,
}

impl BodyDecoder {
    pub(crate) fn new(framing: Framing, sender: Sender) -> Self {
        match framing {
            Framing::Empty => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Box::new(ChunkedDecoder::new(sender))),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Parses a part of the input. [`Event::End`] is the last event.
    pub(crate) fn advance<H>(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Step<H>, HttpError> {
        match self {
            Self::Length(0) => Ok(Step::event(Event::End)),
            Self::Length(rest) => {
                let length = input
                    .len()
                    .min(usize::try_from(*rest).unwrap_or(usize::MAX));
                *rest -= length as u64;
                Ok(Self::data(length))
            }
            Self::Chunked(decoder) => decoder.advance(input, limits),
            Self::UntilClose => Ok(Self::data(input.len())),
        }
    }

    /// Returns how many bytes of content follow before the next byte of framing. For a body that
    /// ends with the connection, this is [`u64::MAX`].
    pub(crate) fn content(&self) -> u64 {
        match self {
            Self::Length(rest) => *rest,
            Self::Chunked(decoder) => decoder.content(),
            Self::UntilClose => u64::MAX,
        }
    }

    /// Returns the event of the connection's end.
    pub(crate) fn finish<H>(&mut self) -> Result<Event<H>, HttpError> {
        match self {
            Self::Length(0) | Self::UntilClose => Ok(Event::End),
            _ => Err(HttpErrorKind::Incomplete.into()),
        }
    }

    fn data<H>(length: usize) -> Step<H> {
        Step {
            consumed: length,
            forward: length,
            event: (length > 0).then_some(Event::Body(0..length)),
        }
    }
}
