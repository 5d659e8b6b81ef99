//! The error of a path that has no canonical form.

use thiserror::Error;

use crate::escape::escape_truncated;

/// The error of a path that servers interpret differently.
///
/// The message names the path, the rule it breaks and the correction.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a canonical path: {kind}")]
pub struct PathError {
    text: Box<str>,
    kind: PathErrorKind,
}

impl PathError {
    pub(crate) fn new(text: &str, kind: PathErrorKind) -> Self {
        Self {
            text: escape_truncated(text.as_bytes()).into(),
            kind,
        }
    }

    /// Returns the refused path, cut to 64 bytes and with invisible characters escaped.
    pub fn rejected_text(&self) -> &str {
        &self.text
    }

    /// Returns the rule that the path breaks.
    pub fn kind(&self) -> &PathErrorKind {
        &self.kind
    }
}

/// A rule that a path can break.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathErrorKind {
    /// The path does not start with `/`.
    #[error("it does not start with `/` (RFC 9112, 3.2.1); add it")]
    Relative,
    /// A byte that is not visible ASCII.
    #[error("it has the byte {byte:#04x}, which is not visible ASCII (RFC 3986, 2); encode it")]
    Byte {
        /// The first such byte.
        byte: u8,
    },
    /// A fragment.
    #[error(
        "it has a fragment, which is not sent to servers (RFC 3986, 3.5); remove `#...`, or write \
         the character as `%23`"
    )]
    Fragment,
    /// A dot segment.
    #[error("it has a dot segment (RFC 3986, 5.2.4); write the path that it leads to")]
    DotSegment,
    /// An encoded slash.
    #[error("it has an encoded slash, which some servers decode (RFC 3986, 2.2); write `/`")]
    EncodedSlash,
    /// A backslash, plain or encoded.
    #[error("it has a backslash, which some servers take for a slash; write `/`")]
    Backslash,
    /// An encoded control character.
    #[error("it has the encoded control character {byte:#04x}; remove it")]
    EncodedControl {
        /// The character.
        byte: u8,
    },
    /// A `%` without two hexadecimal digits.
    #[error("it has a `%` without two hexadecimal digits (RFC 3986, 2.1); write it as `%25`")]
    PercentEncoding,
    /// A double encoding that hides a character which rules depend on.
    #[error("it is encoded twice, which hides a character that rules depend on; encode it once")]
    DoubleEncoding,
    /// An overlong UTF-8 sequence.
    #[error("it has an overlong UTF-8 sequence (RFC 3629, 3); encode the character itself")]
    Overlong,
}
