//! Putting a policy together.

use crate::{
    defaults::{default_blocked_patterns, loopback_patterns},
    network::IpNetwork,
    pattern::HostPattern,
    policy::Policy,
    rule_set::RuleSet,
    udp_pattern::UdpPattern,
    wording::HintStyle,
};

/// Collects the entries of a [`Policy`].
///
/// It starts with what [`Policy::default`] blocks, from [`Policy::builder`], or with nothing blocked, from
/// [`Policy::permissive_builder`]. Everything else is allowed.
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
    allowed: Vec<HostPattern>,
    blocked: Vec<HostPattern>,
    exempt: Vec<HostPattern>,
    udp: Vec<HostPattern>,
    loopback: bool,
    wording: HintStyle,
}

impl PolicyBuilder {
    pub(crate) fn new() -> Self {
        Self {
            allowed: Vec::new(),
            blocked: Vec::new(),
            exempt: Vec::new(),
            udp: Vec::new(),
            loopback: false,
            wording: HintStyle::default(),
        }
    }

    /// Allows what matches, and from the first call on nothing that matches no such entry.
    ///
    /// A name is allowed when an entry matches it, or when every one of its addresses matches an entry.
    /// What is blocked stays blocked.
    pub fn allow_host(mut self, pattern: HostPattern) -> Self {
        self.allowed.push(pattern);
        self
    }

    /// [`allow_host`](Self::allow_host) for each.
    pub fn allow_hosts(mut self, patterns: impl IntoIterator<Item = HostPattern>) -> Self {
        self.allowed.extend(patterns);
        self
    }

    /// Blocks what matches: names asked for, names they are aliases of (CNAME), and addresses, asked for
    /// or resolved.
    pub fn block_host(mut self, pattern: HostPattern) -> Self {
        self.blocked.push(pattern);
        self
    }

    /// [`block_host`](Self::block_host) for each.
    pub fn block_hosts(mut self, patterns: impl IntoIterator<Item = HostPattern>) -> Self {
        self.blocked.extend(patterns);
        self
    }

    /// Blocks [`default_blocked_hosts`](crate::default_blocked_hosts), as [`Policy::builder`] does to begin with.
    pub fn block_defaults(self) -> Self {
        self.block_hosts(default_blocked_patterns().iter().cloned())
    }

    /// Takes the [loopback entries](loopback_patterns) out of what is blocked so far, and `::1` out of the
    /// default entry `::/3`. What is blocked later counts.
    pub fn allow_localhost(mut self) -> Self {
        self.blocked.retain(|p| !loopback_patterns().contains(p));
        self.loopback = true;
        self
    }

    /// Exempts the addresses of a network from being blocked.
    ///
    /// That lifts every entry of the default list, and every other entry that covers all of the network.
    /// An entry of your own for a part of it, or for some ports, still blocks that part. An exemption
    /// allows nothing by itself when there are allow entries.
    pub fn allow_network(mut self, network: IpNetwork) -> Self {
        self.exempt.push(network.into());
        self
    }

    /// Lets names that match resolve to blocked addresses. The names themselves, and names they are
    /// aliases of, can still be blocked. It is the name asked for that counts, not what it is an alias of.
    ///
    /// A pattern for addresses acts like [`allow_network`](Self::allow_network), on its ports.
    pub fn allow_internal_host(mut self, pattern: HostPattern) -> Self {
        self.exempt.push(pattern);
        self
    }

    /// Allows datagrams (UDP) to what matches, as far as a connection to it is allowed. Without such an entry
    /// there are none.
    ///
    /// A name is matched by an entry for it, or by entries for every one of its addresses.
    pub fn allow_udp(mut self, pattern: UdpPattern) -> Self {
        self.udp.push(pattern.into());
        self
    }

    /// Lets verdicts call settings as whoever wrote the policy does.
    pub fn wording(mut self, wording: HintStyle) -> Self {
        self.wording = wording;
        self
    }

    /// The finished policy.
    pub fn build(self) -> Policy {
        Policy::new(
            RuleSet::new(self.allowed),
            RuleSet::new(self.blocked),
            RuleSet::new(self.exempt),
            RuleSet::new(self.udp),
            self.loopback,
            self.wording,
        )
    }
}
