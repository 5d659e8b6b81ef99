//! IP networks in CIDR notation.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

use crate::escape::escape_truncated;

/// An IP network in CIDR notation (RFC 4632): all addresses that share a prefix.
///
/// A single address is the network that contains only itself. Parses `10.0.0.0/8`, `2001:db8::/32`,
/// `192.0.2.7`, `::1` and the wildcards `10.*`, `10.1.*`, `10.1.2.*`. The IPv4-mapped
/// `::ffff:10.0.0.1` is `10.0.0.1`.
///
/// ```
/// use eryx_net_policy::IpNetwork;
///
/// let network: IpNetwork = "10.*".parse()?;
/// assert_eq!(network.to_string(), "10.0.0.0/8");
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
///
/// let error = "10.0.0.1/8".parse::<IpNetwork>().unwrap_err();
/// assert!(error.to_string().contains("`10.0.0.0/8`"));
/// # Ok::<(), eryx_net_policy::IpNetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpNetwork(IpNet);

impl IpNetwork {
    /// Returns whether the address is in the network. An IPv4-mapped IPv6 address counts as the
    /// IPv4 address in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Returns the first address of the network.
    pub fn address(&self) -> IpAddr {
        self.0.addr()
    }

    /// Returns the length of the prefix, in bits.
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Returns whether the network is a single address.
    pub fn is_single(&self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }

    pub(crate) fn is_ipv4(&self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }

    /// Returns the network; `None` when the address has bits outside the prefix.
    fn exact(address: IpAddr, prefix_len: u8) -> Option<Self> {
        let network = Self(IpNet::new(address, prefix_len).ok()?.trunc());
        (network.address() == address).then_some(network)
    }
}

impl From<IpAddr> for IpNetwork {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => Ipv4Net::from(v4).into(),
            IpAddr::V6(v6) => Ipv6Net::from(v6).into(),
        })
    }
}

impl FromStr for IpNetwork {
    type Err = IpNetworkError;

    fn from_str(text: &str) -> Result<Self, IpNetworkError> {
        parse(text).map_err(|kind| IpNetworkError {
            text: escape_truncated(text),
            kind,
        })
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() {
            self.address().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

/// The error of a text that is not a network. The message names the text, the rule it breaks and
/// the correction.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a network: {kind}")]
pub struct IpNetworkError {
    text: String,
    kind: IpNetworkErrorKind,
}

impl IpNetworkError {
    /// Returns the rejected text, shortened and with invisible characters escaped.
    pub fn rejected_text(&self) -> &str {
        &self.text
    }

    /// Returns the rule that the text breaks.
    pub fn kind(&self) -> &IpNetworkErrorKind {
        &self.kind
    }
}

/// A rule that the text of a network can break.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IpNetworkErrorKind {
    /// The part before the `/` is not an address.
    #[error("`{address}` is not an address; write one in full, as in `10.0.0.0/8` or `fc00::/7`")]
    Address {
        /// The part, shortened for display.
        address: String,
    },
    /// The part after the `/` is not a prefix length.
    #[error(
        "`{length}` is not a prefix length; write the number of its bits, 0 to {max}, as in `/24`"
    )]
    PrefixLength {
        /// The part, shortened for display.
        length: String,
        /// The number of bits in an address of that family.
        max: u8,
    },
    /// The address has bits outside the prefix.
    #[error(
        "its address has bits outside the prefix; write `{network}` for the network or `{address}` for the one address"
    )]
    HostBits {
        /// The network with these bits cleared.
        network: IpNetwork,
        /// The address as written.
        address: IpAddr,
    },
    /// A network of IPv4-mapped IPv6 addresses, which are evaluated as IPv4.
    #[error(
        "IPv4-mapped addresses are checked as the IPv4 address in them; write that network, `{network}`"
    )]
    Mapped {
        /// The IPv4 network.
        network: IpNetwork,
    },
    /// A `*` that is not the end of an IPv4 address.
    #[error(
        "a `*` can only stand for the end of an IPv4 address; write `10.*`, `10.1.*`, `10.1.2.*` or a prefix such as `10.0.0.0/12`"
    )]
    Wildcard,
}

fn parse(text: &str) -> Result<IpNetwork, IpNetworkErrorKind> {
    if text.contains('*') {
        return wildcard(text).ok_or(IpNetworkErrorKind::Wildcard);
    }
    let Some((address, length)) = text.split_once('/') else {
        return Ok(IpNetwork::from(parse_address(text)?));
    };
    prefix(parse_address(address)?, length)
}

/// Parses the decimal prefix length of a network that starts at `address`.
pub(crate) fn prefix(address: IpAddr, length: &str) -> Result<IpNetwork, IpNetworkErrorKind> {
    let max = if address.is_ipv4() { 32 } else { 128 };
    let bits = decimal(length)
        .and_then(|bits| u8::try_from(bits).ok())
        .filter(|bits| *bits <= max)
        .ok_or_else(|| IpNetworkErrorKind::PrefixLength {
            length: escape_truncated(length),
            max,
        })?;
    if let Some(mapped) = mapped(address, bits) {
        return Err(IpNetworkErrorKind::Mapped { network: mapped });
    }
    IpNetwork::exact(address, bits).ok_or_else(|| IpNetworkErrorKind::HostBits {
        network: truncated(address, bits),
        address,
    })
}

/// Parses `10.*`, `10.1.*` or `10.1.2.*`.
pub(crate) fn wildcard(text: &str) -> Option<IpNetwork> {
    let prefix = text.strip_suffix(".*")?;
    let mut octets = [0; 4];
    let mut count = 0;
    for part in prefix.split('.') {
        let octet = octets[..3].get_mut(count)?;
        *octet = decimal(part).and_then(|n| u8::try_from(n).ok())?;
        count += 1;
    }
    IpNetwork::exact(Ipv4Addr::from(octets).into(), 8 * count as u8)
}

fn parse_address(text: &str) -> Result<IpAddr, IpNetworkErrorKind> {
    text.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .map_or_else(
            || text.parse::<IpAddr>().ok(),
            |inside| inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        )
        .ok_or_else(|| IpNetworkErrorKind::Address {
            address: escape_truncated(text),
        })
}

/// Returns the IPv4 network that a network inside `::ffff:0:0/96` stands for.
fn mapped(address: IpAddr, bits: u8) -> Option<IpNetwork> {
    match (address, address.to_canonical()) {
        (IpAddr::V6(_), v4 @ IpAddr::V4(_)) if bits >= 96 => Some(truncated(v4, bits - 96)),
        _ => None,
    }
}

fn truncated(address: IpAddr, bits: u8) -> IpNetwork {
    IpNetwork(IpNet::new_assert(address, bits).trunc())
}

/// Parses a number without sign, blanks or leading zeros: other parsers accept these, some with
/// another value.
pub(crate) fn decimal(text: &str) -> Option<u32> {
    let is_decimal = text.len() <= 5
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    is_decimal.then(|| text.parse().ok()).flatten()
}
