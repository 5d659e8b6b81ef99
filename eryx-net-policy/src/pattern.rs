//! Host patterns: the entries of the lists.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

use crate::cidr::{self, IpNetwork};
use crate::escape::escape_truncated;
use crate::host::Host;
use crate::host_error::HostErrorKind;
use crate::host_name::HostName;
use crate::pattern_error::{PatternError, PatternErrorKind};
use crate::port::PortRange;

/// A pattern for hosts, with or without ports.
///
/// | Pattern | Matches |
/// |---|---|
/// | `example.com` | that name |
/// | `*.example.com` | every name below it at any depth, but not `example.com` itself |
/// | `192.0.2.7`, `2001:db8::7` | that address |
/// | `10.0.0.0/8`, `fc00::/7` | every address in the network |
/// | `127.*`, `192.168.*`, `10.1.2.*` | the IPv4 networks `127.0.0.0/8`, `192.168.0.0/16`, `10.1.2.0/24` |
/// | `*` | everything |
///
/// Each may be followed by a port, `db.corp:5432`, or a range of ports, `*.corp:8000-8100`. An IPv6
/// address then needs brackets: `[2001:db8::7]:443`, `[fc00::]/7:443`.
///
/// Names are compared in canonical form (see [`HostName`]), so a pattern may be written in any
/// case, with a root dot, or in Unicode. Any other text is a parse error, never a pattern that
/// matches nothing.
///
/// [`Display`](fmt::Display) is the canonical spelling, which parses to an equal pattern. Patterns
/// with the same meaning are equal: `127.*` and `127.0.0.0/8`.
///
/// ```
/// use eryx_net_policy::HostPattern;
///
/// let pattern: HostPattern = "*.Example.COM:443".parse()?;
/// assert_eq!(pattern.to_string(), "*.example.com:443");
///
/// let error = "api.*.com".parse::<HostPattern>().unwrap_err();
/// assert!(error.to_string().starts_with("`api.*.com` is not a host pattern"));
/// # Ok::<(), eryx_net_policy::PatternError>(())
/// ```
#[derive(Clone)]
pub struct HostPattern {
    target: Target,
    ports: PortRange,
    /// Whether a network was written as a wildcard, such as `127.*`. Only [`Display`](fmt::Display)
    /// uses it.
    wildcard: bool,
}

/// The hosts that a pattern matches, on any port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    Everything,
    Name(HostName),
    Below(HostName),
    Network(IpNetwork),
}

impl HostPattern {
    pub(crate) fn new(target: Target, ports: PortRange) -> Self {
        Self {
            target,
            ports,
            wildcard: false,
        }
    }

    /// Returns the ports that the pattern matches.
    pub fn ports(&self) -> PortRange {
        self.ports
    }

    /// Returns the one host that the pattern matches; `None` for a pattern that can match several.
    ///
    /// ```
    /// use eryx_net_policy::{Host, HostPattern};
    ///
    /// let pattern: HostPattern = "db.corp:5432".parse()?;
    /// assert_eq!(pattern.host(), Some(Host::parse("db.corp")?));
    /// let pattern: HostPattern = "*.corp:5432".parse()?;
    /// assert_eq!(pattern.host(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn host(&self) -> Option<Host> {
        match &self.target {
            Target::Name(name) => Some(Host::Name(name.clone())),
            Target::Network(network) if network.is_single() => Some(network.address().into()),
            Target::Everything | Target::Below(_) | Target::Network(_) => None,
        }
    }

    /// Returns the network that the pattern matches; `None` for a pattern that is not for
    /// addresses.
    pub fn network(&self) -> Option<IpNetwork> {
        match &self.target {
            Target::Network(network) => Some(*network),
            _ => None,
        }
    }

    /// Returns whether the pattern is `*`, with or without ports.
    pub fn is_everything(&self) -> bool {
        self.target == Target::Everything
    }

    /// Returns whether the pattern matches the host, on any port.
    ///
    /// Only the address itself is compared. [`Policy`](crate::Policy) also compares the IPv4
    /// address that is embedded in an IPv6 address.
    ///
    /// ```
    /// use eryx_net_policy::{Host, HostPattern};
    ///
    /// let pattern: HostPattern = "10.*".parse()?;
    /// assert!(pattern.matches(&Host::parse("10.1.2.3")?));
    /// assert!(!pattern.matches(&Host::parse("10.evil.example")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn matches(&self, host: &Host) -> bool {
        match (&self.target, host) {
            (Target::Everything, _) => true,
            (Target::Name(target), Host::Name(name)) => target == name,
            (Target::Below(parent), Host::Name(name)) => {
                name.ancestors().any(|ancestor| ancestor == parent.as_str())
            }
            (Target::Network(network), Host::Address(address)) => network.contains(*address),
            (Target::Name(_) | Target::Below(_), Host::Address(_))
            | (Target::Network(_), Host::Name(_)) => false,
        }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    pub(crate) fn spelled_as_wildcard(mut self, wildcard: bool) -> Self {
        self.wildcard = wildcard;
        self
    }

    fn key(&self) -> (&Target, PortRange) {
        (&self.target, self.ports)
    }
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        parse(text).map_err(|kind| PatternError::new(text, kind))
    }
}

impl From<HostName> for HostPattern {
    fn from(name: HostName) -> Self {
        Self::new(Target::Name(name), PortRange::ALL)
    }
}

impl From<IpNetwork> for HostPattern {
    fn from(network: IpNetwork) -> Self {
        Self::new(Target::Network(network), PortRange::ALL)
    }
}

impl From<Host> for HostPattern {
    fn from(host: Host) -> Self {
        match host {
            Host::Name(name) => name.into(),
            Host::Address(address) => IpNetwork::from(address).into(),
        }
    }
}

impl PartialEq for HostPattern {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for HostPattern {}

impl PartialOrd for HostPattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for HostPattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for HostPattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_ports = self.ports != PortRange::ALL;
        match &self.target {
            Target::Everything => f.write_str("*")?,
            Target::Name(name) => name.fmt(f)?,
            Target::Below(name) => write!(f, "*.{name}")?,
            Target::Network(network) => match network.address() {
                IpAddr::V4(v4) if self.wildcard => {
                    for octet in &v4.octets()[..usize::from(network.prefix_len() / 8)] {
                        write!(f, "{octet}.")?;
                    }
                    f.write_str("*")?;
                }
                IpAddr::V6(v6) if has_ports => {
                    write!(f, "[{v6}]")?;
                    if !network.is_single() {
                        write!(f, "/{}", network.prefix_len())?;
                    }
                }
                _ => network.fmt(f)?,
            },
        }
        if has_ports {
            write!(f, ":{}", self.ports)?;
        }
        Ok(())
    }
}

impl fmt::Debug for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostPattern({self})")
    }
}

fn parse(text: &str) -> Result<HostPattern, PatternErrorKind> {
    if text.is_empty() {
        return Err(PatternErrorKind::Empty);
    }
    if text.trim() != text {
        return Err(PatternErrorKind::Blank);
    }
    if text.contains(',') || text.contains(';') {
        return Err(PatternErrorKind::List);
    }
    if let Some((_, rest)) = text.split_once("://") {
        return Err(PatternErrorKind::Url {
            rest: escape_truncated(rest),
        });
    }
    let (host, ports) = split_ports(text);
    let ports = ports.map_or(Ok(PortRange::ALL), parse_ports)?;
    let pattern = parse_target(host).map(|target| HostPattern::new(target, ports))?;
    Ok(pattern.spelled_as_wildcard(host.ends_with(".*")))
}

fn parse_target(host: &str) -> Result<Target, PatternErrorKind> {
    if host.is_empty() {
        return Err(PatternErrorKind::OnlyPort);
    }
    if host == "*" {
        return Ok(Target::Everything);
    }
    if let Some((address, length)) = host.split_once('/') {
        return match Host::parse(address) {
            Ok(Host::Name(name)) if length.bytes().all(|b| b.is_ascii_digit()) => {
                Err(PatternErrorKind::PrefixOfName { name })
            }
            Ok(Host::Name(name)) => Err(PatternErrorKind::Path { name }),
            // `Host` would convert a mapped address into IPv4, for which the prefix length is
            // wrong.
            Ok(Host::Address(_)) | Err(_) => Ok(Target::Network(
                host.parse::<IpNetwork>().map_err(|e| e.kind().clone())?,
            )),
        };
    }
    if let Some(parent) = host.strip_prefix("*.") {
        return match Host::parse(parent) {
            Ok(Host::Name(name)) => Ok(Target::Below(name)),
            Ok(Host::Address(_)) => Err(PatternErrorKind::Wildcard),
            Err(_) if parent.contains('*') => Err(PatternErrorKind::Wildcard),
            Err(error) => Err(error.kind().clone().into()),
        };
    }
    if host.contains('*') {
        return cidr::wildcard(host)
            .map(Target::Network)
            .ok_or(PatternErrorKind::Wildcard);
    }
    match Host::parse(host) {
        Ok(Host::Name(name)) => Ok(Target::Name(name)),
        Ok(Host::Address(address)) => Ok(Target::Network(address.into())),
        Err(error) => Err(error.kind().clone().into()),
    }
}

/// Splits the ports off. The last colon belongs to an IPv6 address, and not to a port, when the
/// text has several colons and no bracket or prefix length before the last.
fn split_ports(text: &str) -> (&str, Option<&str>) {
    let Some((host, ports)) = text.rsplit_once(':') else {
        return (text, None);
    };
    let host_ends_before_colon = !host.contains(':') || host.ends_with(']') || host.contains('/');
    if host_ends_before_colon {
        (host, Some(ports))
    } else {
        (text, None)
    }
}

fn parse_ports(text: &str) -> Result<PortRange, PatternErrorKind> {
    let number = |digits| cidr::decimal(digits).and_then(|n| u16::try_from(n).ok());
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let error = || PatternErrorKind::Ports {
        ports: escape_truncated(text),
    };
    let (first, last) = (
        number(first).ok_or_else(error)?,
        number(last).ok_or_else(error)?,
    );
    if first > last {
        return Err(PatternErrorKind::PortsReversed { first, last });
    }
    PortRange::new(first, last).ok_or_else(error)
}

impl From<HostErrorKind> for PatternErrorKind {
    fn from(kind: HostErrorKind) -> Self {
        match kind {
            HostErrorKind::Character { character: '*' } => Self::Wildcard,
            other => Self::Host(other),
        }
    }
}
