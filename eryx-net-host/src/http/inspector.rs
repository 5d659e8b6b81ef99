//! The inspector of one stream of requests and responses.

mod collected_body;
mod program_queue;
mod request_url;
mod requests;
mod responses;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use eryx_http::{Connection, Finder, Limits, Origin};
use eryx_net_policy::{HttpVerdict, Port};

use crate::audit::entry::AuditEntry;
use crate::config::http::HttpDenials;
use crate::error::NetError;
use crate::http::context::HttpContext;
use crate::http::denial;
use crate::http::exchange::Exchange;
use crate::http::inspector::program_queue::ProgramQueue;
use crate::http::inspector::requests::{RequestBody, Requests};
use crate::http::inspector::responses::Responses;
use crate::http::target::Peer;
use crate::http::tunnel_ports::distinct_ports;

/// The most bytes that wait to be sent to the peer, unless one head or one collected request is
/// longer.
pub(crate) const STEP: usize = 16 * 1024;

/// The longest head of a request, also with its secrets. Web servers accept about as much: nginx 32
/// KiB, Node.js 16 KiB, Apache 8 KiB for a line.
pub(super) const MAX_HEAD: usize = 32 * 1024;

/// The longest head of a response. Clients and proxies accept about as much: Node.js 16 KiB, nginx
/// 8 KiB, aiohttp 8 KiB for a line.
const MAX_RESPONSE_HEAD: usize = 16 * 1024;

/// The most bytes of a body that are sent as they are in one step.
const MAX_FORWARDED: usize = 256 * 1024;

/// The same for a body that is searched for placeholders. It is smaller because bytes that the
/// kernel does not accept at once are searched again.
const MAX_SEARCHED: usize = 128 * 1024;

/// Parses what a program sends and receives, enforces the HTTP rules, replaces placeholders by
/// secrets in requests and secrets by placeholders in responses, and records every exchange.
///
/// It does no I/O. The caller passes bytes of the program to [`poll_request`](Self::poll_request)
/// and sends [`to_peer`](Self::to_peer); it passes bytes of the peer to
/// [`response`](Self::response), and the program receives what
/// [`take_for_program`](Self::take_for_program) returns.
pub(crate) struct Inspector {
    pub(super) context: Arc<HttpContext>,
    pub(super) entry: Arc<AuditEntry>,
    pub(super) peer: Arc<Peer>,
    /// The start of URLs.
    pub(super) scheme_and_host: String,
    /// If the port of the peer is not known, the ports on which a request has to be allowed.
    pub(super) tunnel_ports: Vec<u16>,
    /// Whether a secret may be sent to this server: on this connection, on another one, or under
    /// another of its names.
    pub(super) has_secrets: bool,
    pub(super) http: Connection,
    requests: Requests,
    request_body: RequestBody,
    responses: Responses,
    /// The exchanges whose response has not ended, the oldest first.
    pub(super) exchanges: VecDeque<Exchange>,
    /// The exchange of the request that the program sends now, if its response has ended.
    pub(super) answered: Option<Exchange>,
    /// Finds placeholders in the bodies of requests.
    pub(super) finder: Option<Finder>,
    /// The number of bytes that [`forwardable`](Self::forwardable) returned last, and the finder
    /// after them.
    pub(super) searched: Option<(usize, Finder)>,
    /// Whether a response was not well-formed, so that no request may follow.
    pub(super) has_lost_framing: bool,
    pub(super) to_peer: Vec<u8>,
    /// The offset in `to_peer` of the request that the program sends now.
    pub(super) current_start: usize,
    to_program: ProgramQueue,
    /// The response to a denied request, which follows the responses to earlier requests.
    denial_response: Option<Vec<u8>>,
    /// The program receives the end of the stream after `to_program`.
    pub(super) has_ended: bool,
}

impl Inspector {
    pub(crate) fn new(context: Arc<HttpContext>, entry: Arc<AuditEntry>, peer: Peer) -> Self {
        let host = peer.host.to_string();
        let origin = match peer.port {
            Some(port) => Origin::new(peer.scheme, &host, port),
            None => Origin::with_any_port(peer.scheme, &host),
        };
        let tunnel_ports = match peer.port {
            Some(_) => Vec::new(),
            None => distinct_ports(context.policy(), &peer.host),
        };
        let port = peer.port.map_or(Port::Any, Port::Number);
        let has_secrets = context
            .policy()
            .may_return_secret(&peer.host, peer.address, port);
        let limits = |head| {
            let limits = Limits::default().head_bytes(head);
            limits.expect("the limit is in range")
        };
        Self {
            finder: context.secrets.finder(),
            searched: None,
            context,
            entry,
            scheme_and_host: request_url::scheme_and_host(&peer),
            peer: Arc::new(peer),
            tunnel_ports,
            has_secrets,
            http: Connection::new(origin, limits(MAX_HEAD))
                .with_response_limits(limits(MAX_RESPONSE_HEAD)),
            requests: Requests::Http,
            request_body: RequestBody::default(),
            responses: Responses::default(),
            exchanges: VecDeque::new(),
            answered: None,
            has_lost_framing: false,
            to_peer: Vec::new(),
            current_start: 0,
            to_program: ProgramQueue::default(),
            denial_response: None,
            has_ended: false,
        }
    }

    /// Returns the bytes for the peer.
    pub(crate) fn to_peer(&self) -> &[u8] {
        &self.to_peer
    }

    /// Removes the first `count` bytes for the peer: they were sent.
    pub(crate) fn sent(&mut self, count: usize) {
        self.current_start = self.current_start.saturating_sub(count);
        if count == self.to_peer.len() {
            self.to_peer.clear();
            // A large head must not stay in memory until the connection ends.
            self.to_peer.shrink_to(STEP);
        } else {
            self.to_peer.drain(..count);
        }
    }

    /// Returns whether a head waits for the values of its secrets.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.requests, Requests::Waiting(_))
    }

    /// Returns whether requests are sent as they are and at once, whether or not they are
    /// well-formed: they are only recorded.
    ///
    /// Report-only mode covers the rules. Where there is a secret, requests are still parsed before
    /// they are sent.
    pub(crate) fn is_observer(&self) -> bool {
        !self.has_secrets && (!self.peer.is_enforced() || self.context.report_only)
    }

    /// Returns whether the program can read without more bytes of the peer.
    pub(crate) fn is_readable(&self) -> bool {
        !self.to_program.is_empty() || self.has_ended || self.requests.failure().is_some()
    }

    /// Returns whether the program receives nothing after the bytes that it can read now.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns how many bytes the program can read now.
    pub(crate) fn pending(&self) -> usize {
        self.to_program.len()
    }

    /// Returns up to `max` bytes for the program, or `None` if there are none yet. An empty vector
    /// is the end of the stream.
    ///
    /// # Errors
    ///
    /// The denial that ended the connection, once the bytes before it were taken.
    pub(crate) fn take_for_program(&mut self, max: usize) -> Option<Result<Vec<u8>, NetError>> {
        if !self.to_program.is_empty() {
            return Some(Ok(self.to_program.take(max)));
        }
        match self.requests.failure() {
            Some(error) => Some(Err(error.clone())),
            None => self.has_ended.then(|| Ok(Vec::new())),
        }
    }

    /// Removes and returns all bytes for the program.
    pub(crate) fn take_unread(&mut self) -> Vec<u8> {
        self.to_program.take_all()
    }

    /// Returns how many of the program's next bytes can be sent as they are: content of a body, or
    /// what is not inspected. If there are any, the caller sends some and passes them to
    /// [`forwarded`](Self::forwarded), in place of [`poll_request`](Self::poll_request).
    pub(crate) fn forwardable(&mut self, data: &[u8]) -> usize {
        let count = data.len().min(MAX_FORWARDED);
        match self.requests {
            Requests::Raw => return count,
            Requests::Http if self.to_peer.is_empty() => {}
            _ => return 0,
        }
        let RequestBody { max, length, .. } = self.request_body;
        let content = self.http.request_content();
        let content = content.min(max.map_or(u64::MAX, |max| max - length));
        let count = usize::try_from(content).unwrap_or(usize::MAX).min(count);
        match &self.finder {
            Some(finder) if count > 0 && self.is_searched() => {
                let count = count.min(MAX_SEARCHED);
                let mut finder = finder.clone();
                if finder.push(&data[..count]).is_some() {
                    // It is denied.
                    return 0;
                }
                self.searched = Some((count, finder));
                count
            }
            _ => count,
        }
    }

    /// Takes bytes that [can be sent as they are](Self::forwardable), after they were sent.
    ///
    /// # Errors
    ///
    /// As [`poll_request`](Self::poll_request).
    pub(crate) fn forwarded(&mut self, data: &[u8]) -> Result<(), NetError> {
        if matches!(self.requests, Requests::Raw) {
            return Ok(());
        }
        self.parse_forwarded(data)
    }

    /// Returns whether a placeholder in a wrong place denies the request.
    pub(super) fn is_searched(&self) -> bool {
        self.peer.is_enforced() && !self.context.report_only
    }

    /// Adds bytes for the program.
    pub(super) fn push_for_program(&mut self, bytes: &[u8]) {
        self.to_program.push(bytes);
    }

    /// Adds bytes for the program without a copy, unless they are few.
    pub(super) fn push_vec_for_program(&mut self, bytes: Vec<u8>) {
        self.to_program.push_vec(bytes);
    }

    /// Returns the exchange of the request that the program sends now, or of the last one.
    pub(super) fn current(&mut self) -> Option<&mut Exchange> {
        match &mut self.answered {
            Some(exchange) => Some(exchange),
            None => self.exchanges.back_mut(),
        }
    }

    /// Denies the [current](Self::current) request. No byte of it that was not sent yet is sent,
    /// and no request follows on the connection.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`], unless denials are responses.
    pub(super) fn deny(&mut self, reason: &'static str, message: &str) -> Result<(), NetError> {
        let unsent = self.to_peer.len().saturating_sub(self.current_start);
        self.to_peer.truncate(self.current_start);
        let answered = self.answered.take();
        let is_answered = answered.is_some();
        let mut response = Vec::new();
        if let Some(mut exchange) = answered.or_else(|| self.exchanges.pop_back()) {
            exchange.remove_sent(unsent);
            let is_head_request = exchange.is_head_request();
            let report = exchange.end(Some(message.to_owned()));
            if !is_answered {
                let verdict = report.verdict.as_ref();
                let rule = verdict.and_then(HttpVerdict::guest_rule);
                let rule = rule.map(ToString::to_string);
                response = denial::response(message, rule.as_deref(), is_head_request);
            }
            self.entry.request_denied(reason, report);
        }
        // In a tunnel, nothing tells a program that reads only when its transport has bytes.
        let is_response =
            self.context.denials() == HttpDenials::Response && self.peer.port.is_some();
        if !is_response {
            let error = NetError::Denied(message.to_owned());
            self.to_peer.clear();
            self.requests = Requests::Failed(error.clone());
            return Err(error);
        }
        self.requests = Requests::Discarded;
        self.denial_response = Some(response);
        self.release_denial();
        Ok(())
    }

    /// Gives the program the response to a denied request, once the responses before it have ended.
    pub(super) fn release_denial(&mut self) {
        if self.exchanges.is_empty()
            && let Some(response) = self.denial_response.take()
        {
            self.push_for_program(&response);
            self.has_ended = true;
        }
    }

    /// Returns the message about a request or a response that is not well-formed HTTP.
    ///
    /// `error` has no text of a response: it could be a secret.
    pub(super) fn malformed(&self, part: &str, error: &dyn fmt::Display) -> String {
        let host = &self.peer.host;
        format!(
            "{part} is denied: {error}; requests to `{host}` are inspected (http_rules, secrets), and \
             only well-formed HTTP/1.1 passes"
        )
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        if let Some(exchange) = self.answered.take() {
            let error = "the connection ended before the request did".to_owned();
            self.entry.request_ended(exchange.end(Some(error)));
        }
        for exchange in std::mem::take(&mut self.exchanges) {
            let error = "the connection ended before the response did".to_owned();
            self.entry.request_ended(exchange.end(Some(error)));
        }
    }
}
