//! The direction from the peer to the program.

use eryx_http::{Event, Fields, HttpError, ResponseHead, Step, write_last_chunk};

use crate::error::NetError;
use crate::http::exchange::Exchange;
use crate::http::inspector::Inspector;
use crate::http::inspector::requests::Requests;
use crate::http::response_body::ResponseBody;
use crate::http::secret_filter::SecretPatterns;
use crate::http::web_socket::WebSocketFilter;

/// The treatment of bytes from the peer.
#[derive(Default)]
pub(super) struct Responses {
    state: State,
    body: Option<ResponseBody>,
    /// What responses are searched for, if a value is known.
    patterns: Option<SecretPatterns>,
    /// The version of the secrets that `patterns` were made from.
    version: u64,
}

#[derive(Default)]
enum State {
    /// They are parsed.
    #[default]
    Http,
    /// They are frames of a WebSocket, and secrets in them are replaced.
    WebSocket(Box<WebSocketFilter>),
    /// The program receives them as they are.
    Raw,
}

impl Responses {
    pub(super) fn set_raw(&mut self) {
        self.state = State::Raw;
    }
}

impl Inspector {
    /// Processes bytes that the peer has sent.
    ///
    /// Where no secret can be in them, the program receives them immediately and unchanged.
    /// Otherwise, heads and trailers are held back until they are complete, and bodies as far as
    /// they can be the start of a secret.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`] if the response is not well-formed and the peer may be sent a secret,
    /// or if its body is longer than its rule allows. The connection has then ended.
    pub(crate) fn response(&mut self, mut data: Vec<u8>) -> Result<(), NetError> {
        let mut parsed = 0;
        loop {
            if self.has_ended {
                return Ok(());
            }
            match self.responses.state {
                State::Http => {}
                State::WebSocket(_) => return self.scrub_frames(&data[parsed..]),
                State::Raw => {
                    let rest = data.split_off(parsed);
                    self.push_vec_for_program(rest);
                    return Ok(());
                }
            }
            let input = &data[parsed..];
            let step = match self.http.response(input) {
                Ok(step) => step,
                Err(error) => {
                    self.malformed_response(&error)?;
                    continue;
                }
            };
            let is_last = step.event.is_none();
            let is_whole = parsed == 0 && step.consumed == data.len() && !data.is_empty();
            if is_whole && self.is_forwarded_unframed(&step) {
                // The common case: all bytes belong to one body, and are passed on without a copy.
                self.count_response(&step)?;
                self.forward_body(std::mem::take(&mut data));
                continue;
            }
            parsed += step.consumed;
            self.on_response_step(step, input)?;
            if is_last {
                self.deliver_body();
                return Ok(());
            }
        }
    }

    /// Returns whether a step is of a body, and the program receives its bytes without new framing.
    fn is_forwarded_unframed(&mut self, step: &Step<ResponseHead>) -> bool {
        let is_body = matches!(step.event, Some(Event::Body(_)));
        is_body && (!self.has_secrets || self.refreshed_body().is_some_and(|b| b.is_unframed()))
    }

    /// Gives the program bytes of a body, with placeholders in place of secrets.
    fn forward_body(&mut self, data: Vec<u8>) {
        match &mut self.responses.body {
            Some(body) if self.has_secrets => {
                let to_program = &mut self.to_program;
                body.pass(data, |bytes| to_program.push_vec(bytes));
            }
            _ => self.push_vec_for_program(data),
        }
    }

    /// Returns whether the program receives the peer's next bytes as they are, so that it can read
    /// as soon as the peer has sent any.
    pub(crate) fn passes_next_bytes(&mut self) -> bool {
        match self.responses.state {
            State::Raw => true,
            State::WebSocket(_) => false,
            State::Http if !self.has_secrets => true,
            State::Http => {
                self.http.response_content() > 0
                    && self
                        .refreshed_body()
                        .is_some_and(|body| body.is_passed_on())
            }
        }
    }

    /// Returns whether many of the peer's next bytes can lead to none for the program.
    ///
    /// Of a body, no more than a secret and a line of framing are held back.
    pub(crate) fn may_take_all(&self) -> bool {
        match self.responses.state {
            State::Raw => false,
            State::WebSocket(_) => true,
            State::Http => self.has_secrets && self.http.response_content() == 0,
        }
    }

    /// Handles the end of the peer's stream.
    pub(crate) fn on_server_eof(&mut self) {
        if self.has_ended {
            return;
        }
        // What is held back of a truncated body can be most of a secret, and the program may have
        // caused the truncation: it does not receive that.
        self.end_unframed_response();
        self.has_ended = true;
    }

    /// Handles the end of the peer's stream without close_notify. Returns whether there are bytes
    /// for the program before the error: the last ones of a body that ends with the connection.
    ///
    /// A program that transports the stream itself can cut it within a secret, and gets none.
    pub(crate) fn on_unexpected_eof(&mut self) -> bool {
        let is_own_transport = self.peer.port.is_some();
        if is_own_transport && !self.has_ended {
            self.end_unframed_response();
        }
        self.is_readable()
    }

    /// Ends a response whose body ends with the peer's stream, if there is one.
    fn end_unframed_response(&mut self) {
        if matches!(self.responses.state, State::Http)
            && matches!(self.http.on_server_eof(), Ok(Some(Event::End)))
        {
            self.on_response_end();
        }
    }

    fn on_response_step(&mut self, step: Step<ResponseHead>, input: &[u8]) -> Result<(), NetError> {
        self.count_response(&step)?;
        if !self.has_secrets {
            self.push_for_program(&input[..step.consumed]);
        }
        match step.event {
            Some(Event::Head(head)) => self.on_response_head(&head)?,
            Some(Event::Body(range)) if self.has_secrets => {
                self.scrub_body(&input[range])?;
            }
            Some(Event::Trailers(fields)) if self.has_secrets => {
                self.on_response_trailers(&fields);
            }
            Some(Event::End) => self.on_response_end(),
            Some(Event::Switched) => self.on_switched(),
            _ => {}
        }
        Ok(())
    }

    /// Counts the bytes of a step, and ends the connection if the body is longer than its rule
    /// allows.
    fn count_response(&mut self, step: &Step<ResponseHead>) -> Result<(), NetError> {
        if let Some(exchange) = self.exchanges.front_mut() {
            exchange.add_received(step.consumed);
            if let Some(Event::Body(range)) = &step.event {
                exchange.add_content(range.len());
            }
        }
        let (Some(Event::Body(range)), Some(body)) = (&step.event, &mut self.responses.body) else {
            return Ok(());
        };
        if !body.count(range.len()) {
            return Ok(());
        }
        let verdict = self.exchanges.front().and_then(Exchange::verdict);
        match verdict.map(|verdict| verdict.response_too_large()) {
            Some(verdict) if self.context.report_only => {
                body.remove_limit();
                self.entry.request_would_be_denied(&verdict);
                Ok(())
            }
            Some(verdict) => self.fail_response(&verdict.guest_message()),
            None => Ok(()),
        }
    }

    fn on_response_head(&mut self, head: &ResponseHead) -> Result<(), NetError> {
        if let Some(exchange) = self.exchanges.front_mut() {
            exchange.head_received(head);
        }
        if !head.is_interim() {
            let max = self.exchanges.front().and_then(|e| e.max_response_bytes);
            self.responses.body = Some(ResponseBody::new(head, max));
            // A response that is denied because of its head is denied as a whole.
            self.scrub_body(&[])?;
        }
        if self.has_secrets {
            let mut bytes = Vec::new();
            head.write(&mut bytes);
            self.push_scrubbed_lines(&bytes);
        }
        Ok(())
    }

    /// Replaces secrets in bytes of a body.
    fn scrub_body(&mut self, data: &[u8]) -> Result<(), NetError> {
        if !self.has_secrets {
            return Ok(());
        }
        let Some(body) = self.refreshed_body() else {
            return Ok(());
        };
        if let Some(reason) = body.unsearchable() {
            let message = reason.message(&self.peer.host.to_string());
            return self.fail_response(&message);
        }
        body.scrub(data);
        Ok(())
    }

    /// Returns the body of the current response, after adding the values that were sent since it
    /// began, also on other connections: the server may repeat them.
    fn refreshed_body(&mut self) -> Option<&mut ResponseBody> {
        self.refresh_patterns();
        let Responses {
            patterns,
            body,
            version,
            ..
        } = &mut self.responses;
        let body = body.as_mut()?;
        if let Some(patterns) = patterns {
            body.refresh(patterns, *version);
        }
        Some(body)
    }

    /// Gives the program frames of a WebSocket, with placeholders in place of secrets.
    fn scrub_frames(&mut self, data: &[u8]) -> Result<(), NetError> {
        self.refresh_patterns();
        let Responses {
            state,
            patterns,
            version,
            ..
        } = &mut self.responses;
        let State::WebSocket(filter) = state else {
            return Ok(());
        };
        if let Some(patterns) = patterns {
            filter.refresh(patterns, *version);
        }
        let mut frames = Vec::with_capacity(data.len());
        let outcome = filter.push(data, &mut frames);
        self.push_vec_for_program(frames);
        match outcome {
            Ok(()) => Ok(()),
            Err(rule) => {
                let message = format!(
                    "the WebSocket of `{}` is denied: {rule}; what a host with secrets sends is \
                     searched for them, and only frames of RFC 6455 without extensions pass",
                    self.peer.host
                );
                self.fail_response(&message)
            }
        }
    }

    /// Finds out what responses are searched for now.
    fn refresh_patterns(&mut self) {
        let version = self.context.secrets.version();
        if version != self.responses.version {
            self.responses.patterns = self.context.secrets.patterns();
            self.responses.version = version;
        }
    }

    /// Gives the program a head or the lines of trailers, with placeholders in place of secrets.
    ///
    /// What frames the message stays as it is: the version and status, and the fields whose values
    /// the parser has found to be a number and `chunked`. A secret can be a number, too.
    fn push_scrubbed_lines(&mut self, section: &[u8]) {
        self.refresh_patterns();
        let patterns = self.responses.patterns.as_ref();
        let Some(patterns) = patterns.filter(|patterns| patterns.may_be_in(section)) else {
            self.push_for_program(section);
            return;
        };
        let mut scrubber = patterns.scrubber();
        let mut scrubbed = Vec::with_capacity(section.len());
        for line in section.split_inclusive(|&byte| byte == b'\n') {
            let framing = framing_length(line);
            scrubbed.extend_from_slice(&line[..framing]);
            scrubber.push(&line[framing..], &mut scrubbed);
            scrubber.finish(&mut scrubbed);
        }
        self.push_vec_for_program(scrubbed);
    }

    fn on_response_trailers(&mut self, fields: &Fields) {
        self.finish_body();
        let mut bytes = Vec::new();
        write_last_chunk(Some(fields), &mut bytes);
        // The line of the last chunk.
        let lines = bytes.split_off(b"0\r\n".len());
        self.push_for_program(&bytes);
        self.push_scrubbed_lines(&lines);
        self.responses.body = None;
    }

    /// Ends the response that the peer sends now.
    fn on_response_end(&mut self) {
        let is_chunked =
            self.has_secrets && self.responses.body.as_ref().is_some_and(|b| b.is_chunked());
        self.finish_body();
        if is_chunked {
            let mut last = Vec::new();
            write_last_chunk(None, &mut last);
            self.push_for_program(&last);
        }
        self.responses.body = None;
        let is_current = self.exchanges.len() == 1 && self.request_body.is_open;
        match self.exchanges.pop_front() {
            Some(exchange) if is_current => self.answered = Some(exchange),
            Some(exchange) => self.entry.request_ended(exchange.end(None)),
            None => {}
        }
        self.release_denial();
        self.release_continue();
    }

    /// Gives the program the bytes of a body that are not held back.
    fn deliver_body(&mut self) {
        if let Some(body) = &mut self.responses.body {
            let bytes = body.take();
            self.push_vec_for_program(bytes);
        }
    }

    /// Gives the program all bytes of a body. It has ended.
    fn finish_body(&mut self) {
        if let Some(body) = &mut self.responses.body {
            let bytes = body.finish();
            self.push_vec_for_program(bytes);
        }
    }

    fn on_switched(&mut self) {
        self.responses.state = match self.has_secrets {
            // No request to such a host offers another protocol.
            true => State::WebSocket(Box::default()),
            false => State::Raw,
        };
        if matches!(self.requests, Requests::Http) {
            self.requests = Requests::Raw;
        }
        if let Some(mut exchange) = self.exchanges.pop_front() {
            exchange.upgraded();
            self.entry.request_ended(exchange.end(None));
        }
        self.release_denial();
    }

    /// Handles bytes that are not a well-formed response: the program receives them as they are,
    /// unless a secret can be in them, or a rule limits their number.
    fn malformed_response(&mut self, error: &HttpError) -> Result<(), NetError> {
        let is_limited = self
            .exchanges
            .iter()
            .any(|e| e.max_response_bytes.is_some());
        if self.has_secrets || (is_limited && !self.context.report_only) {
            // The text of the error could be a secret.
            let message = self.malformed("the response", error.kind());
            return self.fail_response(&message);
        }
        self.responses.set_raw();
        if let Some(exchange) = self.exchanges.pop_front() {
            let error = format!("the response is not well-formed, and was not inspected: {error}");
            self.entry.request_ended(exchange.end(Some(error)));
        }
        if self.is_observer() {
            self.requests = Requests::Raw;
        } else {
            // The parser refuses all further requests.
            self.has_lost_framing = true;
        }
        Ok(())
    }

    /// Ends the connection because of a response.
    fn fail_response(&mut self, message: &str) -> Result<(), NetError> {
        let error = NetError::Denied(message.to_owned());
        if let Some(exchange) = self.exchanges.pop_front() {
            self.entry
                .request_ended(exchange.end(Some(message.to_owned())));
        }
        self.requests = Requests::Failed(error.clone());
        Err(error)
    }
}

/// Returns how many bytes at the start of a line frame the message.
fn framing_length(line: &[u8]) -> usize {
    const STATUS: usize = "HTTP/1.1 200".len();
    let is_framing = |name: &str| {
        let start = line.get(..name.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    };
    if is_framing("content-length:") || is_framing("transfer-encoding:") {
        line.len()
    } else if line.starts_with(b"HTTP/") {
        STATUS.min(line.len())
    } else {
        0
    }
}
