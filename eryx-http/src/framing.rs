//! The length of a body, from the fields of a message (RFC 9112, 6).

use crate::error::{HttpError, HttpErrorKind};
use crate::fields::Fields;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// There is no body.
    Empty,
    /// The body has this number of bytes.
    Length(u64),
    /// The body is in chunks.
    Chunked,
    /// The body ends with the connection.
    UntilClose,
}

/// The version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl Version {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, HttpError> {
        match text {
            b"HTTP/1.1" => Ok(Self::Http11),
            b"HTTP/1.0" => Ok(Self::Http10),
            _ => Err(HttpError::new(text, HttpErrorKind::Version)),
        }
    }
}

/// Returns the framing that the fields announce, or `None` if they announce none.
pub(crate) fn announced(fields: &Fields, version: Version) -> Result<Option<Framing>, HttpError> {
    let length = content_length(fields)?;
    let mut codings = fields.all("transfer-encoding");
    let Some(coding) = codings.next() else {
        return Ok(length.map(Framing::Length));
    };
    if version == Version::Http10 {
        return Err(HttpError::new(coding, HttpErrorKind::CodingInHttp10));
    }
    if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
        return Err(HttpError::new(coding, HttpErrorKind::TransferCoding));
    }
    if length.is_some() {
        return Err(HttpErrorKind::LengthAndCoding.into());
    }
    Ok(Some(Framing::Chunked))
}

/// Returns whether the connection persists after a response (RFC 9112, 9.3).
pub(crate) fn response_persists(fields: &Fields, version: Version) -> bool {
    let mut is_kept_alive = version == Version::Http11;
    for option in fields.elements("connection") {
        if option.eq_ignore_ascii_case(b"close") {
            return false;
        }
        is_kept_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    is_kept_alive
}

/// Returns whether the connection persists after a request, for every server: some search the field
/// for `close`, so that they find it in `closed`, and others compare the whole field with
/// `keep-alive`.
pub(crate) fn request_persists(fields: &Fields, version: Version) -> bool {
    let mut values = fields.all("connection");
    match version {
        Version::Http11 => !values.any(|value| {
            let mut parts = value.windows(b"close".len());
            parts.any(|part| part.eq_ignore_ascii_case(b"close"))
        }),
        Version::Http10 => {
            values
                .next()
                .is_some_and(|value| value.eq_ignore_ascii_case(b"keep-alive"))
                && values.next().is_none()
        }
    }
}

/// Refuses connection options that tell a proxy to remove a field which all recipients need.
pub(crate) fn check_options(fields: &Fields) -> Result<(), HttpError> {
    for option in fields.elements("connection") {
        let is_needed = ["content-length", "host", "transfer-encoding"]
            .iter()
            .any(|name| option.eq_ignore_ascii_case(name.as_bytes()));
        if is_needed {
            return Err(HttpError::new(option, HttpErrorKind::ConnectionOption));
        }
    }
    Ok(())
}

fn content_length(fields: &Fields) -> Result<Option<u64>, HttpError> {
    let mut length = None;
    for value in fields.all("content-length") {
        let parsed = parse_length(value)
            .ok_or_else(|| HttpError::new(value, HttpErrorKind::ContentLength))?;
        if length.is_some_and(|length| length != parsed) {
            return Err(HttpError::new(value, HttpErrorKind::ContentLengthConflict));
        }
        length = Some(parsed);
    }
    Ok(length)
}

/// Parses digits only: `u64::from_str` accepts a sign. Servers with signed lengths disagree about
/// numbers from 2^63.
pub(crate) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: u64 = str::from_utf8(value).ok()?.parse().ok()?;
    i64::try_from(length).is_ok().then_some(length)
}
