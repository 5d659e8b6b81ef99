//! Parsing of the responses of a connection.

use crate::body::{BodyDecoder, Sender};
use crate::error::{HttpError, HttpErrorKind};
use crate::head_buffer::{HeadBuffer, Progress};
use crate::limits::Limits;
use crate::response_head::{ResponseHead, StatusLine};
use crate::step::{Event, Step};

/// What the framing of a response depends on in its request (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnsweredRequest {
    /// `HEAD`: no response has a body.
    Head,
    /// `CONNECT`: after a 2xx response the connection is a tunnel.
    Connect,
    /// Another method.
    Other,
}

impl AnsweredRequest {
    /// Returns the kind of a request with `method`. It is compared with regard to case, as
    /// [`RequestParser`](crate::RequestParser) refuses both methods in another case.
    pub fn of_method(method: &str) -> Self {
        match method {
            "HEAD" => Self::Head,
            "CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// Parses the responses that a server sends on a connection.
///
/// It stores at most one head or trailer section, so [`Limits::MAX_HEAD_BYTES`] bytes. An error is
/// final.
#[derive(Debug)]
pub struct ResponseParser {
    limits: Limits,
    request: Option<AnsweredRequest>,
    interim: usize,
    state: State,
    error: Option<HttpError>,
}

#[derive(Debug)]
enum State {
    Head {
        buffer: HeadBuffer,
        line: Option<StatusLine>,
    },
    Body(BodyDecoder),
    /// After a 101 response, or a 2xx response to CONNECT.
    Switching,
    Switched,
}

impl ResponseParser {
    /// Returns a parser for a connection on which no request was sent.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            request: None,
            interim: 0,
            state: State::start(),
            error: None,
        }
    }

    /// Sets the request that the next response answers. It stays set until that response has ended.
    pub fn expect_response_to(&mut self, request: AnsweredRequest) {
        self.request = Some(request);
    }

    /// Returns whether no response has started since the last one ended.
    pub fn is_idle(&self) -> bool {
        matches!(&self.state, State::Head { buffer, .. } if buffer.is_empty()) && self.interim == 0
    }

    /// Returns whether a request was set whose response has not ended.
    pub fn is_expecting(&self) -> bool {
        self.request.is_some()
    }

    /// Returns how many bytes of content follow before the next byte of framing.
    pub(crate) fn content(&self) -> u64 {
        match &self.state {
            State::Body(body) => body.content(),
            State::Head { .. } | State::Switching | State::Switched => 0,
        }
    }

    /// Returns whether the connection has left HTTP.
    pub fn is_switched(&self) -> bool {
        matches!(self.state, State::Switching | State::Switched)
    }

    /// Parses the input up to the next event. Call it again with the rest of the input until the
    /// event is `None`, even if the rest is empty: not every event consumes bytes.
    ///
    /// An interim response is one [`Event::Head`] without [`Event::End`].
    ///
    /// # Errors
    ///
    /// Fails if the response is refused, or if it answers no request.
    pub fn advance(&mut self, input: &[u8]) -> Result<Step<ResponseHead>, HttpError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let step = self.try_advance(input);
        self.error = step.as_ref().err().cloned();
        step
    }

    /// Parses the end of the connection, and returns the event of a response that ends with it.
    ///
    /// # Errors
    ///
    /// Fails if a response is incomplete, or if an earlier step failed.
    pub fn finish(&mut self) -> Result<Option<Event<ResponseHead>>, HttpError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let is_between = self.is_idle();
        match &mut self.state {
            State::Head { .. } if is_between => Ok(None),
            State::Head { .. } => Err(HttpErrorKind::Incomplete.into()),
            State::Switching | State::Switched => Ok(None),
            State::Body(body) => {
                let event = body.finish()?;
                self.end();
                Ok(Some(event))
            }
        }
    }

    fn try_advance(&mut self, input: &[u8]) -> Result<Step<ResponseHead>, HttpError> {
        match &mut self.state {
            State::Head { buffer, line } => {
                if input.is_empty() {
                    return Ok(Step::kept(0, None));
                }
                let request = self.request.ok_or(HttpErrorKind::UnsolicitedResponse)?;
                let mut consumed = 0;
                loop {
                    let (taken, progress) = buffer.push(&input[consumed..], &self.limits)?;
                    consumed += taken;
                    match progress {
                        Progress::Partial => return Ok(Step::kept(consumed, None)),
                        Progress::FirstLine => {
                            let text = buffer.lines();
                            *line = Some(StatusLine::parse(&text[..text.len() - 2])?);
                        }
                        Progress::End => break,
                    }
                }
                let line = line.take().expect("the first line is not empty");
                let bytes = std::mem::take(buffer).into_bytes();
                let head = ResponseHead::parse(line, bytes, request)?;
                self.begin(&head, request)?;
                Ok(Step::kept(consumed, Some(Event::Head(Box::new(head)))))
            }
            State::Body(body) => {
                let step = body.advance(input, &self.limits)?;
                if step.event == Some(Event::End) {
                    self.end();
                }
                Ok(step)
            }
            State::Switching => {
                self.state = State::Switched;
                Ok(Step::event(Event::Switched))
            }
            State::Switched => Ok(Step::raw(input.len())),
        }
    }

    /// Sets the state after a head.
    fn begin(&mut self, head: &ResponseHead, request: AnsweredRequest) -> Result<(), HttpError> {
        let is_tunnel = request == AnsweredRequest::Connect && (200..300).contains(&head.status());
        self.state = if head.is_interim() {
            self.interim += 1;
            if self.interim > Limits::MAX_INTERIM {
                let limit = Limits::MAX_INTERIM;
                return Err(HttpErrorKind::TooManyInterim { limit }.into());
            }
            State::start()
        } else if head.status() == 101 || is_tunnel {
            State::Switching
        } else {
            State::Body(BodyDecoder::new(head.framing(), Sender::Server))
        };
        Ok(())
    }

    fn end(&mut self) {
        self.state = State::start();
        self.request = None;
        self.interim = 0;
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
