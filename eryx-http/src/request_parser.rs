//! Parsing of the requests of a connection.

use crate::body::{BodyDecoder, Sender};
use crate::error::{HttpError, HttpErrorKind};
use crate::head_buffer::{HeadBuffer, Progress};
use crate::limits::Limits;
use crate::origin::Origin;
use crate::request_head::{RequestHead, RequestLine};
use crate::step::{Event, Step};

/// Parses the requests that a client sends on a connection.
///
/// It stores at most one head or trailer section, so [`Limits::MAX_HEAD_BYTES`] bytes. An error is
/// final.
#[derive(Debug)]
pub struct RequestParser {
    origin: Origin,
    limits: Limits,
    state: State,
    error: Option<HttpError>,
}

#[derive(Debug)]
enum State {
    Head {
        buffer: HeadBuffer,
        line: Option<RequestLine>,
    },
    /// After a head with `Upgrade`.
    Upgrade(Box<str>, BodyDecoder),
    Body(BodyDecoder),
}

impl RequestParser {
    /// Returns a parser for a connection to `origin`.
    pub fn new(origin: Origin, limits: Limits) -> Self {
        Self {
            origin,
            limits,
            state: State::start(),
            error: None,
        }
    }

    /// Parses the input up to the next event. Call it again with the rest of the input until the
    /// event is `None`, even if the rest is empty: not every event consumes bytes.
    ///
    /// # Errors
    ///
    /// Fails if the request is refused. Bytes that earlier steps reported as `forward` may have
    /// been sent, so the caller then ends the connection.
    pub fn advance(&mut self, input: &[u8]) -> Result<Step<RequestHead>, HttpError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let step = self.try_advance(input);
        self.error = step.as_ref().err().cloned();
        step
    }

    /// Checks that the input may end here.
    ///
    /// # Errors
    ///
    /// Fails if a request is incomplete, or if an earlier step failed.
    pub fn finish(&self) -> Result<(), HttpError> {
        match (&self.error, self.is_idle()) {
            (Some(error), _) => Err(error.clone()),
            (None, true) => Ok(()),
            (None, false) => Err(HttpErrorKind::Incomplete.into()),
        }
    }

    /// Returns whether the parser is between two requests.
    pub fn is_idle(&self) -> bool {
        matches!(&self.state, State::Head { buffer, .. } if buffer.is_empty())
    }

    /// Returns how many bytes of content follow before the next byte of framing.
    pub(crate) fn content(&self) -> u64 {
        match &self.state {
            State::Body(body) => body.content(),
            State::Head { .. } | State::Upgrade(..) => 0,
        }
    }

    /// Returns whether the parser is in a head or between two requests.
    pub(crate) fn is_between_bodies(&self) -> bool {
        matches!(self.state, State::Head { .. })
    }

    fn try_advance(&mut self, input: &[u8]) -> Result<Step<RequestHead>, HttpError> {
        match &mut self.state {
            State::Head { buffer, line } => {
                let mut consumed = 0;
                loop {
                    let (taken, progress) = buffer.push(&input[consumed..], &self.limits)?;
                    consumed += taken;
                    match progress {
                        Progress::Partial => return Ok(Step::kept(consumed, None)),
                        // The request line is checked before the rest arrives: an HTTP/0.9 request
                        // has no rest.
                        Progress::FirstLine => {
                            let text = buffer.lines();
                            *line = Some(RequestLine::parse(&text[..text.len() - 2])?);
                        }
                        Progress::End => break,
                    }
                }
                let line = line.take().expect("the first line is not empty");
                let bytes = std::mem::take(buffer).into_bytes();
                let head = RequestHead::parse(line, bytes, &self.origin)?;
                let body = BodyDecoder::new(head.framing(), Sender::Client);
                self.state = match head.upgrade() {
                    Some(protocols) => State::Upgrade(protocols.into(), body),
                    None => State::Body(body),
                };
                Ok(Step::kept(consumed, Some(Event::Head(Box::new(head)))))
            }
            State::Upgrade(..) => {
                let State::Upgrade(protocols, body) =
                    std::mem::replace(&mut self.state, State::start())
                else {
                    unreachable!("the state was just matched");
                };
                self.state = State::Body(body);
                Ok(Step::event(Event::Upgrade(protocols)))
            }
            State::Body(body) => {
                let step = body.advance(input, &self.limits)?;
                if step.event == Some(Event::End) {
                    self.state = State::start();
                }
                Ok(step)
            }
        }
    }
}

impl State {
    fn start() -> Self {
        Self::Head {
            buffer: HeadBuffer::default(),
            line: None,
        }
    }
}
