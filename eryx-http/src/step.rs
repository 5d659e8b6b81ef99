//! The result of parsing a part of the input.

use std::ops::Range;

use crate::fields::Fields;

/// The result of parsing a part of the input.
#[derive(Debug, PartialEq, Eq)]
pub struct Step<H> {
    /// The number of bytes at the start of the input that were parsed. The caller passes the others
    /// again, with those that follow.
    pub consumed: usize,
    /// The number of bytes at the start of the input that can be forwarded as they are: body bytes
    /// and the framing of chunks. The parser keeps the bytes between `forward` and `consumed`; they
    /// come with [`Event::Head`] or [`Event::Trailers`].
    pub forward: usize,
    /// The event, or `None` if all input was parsed and more is needed.
    pub event: Option<Event<H>>,
}

/// A part of a message.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<H> {
    /// The head is complete.
    Head(Box<H>),
    /// The request offers these protocols (RFC 9110, 7.8). Follows its head.
    Upgrade(Box<str>),
    /// These bytes of the input belong to the body.
    Body(Range<usize>),
    /// The chunked body has ended, with at least one trailer field.
    Trailers(Fields),
    /// The message has ended.
    End,
    /// The connection has left HTTP: a 101 response, or a 2xx response to CONNECT. Follows the
    /// head.
    Switched,
    /// These bytes of the input are not HTTP, after [`Event::Switched`].
    Raw(Range<usize>),
}

impl<H> Step<H> {
    /// Returns a step that took `consumed` bytes and forwards none.
    pub(crate) fn kept(consumed: usize, event: Option<Event<H>>) -> Self {
        Self {
            consumed,
            forward: 0,
            event,
        }
    }

    /// Returns a step that took no byte.
    pub(crate) fn event(event: Event<H>) -> Self {
        Self::kept(0, Some(event))
    }

    /// Returns the step for bytes that are not HTTP.
    pub(crate) fn raw(length: usize) -> Self {
        Self {
            consumed: length,
            forward: length,
            event: (length > 0).then_some(Event::Raw(0..length)),
        }
    }
}
