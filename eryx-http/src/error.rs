//! The error of a message that is refused.

use std::fmt;

use thiserror::Error;

use crate::escape::escape_truncated;

/// The error of a message that is refused.
///
/// The message names the text, the rule it breaks and the correction. A parser that has failed
/// returns the same error for all further input.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct HttpError {
    text: Box<str>,
    kind: HttpErrorKind,
}

impl HttpError {
    pub(crate) fn new(text: &[u8], kind: HttpErrorKind) -> Self {
        Self {
            text: escape_truncated(text).into(),
            kind,
        }
    }

    /// Returns the refused text, cut to 64 bytes and with invisible characters escaped.
    ///
    /// The text comes from the message. If the peer was sent a secret, a response can contain it.
    pub fn rejected_text(&self) -> &str {
        &self.text
    }

    /// Returns the rule that the message breaks.
    pub fn kind(&self) -> &HttpErrorKind {
        &self.kind
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            write!(f, "HTTP message refused: {}", self.kind)
        } else {
            write!(f, "HTTP message refused at `{}`: {}", self.text, self.kind)
        }
    }
}

impl From<HttpErrorKind> for HttpError {
    fn from(kind: HttpErrorKind) -> Self {
        Self::new(b"", kind)
    }
}

/// A rule that a message can break.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// A head or trailer section that is longer than the limit.
    #[error("the head has more than {limit} bytes; send fewer or shorter fields")]
    HeadTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A head or trailer section with more field lines than the limit.
    #[error("the head has more than {limit} fields; send fewer")]
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// A line feed without a carriage return before it.
    #[error("a line ends in a bare LF (RFC 9112, 2.2); end every line with CR LF")]
    BareLf,
    /// A carriage return without a line feed after it.
    #[error("a CR is not followed by LF (RFC 9112, 2.2); end every line with CR LF")]
    BareCr,
    /// A NUL.
    #[error("the head contains a NUL (RFC 9110, 5.5); remove it")]
    Nul,
    /// An empty line before the start line.
    #[error(
        "an empty line precedes the message (RFC 9112, 2.2); send nothing between two messages"
    )]
    EmptyLine,
    /// A request line that is not a method, a target and a version between single spaces.
    #[error(
        "the request line is not a method, a target and a version, separated by single spaces \
         (RFC 9112, 3); percent-encode spaces of the target"
    )]
    RequestLine,
    /// A status line that is not a version, a status and a reason.
    #[error(
        "the status line is not `HTTP/1.1`, a status of three digits and a reason (RFC 9112, 4)"
    )]
    StatusLine,
    /// A request line without a version.
    #[error("the request is HTTP/0.9, which has no version; use HTTP/1.1 (RFC 9112, 2.3)")]
    Http09,
    /// The preface of an HTTP/2 connection.
    #[error("the connection starts with the preface of HTTP/2 (RFC 9113, 3.4); use HTTP/1.1")]
    Http2Preface,
    /// Another version than HTTP/1.0 and HTTP/1.1.
    #[error("the version is neither `HTTP/1.1` nor `HTTP/1.0` (RFC 9112, 2.3); use HTTP/1.1")]
    Version,
    /// A method that is not a token.
    #[error("the method is not a token (RFC 9110, 9.1); use a registered one such as `GET`")]
    Method,
    /// `CONNECT`, whose target is in authority-form.
    #[error("CONNECT is not permitted (RFC 9110, 9.3.6); connect to the server directly")]
    Connect,
    /// `TRACE` or `TRACK`.
    #[error(
        "the method is not permitted, since its answer repeats the request \
         (RFC 9110, 9.3.8); use another"
    )]
    Trace,
    /// `HEAD` in another case.
    #[error(
        "some servers take the method for HEAD, whose responses have no body, and others do not \
         (RFC 9110, 9.1); write `HEAD`"
    )]
    HeadCase,
    /// A target with a byte that is not permitted in a URI.
    #[error("the target has a byte that URIs may not contain (RFC 3986, 2); percent-encode it")]
    TargetByte,
    /// A target that is neither in origin-form nor in absolute-form.
    #[error("the target is neither a path nor a URL (RFC 9112, 3.2); start it with `/`")]
    TargetForm,
    /// `*` as the target of another method than `OPTIONS`.
    #[error("`*` is a target of OPTIONS only (RFC 9112, 3.2.4); use a path")]
    Asterisk,
    /// A target in absolute-form with another scheme, host or port.
    #[error(
        "the target is not a URL of `{expected}`, which the connection is for (RFC 9112, 3.2.2); \
         use a path, or open another connection"
    )]
    TargetAuthority {
        /// The origin of the connection.
        expected: Box<str>,
    },
    /// No `Host`.
    #[error("the request has no `Host` (RFC 9112, 3.2); add one")]
    MissingHost,
    /// More than one `Host`.
    #[error("the request has more than one `Host` (RFC 9112, 3.2); send one")]
    RepeatedHost,
    /// A `Host` that is not the host and port of the connection.
    #[error(
        "`Host` is not `{expected}`, which the connection is for (RFC 9110, 7.2); \
         correct it, or open another connection"
    )]
    HostMismatch {
        /// The host and port of the connection.
        expected: Box<str>,
    },
    /// A field line that starts with white space.
    #[error("a field continues on the next line (obs-fold: RFC 9112, 5.2); write it on one line")]
    ObsFold,
    /// White space between a field name and the colon.
    #[error("there is white space before the colon of a field (RFC 9112, 5.1); remove it")]
    SpaceBeforeColon,
    /// A field line without a colon.
    #[error("a field line has no colon (RFC 9112, 5); write `name: value`")]
    MissingColon,
    /// A field name that is not a token.
    #[error("a field name is not a token (RFC 9110, 5.1); use letters, digits and hyphens")]
    FieldName,
    /// A control character in a field value.
    #[error("the value of the field has a control character (RFC 9110, 5.5); remove it")]
    FieldValue,
    /// A field name that differs from one that frames messages in `_` and `-` only.
    #[error("some servers treat the field as one that frames messages; write `-` instead of `_`")]
    LookalikeField,
    /// A field by which some servers replace the method, with another method than that of the
    /// request.
    #[error(
        "the field names another method than the request line, and some servers use it instead; \
         send the method in the request line (RFC 9110, 9)"
    )]
    MethodOverride,
    /// A field by which some servers replace the target.
    #[error(
        "some servers take the field for the target; \
         send the target in the request line (RFC 9112, 3.2)"
    )]
    TargetOverride,
    /// White space around the value of a request's field that frames or routes the message, other
    /// than one space before it.
    #[error(
        "there is white space around the value of the field, which some servers take for a part of \
         it (RFC 9112, 5.1); write one space before the value and none behind it"
    )]
    Padding,
    /// A `Content-Length` that is not a decimal number below 2^63.
    #[error("`Content-Length` is not one decimal number below 2^63 (RFC 9110, 8.6); correct it")]
    ContentLength,
    /// Several fields `Content-Length` with different values.
    #[error("there are two different values of `Content-Length` (RFC 9110, 8.6); send one")]
    ContentLengthConflict,
    /// Several fields `Content-Length` in a request, with the same value.
    #[error("the request has more than one `Content-Length` (RFC 9110, 8.6); send one")]
    RepeatedContentLength,
    /// `Content-Length` and `Transfer-Encoding`.
    #[error(
        "the message has both `Content-Length` and `Transfer-Encoding` (RFC 9112, 6.2); \
         remove `Content-Length`"
    )]
    LengthAndCoding,
    /// A transfer coding other than exactly `chunked`.
    #[error("`Transfer-Encoding` is not exactly `chunked` (RFC 9112, 6.1); remove other codings")]
    TransferCoding,
    /// `Transfer-Encoding` in an HTTP/1.0 message.
    #[error("an HTTP/1.0 message has `Transfer-Encoding` (RFC 9112, 6.1); use HTTP/1.1")]
    CodingInHttp10,
    /// `Expect` or `Upgrade` in an HTTP/1.0 request.
    #[error("an HTTP/1.0 request has the field (RFC 9110, 7.8 and 10.1.1); use HTTP/1.1")]
    FieldInHttp10,
    /// Content in a `GET` or `HEAD` request.
    #[error(
        "a GET or HEAD request has content, which some servers take for the next request \
         (RFC 9110, 9.3.1); use POST"
    )]
    UnexpectedContent,
    /// A 1xx or 204 response with `Transfer-Encoding` or a nonzero `Content-Length`.
    #[error("a response without content announces a body (RFC 9112, 6.1 and RFC 9110, 8.6)")]
    BodyWithoutContent,
    /// A connection option that names a field which frames or routes the message.
    #[error("`Connection` names a field that all recipients need (RFC 9110, 7.6.1); remove it")]
    ConnectionOption,
    /// An `Expect` other than `100-continue`.
    #[error("`Expect` is not exactly `100-continue` (RFC 9110, 10.1.1); correct it")]
    Expect,
    /// An `Upgrade` to HTTP/2.
    #[error("the request asks for an upgrade to HTTP/2 (RFC 9113, 3.1); remove `Upgrade`")]
    Http2Upgrade,
    /// A chunk size with a byte that is not a hexadecimal digit, or without a digit.
    #[error("a chunk size is not a hexadecimal number (RFC 9112, 7.1); correct it")]
    ChunkSize,
    /// A chunk size of 2^63 or more, or of more than 16 digits.
    #[error(
        "a chunk size is 2^63 or more, or has more than 16 digits (RFC 9112, 7.1); send smaller chunks"
    )]
    ChunkSizeOverflow,
    /// The line of a chunk size, or the data of a chunk, that does not end in CR LF.
    #[error("a chunk does not end in CR LF (RFC 9112, 7.1); correct its size")]
    ChunkEnd,
    /// A chunk extension in a request.
    #[error(
        "a chunk has an extension, which servers parse differently (RFC 9112, 7.1.1); remove it"
    )]
    ChunkExtension,
    /// Chunk extensions of a response that are longer than the limit.
    #[error("the chunk extensions of a response have more than {limit} bytes (RFC 9112, 7.1.1)")]
    ChunkExtensionTooLong {
        /// The limit for all extensions of a response, in bytes.
        limit: usize,
    },
    /// A field that is not permitted in a trailer section.
    #[error("the field is not permitted in trailers (RFC 9110, 6.5.1); send it in the head")]
    TrailerField,
    /// The connection ended within a message.
    #[error("the connection ended before the message was complete (RFC 9112, 8)")]
    Incomplete,
    /// More requests without an answer than the limit.
    #[error("more than {limit} requests wait for an answer; wait for answers before sending more")]
    TooManyPipelined {
        /// The limit.
        limit: usize,
    },
    /// A request after one with `Connection: close`, or after a response with it.
    #[error("a request follows the last one of the connection (RFC 9112, 9.6); open another")]
    RequestAfterClose,
    /// Bytes after a request with `Upgrade` that has no answer yet.
    #[error("bytes follow a request with `Upgrade` (RFC 9110, 7.8); wait for its answer")]
    BytesAfterUpgrade,
    /// Content of a request with `Expect: 100-continue` after its final answer.
    #[error(
        "content follows the final answer to `Expect: 100-continue` (RFC 9110, 10.1.1); \
         close the connection"
    )]
    ContentAfterAnswer,
    /// A response without a request.
    #[error("the server sent bytes that answer no request (RFC 9112, 9.2)")]
    UnsolicitedResponse,
    /// Bytes after the last response of the connection.
    #[error("the server sent bytes after its last response (RFC 9112, 9.6)")]
    BytesAfterClose,
    /// A 101 response that the request did not ask for.
    #[error("the server switches to a protocol that the request did not offer (RFC 9110, 7.8)")]
    UnexpectedUpgrade,
    /// More interim responses to one request than the limit.
    #[error("the server sent more than {limit} interim responses to one request (RFC 9110, 15.2)")]
    TooManyInterim {
        /// The limit.
        limit: usize,
    },
    /// A change of a field that frames or routes the message.
    #[error("the field frames or routes the message, and cannot be changed on its own")]
    ProtectedField,
}
