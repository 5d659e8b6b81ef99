//! Ports, and the ranges patterns name.

use std::fmt;

/// The port a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// Not known yet, as in `getaddrinfo(host, None)`: the answer is yes if it is yes for some port.
    Any,
    /// This port.
    Number(u16),
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

/// The ports a pattern is about: all of them, or `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port: what a pattern without one means.
    pub const ALL: Self = Self {
        first: 0,
        last: u16::MAX,
    };

    /// The port of name servers (IANA, service `domain`), for examples.
    pub(crate) const DOMAIN: Self = Self {
        first: 53,
        last: 53,
    };

    /// The ports from `first` to `last`, unless that is none or begins with 0.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (1..=last).contains(&first).then_some(Self { first, last })
    }

    /// The lowest port.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    pub fn last(self) -> u16 {
        self.last
    }

    /// Whether `port` is one of them.
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
