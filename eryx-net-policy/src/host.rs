//! Hosts: a name or an address. Addresses in other notations than the usual one, such as `0x7f.1`,
//! are neither: `host_name.rs` rejects them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::escape::escape_truncated;
use crate::host_error::{HostError, HostErrorKind};
use crate::host_name::HostName;

/// The host of a connection: a name or an address.
///
/// A parsed value is canonical. For names see [`HostName`]. An IPv4-mapped IPv6 address
/// (`::ffff:0:0/96`, RFC 4291, 2.5.5.2) is the IPv4 address in it, because the kernel dials that
/// address.
///
/// ```
/// use eryx_net_policy::Host;
///
/// assert_eq!(Host::parse("EXAMPLE.com.")?.to_string(), "example.com");
/// assert_eq!(Host::parse("[::FFFF:8.8.8.8]")?.to_string(), "8.8.8.8");
///
/// let error = Host::parse("0177.0.0.1").unwrap_err();
/// assert!(error.to_string().contains("without leading zeros"));
/// # Ok::<(), eryx_net_policy::HostError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name, which must be resolved.
    Name(HostName),
    /// An address, which can be dialled.
    Address(IpAddr),
}

impl Host {
    /// Parses a name, an IPv4 address in four decimal numbers, or an IPv6 address (RFC 4291) with
    /// or without brackets.
    ///
    /// The text is not decoded or trimmed: ports, zone ids, percent escapes, white space and every
    /// other spelling of an address are errors.
    ///
    /// # Errors
    ///
    /// [`HostError`], which names the broken rule and the correction.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let address = if text.starts_with('[') {
            bracketed(text).map(Some)
        } else if text.contains(':') {
            with_colons(text).map(Some)
        } else {
            Ok(text.parse::<Ipv4Addr>().ok().map(IpAddr::V4))
        };
        match address {
            Ok(Some(address)) => Ok(Self::from(address)),
            Ok(None) => HostName::parse(text).map(Self::Name),
            Err(kind) => Err(HostError::new(text, kind)),
        }
    }

    /// Returns the name; `None` for an address.
    pub fn name(&self) -> Option<&HostName> {
        match self {
            Self::Name(name) => Some(name),
            Self::Address(_) => None,
        }
    }

    /// Returns the address; `None` for a name.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Address(address) => Some(*address),
        }
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        Self::parse(text)
    }
}

impl From<HostName> for Host {
    fn from(name: HostName) -> Self {
        Self::Name(name)
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

fn bracketed(text: &str) -> Result<IpAddr, HostErrorKind> {
    let inside = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, "")) => inside,
        Some((inside, rest)) if is_port(rest) => {
            return Err(HostErrorKind::Port {
                host: format!("[{}]", escape_truncated(inside)),
            });
        }
        _ => return Err(HostErrorKind::Brackets),
    };
    match inside.parse::<Ipv6Addr>() {
        Ok(address) => Ok(IpAddr::V6(address)),
        Err(_) if has_zone(inside) => Err(HostErrorKind::Zone),
        Err(_) => Err(HostErrorKind::Brackets),
    }
}

fn with_colons(text: &str) -> Result<IpAddr, HostErrorKind> {
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(IpAddr::V6(address));
    }
    if has_zone(text) {
        return Err(HostErrorKind::Zone);
    }
    match text.find(':') {
        Some(colon) if is_port(&text[colon..]) => Err(HostErrorKind::Port {
            host: escape_truncated(&text[..colon]),
        }),
        _ => Err(HostErrorKind::NotIpv6),
    }
}

fn has_zone(text: &str) -> bool {
    text.split_once('%')
        .is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok())
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}
