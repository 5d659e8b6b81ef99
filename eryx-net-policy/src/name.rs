//! Host names in the one form they are compared and resolved in.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::host_error::{HostError, HostErrorKind};

/// A host name in canonical form: ASCII (UTS 46), lower case, no root dot, at most 253 octets in labels of
/// 1 to 63.
///
/// It is never an address and never looks like one: its last label is not a number. Underscores are
/// accepted, as every resolver does.
///
/// Cloning is cheap.
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
    /// [`HostError`] when `text` is not a name, addresses included: [`Host::parse`](crate::Host::parse)
    /// takes both.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        canonical(text)
            .map(|name| Self(name.into()))
            .map_err(|problem| HostError::new(text, problem))
    }

    /// The name in canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names above this one, the nearest first: `b.c` and `c` for `a.b.c`.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = &str> {
        let name = self.as_str();
        name.match_indices('.').map(|(dot, _)| &name[dot + 1..])
    }

    /// Its labels, the top-level domain first.
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
    plain(text).map_or_else(|| mapped(text), Ok)
}

/// The name, if it is one that UTS 46 does nothing to but write it in lower case: all of it is ASCII, and no
/// label is an `xn--` one. Most names are, and the mapping takes longer than the rest of a decision.
fn plain(text: &str) -> Option<String> {
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
    let is_number = is_number(&name[name.len() - last.len()..]);
    (!is_number).then_some(name)
}

/// The name as UTS 46 maps it, or what is wrong with it.
fn mapped(text: &str) -> Result<String, HostErrorKind> {
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
    // Whatever the mapping made of the text is judged anew: `１２７。１` has become `127.1` only here.
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
    if is_number(last) {
        return Err(HostErrorKind::Numeric);
    }
    Ok(name.to_owned())
}

fn is_name_ascii(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// Whether a C library would read the label as a number: decimal, octal, or hexadecimal after `0x`.
fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    hexadecimal || label.bytes().all(|b| b.is_ascii_digit())
}

/// Octets of a name, without the root dot (RFC 1035, 2.3.4).
const MAX_NAME: usize = 253;

/// Octets of a text that are looked at. Four octets in UTF-8 become at least one in a name; a longer text
/// consists of characters that UTS 46 drops, or is no name.
const MAX_TEXT: usize = 4 * (MAX_NAME + 1);

/// Octets of a label's text that are looked at, by the same reckoning: a label has 63 octets at most (RFC 1035, 2.3.4).
const MAX_LABEL_TEXT: usize = 4 * 63;

/// The characters that UTS 46 takes for dots between labels.
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// ASCII that no name has once UTS 46 has mapped it: everything but letters, digits, `-`, `.` and `_`.
const NOT_IN_NAMES: AsciiDenyList = AsciiDenyList::new(true, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{mapped, plain};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_plain_name_is_what_the_mapping_would_make_of_it(
            text in "(-?([a-cA-C0-9x_]|[xX][nN]--|0[xX]){0,5}[-ü]?\\.){0,3}[a-zA-Z0-9_.-]{0,4}"
        ) {
            if let Some(name) = plain(&text) {
                prop_assert_eq!(mapped(&text), Ok(name));
            } else if let Ok(name) = mapped(&text) {
                prop_assert!(!text.is_ascii() || name.contains("xn--"), "{} takes the long way", text);
            }
        }
    }

    #[test]
    fn names_of_every_length_are_plain_up_to_the_limits() {
        for length in 1..300 {
            let label = "a".repeat(length);
            assert_eq!(plain(&label), mapped(&label).ok());
            let labels = vec!["a"; length].join(".");
            assert_eq!(plain(&labels), mapped(&labels).ok());
            assert_eq!(plain(&format!("{labels}.")), mapped(&labels).ok());
        }
    }
}
