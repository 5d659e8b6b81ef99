//! Ports, and the port ranges of patterns.

use std::fmt;

/// The port that a policy is checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// Any port, as in `getaddrinfo(host, None)`: allowed if at least one port is allowed.
    Any,
    /// This port.
    Number(u16),
}

impl Port {
    /// Returns the number; `None` for any port.
    pub fn number(self) -> Option<u16> {
        match self {
            Self::Any => None,
            Self::Number(number) => Some(number),
        }
    }
}

impl From<u16> for Port {
    fn from(number: u16) -> Self {
        Self::Number(number)
    }
}

impl From<Option<u16>> for Port {
    fn from(number: Option<u16>) -> Self {
        number.map_or(Self::Any, Self::Number)
    }
}

/// The ports that a pattern matches: all, or `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port: the range of a pattern without ports.
    pub const ALL: Self = Self {
        first: 0,
        last: u16::MAX,
    };

    /// The port of name servers (IANA service `domain`), for examples in messages.
    pub(crate) const DOMAIN: Self = Self {
        first: 53,
        last: 53,
    };

    /// Returns the ports from `first` to `last`; `None` if the range is empty or starts with 0.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (1..=last).contains(&first).then_some(Self { first, last })
    }

    /// Returns the lowest port.
    pub fn first(self) -> u16 {
        self.first
    }

    /// Returns the highest port.
    pub fn last(self) -> u16 {
        self.last
    }

    /// Returns whether `port` is in the range.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    pub(crate) fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}
