//! Which hosts a configuration allows.

use std::str::FromStr;
use std::sync::Arc;

use eryx_net_policy::{
    HintStyle, HostPattern, IpNetwork, PatternError, Policy, UdpPattern, loopback_patterns,
};

use super::NetConfig;
use crate::ConfigError;

/// What the policy is compiled from.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) allowed: Vec<HostPattern>,
    /// Whether a file has an `allowed_hosts` without an entry. It changes nothing but [`NetConfig::warnings`].
    pub(super) open_list: bool,
    pub(super) blocked: Vec<HostPattern>,
    pub(super) networks: Vec<IpNetwork>,
    pub(super) internal: Vec<HostPattern>,
    pub(super) udp: Vec<UdpPattern>,
    /// Whether the default entry for all of `::/3` leaves out `::1`.
    pub(super) loopback: bool,
    pub(super) wording: HintStyle,
}

impl NetConfig {
    /// The patterns of which a host must match one, unless there are none.
    #[must_use]
    pub fn allowed_hosts(&self) -> &[HostPattern] {
        &self.rules.allowed
    }

    /// Returns what in a file that this was read from may not mean what it looks like: a sentence each, for the person
    /// who wrote it.
    ///
    /// ```
    /// # #[cfg(feature = "toml")] {
    /// use eryx_net_host::NetConfig;
    ///
    /// let config = NetConfig::from_toml_str("allowed_hosts = []")?;
    /// assert_eq!(
    ///     config.warnings(),
    ///     ["allowed_hosts is empty: every host that is not blocked may be reached"]
    /// );
    /// assert!(config.allow_host("example.com")?.warnings().is_empty());
    /// # }
    /// # Ok::<(), eryx_net_host::ConfigError>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let open = self.rules.open_list && self.rules.allowed.is_empty();
        open.then(|| EVERY_HOST.to_owned()).into_iter().collect()
    }

    /// With these allowed hosts in place of those so far. None means every host.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] for the first pattern that is malformed.
    pub fn with_allowed_hosts<P: AsRef<str>>(
        &self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, ConfigError> {
        let allowed = parse_all(patterns)?;
        Ok(self.with_rules(|rules| rules.allowed = allowed))
    }

    /// With one more allowed host: a name, `*.` and a name, an address, a network, or `*` for everything,
    /// each with a port or a range of ports if wanted. The first one restricts the sandbox to it. What is
    /// blocked stays blocked.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] when the pattern is malformed.
    pub fn allow_host(&self, pattern: &str) -> Result<Self, ConfigError> {
        let pattern = pattern.parse()?;
        Ok(self.with_rules(|rules| rules.allowed.push(pattern)))
    }

    /// The patterns that are refused whatever allows them.
    #[must_use]
    pub fn blocked_hosts(&self) -> &[HostPattern] {
        &self.rules.blocked
    }

    /// With these blocked hosts in place of those so far, the default ones included.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] for the first pattern that is malformed.
    pub fn with_blocked_hosts<P: AsRef<str>>(
        &self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, ConfigError> {
        let blocked = parse_all(patterns)?;
        Ok(self.with_rules(|rules| {
            rules.blocked = blocked;
            rules.loopback = false;
        }))
    }

    /// With one more blocked host.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] when the pattern is malformed.
    pub fn block_host(&self, pattern: &str) -> Result<Self, ConfigError> {
        let pattern = pattern.parse()?;
        Ok(self.with_rules(|rules| rules.blocked.push(pattern)))
    }

    /// With the loopback entries taken out of the blocked hosts, and nothing else: `localhost`, `127.*`,
    /// `::1` and the other names of this machine.
    #[must_use]
    pub fn allow_localhost(&self) -> Self {
        self.with_rules(Rules::allow_localhost)
    }

    /// The networks whose addresses the default blocked hosts do not refuse.
    #[must_use]
    pub fn allowed_networks(&self) -> &[IpNetwork] {
        &self.rules.networks
    }

    /// With the addresses of one more network, such as `10.20.0.0/16`, exempt from the blocked hosts.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Network`] when it is no network.
    pub fn allow_network(&self, network: &str) -> Result<Self, ConfigError> {
        let network = network.parse()?;
        Ok(self.with_rules(|rules| rules.networks.push(network)))
    }

    /// The names that may resolve to blocked addresses.
    #[must_use]
    pub fn internal_hosts(&self) -> &[HostPattern] {
        &self.rules.internal
    }

    /// With one more pattern of names that may resolve to blocked addresses, such as `db.corp:5432`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] when the pattern is malformed.
    pub fn allow_internal_host(&self, pattern: &str) -> Result<Self, ConfigError> {
        let pattern = pattern.parse()?;
        Ok(self.with_rules(|rules| rules.internal.push(pattern)))
    }

    /// Where datagrams (UDP) may go, of all that may be reached: nowhere unless it says so.
    #[must_use]
    pub fn allowed_udp(&self) -> &[UdpPattern] {
        &self.rules.udp
    }

    /// With these patterns for datagrams in place of those so far. None means no datagrams.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] for the first pattern that is malformed or has no port.
    pub fn with_allowed_udp<P: AsRef<str>>(
        &self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, ConfigError> {
        let udp = parse_all(patterns)?;
        Ok(self.with_rules(|rules| rules.udp = udp))
    }

    /// With datagrams (UDP) allowed to what matches one more pattern, such as `ns.example.com:53`, as far as a
    /// connection to it would be allowed: [`allowed_hosts`](Self::allowed_hosts) and
    /// [`blocked_hosts`](Self::blocked_hosts) are asked as well.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] when the pattern is malformed or has no port.
    pub fn allow_udp(&self, pattern: &str) -> Result<Self, ConfigError> {
        let pattern = pattern.parse()?;
        Ok(self.with_rules(|rules| rules.udp.push(pattern)))
    }

    /// With verdicts that call settings so, in events and in what the program is told.
    #[must_use]
    pub fn with_hint_style(&self, wording: HintStyle) -> Self {
        self.with_rules(|rules| rules.wording = wording)
    }

    fn with_rules(&self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut config = self.clone();
        change(Arc::make_mut(&mut config.rules));
        config.policy = Arc::default();
        config
    }
}

/// What an `allowed_hosts` without an entry means.
const EVERY_HOST: &str = "allowed_hosts is empty: every host that is not blocked may be reached";

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.allowed == other.allowed
            && self.blocked == other.blocked
            && self.networks == other.networks
            && self.internal == other.internal
            && self.udp == other.udp
            && self.loopback == other.loopback
            && self.wording == other.wording
    }
}

impl Rules {
    pub(super) fn blocking(blocked: Vec<HostPattern>) -> Self {
        Self {
            allowed: Vec::new(),
            open_list: false,
            blocked,
            networks: Vec::new(),
            internal: Vec::new(),
            udp: Vec::new(),
            loopback: false,
            wording: HintStyle::default(),
        }
    }

    pub(super) fn allow_localhost(&mut self) {
        self.blocked
            .retain(|pattern| !loopback_patterns().contains(pattern));
        self.loopback = true;
    }

    pub(super) fn compile(&self) -> Policy {
        let mut builder = Policy::permissive_builder();
        if self.loopback {
            // Before anything is blocked, so that only the part of `::/3` is lifted: the list is what it
            // is, and a loopback entry added since counts.
            builder = builder.allow_localhost();
        }
        builder = builder
            .allow_hosts(self.allowed.iter().cloned())
            .block_hosts(self.blocked.iter().cloned());
        for network in &self.networks {
            builder = builder.allow_network(*network);
        }
        for pattern in &self.internal {
            builder = builder.allow_internal_host(pattern.clone());
        }
        for pattern in &self.udp {
            builder = builder.allow_udp(pattern.clone());
        }
        builder.hint_style(self.wording).build()
    }
}

fn parse_all<T: FromStr<Err = PatternError>, P: AsRef<str>>(
    patterns: impl IntoIterator<Item = P>,
) -> Result<Vec<T>, ConfigError> {
    patterns
        .into_iter()
        .map(|pattern| Ok(pattern.as_ref().parse()?))
        .collect()
}
