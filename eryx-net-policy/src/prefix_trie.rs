//! Finding the networks that hold an address among very many.

use std::net::IpAddr;

use crate::{
    network::IpNetwork,
    pattern::{HostPattern, Target},
    port::PortRange,
};

/// A prefix trie of networks, laid out flat: sorted by address, every network knows the next wider one
/// around it.
///
/// Two networks are nested or disjoint. So all networks that hold an address lie on the way from the last
/// one that starts at or before it to its root: a binary search and at most one step a prefix length.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrefixTree {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    start: u128,
    network: IpNetwork,
    ports: PortRange,
    wildcard: bool,
    parent: Option<u32>,
}

impl PrefixTree {
    /// Builds the tree from patterns for networks of one family.
    ///
    /// There can be no more than `u32::MAX` of them; those beyond would have to fill 200 GB first.
    pub(crate) fn new(patterns: impl IntoIterator<Item = (IpNetwork, HostPattern)>) -> Self {
        let mut nodes: Vec<Node> = patterns
            .into_iter()
            .map(|(network, pattern)| Node {
                start: bits(network.address()),
                network,
                ports: pattern.ports(),
                wildcard: pattern.is_wildcard(),
                parent: None,
            })
            .collect();
        nodes.sort_by_key(|n| (n.start, n.network.prefix_len(), n.ports));
        let mut around: Vec<u32> = Vec::new();
        for at in 0..nodes.len() {
            while let Some(&candidate) = around.last() {
                if nodes[candidate as usize].holds(nodes[at].start) {
                    nodes[at].parent = Some(candidate);
                    break;
                }
                around.pop();
            }
            around.push(at as u32);
        }
        Self { nodes }
    }

    /// The patterns that hold `address`, the narrowest network first. The address is of the tree's family.
    pub(crate) fn matching(&self, address: IpAddr) -> impl Iterator<Item = HostPattern> + '_ {
        let address = bits(address);
        let last = self
            .nodes
            .partition_point(|n| n.start <= address)
            .checked_sub(1);
        let mut next = last.map(|at| &self.nodes[at]);
        std::iter::from_fn(move || {
            let node = next?;
            next = node.parent.map(|at| &self.nodes[at as usize]);
            Some(node)
        })
        .filter(move |n| n.holds(address))
        .map(Node::pattern)
    }
}

impl Node {
    fn holds(&self, address: u128) -> bool {
        let differing = address ^ self.start;
        differing.leading_zeros() >= u32::from(self.network.prefix_len())
    }

    fn pattern(&self) -> HostPattern {
        HostPattern::new(Target::Network(self.network), self.ports)
            .spelled_as_wildcard(self.wildcard)
    }
}

/// An address with its first bit as the highest, so that prefixes of both families are compared alike.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}
