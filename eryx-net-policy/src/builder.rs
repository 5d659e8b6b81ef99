//! The builder of a policy.

use crate::cidr::IpNetwork;
use crate::defaults::{default_blocked_patterns, loopback_patterns};
use crate::hint_style::HintStyle;
use crate::pattern::HostPattern;
use crate::policy::Policy;
use crate::rule_set::{Lists, RuleSet};
use crate::udp_pattern::UdpPattern;

/// Collects the entries of a [`Policy`].
///
/// [`Policy::builder`] starts with the entries that [`Policy::default`] blocks,
/// [`Policy::permissive_builder`] with nothing blocked. Everything else is allowed.
///
/// ```
/// use eryx_net_policy::Policy;
///
/// let policy = Policy::builder()
///     .allow_host("*.example.com:443".parse()?)
///     .allow_host("db.corp:5432".parse()?)
///     .allow_internal_host("db.corp".parse()?)
///     .build();
/// assert!(policy.check("example.org", 443).is_denied());
/// # Ok::<(), eryx_net_policy::PatternError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PolicyBuilder {
    lists: Lists<Vec<HostPattern>>,
    allow_localhost: bool,
    hint_style: HintStyle,
}

impl PolicyBuilder {
    pub(crate) fn new() -> Self {
        Self {
            lists: Lists::default(),
            allow_localhost: false,
            hint_style: HintStyle::default(),
        }
    }

    /// Allows the hosts that match. After the first call, a host that matches no such entry is
    /// denied.
    ///
    /// A name is allowed when an entry matches it, or when every one of its addresses matches an
    /// entry. A blocked host stays blocked.
    pub fn allow_host(mut self, pattern: HostPattern) -> Self {
        self.lists.allowed.push(pattern);
        self
    }

    /// Calls [`allow_host`](Self::allow_host) for each pattern.
    pub fn allow_hosts(mut self, patterns: impl IntoIterator<Item = HostPattern>) -> Self {
        self.lists.allowed.extend(patterns);
        self
    }

    /// Blocks the hosts that match: requested names, names that these are aliases of (CNAME), and
    /// addresses, requested or resolved.
    pub fn block_host(mut self, pattern: HostPattern) -> Self {
        self.lists.blocked.push(pattern);
        self
    }

    /// Calls [`block_host`](Self::block_host) for each pattern.
    pub fn block_hosts(mut self, patterns: impl IntoIterator<Item = HostPattern>) -> Self {
        self.lists.blocked.extend(patterns);
        self
    }

    /// Blocks [`default_blocked_hosts`](crate::default_blocked_hosts), as [`Policy::builder`] does.
    pub fn block_defaults(self) -> Self {
        self.block_hosts(default_blocked_patterns().iter().cloned())
    }

    /// Removes the [loopback entries](loopback_patterns) from the entries blocked so far, and
    /// excludes `::1` from the default entry `::/3`. Entries that later calls block are not
    /// affected.
    pub fn allow_localhost(mut self) -> Self {
        self.lists
            .blocked
            .retain(|p| !loopback_patterns().contains(p));
        self.allow_localhost = true;
        self
    }

    /// Exempts the addresses of a network from being blocked.
    ///
    /// An exemption overrides every entry of the default list, and every other entry that covers
    /// all of the network. Another entry for a part of the network, or for some ports, still blocks
    /// that part. An exemption allows nothing by itself when there are allow entries.
    pub fn allow_network(mut self, network: IpNetwork) -> Self {
        self.lists.exempt.push(network.into());
        self
    }

    /// Lets the names that match resolve to blocked addresses.
    ///
    /// The names themselves, and names that they are aliases of, can still be blocked. The pattern
    /// is compared with the requested name, not with the names that it is an alias of.
    ///
    /// A pattern for addresses acts like [`allow_network`](Self::allow_network), on its ports.
    pub fn allow_internal_host(mut self, pattern: HostPattern) -> Self {
        self.lists.exempt.push(pattern);
        self
    }

    /// Allows UDP to the hosts that match, where a TCP connection is allowed. Without such an entry
    /// UDP is denied.
    ///
    /// A name is allowed when an entry matches it, or when entries match every one of its
    /// addresses.
    pub fn allow_udp(mut self, pattern: UdpPattern) -> Self {
        self.lists.udp.push(pattern.into());
        self
    }

    /// Sets how the messages of verdicts suggest settings.
    pub fn hint_style(mut self, hint_style: HintStyle) -> Self {
        self.hint_style = hint_style;
        self
    }

    /// Builds the policy.
    pub fn build(self) -> Policy {
        Policy::new(
            self.lists.map(RuleSet::new),
            self.allow_localhost,
            self.hint_style,
        )
    }
}
