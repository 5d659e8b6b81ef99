//! A request whose body is collected, because it may have placeholders.

use eryx_http::{Fields, Framing, RequestHead, write_chunk, write_last_chunk};

use crate::error::NetError;
use crate::http::inspector::Inspector;
use crate::http::secret_store::Values;
use crate::http::secret_substitution::Substitution;

/// The longest body in which placeholders are replaced, in bytes.
const MAX_COLLECTED: usize = 32 * 1024;

/// The most bytes of such a body and its head together, before and after the replacement.
const MAX_REQUEST: usize = 48 * 1024;

/// A head that is sent once its body is complete.
pub(super) struct Collecting {
    head: RequestHead,
    /// The port that the request names, and the others that it may go to.
    ports: Vec<u16>,
    /// The secrets that the body may contain, and those of the head.
    values: Values,
    body: Vec<u8>,
    pub(super) trailers: Option<Fields>,
    /// Whether the program waits for `100 Continue` before it sends the body.
    pub(super) is_continue_owed: bool,
}

/// The media types in whose bodies placeholders are replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaType {
    Form,
    Json,
}

impl MediaType {
    pub(super) fn of(head: &RequestHead) -> Option<Self> {
        let value = head.fields().first("content-type")?;
        let essence = value.split(|&byte| byte == b';').next()?.trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            return Some(Self::Form);
        }
        let is_json = essence.eq_ignore_ascii_case(b"application/json")
            || essence.to_ascii_lowercase().ends_with(b"+json");
        is_json.then_some(Self::Json)
    }
}

impl Collecting {
    pub(super) fn new(mut head: RequestHead, ports: Vec<u16>, values: Values) -> Self {
        Self {
            // The peer receives the body with the head.
            is_continue_owed: head.remove_expectation(),
            head,
            ports,
            values,
            body: Vec::new(),
            trailers: None,
        }
    }

    /// Returns the most bytes that the body may have.
    pub(super) fn max(&self) -> usize {
        MAX_COLLECTED.min(MAX_REQUEST.saturating_sub(self.head.len()))
    }

    /// Adds bytes of the body. Returns `false` if it would be longer than [`max`](Self::max).
    pub(super) fn push(&mut self, data: &[u8]) -> bool {
        self.is_continue_owed = false;
        let max = self.max();
        let needed = self.body.len() + data.len();
        if needed > max {
            return false;
        }
        if needed > self.body.capacity() {
            // `Vec` alone would round up beyond the maximum.
            self.body
                .reserve_exact((2 * needed).min(max) - self.body.len());
        }
        self.body.extend_from_slice(data);
        true
    }
}

impl Inspector {
    /// Replaces the placeholders in a complete body, and sends the request.
    pub(super) fn send_collected(&mut self, collecting: Collecting) -> Result<(), NetError> {
        let Collecting {
            mut head,
            ports,
            values,
            body,
            trailers,
            is_continue_owed: _,
        } = collecting;
        let context = std::sync::Arc::clone(&self.context);
        let peer = self.peer.clone();
        let substitution = Substitution::new(&context, &peer, &ports);
        let used = substitution.found(&body);
        let allowed = substitution.used_by_body();
        for index in used.iter().filter(|index| !allowed.contains(index)) {
            self.deny_misplaced(*index, "the body")?;
            if !context.report_only {
                return Ok(());
            }
        }
        let is_json = MediaType::of(&head) == Some(MediaType::Json);
        let values: Values = values
            .into_iter()
            .filter(|(index, _)| used.contains(index) && allowed.contains(index))
            .collect();
        let body = match substitution.apply_to_body(body, &values, is_json) {
            Ok(body) => body,
            Err(error) => {
                let message = format!("the secrets cannot be put into it: {error}");
                return self.deny_current("misplaced-secret", &message);
            }
        };
        if head.len() + body.len() > MAX_REQUEST {
            let message = format!(
                "with its secrets it would have more than {MAX_REQUEST} bytes; send fewer placeholders"
            );
            return self.deny_current("misplaced-secret", &message);
        }
        if let Err(error) = self.record_secrets(values) {
            return self.deny_current("secret-unavailable", &error);
        }
        let before = self.to_peer.len();
        if let Framing::Length(_) = head.framing() {
            if let Err(error) = head.set_content_length(body.len() as u64) {
                return self.deny_current("misplaced-secret", &error.kind().to_string());
            }
            self.to_peer.reserve_exact(head.len() + body.len());
            head.write(&mut self.to_peer);
            self.to_peer.extend_from_slice(&body);
        } else {
            head.write(&mut self.to_peer);
            write_chunk(&body, &mut self.to_peer);
            write_last_chunk(trailers.as_ref(), &mut self.to_peer);
        }
        let sent = self.to_peer.len() - before;
        if let Some(exchange) = self.current() {
            exchange.add_sent(sent);
        }
        Ok(())
    }
}
