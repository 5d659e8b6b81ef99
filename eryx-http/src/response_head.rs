//! The head of a response (RFC 9112, 4).

use std::ops::Range;

use crate::error::{HttpError, HttpErrorKind};
use crate::field_line::is_value;
use crate::fields::Fields;
use crate::framing::{self, Framing, Version};
use crate::response_parser::AnsweredRequest;

/// The head of a response that was found to be well-formed.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    line: StatusLine,
    fields: Fields,
    framing: Framing,
    is_persistent: bool,
}

/// The status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatusLine {
    version: Version,
    status: u16,
    reason: Range<usize>,
}

impl ResponseHead {
    /// Parses a head whose status line was parsed.
    pub(crate) fn parse(
        line: StatusLine,
        bytes: Vec<u8>,
        request: AnsweredRequest,
    ) -> Result<Self, HttpError> {
        let fields = Fields::parse(bytes, line.reason.end + 2)?;
        let announced = framing::announced(&fields, line.version)?;
        let framing = body_framing(line.status, announced, request)?;
        let is_persistent =
            framing != Framing::UntilClose && framing::response_persists(&fields, line.version);
        Ok(Self {
            line,
            fields,
            framing,
            is_persistent,
        })
    }

    /// Returns the status code, from 100 to 999.
    pub fn status(&self) -> u16 {
        self.line.status
    }

    /// Returns the reason phrase, which has no control characters other than tabs.
    pub fn reason(&self) -> &[u8] {
        &self.fields.bytes()[self.line.reason.clone()]
    }

    /// Returns the version.
    pub fn version(&self) -> Version {
        self.line.version
    }

    /// Returns whether another response to the same request follows (RFC 9110, 15.2).
    pub fn is_interim(&self) -> bool {
        self.line.status < 200 && self.line.status != 101
    }

    /// Returns the fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Returns the fields, to change those that do not frame the message.
    pub fn fields_mut(&mut self) -> &mut Fields {
        &mut self.fields
    }

    /// Returns how the end of the body is found.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Returns whether another response can follow on the connection.
    pub fn is_persistent(&self) -> bool {
        self.is_persistent
    }

    /// Appends the head to `output`. A head that was not changed is byte-identical to the head that
    /// was parsed.
    pub fn write(&self, output: &mut Vec<u8>) {
        output.reserve_exact(self.line.reason.end + 2 + self.fields.lines_len() + 2);
        output.extend_from_slice(&self.fields.bytes()[..self.line.reason.end + 2]);
        self.fields.write(output);
    }
}

impl PartialEq for ResponseHead {
    /// Compares the bytes that [`ResponseHead::write`] appends.
    fn eq(&self, other: &Self) -> bool {
        self.line == other.line && self.reason() == other.reason() && self.fields == other.fields
    }
}

impl Eq for ResponseHead {}

impl StatusLine {
    /// Parses a status line without its CR LF. The space before an empty reason can be missing,
    /// because many servers leave it out.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, HttpError> {
        let error = || HttpError::new(line, HttpErrorKind::StatusLine);
        if !line.starts_with(b"HTTP/") {
            return Err(error());
        }
        let version = line.split(|&b| b == b' ').next().unwrap_or_default();
        let status_start = version.len() + 1;
        let version = Version::parse(version)?;
        let rest = line.get(status_start..).ok_or_else(error)?;
        let [
            a @ b'1'..=b'9',
            b @ b'0'..=b'9',
            c @ b'0'..=b'9',
            reason @ ..,
        ] = rest
        else {
            return Err(error());
        };
        let status = [a, b, c]
            .iter()
            .fold(0, |n, &&d| n * 10 + u16::from(d - b'0'));
        let is_reason = match reason {
            [] => true,
            [b' ', text @ ..] => text.iter().copied().all(is_value),
            _ => false,
        };
        if !is_reason {
            return Err(error());
        }
        Ok(Self {
            version,
            status,
            reason: (status_start + 4).min(line.len())..line.len(),
        })
    }
}

/// Returns the framing of a response (RFC 9112, 6.3).
fn body_framing(
    status: u16,
    announced: Option<Framing>,
    request: AnsweredRequest,
) -> Result<Framing, HttpError> {
    // A client ignores what such a response announces (RFC 9110, 9.3.6).
    if request == AnsweredRequest::Connect && (200..300).contains(&status) {
        return Ok(Framing::Empty);
    }
    if status < 200 || status == 204 {
        return match announced {
            None | Some(Framing::Length(0)) => Ok(Framing::Empty),
            _ => Err(HttpErrorKind::BodyWithoutContent.into()),
        };
    }
    if status == 304 || request == AnsweredRequest::Head {
        return Ok(Framing::Empty);
    }
    Ok(announced.unwrap_or(Framing::UntilClose))
}
