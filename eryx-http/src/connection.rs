//! The requests and responses of one connection, in pairs.

use std::collections::VecDeque;

use crate::error::{HttpError, HttpErrorKind};
use crate::limits::Limits;
use crate::origin::Origin;
use crate::request_head::RequestHead;
use crate::request_parser::RequestParser;
use crate::response_head::ResponseHead;
use crate::response_parser::{AnsweredRequest, ResponseParser};
use crate::step::{Event, Step};

/// Parses both directions of a connection, and pairs responses with requests.
///
/// It adds the rules that depend on both: the framing of a response depends on its request, a
/// connection leaves HTTP only if the request offered that, and no request follows the last one. It
/// stores at most one head of each direction and the kinds of [`Limits::MAX_PIPELINED`] requests.
#[derive(Debug)]
pub struct Connection {
    requests: RequestParser,
    responses: ResponseParser,
    limits: Limits,
    /// The requests whose final response has not ended, the oldest first.
    pending: VecDeque<Exchange>,
    /// The number of requests whose head is complete.
    started: u64,
    /// Whether the body of the newest request has started.
    has_body_started: bool,
    /// Whether the server gave the final answer to the newest request (not `100 Continue`) before
    /// the client sent the body that it had announced with `Expect`.
    is_body_refused: bool,
    is_last_request: bool,
    is_last_response: bool,
    /// The error of the client's direction.
    request_error: Option<HttpError>,
    /// The error of the server's direction.
    response_error: Option<HttpError>,
}

/// A request that waits for its response.
#[derive(Debug)]
struct Exchange {
    kind: AnsweredRequest,
    /// The number of the request on the connection, from 1.
    number: u64,
    upgrade: Option<Box<str>>,
    expects_continue: bool,
}

impl Connection {
    /// Returns the state of a new connection to `origin`.
    pub fn new(origin: Origin, limits: Limits) -> Self {
        Self {
            requests: RequestParser::new(origin, limits),
            responses: ResponseParser::new(limits),
            limits,
            pending: VecDeque::new(),
            started: 0,
            has_body_started: false,
            is_body_refused: false,
            is_last_request: false,
            is_last_response: false,
            request_error: None,
            response_error: None,
        }
    }

    /// Sets other limits for the heads of responses than for those of requests.
    #[must_use]
    pub fn with_response_limits(self, limits: Limits) -> Self {
        Self {
            responses: ResponseParser::new(limits),
            ..self
        }
    }

    /// Returns how many of the client's next bytes are content of the current body, whatever they
    /// are. They can be forwarded before they are passed to [`request`](Self::request), which then
    /// returns them as [`Event::Body`].
    ///
    /// ```
    /// use eryx_http::{Connection, Limits, Origin, Scheme};
    ///
    /// let origin = Origin::new(Scheme::Http, "a.example", 80);
    /// let mut connection = Connection::new(origin, Limits::default());
    /// assert_eq!(connection.request_content(), 0);
    /// let head = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\n";
    /// connection.request(head)?;
    /// assert_eq!(connection.request_content(), 1000);
    /// # Ok::<(), eryx_http::HttpError>(())
    /// ```
    pub fn request_content(&self) -> u64 {
        let is_failed = self.request_error.is_some() || self.response_error.is_some();
        // The server can take the body for the next request.
        let is_refused = self.is_body_refused && !self.has_body_started;
        if is_failed || is_refused || self.is_switched() {
            return 0;
        }
        self.requests.content()
    }

    /// Returns how many of the server's next bytes are content of the current body, whatever they
    /// are; [`u64::MAX`] for a body that ends with the connection.
    pub fn response_content(&self) -> u64 {
        match self.response_error {
            Some(_) => 0,
            None => self.responses.content(),
        }
    }

    /// Returns the number of requests whose final response has not ended.
    pub fn requests_in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Returns whether the connection has left HTTP.
    pub fn is_switched(&self) -> bool {
        self.responses.is_switched()
    }

    /// Parses bytes of the client, as [`RequestParser::advance`].
    ///
    /// # Errors
    ///
    /// Fails if the request is refused. An error of either direction is final for requests: a
    /// response can no longer be matched with its request.
    pub fn request(&mut self, input: &[u8]) -> Result<Step<RequestHead>, HttpError> {
        if let Some(error) = self.response_error.as_ref().or(self.request_error.as_ref()) {
            return Err(error.clone());
        }
        let step = self.try_request(input);
        self.request_error = step.as_ref().err().cloned();
        step
    }

    /// Parses bytes of the server, as [`ResponseParser::advance`].
    ///
    /// # Errors
    ///
    /// Fails if the response is refused, or if it answers no request. The error is final. After an
    /// error of a request, the responses to those before it are still parsed.
    pub fn response(&mut self, input: &[u8]) -> Result<Step<ResponseHead>, HttpError> {
        if let Some(error) = &self.response_error {
            return Err(error.clone());
        }
        let step = self.try_response(input);
        self.response_error = step.as_ref().err().cloned();
        step
    }

    /// Checks that the client may end its direction here.
    ///
    /// # Errors
    ///
    /// Fails if a request is incomplete, unless its final response has ended.
    pub fn on_client_eof(&mut self) -> Result<(), HttpError> {
        let is_answered = self.pending.is_empty() && self.started > 0;
        if self.is_switched() || (is_answered && !self.requests.is_between_bodies()) {
            return Ok(());
        }
        self.requests.finish()
    }

    /// Parses the end of the server's direction, and returns the event of a response that ends with
    /// it.
    ///
    /// # Errors
    ///
    /// Fails if a response is incomplete, or if no response has started and a request waits for
    /// one. Requests behind one whose response ends with the connection stay in
    /// [`Connection::requests_in_flight`].
    pub fn on_server_eof(&mut self) -> Result<Option<Event<ResponseHead>>, HttpError> {
        let event = self.responses.finish()?;
        self.is_last_response = true;
        self.is_last_request = true;
        if event.is_some() {
            self.pending.pop_front();
        } else if !self.pending.is_empty() && !self.is_switched() {
            return Err(HttpErrorKind::Incomplete.into());
        }
        Ok(event)
    }

    fn try_request(&mut self, input: &[u8]) -> Result<Step<RequestHead>, HttpError> {
        if self.is_switched() {
            return Ok(Step::raw(input.len()));
        }
        if !input.is_empty() {
            self.check_request_bytes()?;
        }
        let step = self.requests.advance(input)?;
        if let Some(Event::Head(head)) = &step.event {
            self.started += 1;
            self.has_body_started = false;
            self.is_body_refused = false;
            self.is_last_request |= !head.is_persistent();
            self.pending.push_back(Exchange {
                kind: AnsweredRequest::of_method(head.method()),
                number: self.started,
                upgrade: head.upgrade().map(Into::into),
                expects_continue: head.expects_continue(),
            });
        } else if !input.is_empty() && step.consumed > 0 {
            self.has_body_started = true;
        }
        Ok(step)
    }

    /// Refuses bytes of the client that its earlier requests and the responses do not permit.
    fn check_request_bytes(&self) -> Result<(), HttpError> {
        if !self.requests.is_idle() {
            // The server can take the body for the next request.
            let is_body = self.is_body_refused && !self.has_body_started;
            return match is_body {
                true => Err(HttpErrorKind::ContentAfterAnswer.into()),
                false => Ok(()),
            };
        }
        if self.is_last_request {
            return Err(HttpErrorKind::RequestAfterClose.into());
        }
        if self
            .pending
            .back()
            .is_some_and(|exchange| exchange.upgrade.is_some())
        {
            return Err(HttpErrorKind::BytesAfterUpgrade.into());
        }
        let limit = self.limits.max_pipelined();
        if self.pending.len() >= limit {
            return Err(HttpErrorKind::TooManyPipelined { limit }.into());
        }
        Ok(())
    }

    fn try_response(&mut self, input: &[u8]) -> Result<Step<ResponseHead>, HttpError> {
        if !self.responses.is_expecting() && !self.is_switched() {
            if self.is_last_response {
                // No response follows, so the parser gets none to expect, even without input.
                return match input {
                    [] => Ok(Step::kept(0, None)),
                    _ => Err(HttpErrorKind::BytesAfterClose.into()),
                };
            }
            if let Some(exchange) = self.pending.front() {
                self.responses.expect_response_to(exchange.kind);
            }
        }
        let step = self.responses.advance(input)?;
        match &step.event {
            Some(Event::Head(head)) => self.begin_response(head)?,
            Some(Event::End) => {
                self.pending.pop_front();
                self.is_last_request |= self.is_last_response;
            }
            _ => {}
        }
        Ok(step)
    }

    fn begin_response(&mut self, head: &ResponseHead) -> Result<(), HttpError> {
        let exchange = self
            .pending
            .front()
            .expect("the parser expects no other response");
        let is_newest = exchange.number == self.started;
        if head.status() == 101 {
            // The client sends the whole request before the new protocol (RFC 9110, 7.8).
            let is_complete = !is_newest || self.requests.is_idle();
            if !is_complete || !is_offered(exchange, head) {
                return Err(HttpErrorKind::UnexpectedUpgrade.into());
            }
        } else if !head.is_interim() {
            self.is_last_response |= !head.is_persistent();
            let is_body_owed = is_newest && !self.requests.is_idle() && !self.has_body_started;
            self.is_body_refused = exchange.expects_continue && is_body_owed;
        }
        if head.status() == 100 {
            // The client may send the body now, and the final response may come before it does.
            let exchange = self
                .pending
                .front_mut()
                .expect("the exchange was just read");
            exchange.expects_continue = false;
        }
        Ok(())
    }
}

/// Returns whether a 101 response selects only protocols that the request offered.
fn is_offered(exchange: &Exchange, head: &ResponseHead) -> bool {
    let Some(offer) = &exchange.upgrade else {
        return false;
    };
    let mut selected = head.fields().elements("upgrade").peekable();
    selected.peek().is_some()
        && selected.all(|protocol| {
            offer
                .split(", ")
                .any(|offered| offered.as_bytes().eq_ignore_ascii_case(protocol))
        })
}
