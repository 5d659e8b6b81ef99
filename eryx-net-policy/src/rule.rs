//! Rules: the entries of a policy's lists.

use std::fmt;

use crate::pattern::HostPattern;

/// An entry of one of a policy's lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Rule {
    list: List,
    pattern: HostPattern,
}

impl Rule {
    pub(crate) fn new(list: List, pattern: HostPattern) -> Self {
        Self { list, pattern }
    }

    /// Returns the list that the entry is in.
    pub fn list(&self) -> List {
        self.list
    }

    /// Returns the pattern of the entry.
    pub fn pattern(&self) -> &HostPattern {
        &self.pattern
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in {}", self.pattern, self.list)
    }
}

/// The lists of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
#[non_exhaustive]
pub enum List {
    /// The hosts that are allowed; if it is empty, all hosts.
    Allowed,
    /// The hosts that are denied, even if [`List::Allowed`] matches them.
    Blocked,
    /// The exemptions from [`List::Blocked`].
    Exempt,
    /// The allowed hosts to which UDP is allowed as well.
    AllowedUdp,
}

impl List {
    /// Returns the list's name in messages, which is the name of its setting where it has one. In
    /// serde the lists are `allowed`, `blocked`, `exempt` and `allowed-udp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed_hosts",
            Self::Blocked => "blocked_hosts",
            Self::Exempt => "the exemptions",
            Self::AllowedUdp => "allowed_udp",
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
