//! A trie of reversed labels: finds the patterns that match a name.

use std::collections::HashMap;
use std::iter;

use crate::host_name::HostName;
use crate::pattern::{HostPattern, Target};
use crate::port::PortRange;

/// A trie of labels, with the top-level domains below its root.
///
/// A lookup follows the name from its last label, and only as deep as some pattern goes: its cost
/// depends neither on the number of patterns nor on the number of labels in front.
#[derive(Clone, Debug)]
pub(crate) struct LabelTrie {
    /// The root is the first. An index fits into `u32`: that many nodes would take 200 GB of
    /// memory.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    parent: Option<u32>,
    children: Children,
    /// `Some` if a pattern ends at this node.
    name: Option<HostName>,
    entries: Vec<Entry>,
}

/// The children of a node. Most nodes have at most one child: the variants for these save the
/// memory of a map, and the hashing along a chain.
#[derive(Clone, Debug, Default)]
enum Children {
    #[default]
    None,
    One(Box<[u8]>, u32),
    #[expect(
        clippy::box_collection,
        reason = "few nodes have many children, and all nodes would be larger without"
    )]
    Many(Box<HashMap<Box<[u8]>, u32>>),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    ports: PortRange,
    /// Whether the pattern matches the names below, and not the name itself.
    below: bool,
}

impl Default for LabelTrie {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

impl LabelTrie {
    pub(crate) fn insert_exact(&mut self, name: HostName, ports: PortRange) {
        let below = false;
        self.insert(name, Entry { ports, below });
    }

    pub(crate) fn insert_below(&mut self, parent: HostName, ports: PortRange) {
        let below = true;
        self.insert(parent, Entry { ports, below });
    }

    /// Returns the patterns that match `name`, the most specific first.
    pub(crate) fn matching(&self, name: &HostName) -> impl Iterator<Item = HostPattern> + '_ {
        let mut labels = name.labels_from_last();
        let mut deepest = &self.nodes[ROOT as usize];
        let complete = loop {
            let Some(label) = labels.next() else {
                break true;
            };
            match deepest.children.get(label) {
                Some(child) => deepest = &self.nodes[child as usize],
                None => break false,
            }
        };
        let exact_node = complete.then_some(deepest);
        let above = iter::successors(Some(deepest), |node| {
            node.parent.map(|at| &self.nodes[at as usize])
        });
        let exact = exact_node.into_iter().flat_map(|node| node.patterns(false));
        let below = above
            .skip(usize::from(complete))
            .flat_map(|node| node.patterns(true));
        exact.chain(below)
    }

    fn insert(&mut self, name: HostName, entry: Entry) {
        let mut at = ROOT;
        for label in name.labels_from_last() {
            at = match self.nodes[at as usize].children.get(label) {
                Some(child) => child,
                None => {
                    let child = self.nodes.len() as u32;
                    self.nodes[at as usize].children.insert(label, child);
                    self.nodes.push(Node {
                        parent: Some(at),
                        ..Node::default()
                    });
                    child
                }
            };
        }
        let node = &mut self.nodes[at as usize];
        node.name = Some(name);
        node.entries.push(entry);
    }
}

impl Node {
    fn patterns(&self, below: bool) -> impl Iterator<Item = HostPattern> + '_ {
        let target = if below { Target::Below } else { Target::Name };
        self.name.iter().flat_map(move |name| {
            let entries = self.entries.iter().filter(move |e| e.below == below);
            entries.map(move |e| HostPattern::new(target(name.clone()), e.ports))
        })
    }
}

impl Children {
    fn get(&self, label: &[u8]) -> Option<u32> {
        match self {
            Self::None => None,
            Self::One(only, child) => (**only == *label).then_some(*child),
            Self::Many(children) => children.get(label).copied(),
        }
    }

    /// Adds a child; `label` must be new.
    fn insert(&mut self, label: &[u8], child: u32) {
        match self {
            Self::None => *self = Self::One(label.into(), child),
            Self::One(only, only_child) => {
                let both = [(std::mem::take(only), *only_child), (label.into(), child)];
                *self = Self::Many(Box::new(HashMap::from(both)));
            }
            Self::Many(children) => {
                children.insert(label.into(), child);
            }
        }
    }
}

const ROOT: u32 = 0;
