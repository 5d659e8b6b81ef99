//! The fields of a message, with the bytes that they were parsed from.

use std::fmt;
use std::ops::Range;

use crate::error::{HttpError, HttpErrorKind};
use crate::field_line::{check_field, check_lookalike, check_protected, find_error, lines};
use crate::limits::Limits;

/// The fields of a head or trailer section, in their order.
///
/// They keep the bytes that they were parsed from, so that an unchanged section is written
/// byte-identical. `Debug` shows names only, because values can be secrets.
#[derive(Clone)]
pub struct Fields {
    /// The head up to its last byte, and behind it the lines that were changed or added.
    bytes: Vec<u8>,
    /// The length of the start line, with its line end.
    start: usize,
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
        Ok(Self {
            bytes,
            start,
            entries,
        })
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
            let name = str::from_utf8(self.name(entry)).expect("a name is a token, which is ASCII");
            (name, self.value(entry))
        })
    }

    /// Returns the values of the fields `name`, which is compared without regard to case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = self
            .entries
            .iter()
            .filter(|entry| self.is_named(entry, name));
        named.map(|entry| self.value(entry))
    }

    /// Returns the value of the first field `name`.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        let entry = self
            .entries
            .iter()
            .find(|entry| self.is_named(entry, name))?;
        Some(self.value(entry))
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
    /// or routes the message, or if the head would exceed the maximum values of [`Limits`]. The
    /// fields are then unchanged.
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<(), HttpError> {
        check_field(name, value)?;
        let is_other = |entry: &&Entry| !self.is_named(entry, name);
        let others: Vec<Entry> = self.entries.iter().filter(is_other).cloned().collect();
        self.check_size(&others, name, value)?;
        let first = self
            .entries
            .iter()
            .position(|entry| self.is_named(entry, name));
        self.entries = others;
        self.insert(first.unwrap_or(self.len()), name, value);
        Ok(())
    }

    /// Appends the field `name` with `value`.
    ///
    /// # Errors
    ///
    /// As [`Fields::set`].
    pub fn append(&mut self, name: &str, value: &[u8]) -> Result<(), HttpError> {
        check_field(name, value)?;
        self.check_size(&self.entries, name, value)?;
        self.insert(self.len(), name, value);
        Ok(())
    }

    /// Removes all fields `name`, and returns their number.
    ///
    /// # Errors
    ///
    /// Fails if the field frames or routes the message.
    pub fn remove(&mut self, name: &str) -> Result<usize, HttpError> {
        check_protected(name)?;
        let before = self.len();
        let is_other = |entry: &&Entry| !self.is_named(entry, name);
        self.entries = self.entries.iter().filter(is_other).cloned().collect();
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

    /// Returns the bytes from the start of the head.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.line.start..entry.line.start + entry.name_len]
    }

    fn value(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.value.clone()]
    }

    fn is_named(&self, entry: &Entry, name: &str) -> bool {
        self.name(entry).eq_ignore_ascii_case(name.as_bytes())
    }

    /// Checks that the head does not exceed the maximum values with a new field.
    fn check_size(&self, others: &[Entry], name: &str, value: &[u8]) -> Result<(), HttpError> {
        if others.len() == Limits::MAX_FIELDS {
            let limit = Limits::MAX_FIELDS;
            return Err(HttpErrorKind::TooManyFields { limit }.into());
        }
        let lines: usize = others.iter().map(|entry| entry.line.len() + 2).sum();
        let line = name.len() + ": ".len() + value.len() + 2;
        if self.start + lines + line + 2 > Limits::MAX_HEAD_BYTES {
            let limit = Limits::MAX_HEAD_BYTES;
            return Err(HttpErrorKind::HeadTooLarge { limit }.into());
        }
        Ok(())
    }

    /// Inserts a field that was checked.
    fn insert(&mut self, index: usize, name: &str, value: &[u8]) {
        // Lines that were replaced remain in `bytes` until there are too many of them.
        if self.bytes.len() > 2 * Limits::MAX_HEAD_BYTES {
            self.compact();
        }
        let value = value.trim_ascii();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        let value_start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        let end = self.bytes.len();
        let entry = Entry {
            line: start..end,
            name_len: name.len(),
            value: value_start..end,
        };
        self.entries.insert(index, entry);
    }

    /// Removes lines from `bytes` that are no longer used.
    fn compact(&mut self) {
        let mut bytes = self.bytes[..self.start].to_vec();
        for entry in &mut self.entries {
            let start = bytes.len();
            bytes.extend_from_slice(&self.bytes[entry.line.clone()]);
            let value = start + (entry.value.start - entry.line.start);
            entry.value = value..value + entry.value.len();
            entry.line = start..bytes.len();
        }
        self.bytes = bytes;
    }
}

impl PartialEq for Fields {
    /// Compares the field lines, with white space in them.
    fn eq(&self, other: &Self) -> bool {
        let lines = |fields: &Self| -> Vec<Vec<u8>> {
            let entries = fields.entries.iter();
            entries
                .map(|entry| fields.bytes[entry.line.clone()].to_vec())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(section: &[u8]) -> Result<Fields, HttpError> {
        Fields::parse(section.to_vec(), 0)
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
    fn a_change_that_exceeds_a_limit_leaves_the_fields_unchanged() {
        let before = parse(&[&b"a: b\r\n".repeat(100)[..], b"\r\n"].concat()).expect("valid");
        let mut fields = before.clone();
        let limit = Limits::MAX_FIELDS;
        let error = fields.append("c", b"d").expect_err("too many");
        assert_eq!(*error.kind(), HttpErrorKind::TooManyFields { limit });
        let limit = Limits::MAX_HEAD_BYTES;
        let error = fields.set("a", &vec![b'x'; limit]).expect_err("too long");
        assert_eq!(*error.kind(), HttpErrorKind::HeadTooLarge { limit });
        assert_eq!(fields, before);
    }

    #[test]
    fn fields_that_are_changed_again_and_again_use_bounded_memory() {
        let mut fields = parse(b"a: b\r\nc:d\r\n\r\n").expect("valid");
        for length in 0..1000 {
            fields.set("a", &vec![b'x'; 1000 + length]).expect("valid");
            assert_eq!(fields.first("a").map(<[u8]>::len), Some(1000 + length));
        }
        assert!(fields.bytes.len() < 3 * Limits::MAX_HEAD_BYTES);
        assert_eq!(fields.first("c"), Some(&b"d"[..]));
    }

    #[test]
    fn debug_output_of_fields_has_no_values() {
        let fields = parse(b"authorization: hunter2\r\n\r\n").expect("valid");
        assert_eq!(format!("{fields:?}"), "[\"authorization\"]");
    }
}
