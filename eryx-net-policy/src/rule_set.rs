//! The patterns of one list, indexed for lookups.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use crate::cidr::IpNetwork;
use crate::host_name::HostName;
use crate::label_trie::LabelTrie;
use crate::pattern::{HostPattern, Target};
use crate::port::PortRange;
use crate::prefix_trie::PrefixTrie;
use crate::reached_addresses;

/// The four lists of a policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists<T> {
    pub(crate) allowed: T,
    pub(crate) blocked: T,
    pub(crate) exempt: T,
    pub(crate) udp: T,
}

impl<T> Lists<T> {
    pub(crate) fn map<U>(self, convert: impl Fn(T) -> U) -> Lists<U> {
        Lists {
            allowed: convert(self.allowed),
            blocked: convert(self.blocked),
            exempt: convert(self.exempt),
            udp: convert(self.udp),
        }
    }
}

/// The patterns of one list, indexed.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleSet {
    everything: Vec<PortRange>,
    names: LabelTrie,
    ipv4: PrefixTrie,
    ipv6: PrefixTrie,
    /// The ports of all patterns for networks, without duplicates.
    network_ports: Vec<PortRange>,
    has_names: bool,
    patterns: Vec<HostPattern>,
}

impl RuleSet {
    pub(crate) fn new(mut patterns: Vec<HostPattern>) -> Self {
        let mut seen = HashSet::with_capacity(patterns.len());
        patterns.retain(|p| seen.insert(p.clone()));
        drop(seen);

        let mut everything = Vec::new();
        let mut names = LabelTrie::default();
        let mut networks: Vec<(IpNetwork, HostPattern)> = Vec::new();
        for pattern in &patterns {
            match pattern.target() {
                Target::Everything => everything.push(pattern.ports()),
                Target::Name(name) => names.insert_exact(name.clone(), pattern.ports()),
                Target::Below(name) => names.insert_below(name.clone(), pattern.ports()),
                Target::Network(network) => networks.push((*network, pattern.clone())),
            }
        }
        let has_names = patterns
            .iter()
            .any(|p| matches!(p.target(), Target::Name(_) | Target::Below(_)));
        let network_ports: BTreeSet<_> = networks.iter().map(|(_, p)| p.ports()).collect();
        let (ipv4, ipv6): (Vec<_>, Vec<_>) = networks.into_iter().partition(|(n, _)| n.is_ipv4());
        Self {
            everything,
            names,
            ipv4: PrefixTrie::new(ipv4),
            ipv6: PrefixTrie::new(ipv6),
            network_ports: network_ports.into_iter().collect(),
            has_names,
            patterns,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Returns every pattern, in the order given.
    pub(crate) fn patterns(&self) -> &[HostPattern] {
        &self.patterns
    }

    /// Returns the patterns that match a name, `*` last.
    pub(crate) fn for_name<'a>(
        &'a self,
        name: &'a HostName,
    ) -> impl Iterator<Item = HostPattern> + 'a {
        self.names.matching(name).chain(self.for_everything())
    }

    /// Returns the patterns for networks that contain this address itself, as opposed to one that
    /// is embedded in it.
    pub(crate) fn for_network(&self, address: IpAddr) -> impl Iterator<Item = HostPattern> + '_ {
        let trie = if address.is_ipv4() {
            &self.ipv4
        } else {
            &self.ipv6
        };
        trie.matching(address)
    }

    /// Returns the patterns that match an address, or the IPv4 address that NAT64 translates it to,
    /// `*` last.
    pub(crate) fn for_address(&self, address: IpAddr) -> impl Iterator<Item = HostPattern> + '_ {
        let translated = reached_addresses::nat64(address).map(IpAddr::V4);
        self.for_network(address)
            .chain(translated.into_iter().flat_map(|v4| self.for_network(v4)))
            .chain(self.for_everything())
    }

    /// Returns the patterns that match everything.
    pub(crate) fn for_everything(&self) -> impl Iterator<Item = HostPattern> + '_ {
        self.everything
            .iter()
            .map(|ports| HostPattern::new(Target::Everything, *ports))
    }

    /// Returns whether any pattern is for a name or for the names below one; `*` does not count.
    pub(crate) fn has_names(&self) -> bool {
        self.has_names
    }

    /// Returns the ports of all patterns for networks, without duplicates.
    pub(crate) fn network_ports(&self) -> &[PortRange] {
        &self.network_ports
    }
}
