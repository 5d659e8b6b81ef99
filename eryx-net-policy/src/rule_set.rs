//! The patterns of one list, ready to be asked.

use std::{collections::BTreeSet, net::IpAddr};

use crate::{
    address,
    name::HostName,
    name_tree::NameTree,
    network::IpNetwork,
    pattern::{HostPattern, Target},
    port::PortRange,
    prefix_tree::PrefixTree,
};

/// The patterns of one list, indexed.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleSet {
    everything: Vec<PortRange>,
    names: NameTree,
    ipv4: PrefixTree,
    ipv6: PrefixTree,
    /// The ports of all patterns for networks, each once.
    network_ports: Vec<PortRange>,
    has_names: bool,
    patterns: Vec<HostPattern>,
}

impl RuleSet {
    pub(crate) fn new(mut patterns: Vec<HostPattern>) -> Self {
        let mut seen = std::collections::HashSet::with_capacity(patterns.len());
        patterns.retain(|p| seen.insert(p.clone()));
        drop(seen);

        let mut everything = Vec::new();
        let mut names = NameTree::default();
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
            ipv4: PrefixTree::new(ipv4),
            ipv6: PrefixTree::new(ipv6),
            network_ports: network_ports.into_iter().collect(),
            has_names,
            patterns,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Every pattern, in the order given.
    pub(crate) fn patterns(&self) -> &[HostPattern] {
        &self.patterns
    }

    /// The patterns that match a name, `*` last.
    pub(crate) fn for_name<'a>(
        &'a self,
        name: &'a HostName,
    ) -> impl Iterator<Item = HostPattern> + 'a {
        self.names.matching(name).chain(self.for_everything())
    }

    /// The patterns for networks that hold this very address.
    pub(crate) fn for_network(&self, address: IpAddr) -> impl Iterator<Item = HostPattern> + '_ {
        let tree = if address.is_ipv4() {
            &self.ipv4
        } else {
            &self.ipv6
        };
        tree.matching(address)
    }

    /// The patterns that match an address in any of its equivalent forms, `*` last.
    pub(crate) fn for_address(&self, address: IpAddr) -> impl Iterator<Item = HostPattern> + '_ {
        let translated = address::nat64(address).map(IpAddr::V4);
        self.for_network(address)
            .chain(translated.into_iter().flat_map(|v4| self.for_network(v4)))
            .chain(self.for_everything())
    }

    /// The patterns that match everything.
    pub(crate) fn for_everything(&self) -> impl Iterator<Item = HostPattern> + '_ {
        self.everything
            .iter()
            .map(|ports| HostPattern::new(Target::Everything, *ports))
    }

    /// Whether any pattern is a name, or the names below one. `*` is neither.
    pub(crate) fn has_names(&self) -> bool {
        self.has_names
    }

    /// The ports of all patterns for networks.
    pub(crate) fn network_ports(&self) -> &[PortRange] {
        &self.network_ports
    }
}
