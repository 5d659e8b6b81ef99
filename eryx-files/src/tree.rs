//! The tree of a sandbox in memory: a layer, and what the program changed of it.

pub(crate) mod entries;
mod rename;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::Bytes;

use crate::budget::Budget;
use crate::content::Content;
use crate::deferred_frees::DeferredFrees;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::limits::Limits;
use crate::node::{Directory, Node, NodeId, NodeKind};
use crate::time::{Clock, NewTime, Times};

/// A tree in memory that a program can change.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Nodes,
    next: NodeId,
    /// How often each node is open.
    open: HashMap<NodeId, usize>,
    budget: Budget,
    frees: DeferredFrees,
    clock: Clock,
}

/// The nodes of a tree: those of a layer, unless they have changed.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    layer: Arc<Layer>,
    /// Nodes that are new or have changed. A node of the layer that was removed stays here, without
    /// content, in the place of the one in the layer. Snapshots share the map until the next
    /// change.
    changed: Arc<HashMap<NodeId, Node>>,
}

impl Nodes {
    pub(crate) fn get(&self, id: NodeId) -> Option<&Node> {
        self.changed.get(&id).or_else(|| self.layer.node(id))
    }

    /// Returns the nodes of a tree that has only the files of `layer`.
    pub(crate) fn new(layer: Arc<Layer>) -> Self {
        Self {
            layer,
            changed: Arc::default(),
        }
    }

    /// Returns whether nothing has changed between the two.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.layer, &other.layer) && Arc::ptr_eq(&self.changed, &other.changed)
    }

    fn insert(&mut self, id: NodeId, node: Node) {
        Arc::make_mut(&mut self.changed).insert(id, node);
    }

    /// Returns whether the layer has deferred content.
    pub(crate) fn has_deferred(&self) -> bool {
        self.layer.has_deferred()
    }

    fn is_in_layer(&self, id: NodeId) -> bool {
        id < self.layer.nodes() as NodeId
    }

    /// Returns a node to change it.
    fn get_mut(&mut self, id: NodeId) -> Result<&mut Node> {
        let changed = Arc::make_mut(&mut self.changed);
        match changed.entry(id) {
            Entry::Occupied(node) => Ok(node.into_mut()),
            Entry::Vacant(vacant) => {
                let original = self.layer.node(id).ok_or(Error::NoEntry)?;
                Ok(vacant.insert(original.clone()))
            }
        }
    }
}

impl Tree {
    pub(crate) const ROOT: NodeId = Layer::ROOT;

    pub(crate) fn new(layer: Arc<Layer>, limits: Limits, clock: Clock) -> Self {
        Self {
            next: layer.nodes() as NodeId,
            nodes: Nodes::new(layer),
            open: HashMap::new(),
            budget: Budget::new(limits),
            frees: DeferredFrees::default(),
            clock,
        }
    }

    /// Returns a copy that has no open files. It shares all content, until one of both changes it.
    pub(crate) fn fork(&self) -> Self {
        let mut fork = Self {
            nodes: self.nodes.clone(),
            next: self.next,
            open: HashMap::new(),
            budget: self.budget.clone(),
            frees: DeferredFrees::default(),
            clock: self.clock.clone(),
        };
        for id in self.open.keys() {
            fork.free_unless_used(*id);
        }
        fork
    }

    pub(crate) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(crate) fn node(&self, id: NodeId) -> Result<&Node> {
        self.nodes.get(id).ok_or(Error::NoEntry)
    }

    fn directory(&self, id: NodeId) -> Result<&Directory> {
        self.node(id)?.directory()
    }

    /// Keeps a node until it is closed as often as it was opened.
    pub(crate) fn open(&mut self, id: NodeId) {
        *self.open.entry(id).or_default() += 1;
    }

    pub(crate) fn close(&mut self, id: NodeId) {
        self.frees.step();
        if let Some(count) = self.open.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&id);
                self.free_unless_used(id);
            }
        }
    }

    /// Removes a node that has no name and is not open.
    fn free_unless_used(&mut self, id: NodeId) {
        let is_used = |node: &Node| node.links > 0;
        if self.open.contains_key(&id) || self.nodes.get(id).is_none_or(is_used) {
            return;
        }
        let Some(node) = Arc::make_mut(&mut self.nodes.changed).remove(&id) else {
            return;
        };
        if self.nodes.is_in_layer(id) {
            let removed = Node {
                kind: NodeKind::File(Arc::default()),
                links: 0,
                times: node.times,
            };
            self.nodes.insert(id, removed);
        } else {
            self.budget.return_file();
        }
        match node.kind {
            NodeKind::File(content) => {
                self.budget.return_bytes(content.stored());
                content.discard(&mut self.frees);
            }
            NodeKind::Symlink(target) => self.budget.return_bytes(target.len() as u64),
            NodeKind::Directory(_) => {}
        }
    }

    /// Reads bytes of a file, as [`Content::read`].
    pub(crate) fn read(&self, id: NodeId, offset: u64, length: u64) -> Result<Bytes> {
        self.node(id)?.file()?.read(offset, length)
    }

    /// Returns how many bytes a write takes, as [`Content::room`]. The end is meant if `offset` is
    /// `None`.
    pub(crate) fn room(&self, id: NodeId, offset: Option<u64>, wanted: usize) -> Result<usize> {
        let content = self.node(id)?.file()?;
        let offset = offset.unwrap_or(content.size());
        content.room(offset, wanted, &self.budget)
    }

    /// Writes bytes of a file, at the end if `offset` is `None`, as [`Content::write`].
    pub(crate) fn write(&mut self, id: NodeId, offset: Option<u64>, data: &[u8]) -> Result<usize> {
        let now = self.clock.now();
        self.frees.step();
        let node = self.nodes.get_mut(id)?;
        let content = content_mut(node)?;
        let offset = offset.unwrap_or(content.size());
        let written = content.write(offset, data, &mut self.budget, &mut self.frees)?;
        if written > 0 {
            node.times.modify(now);
        }
        Ok(written)
    }

    /// Sets the size of a file, as [`Content::set_size`].
    pub(crate) fn set_size(&mut self, id: NodeId, size: u64) -> Result<()> {
        let now = self.clock.now();
        self.frees.step();
        let node = self.nodes.get_mut(id)?;
        content_mut(node)?.set_size(size, &mut self.budget, &mut self.frees)?;
        node.times.modify(now);
        Ok(())
    }

    pub(crate) fn set_times(
        &mut self,
        id: NodeId,
        accessed: NewTime,
        modified: NewTime,
    ) -> Result<()> {
        let now = self.clock.now();
        let times = &mut self.nodes.get_mut(id)?.times;
        *times = Times {
            accessed: accessed.resolve(times.accessed, now),
            modified: modified.resolve(times.modified, now),
            changed: now,
        };
        Ok(())
    }
}

fn content_mut(node: &mut Node) -> Result<&mut Content> {
    match &mut node.kind {
        NodeKind::File(content) => Ok(Arc::make_mut(content)),
        NodeKind::Directory(_) => Err(Error::IsADirectory),
        NodeKind::Symlink(_) => Err(Error::Invalid),
    }
}
