//! The direction from the program to the peer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use eryx_http::{Event, Fields, Framing, HttpError, RequestHead, Step};

use crate::error::NetError;
use crate::http::exchange::Exchange;
use crate::http::inspector::collected_body::{Collecting, MediaType};
use crate::http::inspector::{Inspector, MAX_HEAD, STEP};
use crate::http::readable_response;
use crate::http::request_check::RequestCheck;
use crate::http::secret_store::{Value, ValueFuture, Values};
use crate::http::secret_substitution::{HeadSecrets, Substitution};

/// The treatment of bytes from the program.
pub(super) enum Requests {
    /// They are parsed.
    Http,
    /// A complete head waits for the values of its secrets.
    Waiting(Box<Waiting>),
    /// The body of a request is collected, to replace placeholders in it.
    Collecting(Box<Collecting>),
    /// They are sent as they are.
    Raw,
    /// They are dropped: the program receives a response with the denial.
    Discarded,
    /// The connection has ended.
    Failed(NetError),
}

/// The most characters of a field that a message repeats.
const MAX_SHOWN: usize = 64;

/// The reason of a denial because of a placeholder.
const MISPLACED: &str = "misplaced-secret";

/// The reason of a denial of `Upgrade`.
const UPGRADE_DENIED: &str = "upgrade-not-allowed";

/// A head whose secrets have values, but for those that providers are asked for.
pub(super) struct Waiting {
    head: RequestHead,
    /// The port that the request names, and the others that it may go to.
    ports: Vec<u16>,
    /// The secrets that the head uses.
    used: Vec<usize>,
    values: Values,
    missing: VecDeque<(usize, ValueFuture)>,
    /// Whether placeholders in the body are replaced.
    is_collected: bool,
}

/// The request that the program sends now.
#[derive(Default)]
pub(super) struct RequestBody {
    /// Whether the head is complete, and the end of the request has not come.
    pub(super) is_open: bool,
    pub(super) length: u64,
    pub(super) max: Option<u64>,
}

impl Requests {
    pub(super) fn failure(&self) -> Option<&NetError> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl Inspector {
    /// Gives the program `100 Continue`, if it waits for that to send a body that is collected, and
    /// has received the responses to its earlier requests.
    pub(super) fn release_continue(&mut self) {
        if self.exchanges.len() == 1
            && let Requests::Collecting(collecting) = &mut self.requests
            && std::mem::take(&mut collecting.is_continue_owed)
        {
            self.push_for_program(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    /// Takes bytes that the program writes, and returns how many. Call it only when there are no
    /// bytes for the peer.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`] when a request is denied. The connection has then ended.
    pub(crate) fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, NetError>> {
        ready!(self.poll_waiting(cx))?;
        let data = &data[..data.len().min(STEP)];
        let mut taken = self.parse_requests(data)?;
        // A provider may have an answer at once. The start of the body is then sent with the head:
        // alone, it would wait until the peer acknowledges the head (Nagle's algorithm).
        if self.poll_waiting(cx)?.is_ready() && self.request_body.is_open {
            taken += self.parse_requests(&data[taken..])?;
        }
        Poll::Ready(Ok(taken))
    }

    /// Waits until no head waits for the values of its secrets.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`] when a value cannot be had.
    pub(crate) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        while let Requests::Waiting(waiting) = &mut self.requests {
            if let Some((index, future)) = waiting.missing.front_mut() {
                let value = ready!(future.as_mut().poll(cx));
                let index = *index;
                waiting.missing.pop_front();
                match value {
                    Ok(value) => waiting.values.push((index, value)),
                    Err(error) => {
                        return Poll::Ready(self.deny_without_value(index, &error));
                    }
                }
            } else if let Requests::Waiting(waiting) =
                std::mem::replace(&mut self.requests, Requests::Http)
            {
                self.send_head(*waiting)?;
                // The end of a request without a body needs no further bytes.
                self.parse_requests(&[])?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Denies the request whose head waits, because a value does not come in time.
    ///
    /// # Errors
    ///
    /// As [`deny`](Self::deny).
    pub(crate) fn deny_waiting(&mut self) -> Result<(), NetError> {
        let Requests::Waiting(waiting) = &self.requests else {
            return Ok(());
        };
        match waiting.missing.front() {
            Some(&(index, _)) => self.deny_without_value(index, "it did not come in time"),
            None => Ok(()),
        }
    }

    fn deny_without_value(&mut self, index: usize, error: &str) -> Result<(), NetError> {
        let name = self.context.secrets.name(index);
        let message = format!(
            "the embedder gave no value for the secret `{name}`: {error}; send it again later, or have \
             the embedder look at the function that supplies the value"
        );
        self.deny_current("secret-unavailable", &message)
    }

    /// Parses bytes of the program until there is enough for the peer, a request has ended, or a
    /// head waits for values.
    fn parse_requests(&mut self, data: &[u8]) -> Result<usize, NetError> {
        self.parse_with(data, false)
    }

    /// Parses content of a body that was sent already.
    pub(super) fn parse_forwarded(&mut self, data: &[u8]) -> Result<(), NetError> {
        self.parse_with(data, true).map(|_| ())
    }

    fn parse_with(&mut self, data: &[u8], is_forwarded: bool) -> Result<usize, NetError> {
        let mut taken = 0;
        loop {
            match &self.requests {
                Requests::Http | Requests::Collecting(_) => {}
                Requests::Waiting(_) => return Ok(taken),
                Requests::Failed(error) => return Err(error.clone()),
                Requests::Discarded => return Ok(data.len()),
                Requests::Raw => {
                    self.to_peer.extend_from_slice(&data[taken..]);
                    return Ok(data.len());
                }
            }
            // When there is enough for the peer, only events that take no bytes follow.
            let input = &data[taken..];
            let input = match is_forwarded {
                true => input,
                false => &input[..input.len().min(STEP.saturating_sub(self.to_peer.len()))],
            };
            match self.http.request(input) {
                Ok(step) => {
                    taken += step.consumed;
                    let is_last = step.event.is_none();
                    let is_end = matches!(step.event, Some(Event::End));
                    self.on_request_step(step, input, is_forwarded)?;
                    // A request is sent before the next one is parsed, which may be denied.
                    if is_last || (is_end && !self.to_peer.is_empty()) {
                        return Ok(taken);
                    }
                }
                Err(error) => self.malformed_request(&error)?,
            }
        }
    }

    fn on_request_step(
        &mut self,
        step: Step<RequestHead>,
        input: &[u8],
        is_forwarded: bool,
    ) -> Result<(), NetError> {
        match step.event {
            Some(Event::Head(head)) => {
                self.on_request_head(*head)?;
                self.forward_request(&input[..step.consumed], 0);
                Ok(())
            }
            Some(Event::Body(range)) => {
                self.on_request_body(&input[range], is_forwarded)?;
                if is_forwarded && let Some(exchange) = self.current() {
                    exchange.add_sent(step.forward);
                } else {
                    self.forward_request(&input[..step.consumed], step.forward);
                }
                Ok(())
            }
            event => {
                self.forward_request(&input[..step.consumed], step.forward);
                match event {
                    Some(Event::Trailers(fields)) => self.on_request_trailers(fields),
                    Some(Event::End) => self.on_request_end(),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Sends bytes that the parser consumed, if they are sent as they are: all of them, or the
    /// first `forward`, because heads and trailers are sent when they are complete.
    fn forward_request(&mut self, consumed: &[u8], forward: usize) {
        if !matches!(self.requests, Requests::Http) {
            return;
        }
        let count = if self.is_observer() {
            consumed.len()
        } else {
            forward
        };
        self.to_peer.extend_from_slice(&consumed[..count]);
        if let Some(exchange) = self.current() {
            exchange.add_sent(forward);
        }
    }

    fn on_request_head(&mut self, head: RequestHead) -> Result<(), NetError> {
        let ports = self.ports_of(&head);
        let url = self.url(&head, ports[0]);
        let check = RequestCheck::new(self.context.policy(), &self.peer, &ports, &head);
        let verdict = check.verdict;
        let is_allowed = verdict.is_allowed();
        if !is_allowed && self.context.report_only {
            self.entry.request_would_be_denied(&verdict);
        }
        let is_denied = !is_allowed && !self.context.report_only;
        let denial = is_denied.then(|| (verdict.reason().as_str(), verdict.guest_message()));
        let mut exchange = Exchange::new(head.method(), url, Some(verdict));
        exchange.set_version(head.version());
        exchange.max_response_bytes = check.max_response_bytes;
        self.exchanges.push_back(exchange);
        self.current_start = self.to_peer.len();
        let max = check.max_request_bytes;
        self.request_body = RequestBody {
            is_open: true,
            length: 0,
            max,
        };
        if let Some((reason, message)) = denial {
            return self.deny(reason, &message);
        }
        if let Framing::Length(length) = head.framing()
            && self.request_body.max.is_some_and(|max| length > max)
        {
            self.deny_too_large()?;
            if !self.context.report_only {
                return Ok(());
            }
        }
        if let Some(protocols) = head.upgrade()
            && self.has_secrets
            && !protocols.eq_ignore_ascii_case("websocket")
        {
            let offered: String = protocols.chars().take(MAX_SHOWN).collect();
            let message = format!(
                "it offers `{offered}` (Upgrade), and what a host with secrets sends is searched for them, \
                 in HTTP and WebSocket only; leave Upgrade out, or offer `websocket` alone"
            );
            return self.deny_current(UPGRADE_DENIED, &message);
        }
        let context = Arc::clone(&self.context);
        let peer = Arc::clone(&self.peer);
        let substitution = Substitution::new(&context, &peer, &ports);
        let HeadSecrets { used, misplaced } = substitution.used_by_head(&head);
        for message in misplaced {
            if self.is_searched() {
                return self.deny_current(MISPLACED, &message);
            }
            self.would_be_denied(&message);
        }
        let mut needed = used.clone();
        let has_body = !matches!(head.framing(), Framing::Empty | Framing::Length(0));
        let mut is_collected = false;
        if has_body && MediaType::of(&head).is_some() {
            let used = substitution.used_by_body();
            is_collected = !used.is_empty();
            needed.extend(used);
        }
        needed.sort_unstable();
        needed.dedup();
        let (mut values, mut missing) = (Values::new(), VecDeque::new());
        for index in needed {
            match context.secrets.value(index) {
                Value::Fixed(value) => values.push((index, value)),
                Value::Provided(future) => missing.push_back((index, future)),
            }
        }
        let waiting = Waiting {
            head,
            ports,
            used,
            values,
            missing,
            is_collected,
        };
        if waiting.missing.is_empty() {
            return self.send_head(waiting);
        }
        self.requests = Requests::Waiting(Box::new(waiting));
        Ok(())
    }

    /// Sends a head whose secrets have values, or begins to collect its body.
    fn send_head(&mut self, waiting: Waiting) -> Result<(), NetError> {
        let Waiting {
            mut head,
            ports,
            used,
            values,
            missing: _,
            is_collected,
        } = waiting;
        let context = Arc::clone(&self.context);
        let peer = Arc::clone(&self.peer);
        let head_values: Values = values
            .iter()
            .filter(|(index, _)| used.contains(index))
            .cloned()
            .collect();
        let substitution = Substitution::new(&context, &peer, &ports);
        let mut applied = substitution.apply_to_head(&mut head, &head_values);
        if applied.is_ok() && self.has_secrets {
            applied = readable_response::ask_for_readable(&mut head);
        }
        if applied.is_ok() && head.len() > MAX_HEAD {
            applied = Err(format!(
                "its head would have more than {MAX_HEAD} bytes; send less"
            ));
        }
        if let Err(error) = applied {
            let message = format!("the secrets cannot be put into it: {error}");
            return self.deny_current(MISPLACED, &message);
        }
        if let Err(error) = self.record_secrets(head_values) {
            return self.deny_current("secret-unavailable", &error);
        }
        if is_collected {
            self.requests = Requests::Collecting(Box::new(Collecting::new(head, ports, values)));
            self.release_continue();
            return Ok(());
        }
        let mut bytes = Vec::new();
        head.write(&mut bytes);
        if let Some(exchange) = self.current() {
            exchange.add_sent(bytes.len());
        }
        if !self.is_observer() {
            self.push_for_peer(bytes);
        }
        Ok(())
    }

    /// Adds bytes for the peer, without a copy if there are none before them.
    fn push_for_peer(&mut self, mut bytes: Vec<u8>) {
        match self.to_peer.is_empty() {
            true => self.to_peer = bytes,
            false => self.to_peer.append(&mut bytes),
        }
    }

    fn on_request_body(&mut self, data: &[u8], is_forwarded: bool) -> Result<(), NetError> {
        self.request_body.length += data.len() as u64;
        let length = self.request_body.length;
        if self.request_body.max.is_some_and(|max| length > max) {
            self.deny_too_large()?;
            if !self.context.report_only {
                return Ok(());
            }
        }
        if let Requests::Collecting(collecting) = &mut self.requests {
            if collecting.push(data) {
                return Ok(());
            }
            let message = format!(
                "its body has more than {} bytes, and a secret for this host has body=True; send a \
                 shorter body, or have the embedder put the secret into a header field",
                collecting.max()
            );
            return self.deny_current("body-too-long", &message);
        }
        if !self.peer.is_enforced() {
            return Ok(());
        }
        // Mostly, the bytes were searched before they were sent.
        match self.searched.take() {
            Some((count, finder)) if is_forwarded && count == data.len() => {
                self.finder = Some(finder);
                return Ok(());
            }
            _ => {}
        }
        let mut rest = data;
        while let Some((index, end)) = self.finder.as_mut().and_then(|f| f.find_next(rest)) {
            self.deny_misplaced(index, "the body")?;
            if !self.context.report_only {
                return Ok(());
            }
            rest = &rest[end..];
        }
        Ok(())
    }

    fn on_request_trailers(&mut self, fields: Fields) -> Result<(), NetError> {
        let context = Arc::clone(&self.context);
        let texts = fields
            .iter()
            .flat_map(|(name, value)| [name.as_bytes(), value]);
        let found = texts.flat_map(|text| context.secrets.find(text));
        let is_enforced = self.peer.is_enforced();
        for (index, _) in found.filter(|_| is_enforced) {
            self.deny_misplaced(index, "a trailer field")?;
            if !context.report_only {
                return Ok(());
            }
        }
        if let Requests::Collecting(collecting) = &mut self.requests {
            collecting.trailers = Some(fields);
            return Ok(());
        }
        let mut bytes = Vec::new();
        fields.write(&mut bytes);
        if let Some(exchange) = self.current() {
            exchange.add_sent(bytes.len());
        }
        if !self.is_observer() {
            self.push_for_peer(bytes);
        }
        Ok(())
    }

    fn on_request_end(&mut self) -> Result<(), NetError> {
        if let Some(finder) = &mut self.finder {
            finder.reset();
        }
        if matches!(self.requests, Requests::Collecting(_))
            && let Requests::Collecting(collecting) =
                std::mem::replace(&mut self.requests, Requests::Http)
        {
            self.send_collected(*collecting)?;
        }
        self.request_body.is_open = false;
        if let Some(exchange) = self.answered.take() {
            self.entry.request_ended(exchange.end(None));
        }
        Ok(())
    }

    /// Records that the current request contains secrets.
    ///
    /// # Errors
    ///
    /// Why it may not: responses cannot be searched for so many values.
    pub(super) fn record_secrets(&mut self, values: Values) -> Result<(), String> {
        let context = Arc::clone(&self.context);
        for (index, value) in values {
            let value = context.secrets.record_sent(index, value, &context.memory)?;
            if let Some(exchange) = self.current() {
                exchange.add_secret(context.secrets.name(index), index, value);
            }
        }
        Ok(())
    }

    /// Handles bytes that are not a well-formed request.
    fn malformed_request(&mut self, error: &HttpError) -> Result<(), NetError> {
        if self.is_observer() {
            self.report_malformed(error);
            self.requests = Requests::Raw;
            self.responses.set_raw();
            return Ok(());
        }
        if !self.request_body.is_open {
            let exchange = Exchange::new("", self.url_of_malformed_request(), None);
            self.exchanges.push_back(exchange);
            self.current_start = self.to_peer.len();
        }
        let message = match self.has_lost_framing {
            // It is the error of a response.
            true => self.malformed("the request", error.kind()),
            false => self.malformed("the request", error),
        };
        self.deny("malformed-request", &message)
    }

    /// Records a malformed request that goes on because of report-only mode.
    fn report_malformed(&mut self, error: &HttpError) {
        if !self.peer.is_enforced() {
            return;
        }
        let message = self.malformed("the request", error);
        if self.request_body.is_open {
            self.would_be_denied(&message);
        } else {
            let mut exchange = Exchange::new("", self.url_of_malformed_request(), None);
            exchange.would_be_denied(&message);
            self.entry.request_ended(exchange.end(None));
        }
    }

    /// Records why the request that the program sends now would be denied, if it goes on because
    /// of report-only mode, as opposed to a host that is inspected for the log alone.
    fn would_be_denied(&mut self, message: &str) {
        if self.peer.is_enforced()
            && let Some(exchange) = self.current()
        {
            exchange.would_be_denied(message);
        }
    }

    /// Denies the request that the program sends now. `message` says why.
    pub(super) fn deny_current(
        &mut self,
        reason: &'static str,
        message: &str,
    ) -> Result<(), NetError> {
        let url = self.current().map(|exchange| exchange.shown_url());
        let url = url.unwrap_or_default();
        self.deny(
            reason,
            &format!("the request to {url} is denied: {message}"),
        )
    }

    /// Denies the request that the program sends now, because of a placeholder. In report-only mode
    /// it is recorded, and goes on.
    pub(super) fn deny_misplaced(&mut self, index: usize, place: &str) -> Result<(), NetError> {
        let port = self.peer.port.unwrap_or(self.peer.scheme.default_port());
        let ports = [port];
        let substitution = Substitution::new(&self.context, &self.peer, &ports);
        let message = substitution.misplaced(index, place);
        if self.context.report_only {
            self.would_be_denied(&message);
            return Ok(());
        }
        self.deny_current(MISPLACED, &message)
    }

    /// Denies the request that the program sends now, because of the length of its body. In
    /// report-only mode it is reported once, and goes on.
    fn deny_too_large(&mut self) -> Result<(), NetError> {
        let verdict = self.current().and_then(|exchange| exchange.verdict());
        match verdict.map(|verdict| verdict.request_too_large()) {
            Some(verdict) if self.context.report_only => {
                self.request_body.max = None;
                self.entry.request_would_be_denied(&verdict);
                Ok(())
            }
            Some(verdict) => self.deny(verdict.reason().as_str(), &verdict.guest_message()),
            None => self.deny_current("request-too-large", "its body is too long"),
        }
    }
}
