//! The error of a text that is not a pattern.

use thiserror::Error;

use crate::cidr::IpNetworkErrorKind;
use crate::escape::escape_truncated;
use crate::host_error::HostErrorKind;
use crate::host_name::HostName;
use crate::pattern::HostPattern;

/// The error of a text that is not a [`HostPattern`](crate::HostPattern).
///
/// The message names the text, the rule it breaks and the correction.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a host pattern: {kind}")]
pub struct PatternError {
    text: String,
    kind: PatternErrorKind,
}

impl PatternError {
    pub(crate) fn new(text: &str, kind: PatternErrorKind) -> Self {
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
    pub fn kind(&self) -> &PatternErrorKind {
        &self.kind
    }
}

/// A rule that the text of a pattern can break.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// The text is empty.
    #[error("it is empty; write a name such as `example.com`, or `*` for everything")]
    Empty,
    /// White space before or after the pattern.
    #[error("it starts or ends with white space; remove it")]
    Blank,
    /// More than one pattern.
    #[error("it holds several patterns; write each as an entry of its own")]
    List,
    /// A URL.
    #[error(
        "it is a URL; write the host alone, as in `example.com`, or with its port, as in `example.com:443`"
    )]
    Url {
        /// The text after the scheme, shortened for display.
        rest: String,
    },
    /// A port without a host.
    #[error("it has no host before the port; write `*` and the port for every host")]
    OnlyPort,
    /// A pattern without a port, where UDP is to be allowed.
    #[error("UDP is allowed port by port; write the port behind it, as in `{example}`")]
    NoPort {
        /// The same pattern with a port.
        example: Box<HostPattern>,
    },
    /// A path after a name.
    #[error("it has a path, and connections have none; write `{name}`")]
    Path {
        /// The name before the path.
        name: HostName,
    },
    /// A prefix length after a name.
    #[error("only an address can have a prefix length; write `{name}`, or the network's address")]
    PrefixOfName {
        /// The name.
        name: HostName,
    },
    /// A `*` in a place where none is permitted.
    #[error(
        "a `*` can stand for all labels in front of a name (`*.example.com`), for the end of an IPv4 \
         address (`10.*`, `10.1.*`, `10.1.2.*`), or alone for everything (`*`); write it in one of these places"
    )]
    Wildcard,
    /// The part after the `:` is not a port or a range of ports.
    #[error(
        "`{ports}` is not a port; write a number from 1 to 65535, a range such as `8000-8100`, or leave it out for every port"
    )]
    Ports {
        /// The part after the `:`, shortened for display.
        ports: String,
    },
    /// A range of ports that ends before it starts.
    #[error("its range of ports ends before it starts; write `{last}-{first}`")]
    PortsReversed {
        /// The first port, as written.
        first: u16,
        /// The last port, as written.
        last: u16,
    },
    /// The host part is not a host.
    #[error(transparent)]
    Host(HostErrorKind),
    /// The network part is not a network.
    #[error(transparent)]
    Network(#[from] IpNetworkErrorKind),
}
