//! Paths in canonical form (RFC 3986, 6.2.2).

use crate::path_error::{PathError, PathErrorKind};

/// A path in the one form that all servers interpret alike, and the query after it.
///
/// Percent-encodings of unreserved characters are decoded, those of other bytes have upper-case
/// digits, and visible characters that a path may not have (`"<>[]^` and others) are
/// percent-encoded. Paths that servers interpret differently are errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath {
    path: Box<str>,
    query: Option<Box<str>>,
}

impl CanonicalPath {
    /// Parses the path and query of a target, which starts with `/`.
    ///
    /// # Errors
    ///
    /// Fails if the path
    /// - does not start with `/`, or has a fragment;
    /// - has a dot segment, plain or percent-encoded, or one that servers make of a segment by
    ///   removing its parameters (`/..;x/`) or white space around it (`/..%20/`);
    /// - has a backslash, or a percent-encoded slash, backslash or control character;
    /// - has a `%` without two hexadecimal digits, or a byte that is not visible ASCII;
    /// - has an overlong UTF-8 encoding (`%C0%AE`), which old decoders take for ASCII;
    /// - has a `%` that is encoded itself and whose second decoding gives a dot, slash, backslash,
    ///   semicolon, control character or non-ASCII byte (`%252e`). Others, such as `%2520`, remain
    ///   as they are, because they hide nothing that a rule depends on.
    ///
    /// Encodings of reserved characters (`%3F`, `%23`, `%2B`) stay encoded, as they differ from the
    /// characters themselves (RFC 3986, 2.2), and so do bytes that are not UTF-8 (`%FF`). A `+` is
    /// a `+`, and no space.
    ///
    /// The query ends up in the result as it was sent, and is not decoded. It is only refused for
    /// bytes that are not visible ASCII, and for a fragment.
    pub fn parse(target: &str) -> Result<Self, PathError> {
        let error = |kind| PathError::new(target, kind);
        if !target.starts_with('/') {
            return Err(error(PathErrorKind::Relative));
        }
        if let Some(byte) = target.bytes().find(|b| !b.is_ascii_graphic()) {
            return Err(error(PathErrorKind::Byte { byte }));
        }
        if target.contains('#') {
            return Err(error(PathErrorKind::Fragment));
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.into())),
            None => (target, None),
        };
        let path = canonicalize(path.as_bytes()).map_err(error)?;
        if path.split('/').any(is_dot_segment) {
            return Err(error(PathErrorKind::DotSegment));
        }
        Ok(Self {
            path: path.into(),
            query,
        })
    }

    /// Returns the path, which starts with `/`.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// Returns the query as it was sent, without the `?`.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Returns the segments: the texts between slashes. The path `/` has one empty segment, and a
    /// path that ends in a slash has an empty last segment.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.path[1..].split('/')
    }

    /// Returns whether two slashes follow each other. Some servers take them for one.
    pub fn has_empty_segment(&self) -> bool {
        self.path.contains("//")
    }
}

fn canonicalize(path: &[u8]) -> Result<String, PathErrorKind> {
    let mut canonical = String::with_capacity(path.len());
    let mut decoded_before = None;
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        if byte != b'%' {
            match byte {
                b'\\' => return Err(PathErrorKind::Backslash),
                b'/' => canonical.push('/'),
                _ if is_pchar(byte) => canonical.push(char::from(byte)),
                _ => push_encoded(&mut canonical, byte),
            }
            decoded_before = None;
            at += 1;
            continue;
        }
        let decoded = decode(&path[at..]).ok_or(PathErrorKind::PercentEncoding)?;
        match decoded {
            b'/' => return Err(PathErrorKind::EncodedSlash),
            b'\\' => return Err(PathErrorKind::Backslash),
            0..0x20 | 0x7f => return Err(PathErrorKind::EncodedControl { byte: decoded }),
            b'%' if hides_delimiter(&path[at + 3..]) => return Err(PathErrorKind::DoubleEncoding),
            _ if is_overlong(decoded_before, decoded) => return Err(PathErrorKind::Overlong),
            _ if is_unreserved(decoded) => canonical.push(char::from(decoded)),
            _ => push_encoded(&mut canonical, decoded),
        }
        decoded_before = Some(decoded);
        at += 3;
    }
    Ok(canonical)
}

/// Returns the byte of a percent-encoding at the start of `text`.
fn decode(text: &[u8]) -> Option<u8> {
    match text {
        [b'%', high, low, ..] => hex(*high, *low),
        _ => None,
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// Returns whether `rest`, which follows an encoded `%`, becomes a byte that rules depend on if it
/// is decoded again, as often as it takes.
fn hides_delimiter(mut rest: &[u8]) -> bool {
    loop {
        // The digits can be encoded, too: `%25%32e`.
        let Some((high, after)) = take_decoded(rest) else {
            return false;
        };
        let Some((low, after)) = take_decoded(after) else {
            return false;
        };
        match hex(high, low) {
            Some(b'%') => rest = after,
            Some(b'.' | b'/' | b'\\' | b';' | 0..0x20 | 0x7f..) => return true,
            _ => return false,
        }
    }
}

/// Returns the first byte of `text`, percent-decoded, and what follows.
fn take_decoded(text: &[u8]) -> Option<(u8, &[u8])> {
    match decode(text) {
        Some(byte) => Some((byte, &text[3..])),
        None => text.split_first().map(|(&byte, rest)| (byte, rest)),
    }
}

/// Returns whether two decoded bytes start an overlong UTF-8 sequence (RFC 3629, 3).
///
/// RFC 3629 ends at four bytes. Decoders from before it accept five and six, so their overlong
/// forms count, too.
pub(crate) fn is_overlong(before: Option<u8>, byte: u8) -> bool {
    matches!(byte, 0xc0 | 0xc1)
        || matches!(
            (before, byte),
            (Some(0xe0), 0x80..=0x9f)
                | (Some(0xf0), 0x80..=0x8f)
                | (Some(0xf8), 0x80..=0x87)
                | (Some(0xfc), 0x80..=0x83)
        )
}

fn is_dot_segment(segment: &str) -> bool {
    // Without this, a path of empty segments takes tens of nanoseconds for each.
    if !segment.contains('.') {
        return false;
    }
    // The first of both: a server that decodes the path before it removes parameters sees
    // `..%3Bx;y` as `..`.
    let name = segment.split(';').next().unwrap_or(segment);
    let mut name = name.split("%3B").next().unwrap_or(name);
    while let Some(rest) = name
        .strip_suffix("%20")
        .or_else(|| name.strip_prefix("%20"))
    {
        name = rest;
    }
    matches!(name, "." | "..")
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Returns whether a segment may contain the byte (RFC 3986, 3.3).
fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@".contains(&byte)
}

fn push_encoded(canonical: &mut String, byte: u8) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    canonical.push('%');
    canonical.push(char::from(DIGITS[usize::from(byte >> 4)]));
    canonical.push(char::from(DIGITS[usize::from(byte & 15)]));
}
