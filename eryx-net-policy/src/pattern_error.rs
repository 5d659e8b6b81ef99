//! Why a text is not a pattern.

use thiserror::Error;

use crate::{
    host_error::HostErrorKind, name::HostName, network::IpNetworkErrorKind, pattern::HostPattern,
    quote::quote,
};

/// A text that is not a [`HostPattern`](crate::HostPattern), and what is wrong with it.
///
/// The message names the text, the rule it breaks and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a host pattern: {problem}")]
pub struct PatternError {
    text: String,
    problem: PatternErrorKind,
}

impl PatternError {
    pub(crate) fn new(text: &str, problem: PatternErrorKind) -> Self {
        Self {
            text: quote(text),
            problem,
        }
    }

    /// The rejected text, shortened and with invisible characters escaped.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The rule it breaks.
    pub fn kind(&self) -> &PatternErrorKind {
        &self.problem
    }
}

/// The rules a pattern has to keep.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// There is no text.
    #[error("it is empty; write a name such as `example.com`, or `*` for everything")]
    Empty,
    /// White space before or after it.
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
        /// What follows the scheme, shortened for display.
        rest: String,
    },
    /// A port without a host.
    #[error("it has no host before the port; write `*` and the port for every host")]
    OnlyPort,
    /// No port, where datagrams are to be allowed.
    #[error("UDP is allowed port by port; write the port behind it, as in `{example}`")]
    NoPort {
        /// The same with a port.
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
    /// A `*` anywhere but where one may stand.
    #[error(
        "a `*` can stand for all labels in front of a name (`*.example.com`), for the end of an IPv4 \
         address (`10.*`, `10.1.*`, `10.1.2.*`), or alone for everything (`*`); write it in one of these places"
    )]
    Wildcard,
    /// What follows the `:` is not a port or a range of ports.
    #[error(
        "`{ports}` is not a port; write a number from 1 to 65535, a range such as `8000-8100`, or leave it out for every port"
    )]
    Ports {
        /// What follows the `:`, shortened for display.
        ports: String,
    },
    /// A range of ports that ends before it starts.
    #[error("its range of ports ends before it starts; write `{last}-{first}`")]
    PortsReversed {
        /// The port written first.
        first: u16,
        /// The port written last.
        last: u16,
    },
    /// The part that should be a host is not one.
    #[error(transparent)]
    Host(HostErrorKind),
    /// The part that should be a network is not one.
    #[error(transparent)]
    Network(#[from] IpNetworkErrorKind),
}
