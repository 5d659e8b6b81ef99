//! Finding the patterns that match a name among very many.

use std::{collections::HashMap, iter};

use crate::{
    name::HostName,
    pattern::{HostPattern, Target},
    port::PortRange,
};

/// A tree of labels with the top-level domains at its root.
///
/// A name is followed from its last label on, and no further than some pattern goes: the cost depends
/// neither on the number of patterns nor on how many labels somebody puts in front.
#[derive(Clone, Debug)]
pub(crate) struct NameTree {
    /// The root first. There can be no more than `u32::MAX`; those beyond would have to fill 200 GB first.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    parent: Option<u32>,
    children: Children,
    /// There if some pattern ends here.
    name: Option<HostName>,
    entries: Vec<Entry>,
}

/// Most nodes have no child or one: that saves the memory of a map, and along a chain the hashing.
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
    /// For the names below, and not for the name itself.
    below: bool,
}

impl Default for NameTree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

impl NameTree {
    pub(crate) fn insert_exact(&mut self, name: HostName, ports: PortRange) {
        let below = false;
        self.insert(name, Entry { ports, below });
    }

    pub(crate) fn insert_below(&mut self, parent: HostName, ports: PortRange) {
        let below = true;
        self.insert(parent, Entry { ports, below });
    }

    /// The patterns that match `name`, the most specific first.
    pub(crate) fn matching(&self, name: &HostName) -> impl Iterator<Item = HostPattern> + '_ {
        let mut labels = name.labels_from_last();
        let mut reached = &self.nodes[ROOT as usize];
        let complete = loop {
            let Some(label) = labels.next() else {
                break true;
            };
            match reached.children.get(label) {
                Some(child) => reached = &self.nodes[child as usize],
                None => break false,
            }
        };
        let own = complete.then_some(reached);
        let above = iter::successors(Some(reached), |node| {
            node.parent.map(|at| &self.nodes[at as usize])
        });
        let exact = own.into_iter().flat_map(|node| node.patterns(false));
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
            Self::One(own, child) => (**own == *label).then_some(*child),
            Self::Many(children) => children.get(label).copied(),
        }
    }

    /// Adds a child that is not there yet.
    fn insert(&mut self, label: &[u8], child: u32) {
        match self {
            Self::None => *self = Self::One(label.into(), child),
            Self::One(first, of_first) => {
                let both = [(std::mem::take(first), *of_first), (label.into(), child)];
                *self = Self::Many(Box::new(HashMap::from(both)));
            }
            Self::Many(children) => {
                children.insert(label.into(), child);
            }
        }
    }
}

const ROOT: u32 = 0;
