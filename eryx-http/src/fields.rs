//! The fields of a message, with the bytes that they were parsed from.

use std::fmt;
use std::ops::Range;

use crate::error::{HttpError, HttpErrorKind};
use crate::field_line::{check_field, check_lookalike, check_protected, find_error, is_like};
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

impl Entry {
    fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.line.start..self.line.start + self.name_len]
    }

    fn is_named(&self, bytes: &[u8], name: &str) -> bool {
        self.name_len == name.len() && self.name(bytes).eq_ignore_ascii_case(name.as_bytes())
    }
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
        for field in parsed.iter() {
            check_lookalike(field.name)?;
            let after_colon = at + field.name.len() + 1;
            // The padding of an empty value is white space up to the end of the line.
            let value_start = after_colon + white_space(&bytes[after_colon..]);
            let value = value_start..value_start + field.value.len();
            let end = value.end + white_space(&bytes[value.end..]);
            debug_assert!(bytes[end..].starts_with(b"\r\n"));
            entries.push(Entry {
                line: at..end,
                name_len: field.name.len(),
                value,
            });
            at = end + 2;
        }
        Ok(Self {
            bytes,
            start,
            entries,
        })
    }

    /// Refuses white space around the values of fields that frame or route the message, other than
    /// one space before them. Some servers do not remove it: nginx takes a tab, and `http.server`
    /// of Python white space at the end, for a part of the value.
    pub(crate) fn check_padding(&self) -> Result<(), HttpError> {
        let is_padded = |entry: &&Entry| {
            let before = &self.bytes[entry.line.start + entry.name_len + 1..entry.value.start];
            !matches!(before, b"" | b" ") || entry.value.end < entry.line.end
        };
        for entry in self.entries.iter().filter(is_padded) {
            let name = self.name(entry);
            if str::from_utf8(name).is_ok_and(|name| check_protected(name).is_err()) {
                return Err(HttpError::new(name, HttpErrorKind::Padding));
            }
        }
        Ok(())
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
        self.iter_bytes().map(|(name, value)| {
            let name = str::from_utf8(name).expect("a name is a token, which is ASCII");
            (name, value)
        })
    }

    /// Returns the names and values in their order.
    pub(crate) fn iter_bytes(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let entries = self.entries.iter();
        entries.map(|entry| (self.name(entry), self.value(entry)))
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
        self.replace(name, value)
    }

    /// Sets a field whose name and value were checked, which can be one that frames the message.
    pub(crate) fn replace(&mut self, name: &str, value: &[u8]) -> Result<(), HttpError> {
        let others = self.entries.iter();
        self.check_size(
            others.filter(|entry| !self.is_named(entry, name)),
            name,
            value,
        )?;
        let first = self
            .entries
            .iter()
            .position(|entry| self.is_named(entry, name));
        self.remove_all(name);
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
        self.check_size(self.entries.iter(), name, value)?;
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
        self.remove_all(name);
        Ok(before - self.len())
    }

    /// Removes all fields that CGI and its successors, which replace `-` by `_`, do not distinguish
    /// from `name`, other than those with exactly this name. Returns their number.
    ///
    /// ```
    /// use eryx_http::{Connection, Event, Limits, Origin, Scheme};
    ///
    /// let origin = Origin::new(Scheme::Http, "a.example", 80);
    /// let mut connection = Connection::new(origin, Limits::default());
    /// let head = b"GET / HTTP/1.1\r\nHost: a.example\r\nIf_Range: a\r\nIf-Range: b\r\n\r\n";
    /// let Some(Event::Head(mut head)) = connection.request(head)?.event else {
    ///     panic!("the head is complete");
    /// };
    /// assert_eq!(head.fields_mut().remove_lookalikes("If-Range")?, 1);
    /// assert_eq!(head.fields().first("if-range"), Some(&b"b"[..]));
    /// assert_eq!(head.fields().first("if_range"), None);
    /// # Ok::<(), eryx_http::HttpError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the field frames or routes the message.
    pub fn remove_lookalikes(&mut self, name: &str) -> Result<usize, HttpError> {
        check_protected(name)?;
        let before = self.len();
        let other = name.to_ascii_lowercase();
        let bytes = &self.bytes;
        self.entries
            .retain(|entry| entry.is_named(bytes, name) || !is_like(entry.name(bytes), &other));
        Ok(before - self.len())
    }

    /// Removes all fields `name`, also one that frames the message.
    pub(crate) fn remove_all(&mut self, name: &str) {
        let bytes = &self.bytes;
        self.entries.retain(|entry| !entry.is_named(bytes, name));
    }

    /// Appends the section to `output`: all field lines and the empty line that ends it.
    pub fn write(&self, output: &mut Vec<u8>) {
        output.reserve(self.lines_len() + 2);
        for entry in &self.entries {
            output.extend_from_slice(&self.bytes[entry.line.clone()]);
            output.extend_from_slice(b"\r\n");
        }
        output.extend_from_slice(b"\r\n");
    }

    /// Replaces a part of the start line.
    ///
    /// # Errors
    ///
    /// Fails if the head would exceed [`Limits::MAX_HEAD_BYTES`]. It is then unchanged.
    pub(crate) fn replace_in_start_line(
        &mut self,
        part: Range<usize>,
        replacement: &[u8],
    ) -> Result<(), HttpError> {
        debug_assert!(part.end <= self.start);
        let moved = |at: usize| at - part.len() + replacement.len();
        check_length(moved(self.start), self.entries.iter())?;
        self.start = moved(self.start);
        for entry in &mut self.entries {
            entry.line = moved(entry.line.start)..moved(entry.line.end);
            entry.value = moved(entry.value.start)..moved(entry.value.end);
        }
        self.bytes.splice(part, replacement.iter().copied());
        Ok(())
    }

    /// Returns the bytes from the start of the head.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        entry.name(&self.bytes)
    }

    fn value(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.value.clone()]
    }

    fn is_named(&self, entry: &Entry, name: &str) -> bool {
        entry.is_named(&self.bytes, name)
    }

    /// Checks that the head does not exceed the maximum values with a new field.
    fn check_size<'a>(
        &self,
        others: impl Iterator<Item = &'a Entry> + Clone,
        name: &str,
        value: &[u8],
    ) -> Result<(), HttpError> {
        if others.clone().count() == Limits::MAX_FIELDS {
            let limit = Limits::MAX_FIELDS;
            return Err(HttpErrorKind::TooManyFields { limit }.into());
        }
        let line = name.len() + ": ".len() + value.len() + 2;
        check_length(self.start + line, others)
    }

    /// Returns the length of all lines with their line ends.
    pub(crate) fn lines_len(&self) -> usize {
        self.entries.iter().map(|entry| entry.line.len() + 2).sum()
    }

    /// Inserts a field that was checked.
    fn insert(&mut self, index: usize, name: &str, value: &[u8]) {
        // Lines that were replaced remain in `bytes` until there are too many of them.
        if self.bytes.len() > self.start + self.lines_len() + MAX_UNUSED {
            self.compact();
        }
        let value = value.trim_ascii();
        // `Vec` alone would double its capacity for one field.
        self.bytes
            .reserve_exact(name.len() + ": ".len() + value.len());
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
        let mut bytes = Vec::with_capacity(self.start + self.lines_len());
        bytes.extend_from_slice(&self.bytes[..self.start]);
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

/// The most bytes of replaced and removed lines that remain in a head.
const MAX_UNUSED: usize = 4 * 1024;

/// Returns the length of the white space at the start of `text`.
fn white_space(text: &[u8]) -> usize {
    let is_white_space = |b: &&u8| matches!(b, b' ' | b'\t');
    text.iter().take_while(is_white_space).count()
}

/// Checks that a head does not exceed the maximum length with `other` bytes besides its fields.
fn check_length<'a>(
    other: usize,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<(), HttpError> {
    let lines: usize = entries.map(|entry| entry.line.len() + 2).sum();
    if other + lines + 2 > Limits::MAX_HEAD_BYTES {
        let limit = Limits::MAX_HEAD_BYTES;
        return Err(HttpErrorKind::HeadTooLarge { limit }.into());
    }
    Ok(())
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
