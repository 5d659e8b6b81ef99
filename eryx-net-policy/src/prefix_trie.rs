//! A prefix trie: finds the networks that contain an address.

use std::net::IpAddr;

use crate::cidr::IpNetwork;
use crate::pattern::{HostPattern, Target};
use crate::port::PortRange;

/// A prefix trie of networks in a sorted array, in which every network links to the next wider
/// network around it.
///
/// Two networks are either nested or disjoint. All networks that contain an address are therefore
/// on the path from the last network that starts at or before it up to the root. A lookup is a
/// binary search and at most one step for each prefix length.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrefixTrie {
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

impl PrefixTrie {
    /// Builds the trie from patterns for networks of one family.
    ///
    /// An index fits into `u32`: that many nodes would take 200 GB of memory.
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
        let mut enclosing: Vec<u32> = Vec::new();
        for at in 0..nodes.len() {
            while let Some(&candidate) = enclosing.last() {
                if nodes[candidate as usize].contains(nodes[at].start) {
                    nodes[at].parent = Some(candidate);
                    break;
                }
                enclosing.pop();
            }
            enclosing.push(at as u32);
        }
        Self { nodes }
    }

    /// Returns the patterns that match `address`, the narrowest network first. The address must be
    /// of the trie's family.
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
        .filter(move |n| n.contains(address))
        .map(Node::pattern)
    }
}

impl Node {
    fn contains(&self, address: u128) -> bool {
        let differing = address ^ self.start;
        differing.leading_zeros() >= u32::from(self.network.prefix_len())
    }

    fn pattern(&self) -> HostPattern {
        HostPattern::new(Target::Network(self.network), self.ports)
            .spelled_as_wildcard(self.wildcard)
    }
}

/// Returns the address with its first bit as the highest, so that prefixes of both families compare
/// alike.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}
