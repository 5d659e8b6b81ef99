//! The host lists of a configuration, and the policy compiled from them.

use std::str::FromStr;
use std::sync::Arc;

use eryx_net_policy::{HintStyle, HostPattern, PatternError, Policy, loopback_patterns};

use super::NetConfig;
use super::settings_macros::ListSettings;
use crate::config_error::ConfigError;

/// The source of a policy.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) lists: ListSettings,
    /// Whether `allowed_hosts` was given as an empty list. Changes nothing but
    /// [`NetConfig::warnings`].
    pub(super) allowed_hosts_given_empty: bool,
    /// Whether the default entry for all of `::/3` leaves out `::1`.
    pub(super) allows_loopback: bool,
    pub(super) hint_style: HintStyle,
}

impl NetConfig {
    /// Returns a copy with these [`allowed_hosts`](Self::allowed_hosts) in place of those before.
    /// No patterns means every host.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] for the first pattern that is malformed.
    pub fn with_allowed_hosts<P: AsRef<str>>(
        &self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, ConfigError> {
        let allowed = parse_all(patterns)?;
        Ok(self.with_rules(|rules| rules.lists.allowed_hosts = allowed))
    }

    /// Returns a copy with these [`blocked_hosts`](Self::blocked_hosts) in place of those before,
    /// the default ones included.
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
            rules.lists.blocked_hosts = blocked;
            rules.allows_loopback = false;
        }))
    }

    /// Returns a copy with the loopback entries taken out of
    /// [`blocked_hosts`](Self::blocked_hosts), and nothing else: `localhost`, `127.*`, `::1` and
    /// the other names of this machine.
    #[must_use]
    pub fn allow_localhost(&self) -> Self {
        self.with_rules(Rules::allow_localhost)
    }

    /// Returns a copy with these [`allowed_udp`](Self::allowed_udp) patterns in place of those
    /// before. No patterns means no UDP.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] for the first pattern that is malformed or has no port.
    pub fn with_allowed_udp<P: AsRef<str>>(
        &self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, ConfigError> {
        let udp = parse_all(patterns)?;
        Ok(self.with_rules(|rules| rules.lists.allowed_udp = udp))
    }

    /// Returns a copy whose verdicts name settings in this style, in events and in the errors that
    /// the guest program sees.
    #[must_use]
    pub fn with_hint_style(&self, style: HintStyle) -> Self {
        let mut config = self.with_rules(|rules| rules.hint_style = style);
        let http = Arc::make_mut(&mut config.http);
        http.policy = std::mem::take(&mut http.policy).with_hint_style(style);
        config
    }

    pub(super) fn with_rules(&self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut config = self.clone();
        change(Arc::make_mut(&mut config.rules));
        config.policy = Arc::default();
        config
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.lists == other.lists
            && self.allows_loopback == other.allows_loopback
            && self.hint_style == other.hint_style
    }
}

impl Rules {
    pub(super) fn blocking(blocked_hosts: Vec<HostPattern>) -> Self {
        Self {
            lists: ListSettings {
                blocked_hosts,
                ..ListSettings::default()
            },
            allowed_hosts_given_empty: false,
            allows_loopback: false,
            hint_style: HintStyle::default(),
        }
    }

    pub(super) fn allow_localhost(&mut self) {
        self.lists
            .blocked_hosts
            .retain(|pattern| !loopback_patterns().contains(pattern));
        self.allows_loopback = true;
    }

    pub(super) fn compile(&self) -> Policy {
        let mut builder = Policy::permissive_builder();
        if self.allows_loopback {
            // Before anything is blocked, so that only the part of `::/3` is lifted: a loopback
            // entry that was added to the list afterwards still blocks.
            builder = builder.allow_localhost();
        }
        let lists = &self.lists;
        builder = builder
            .allow_hosts(lists.allowed_hosts.iter().cloned())
            .block_hosts(lists.blocked_hosts.iter().cloned());
        for network in &lists.allowed_networks {
            builder = builder.allow_network(*network);
        }
        for pattern in &lists.internal_hosts {
            builder = builder.allow_internal_host(pattern.clone());
        }
        for pattern in &lists.allowed_udp {
            builder = builder.allow_udp(pattern.clone());
        }
        builder.hint_style(self.hint_style).build()
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
