//! The body of a response.

use eryx_http::{Framing, ResponseHead, Scrubber, ScrubberPatterns, write_chunk};

/// Counts the bytes of a body, and replaces secrets in it.
pub(super) struct ResponseBody {
    /// Replaces secrets. `None` if no secret was sent so far.
    scrubber: Option<Scrubber>,
    /// The version of the secrets that it replaces.
    version: u64,
    /// Bytes for the program that are not held back.
    released: Vec<u8>,
    is_chunked: bool,
    /// Whether it has a content coding, in which no secret can be recognised.
    is_encoded: bool,
    length: u64,
    max: Option<u64>,
}

impl ResponseBody {
    /// Returns the body of the response with this head, which may have at most `max` bytes.
    pub(super) fn new(head: &ResponseHead, max: Option<u64>) -> Self {
        let mut codings = head.fields().elements("content-encoding");
        Self {
            scrubber: None,
            version: 0,
            released: Vec::new(),
            is_chunked: head.framing() == Framing::Chunked,
            is_encoded: head.framing() != Framing::Empty
                && codings.any(|coding| !coding.eq_ignore_ascii_case(b"identity")),
            length: 0,
            max,
        }
    }

    /// Returns whether the body is in chunks, which are made anew.
    pub(super) fn is_chunked(&self) -> bool {
        self.is_chunked
    }

    /// Returns whether its bytes are passed on as they are.
    pub(super) fn is_passed_on(&self) -> bool {
        self.scrubber.is_none() && !self.is_chunked
    }

    /// Returns whether secrets cannot be recognised in it, although some were sent.
    pub(super) fn is_unreadable(&self) -> bool {
        self.scrubber.is_some() && self.is_encoded
    }

    /// Counts `bytes` more. Returns whether the body is longer than it may be.
    pub(super) fn count(&mut self, bytes: usize) -> bool {
        self.length += bytes as u64;
        self.max.is_some_and(|max| self.length > max)
    }

    /// Sets what is replaced from here on, if it is of another version than before.
    pub(super) fn refresh(&mut self, patterns: &ScrubberPatterns, version: u64) {
        if self.version == version {
            return;
        }
        self.version = version;
        match &mut self.scrubber {
            // It can hold back the start of a secret that is still searched for.
            Some(scrubber) => scrubber.continue_with(patterns, &mut self.released),
            None => self.scrubber = Some(patterns.scrubber()),
        }
    }

    /// Takes bytes of the body.
    pub(super) fn scrub(&mut self, data: &[u8]) {
        match &mut self.scrubber {
            Some(scrubber) => scrubber.push(data, &mut self.released),
            None => self.released.extend_from_slice(data),
        }
    }

    /// Returns the bytes for the program: those that are not held back, in one chunk.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.released);
        if !self.is_chunked {
            return bytes;
        }
        let mut chunk = Vec::new();
        write_chunk(&bytes, &mut chunk);
        chunk
    }

    /// Ends the body: no byte is held back any more.
    pub(super) fn finish(&mut self) {
        if let Some(scrubber) = &mut self.scrubber {
            scrubber.finish(&mut self.released);
        }
    }
}
