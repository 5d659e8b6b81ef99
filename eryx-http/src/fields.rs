//! The fields of a message, with the bytes that they were parsed from.

use std::fmt;
use std::ops::Range;

use crate::error::{HttpError, HttpErrorKind};
use crate::limits::Limits;

/// The fields of a head or trailer section, in their order.
///
/// They keep the bytes that they were parsed from, so that an unchanged section is written
/// byte-identical. `Debug` shows names only, because values can be secrets.
#[derive(Clone)]
pub struct Fields {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// A field line as ranges of [`Fields::bytes`].
#[derive(Clone)]
struct Entry {
    /// The line without its CR LF.
    line: Range<usize>,
    name_len: usize,
    value: Range<usize>,
}

impl Fields {
    /// Parses the field lines of `bytes` from `start` to the empty line at the end.
    pub(crate) fn parse(bytes: Vec<u8>, start: usize) -> Result<Self, HttpError> {
        let section = &bytes[start..];
        let mut parsed = [httparse::EMPTY_HEADER; Limits::MAX_FIELDS];
        let parsed = match httparse::parse_headers(section, &mut parsed) {
            Ok(httparse::Status::Complete((length, parsed))) if length == section.len() => parsed,
            _ => return Err(find_error(section)),
        };
        let mut entries = Vec::with_capacity(parsed.len());
        let mut at = start;
        for (field, line) in parsed.iter().zip(lines(section)) {
            check_lookalike(field.name)?;
            let padding = line[field.name.len() + 1..]
                .iter()
                .take_while(|&&b| matches!(b, b' ' | b'\t'))
                .count();
            let value = at + field.name.len() + 1 + padding;
            // The padding of an empty value is white space up to the end of the line.
            entries.push(Entry {
                line: at..at + line.len(),
                name_len: field.name.len(),
                value: value..value + field.value.len(),
            });
            at += line.len() + 2;
        }
        Ok(Self { bytes, entries })
    }

    /// Returns the number of fields.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the names and values in their order, values without white space around them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|entry| {
            let name = &self.bytes[entry.line.start..entry.line.start + entry.name_len];
            let name = str::from_utf8(name).expect("a name is a token, which is ASCII");
            (name, &self.bytes[entry.value.clone()])
        })
    }

    /// Returns the values of the fields `name`, which is compared without regard to case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Returns the value of the first field `name`.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Returns the elements of the comma-separated lists in the fields `name` (RFC 9110, 5.6.1),
    /// without empty ones.
    pub fn elements<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.all(name)
            .flat_map(|value| value.split(|&b| b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|element| !element.is_empty())
    }

    /// Sets the field `name` to `value`: replaces the first such field, removes all others, and
    /// appends the field if there is none.
    ///
    /// # Errors
    ///
    /// Fails if the name is not a token, if the value has a control character, if the field frames
    /// or routes the message, or if the fields exceed the maximum values of [`Limits`].
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<(), HttpError> {
        let entry = self.line(name, value)?;
        let is_named = |fields: &Self, at: usize| {
            let (other, _) = fields.iter().nth(at).expect("the index is in range");
            other.eq_ignore_ascii_case(name)
        };
        let Some(first) = (0..self.len()).find(|&at| is_named(self, at)) else {
            return self.push(entry);
        };
        for at in (first + 1..self.len()).rev() {
            if is_named(self, at) {
                self.entries.remove(at);
            }
        }
        self.entries[first] = entry;
        self.check_size()
    }

    /// Appends the field `name` with `value`.
    ///
    /// # Errors
    ///
    /// As [`Fields::set`].
    pub fn append(&mut self, name: &str, value: &[u8]) -> Result<(), HttpError> {
        let entry = self.line(name, value)?;
        self.push(entry)
    }

    /// Removes all fields `name`, and returns their number.
    ///
    /// # Errors
    ///
    /// Fails if the field frames or routes the message.
    pub fn remove(&mut self, name: &str) -> Result<usize, HttpError> {
        check_protected(name)?;
        let before = self.len();
        let bytes = &self.bytes;
        self.entries.retain(|entry| {
            !bytes[entry.line.start..entry.line.start + entry.name_len]
                .eq_ignore_ascii_case(name.as_bytes())
        });
        Ok(before - self.len())
    }

    /// Appends the section to `output`: all field lines and the empty line that ends it.
    pub fn write(&self, output: &mut Vec<u8>) {
        for entry in &self.entries {
            output.extend_from_slice(&self.bytes[entry.line.clone()]);
            output.extend_from_slice(b"\r\n");
        }
        output.extend_from_slice(b"\r\n");
    }

    /// Returns the bytes before the field lines, which are the start line of a head.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn push(&mut self, entry: Entry) -> Result<(), HttpError> {
        if self.len() == Limits::MAX_FIELDS {
            let limit = Limits::MAX_FIELDS;
            return Err(HttpErrorKind::TooManyFields { limit }.into());
        }
        self.entries.push(entry);
        self.check_size()
    }

    fn check_size(&mut self) -> Result<(), HttpError> {
        let size: usize = self.entries.iter().map(|e| e.line.len() + 2).sum();
        if size + 2 > Limits::MAX_HEAD_BYTES {
            let limit = Limits::MAX_HEAD_BYTES;
            return Err(HttpErrorKind::HeadTooLarge { limit }.into());
        }
        Ok(())
    }

    /// Stores a new field line.
    fn line(&mut self, name: &str, value: &[u8]) -> Result<Entry, HttpError> {
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(HttpError::new(name.as_bytes(), HttpErrorKind::FieldName));
        }
        check_protected(name)?;
        check_lookalike(name)?;
        let value = value.trim_ascii();
        if !value.iter().copied().all(is_value) {
            return Err(HttpError::new(name.as_bytes(), HttpErrorKind::FieldValue));
        }
        if name.len() + value.len() > Limits::MAX_HEAD_BYTES {
            let limit = Limits::MAX_HEAD_BYTES;
            return Err(HttpErrorKind::HeadTooLarge { limit }.into());
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        let value_start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        let end = self.bytes.len();
        Ok(Entry {
            line: start..end,
            name_len: name.len(),
            value: value_start..end,
        })
    }
}

impl PartialEq for Fields {
    /// Compares the field lines, with white space in them.
    fn eq(&self, other: &Self) -> bool {
        let lines = |fields: &'_ Self| -> Vec<Vec<u8>> {
            let entries = fields.entries.iter();
            entries
                .map(|e| fields.bytes[e.line.clone()].to_vec())
                .collect()
        };
        lines(self) == lines(other)
    }
}

impl Eq for Fields {}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

/// Returns whether a byte can be in a token (RFC 9110, 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns whether a byte can be in a field value (RFC 9110, 5.5).
pub(crate) fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Returns the lines of a section up to the empty line, without their line ends.
fn lines(section: &[u8]) -> impl Iterator<Item = &[u8]> {
    section
        .split(|&b| b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
}

/// Returns the rule that a section breaks which httparse refused.
fn find_error(section: &[u8]) -> HttpError {
    for line in lines(section) {
        if matches!(line[0], b' ' | b'\t') {
            return HttpError::new(line, HttpErrorKind::ObsFold);
        }
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            return HttpError::new(line, HttpErrorKind::MissingColon);
        };
        let name = &line[..colon];
        if let [.., b' ' | b'\t'] = name {
            return HttpError::new(name, HttpErrorKind::SpaceBeforeColon);
        }
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return HttpError::new(name, HttpErrorKind::FieldName);
        }
        if !line[colon + 1..].iter().copied().all(is_value) {
            return HttpError::new(name, HttpErrorKind::FieldValue);
        }
    }
    HttpErrorKind::FieldName.into()
}

/// Refuses names that CGI and its successors do not distinguish from a field that frames or routes
/// the message, because they replace `-` by `_`.
fn check_lookalike(name: &str) -> Result<(), HttpError> {
    let is_lookalike = name.contains('_')
        && ["content_length", "transfer_encoding"]
            .iter()
            .any(|other| name.replace('-', "_").eq_ignore_ascii_case(other));
    if is_lookalike {
        return Err(HttpError::new(
            name.as_bytes(),
            HttpErrorKind::LookalikeField,
        ));
    }
    Ok(())
}

fn check_protected(name: &str) -> Result<(), HttpError> {
    const PROTECTED: [&str; 7] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    if PROTECTED.iter().any(|p| p.eq_ignore_ascii_case(name)) {
        return Err(HttpError::new(
            name.as_bytes(),
            HttpErrorKind::ProtectedField,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(section: &[u8]) -> Result<Fields, HttpError> {
        Fields::parse(section.to_vec(), 0)
    }

    #[test]
    fn every_byte_of_a_name_is_accepted_exactly_if_it_is_a_token() {
        for byte in (0..=255).filter(|b| !b":\r\n\0".contains(b)) {
            let section = [b"a", &[byte][..], b"b: c\r\n\r\n"].concat();
            assert_eq!(parse(&section).is_ok(), is_token(byte), "{byte:#x}");
        }
    }

    #[test]
    fn every_byte_of_a_value_is_accepted_exactly_if_it_is_no_control_character() {
        for byte in (0..=255).filter(|b| !b"\r\n\0".contains(b)) {
            let section = [b"a: b", &[byte][..], b"c\r\n\r\n"].concat();
            assert_eq!(parse(&section).is_ok(), is_value(byte), "{byte:#x}");
        }
    }

    #[test]
    fn changed_fields_are_written_in_place_and_the_others_as_they_were() {
        let mut fields =
            parse(b"A:1\r\nauthorization:\t x \r\nB: \r\nAuthorization: y\r\n\r\n").expect("valid");
        assert_eq!(fields.first("b"), Some(&b""[..]));
        assert_eq!(fields.first("AUTHORIZATION"), Some(&b"x"[..]));
        fields.set("Authorization", b"Bearer z").expect("valid");
        fields.append("c", b"d").expect("valid");
        assert_eq!(fields.remove("a"), Ok(1));
        let mut output = Vec::new();
        fields.write(&mut output);
        assert_eq!(output, b"Authorization: Bearer z\r\nB: \r\nc: d\r\n\r\n");
        assert_eq!(parse(&output), Ok(fields));
    }

    #[test]
    fn a_change_that_would_break_the_message_is_refused() {
        let mut fields = parse(b"a: b\r\n\r\n").expect("valid");
        for (name, value, kind) in [
            ("a b", &b"c"[..], HttpErrorKind::FieldName),
            ("", b"c", HttpErrorKind::FieldName),
            ("a", b"c\r\nd: e", HttpErrorKind::FieldValue),
            ("a", b"c\0", HttpErrorKind::FieldValue),
            ("Host", b"c", HttpErrorKind::ProtectedField),
            ("content-LENGTH", b"1", HttpErrorKind::ProtectedField),
            ("Content_Length", b"1", HttpErrorKind::LookalikeField),
        ] {
            assert_eq!(*fields.set(name, value).expect_err(name).kind(), kind);
            assert_eq!(*fields.append(name, value).expect_err(name).kind(), kind);
        }
        assert!(fields.remove("Transfer-Encoding").is_err());
        assert_eq!(fields, parse(b"a: b\r\n\r\n").expect("valid"));
    }

    #[test]
    fn debug_output_of_fields_has_no_values() {
        let fields = parse(b"authorization: hunter2\r\n\r\n").expect("valid");
        assert_eq!(format!("{fields:?}"), "[\"authorization\"]");
    }
}
