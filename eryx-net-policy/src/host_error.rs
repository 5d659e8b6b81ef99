//! The error of a text that is not a host.

use thiserror::Error;

use crate::escape::escape_truncated;

/// The error of a text that is not a host.
///
/// The message names the text, the rule it breaks and the correction.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a host: {kind}")]
pub struct HostError {
    text: String,
    kind: HostErrorKind,
}

impl HostError {
    pub(crate) fn new(text: &str, kind: HostErrorKind) -> Self {
        Self {
            text: escape_truncated(text),
            kind,
        }
    }

    /// Returns the rejected text, shortened and with invisible characters escaped.
    pub fn rejected_text(&self) -> &str {
        &self.text
    }

    /// Returns the rule that the text breaks.
    pub fn kind(&self) -> &HostErrorKind {
        &self.kind
    }
}

/// A rule that the text of a host can break.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HostErrorKind {
    /// The text is empty.
    #[error("it is empty; write a name such as `example.com` or an address")]
    Empty,
    /// The name has more than 253 octets in ASCII form (RFC 1035, 2.3.4), or the text is so long
    /// that it must have.
    #[error("it is too long; a name has at most 253 octets (RFC 1035)")]
    TooLong,
    /// A label of more than 63 octets (RFC 1035, 2.3.4).
    #[error("a label of it is {octets} octets long; write labels of at most 63 (RFC 1035)")]
    LabelTooLong {
        /// The label's length in ASCII form, in octets.
        octets: usize,
    },
    /// Two dots in a row, or a dot at the start.
    #[error("it has an empty label; write exactly one dot between labels and none at the start")]
    EmptyLabel,
    /// A label that starts or ends with a hyphen (RFC 1123, 2.1).
    #[error(
        "a label of it starts or ends with a hyphen, which host names may not (RFC 1123); remove it"
    )]
    Hyphen,
    /// A character that cannot be in a host.
    #[error("it contains {}; {}", name_of(*.character), advice_on(*.character))]
    Character {
        /// The first such character.
        character: char,
    },
    /// A name with characters beyond ASCII, or an `xn--` label, that UTS 46 does not accept.
    #[error(
        "it is not a valid internationalised name (UTS 46); correct it, or write its `xn--` form"
    )]
    Internationalised,
    /// The last label is a number, so the text is meant as an address, but not written as one.
    ///
    /// `127.1`, `0x7f000001`, `2130706433`, `0177.0.0.1` mean different addresses to different
    /// parsers.
    #[error(
        "its last label is a number, and it is not an address in full; \
         write four decimal numbers without leading zeros, such as `192.0.2.7`"
    )]
    Numeric,
    /// A port after the host.
    #[error("it ends in a port; write the host alone, `{host}`, and give the port separately")]
    Port {
        /// The text before the port, shortened for display.
        host: String,
    },
    /// A zone id (RFC 4007), which names an interface of the dialling machine.
    #[error("it has a zone id; write the address without `%` and what follows")]
    Zone,
    /// Brackets that are not around an IPv6 address.
    #[error(
        "its brackets do not hold an IPv6 address; write them around one, as in `[2001:db8::7]`, or leave them out"
    )]
    Brackets,
    /// Colons in a text that is not an IPv6 address.
    #[error(
        "it has colons but is not an IPv6 address (RFC 4291); write a name, or an address such as `2001:db8::7`"
    )]
    NotIpv6,
}

fn name_of(character: char) -> String {
    match character {
        ' ' => "a space".to_owned(),
        '\0' => "a NUL".to_owned(),
        '\t' => "a tab".to_owned(),
        c => format!("`{}`", escape_truncated(c.encode_utf8(&mut [0; 4]))),
    }
}

fn advice_on(character: char) -> &'static str {
    match character {
        '@' => "write the host without a user name",
        '/' | '\\' | '?' | '#' => "write the host without a scheme or path",
        '%' => "write the host plainly, nothing in it is percent-decoded",
        ',' | ';' => "write one host alone",
        '*' => "write the name of one host, wildcards are for patterns",
        c if c.is_whitespace() => "remove it",
        _ => "write letters, digits, hyphens and dots",
    }
}
