//! Host names in canonical form, the form in which they are compared and resolved.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::host_error::{HostError, HostErrorKind};

/// A host name in canonical form: ASCII (UTS 46), lower case, no root dot, at most 253 octets in
/// labels of 1 to 63.
///
/// A host name is never an address and cannot be mistaken for one: its last label is not a number.
/// Underscores are accepted, as every resolver does.
///
/// Cloning is cheap: clones share the text.
///
/// ```
/// use eryx_net_policy::HostName;
///
/// let name: HostName = "Bücher.DE.".parse()?;
/// assert_eq!(name.as_str(), "xn--bcher-kva.de");
/// assert!("127.1".parse::<HostName>().is_err());
/// # Ok::<(), eryx_net_policy::HostError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// Parses a name.
    ///
    /// # Errors
    ///
    /// [`HostError`] when `text` is not a name. An address is not a name;
    /// [`Host::parse`](crate::Host::parse) accepts both.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        canonical(text)
            .map(|name| Self(name.into()))
            .map_err(|kind| HostError::new(text, kind))
    }

    /// Returns the name in canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the names above this one, the nearest first: `b.c` and `c` for `a.b.c`.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = &str> {
        let name = self.as_str();
        name.match_indices('.').map(|(dot, _)| &name[dot + 1..])
    }

    /// Returns the labels, the top-level domain first.
    pub(crate) fn labels_from_last(&self) -> impl Iterator<Item = &[u8]> {
        self.as_str().as_bytes().rsplit(|b| *b == b'.')
    }
}

impl FromStr for HostName {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        Self::parse(text)
    }
}

impl AsRef<str> for HostName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for HostName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

fn canonical(text: &str) -> Result<String, HostErrorKind> {
    ascii_fast_path(text).map_or_else(|| uts46(text), Ok)
}

/// Returns the name in lower case if UTS 46 would change nothing else: the text is ASCII and no
/// label starts with `xn--`.
///
/// Most names take this path. The mapping takes longer than the rest of a policy check.
fn ascii_fast_path(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > MAX_NAME {
        return None;
    }
    let mut last: &[u8] = &[];
    for label in name.as_bytes().split(|b| *b == b'.') {
        let (Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_'), 1..=63) =
            (label.first(), label.len())
        else {
            return None;
        };
        let characters = label
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let encoded = label
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"));
        if !characters || encoded || label.ends_with(b"-") {
            return None;
        }
        last = label;
    }
    let name = name.to_ascii_lowercase();
    let is_number = looks_like_ipv4_number(&name[name.len() - last.len()..]);
    (!is_number).then_some(name)
}

/// Maps a name to ASCII (UTS 46).
fn uts46(text: &str) -> Result<String, HostErrorKind> {
    if text.is_empty() {
        return Err(HostErrorKind::Empty);
    }
    if text.len() > MAX_TEXT {
        return Err(HostErrorKind::TooLong);
    }
    if let Some(character) = text.chars().find(|c| c.is_ascii() && !is_name_ascii(*c)) {
        return Err(HostErrorKind::Character { character });
    }
    if text
        .split('.')
        .any(|l| l.starts_with('-') || l.ends_with('-'))
    {
        return Err(HostErrorKind::Hyphen);
    }
    // The mapping's work grows with the square of a label's length.
    let too_long = |label: &&str| label.len() > MAX_LABEL_TEXT;
    if let Some(label) = text.split(DOTS).find(too_long) {
        return Err(HostErrorKind::LabelTooLong {
            octets: label.len(),
        });
    }
    let ascii = Uts46::new()
        .to_ascii(
            text.as_bytes(),
            NOT_IN_NAMES,
            Hyphens::CheckFirstLast,
            DnsLength::Ignore,
        )
        .map_err(|_| HostErrorKind::Internationalised)?;
    // The mapped text is checked again: `１２７。１` has become `127.1` only here.
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    if name.is_empty() {
        return Err(HostErrorKind::EmptyLabel);
    }
    if !name.chars().all(is_name_ascii) {
        return Err(HostErrorKind::Internationalised);
    }
    for label in name.split('.') {
        match label.len() {
            0 => return Err(HostErrorKind::EmptyLabel),
            1..=63 => {}
            octets => return Err(HostErrorKind::LabelTooLong { octets }),
        }
    }
    if name.len() > MAX_NAME {
        return Err(HostErrorKind::TooLong);
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    if looks_like_ipv4_number(last) {
        return Err(HostErrorKind::Numeric);
    }
    Ok(name.to_owned())
}

fn is_name_ascii(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// Returns whether a C library would read the label as a number: decimal, octal, or hexadecimal
/// after `0x`.
fn looks_like_ipv4_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    hexadecimal || label.bytes().all(|b| b.is_ascii_digit())
}

/// The most octets in a name, without the root dot (RFC 1035, 2.3.4).
const MAX_NAME: usize = 253;

/// The most octets in a text that is mapped. Four octets of UTF-8 become at least one octet of a
/// name, so a longer text consists of characters that UTS 46 removes, or is not a name.
const MAX_TEXT: usize = 4 * (MAX_NAME + 1);

/// The most octets in a label that is mapped, calculated in the same way: a label has at most 63
/// octets (RFC 1035, 2.3.4).
const MAX_LABEL_TEXT: usize = 4 * 63;

/// The characters that UTS 46 treats as dots between labels.
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// The ASCII characters that a mapped name cannot have: all except letters, digits, `-`, `.` and
/// `_`.
const NOT_IN_NAMES: AsciiDenyList = AsciiDenyList::new(true, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ascii_fast_path, uts46};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_ascii_fast_path_and_uts46_return_the_same_name(
            text in "(-?([a-cA-C0-9x_]|[xX][nN]--|0[xX]){0,5}[-ü]?\\.){0,3}[a-zA-Z0-9_.-]{0,4}"
        ) {
            if let Some(name) = ascii_fast_path(&text) {
                prop_assert_eq!(uts46(&text), Ok(name));
            } else if let Ok(name) = uts46(&text) {
                prop_assert!(!text.is_ascii() || name.contains("xn--"), "{} misses the fast path", text);
            }
        }
    }

    #[test]
    fn the_ascii_fast_path_accepts_names_of_every_length_up_to_the_limits() {
        for length in 1..300 {
            let label = "a".repeat(length);
            assert_eq!(ascii_fast_path(&label), uts46(&label).ok());
            let labels = vec!["a"; length].join(".");
            assert_eq!(ascii_fast_path(&labels), uts46(&labels).ok());
            assert_eq!(ascii_fast_path(&format!("{labels}.")), uts46(&labels).ok());
        }
    }
}
