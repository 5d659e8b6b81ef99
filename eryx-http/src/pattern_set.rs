//! The automaton of Aho and Corasick for a set of patterns.

use std::iter;
use std::ops::Range;

use zeroize::Zeroizing;

use crate::prefix_search::PrefixSearch;

/// Patterns, and the trie of them with the links of Aho and Corasick.
///
/// A node stands for a prefix of a pattern, so the node that a stream leads to says which of the
/// last bytes of the stream can belong to a pattern that is not complete.
///
/// The memory of the patterns and of the trie's labels is overwritten when the set is dropped. What
/// remains of a pattern is its prefix in [`PrefixSearch`].
pub(crate) struct PatternSet {
    /// The patterns in their order as byte strings.
    patterns: Vec<Zeroizing<Box<[u8]>>>,
    /// For each pattern its number in the order of the caller.
    numbers: Vec<usize>,
    /// The nodes, breadth first, so that the children of a node are next to each other, and a last
    /// one that ends the children of the one before.
    nodes: Vec<Node>,
    /// For each node the last byte of its prefix.
    labels: Zeroizing<Vec<u8>>,
    prefixes: PrefixSearch,
}

/// A node of a [`PatternSet`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

impl NodeId {
    /// The node of the empty prefix.
    pub(crate) const ROOT: Self = Self(0);

    fn of(index: usize) -> Self {
        Self(u32::try_from(index).expect("MAX_PATTERNS * MAX_BYTES is below 2^32"))
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

struct Node {
    first_child: NodeId,
    /// The node of the longest proper suffix.
    suffix: NodeId,
    /// The node of the longest suffix that is a whole pattern, which can be this node, or the root.
    whole: NodeId,
    depth: u16,
    /// The first pattern with this prefix.
    pattern: u16,
}

impl Node {
    const EMPTY: Self = Self {
        first_child: NodeId::ROOT,
        suffix: NodeId::ROOT,
        whole: NodeId::ROOT,
        depth: 0,
        pattern: 0,
    };
}

/// Why patterns cannot be searched for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InvalidPatterns {
    Empty { index: usize },
    TooLong { index: usize },
    Repeated { index: usize },
    TooMany,
}

impl PatternSet {
    /// The maximum length of a pattern.
    pub(crate) const MAX_BYTES: usize = 32 * 1024;
    /// The maximum number of patterns.
    pub(crate) const MAX_PATTERNS: usize = 32 * 1024;

    pub(crate) fn new<P: AsRef<[u8]>>(
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, InvalidPatterns> {
        let mut sorted: Vec<(Zeroizing<Box<[u8]>>, usize)> = Vec::new();
        for (index, pattern) in patterns.into_iter().enumerate() {
            let pattern = pattern.as_ref();
            if pattern.is_empty() {
                return Err(InvalidPatterns::Empty { index });
            }
            if pattern.len() > Self::MAX_BYTES {
                return Err(InvalidPatterns::TooLong { index });
            }
            if index == Self::MAX_PATTERNS {
                return Err(InvalidPatterns::TooMany);
            }
            sorted.push((Zeroizing::new(pattern.into()), index));
        }
        sorted.sort_by(|(a, m), (b, n)| (&**a, m).cmp(&(&**b, n)));
        let repeated = sorted.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        if let Some(index) = repeated.map(|pair| pair[1].1).min() {
            return Err(InvalidPatterns::Repeated { index });
        }
        let (patterns, numbers) = sorted.into_iter().unzip();
        Ok(Self::with_sorted(patterns, numbers))
    }

    fn with_sorted(patterns: Vec<Zeroizing<Box<[u8]>>>, numbers: Vec<usize>) -> Self {
        let bytes: usize = patterns.iter().map(|pattern| pattern.len()).sum();
        let mut set = Self {
            prefixes: PrefixSearch::new(patterns.iter().map(|pattern| &***pattern)),
            nodes: vec![Node::EMPTY],
            // It never grows, which would leave a copy of the labels behind.
            labels: Zeroizing::new(Vec::with_capacity(bytes + 1)),
            patterns,
            numbers,
        };
        set.labels.push(0);
        // For each node the patterns with its prefix.
        let mut members: Vec<Range<usize>> = iter::once(0..set.patterns.len()).collect();
        let mut parent = 0;
        while let Some(range) = members.get(parent).cloned() {
            set.add_children(parent, range, &mut members);
            parent += 1;
        }
        set.nodes.push(Node {
            first_child: NodeId::of(set.nodes.len()),
            ..Node::EMPTY
        });
        set
    }

    /// Adds the children of a node. Those of all nodes above it are there.
    fn add_children(
        &mut self,
        parent: usize,
        mut range: Range<usize>,
        members: &mut Vec<Range<usize>>,
    ) {
        self.nodes[parent].first_child = NodeId::of(self.nodes.len());
        let Node { suffix, depth, .. } = self.nodes[parent];
        let depth = usize::from(depth);
        // A pattern that ends here is the first one with this prefix.
        if self
            .patterns
            .get(range.start)
            .is_some_and(|pattern| pattern.len() == depth)
        {
            range.start += 1;
        }
        while !range.is_empty() {
            let label = self.patterns[range.start][depth];
            let others = range
                .clone()
                .find(|&other| self.patterns[other][depth] != label);
            let child = range.start..others.unwrap_or(range.end);
            range.start = child.end;
            let suffix = match parent {
                0 => NodeId::ROOT,
                _ => self.step(suffix, label).0,
            };
            let is_whole = self.patterns[child.start].len() == depth + 1;
            self.nodes.push(Node {
                first_child: NodeId::ROOT,
                suffix,
                whole: match is_whole {
                    true => NodeId::of(self.nodes.len()),
                    false => self.node(suffix).whole,
                },
                depth: u16::try_from(depth + 1).expect("MAX_BYTES is below 2^16"),
                pattern: u16::try_from(child.start).expect("MAX_PATTERNS is below 2^16"),
            });
            self.labels.push(label);
            members.push(child);
        }
    }

    /// Returns the number of patterns.
    pub(crate) fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Returns the number of bytes at the start of `input` that are not part of a pattern which
    /// starts in `input`.
    pub(crate) fn count_free(&self, input: &[u8]) -> usize {
        self.prefixes.count_free(input)
    }

    /// Returns whether the first bytes of a pattern are in `text`.
    pub(crate) fn may_be_in(&self, text: &[u8]) -> bool {
        self.prefixes.is_in(text)
    }

    /// Returns whether a pattern starts with `byte`.
    pub(crate) fn can_start_with(&self, byte: u8) -> bool {
        self.child(NodeId::ROOT, byte).is_some()
    }

    /// Returns the node of the longest prefix that ends the prefix of `node` and `byte`, and the
    /// number of links to shorter prefixes that this took.
    pub(crate) fn step(&self, mut node: NodeId, byte: u8) -> (NodeId, usize) {
        let mut links = 0;
        loop {
            if let Some(child) = self.child(node, byte) {
                return (child, links);
            }
            if node == NodeId::ROOT {
                return (node, links);
            }
            node = self.node(node).suffix;
            links += 1;
        }
    }

    /// Returns the node of the longest proper prefix of a pattern that ends the prefix of `node`
    /// and has at most `max` bytes, and the number of links to shorter prefixes that this took.
    pub(crate) fn shorten(&self, mut node: NodeId, max: usize) -> (NodeId, usize) {
        let mut links = 0;
        while node != NodeId::ROOT && (self.depth(node) > max || self.children(node).is_empty()) {
            node = self.node(node).suffix;
            links += 1;
        }
        (node, links)
    }

    /// Returns the length of the prefix.
    pub(crate) fn depth(&self, node: NodeId) -> usize {
        usize::from(self.node(node).depth)
    }

    /// Returns the prefix.
    pub(crate) fn prefix(&self, node: NodeId) -> &[u8] {
        let Node { pattern, depth, .. } = self.node(node);
        match depth {
            0 => &[],
            _ => &self.patterns[usize::from(*pattern)][..usize::from(*depth)],
        }
    }

    /// Returns whether a pattern ends the prefix.
    pub(crate) fn has_ending(&self, node: NodeId) -> bool {
        self.node(node).whole != NodeId::ROOT
    }

    /// Returns the patterns that end the prefix, the longest first, as their length and their
    /// number in the order of the caller.
    pub(crate) fn endings(&self, node: NodeId) -> impl Iterator<Item = (usize, usize)> {
        let mut whole = self.node(node).whole;
        iter::from_fn(move || {
            if whole == NodeId::ROOT {
                return None;
            }
            let Node {
                suffix,
                depth,
                pattern,
                ..
            } = self.node(whole);
            whole = self.node(*suffix).whole;
            Some((usize::from(*depth), self.numbers[usize::from(*pattern)]))
        })
    }

    fn child(&self, node: NodeId, byte: u8) -> Option<NodeId> {
        let children = self.children(node);
        let at = match &self.labels[children.clone()] {
            [label] => (*label == byte).then_some(0),
            labels => labels.binary_search(&byte).ok(),
        };
        at.map(|at| NodeId::of(children.start + at))
    }

    fn children(&self, node: NodeId) -> Range<usize> {
        let end = self.nodes[node.index() + 1].first_child;
        self.node(node).first_child.index()..end.index()
    }

    fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node.index()]
    }
}
