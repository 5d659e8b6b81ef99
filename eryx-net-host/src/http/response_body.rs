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
    /// It has a character encoding that does not contain ASCII.
    Charset,
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
        if head.fields().all("content-type").any(has_other_charset) {
            return Some(Self::Charset);
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
            Self::Charset => {
                "its Content-Type has a charset in which a secret cannot be recognised, and the \
                 request asked for none; use a server that answers in UTF-8, or have the embedder \
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

/// Returns whether a media type has a charset in which ASCII characters are not the bytes of ASCII,
/// or may not be: only the usual ones that contain ASCII are known here.
fn has_other_charset(media_type: &[u8]) -> bool {
    const CONTAIN_ASCII: [&[u8]; 17] = [
        b"utf-8",
        b"utf8",
        b"us-ascii",
        b"ascii",
        b"iso-8859",
        b"iso8859",
        b"iso_8859",
        b"latin",
        b"windows-125",
        b"cp125",
        b"gb",
        b"big5",
        b"shift_jis",
        b"sjis",
        b"euc-",
        b"koi8-",
        b"tis-620",
    ];
    let lower = media_type.to_ascii_lowercase();
    let mut parameters = lower.split(|&byte| matches!(byte, b';' | b','));
    parameters.any(|parameter| {
        // Anywhere in the parameter, as lenient readers of the field look for it.
        let Some(start) = memmem(parameter, b"charset") else {
            return false;
        };
        let value = &parameter[start + b"charset".len()..];
        let Some(value) = value.trim_ascii_start().strip_prefix(b"=") else {
            return false;
        };
        let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'' | b' ' | b'\t');
        let value: Vec<u8> = value.iter().copied().skip_while(is_quote).collect();
        !value.is_empty() && !CONTAIN_ASCII.iter().any(|known| value.starts_with(known))
    })
}

fn memmem(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|part| part == wanted)
}

#[cfg(test)]
mod tests {
    use super::has_other_charset;

    #[test]
    fn a_charset_that_does_not_contain_ascii_is_found_however_it_is_written() {
        for media_type in [
            "application/json;charset=UTF-16LE",
            "text/plain; a=b ; Charset = \"utf-16\"",
            "text/plain; charset='utf-32'",
            "text/plain;charset=utf-7",
            "text/plain, text/html; charset=ibm037",
            "text/plain; charset=iso-2022-jp",
            "text/plain; charset=unicode",
        ] {
            assert!(has_other_charset(media_type.as_bytes()), "{media_type}");
        }
        for media_type in [
            "",
            "text/plain",
            "text/html; charset=utf-8",
            "text/html; charset=\"UTF-8\"; a=b",
            "text/html;charset=ISO-8859-15",
            "text/html; charset=",
            "text/html; charset",
            "application/x-charset",
            "text/html; charset=GB18030",
        ] {
            assert!(!has_other_charset(media_type.as_bytes()), "{media_type}");
        }
    }
}
