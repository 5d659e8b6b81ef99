//! Patterns that allow UDP: host patterns with ports.

use std::fmt;
use std::str::FromStr;

use crate::pattern::HostPattern;
use crate::pattern_error::{PatternError, PatternErrorKind};
use crate::port::PortRange;

/// A [`HostPattern`] with a port or a range of ports, such as `ns.example.com:53`.
///
/// ```
/// use eryx_net_policy::UdpPattern;
///
/// let pattern: UdpPattern = "NS.example.com:53".parse()?;
/// assert_eq!(pattern.to_string(), "ns.example.com:53");
///
/// let error = "ns.example.com".parse::<UdpPattern>().unwrap_err();
/// assert!(error.to_string().contains("`ns.example.com:53`"));
/// # Ok::<(), eryx_net_policy::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UdpPattern(HostPattern);

impl UdpPattern {
    /// Returns the hosts and ports as a pattern.
    pub fn pattern(&self) -> &HostPattern {
        &self.0
    }
}

impl FromStr for UdpPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let pattern: HostPattern = text.parse()?;
        if pattern.ports() == PortRange::ALL {
            let example = HostPattern::new(pattern.target().clone(), PortRange::DOMAIN)
                .spelled_as_wildcard(pattern.is_wildcard());
            return Err(PatternError::new(
                text,
                PatternErrorKind::NoPort {
                    example: Box::new(example),
                },
            ));
        }
        Ok(Self(pattern))
    }
}

impl From<UdpPattern> for HostPattern {
    fn from(pattern: UdpPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for UdpPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
