//! The body of a response.

use eryx_http::{Framing, ResponseHead, write_chunk};

use crate::http::secret_filter::{SecretFilter, SecretPatterns};

/// Counts the bytes of a body, and replaces secrets in it.
pub(super) struct ResponseBody {
    filter: SecretFilter,
    is_chunked: bool,
    unsearchable: Option<UnsearchableBody>,
    length: u64,
    max: Option<u64>,
}

/// Why secrets cannot be recognised in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnsearchableBody {
    /// It has a content coding.
    Encoded,
    /// It is a part of a content, or a difference from an earlier one, of which the program could
    /// have the rest.
    Partial,
}

impl ResponseBody {
    /// Returns the body of the response with this head, which may have at most `max` bytes.
    pub(super) fn new(head: &ResponseHead, max: Option<u64>) -> Self {
        Self {
            filter: SecretFilter::default(),
            is_chunked: head.framing() == Framing::Chunked,
            unsearchable: UnsearchableBody::of(head),
            length: 0,
            max,
        }
    }

    /// Returns whether the body is in chunks, which are made again.
    pub(super) fn is_chunked(&self) -> bool {
        self.is_chunked
    }

    /// Returns whether its bytes can be passed on without new framing.
    pub(super) fn is_unframed(&self) -> bool {
        !self.is_chunked && self.unsearchable().is_none()
    }

    /// Returns whether its bytes are passed on as they are.
    pub(super) fn is_passed_on(&self) -> bool {
        self.filter.is_idle() && !self.is_chunked
    }

    /// Returns why secrets cannot be recognised in it, although some are known.
    pub(super) fn unsearchable(&self) -> Option<UnsearchableBody> {
        self.unsearchable.filter(|_| !self.filter.is_idle())
    }

    /// Counts `bytes` more. Returns whether the body is longer than it may be.
    pub(super) fn count(&mut self, bytes: usize) -> bool {
        self.length += bytes as u64;
        self.max.is_some_and(|max| self.length > max)
    }

    /// Allows any length.
    pub(super) fn remove_limit(&mut self) {
        self.max = None;
    }

    /// Sets what is replaced from here on.
    pub(super) fn refresh(&mut self, patterns: &SecretPatterns, version: u64) {
        self.filter.refresh(patterns, version);
    }

    /// Takes bytes of the body.
    pub(super) fn scrub(&mut self, data: &[u8]) {
        self.filter.push(data);
    }

    /// Takes bytes of the body, which is not in chunks, and passes those for the program that are
    /// not held back to `deliver`, without a copy if possible.
    pub(super) fn pass(&mut self, data: Vec<u8>, deliver: impl FnMut(Vec<u8>)) {
        self.filter.pass(data, deliver);
    }

    /// Returns the bytes for the program that are not held back, in one chunk.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let bytes = self.filter.take();
        self.framed(bytes)
    }

    /// Ends the body, and returns all bytes for the program.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let bytes = self.filter.finish();
        self.framed(bytes)
    }

    fn framed(&self, bytes: Vec<u8>) -> Vec<u8> {
        if !self.is_chunked {
            return bytes;
        }
        let mut chunk = Vec::new();
        write_chunk(&bytes, &mut chunk);
        chunk
    }
}

impl UnsearchableBody {
    fn of(head: &ResponseHead) -> Option<Self> {
        if head.framing() == Framing::Empty {
            return None;
        }
        let mut codings = head.fields().elements("content-encoding");
        if codings.any(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
            return Some(Self::Encoded);
        }
        // Partial Content (RFC 9110, 15.3.7) and IM Used (RFC 3229, 10.4.1).
        matches!(head.status(), 206 | 226).then_some(Self::Partial)
    }

    /// Returns the message for the program.
    pub(super) fn message(self, host: &str) -> String {
        let reason = match self {
            Self::Encoded => {
                "its Content-Encoding is one in which a secret cannot be recognised, and the request \
                 asked for identity; use a server that honours Accept-Encoding, or have the embedder \
                 remove the secrets for this host"
            }
            Self::Partial => {
                "it has only a part of the content (status 206 or 226), where a secret could be cut \
                 in two, and no request to a host with secrets asks for one (Range is removed); \
                 request all of it, without a field or parameter that selects a part"
            }
        };
        format!("the response from `{host}` is denied: {reason}")
    }
}
