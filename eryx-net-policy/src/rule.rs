//! The entry of a list that decided.

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

    /// The list it stands in.
    pub fn list(&self) -> List {
        self.list
    }

    /// What it matches.
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
    /// What may be reached; when it is empty, everything.
    Allowed,
    /// What may not be reached, whatever [`List::Allowed`] says.
    Blocked,
    /// What addresses in [`List::Blocked`] may be reached nevertheless.
    Exempt,
    /// What of all that may be reached by UDP as well.
    AllowedUdp,
}

impl List {
    /// The list's name in configuration files and messages.
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
