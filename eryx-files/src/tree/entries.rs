//! The entries of directories: lookup, creation and removal.

use std::ops::Bound;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::node::{Directory, Node, NodeId, NodeKind};
use crate::time::Timestamp;
use crate::tree::Tree;

/// The kind of entry that a program creates.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NewNode<'a> {
    File,
    Directory,
    Symlink(&'a str),
}

/// The depth and the length of a path, or of a part of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PathSize {
    /// The most names of a path.
    pub(super) depth: usize,
    /// The most bytes of a path, with a `/` in front of each name.
    pub(super) length: usize,
}

impl PathSize {
    pub(super) fn of(name: &str) -> Self {
        Self {
            depth: 1,
            length: name.len() + 1,
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            depth: self.depth + other.depth,
            length: self.length + other.length,
        }
    }

    /// Returns the error if a path is longer than [`Limits`] allow.
    pub(super) fn check_limits(self) -> Result<()> {
        if self.depth > Limits::MAX_DEPTH || self.length > Limits::MAX_PATH {
            return Err(Error::NameTooLong);
        }
        Ok(())
    }
}

impl Tree {
    /// Returns the first entry whose name is greater than `after`, or the first of all.
    pub(crate) fn next_entry(
        directory: &Directory,
        after: Option<&str>,
    ) -> Option<(Arc<str>, NodeId)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = directory.entries.range::<str, _>((start, Bound::Unbounded));
        rest.next().map(|(name, id)| (Arc::clone(name), *id))
    }

    /// Creates an empty file, a directory or a link. Nothing has that name yet.
    pub(crate) fn create(
        &mut self,
        parent: NodeId,
        name: &str,
        new: NewNode<'_>,
    ) -> Result<NodeId> {
        self.frees.step();
        self.check_new_name(parent, name)?;
        let now = self.clock.now();
        self.budget.take_file()?;
        let name: Arc<str> = name.into();
        let id = self.next;
        let node = match new {
            NewNode::File => Node::new(NodeKind::File(Arc::default()), now),
            NewNode::Directory => Node::new_directory(parent, Arc::clone(&name), now),
            NewNode::Symlink(target) => {
                if let Err(error) = self.budget.take_bytes(target.len() as u64) {
                    self.budget.return_file();
                    return Err(error);
                }
                Node::new(NodeKind::Symlink(target.into()), now)
            }
        };
        self.next += 1;
        self.nodes.insert(id, node);
        self.change_entries(parent, now, |directory| {
            directory.entries.insert(name, id);
        })?;
        Ok(id)
    }

    /// Gives a file or a link another name. Nothing has that name yet.
    pub(crate) fn link(&mut self, id: NodeId, parent: NodeId, name: &str) -> Result<()> {
        let node = self.node(id)?;
        if node.is_directory() {
            return Err(Error::NotPermitted);
        }
        // A removed file that is open cannot get a name again, as in Linux.
        if node.links == 0 {
            return Err(Error::NoEntry);
        }
        self.check_new_name(parent, name)?;
        let now = self.clock.now();
        self.budget.take_file()?;
        let node = self.nodes.get_mut(id)?;
        node.links += 1;
        node.times.changed = now;
        self.change_entries(parent, now, |directory| {
            directory.entries.insert(name.into(), id);
        })
    }

    /// Removes a name of a file or link.
    pub(crate) fn unlink(&mut self, parent: NodeId, name: &str) -> Result<()> {
        let id = self.find(parent, name)?;
        if self.node(id)?.is_directory() {
            return Err(Error::IsADirectory);
        }
        self.remove(parent, name, id)
    }

    /// Removes an empty directory.
    pub(crate) fn remove_directory(&mut self, parent: NodeId, name: &str) -> Result<()> {
        let id = self.find(parent, name)?;
        if !self.directory(id)?.entries.is_empty() {
            return Err(Error::NotEmpty);
        }
        self.remove(parent, name, id)
    }

    fn find(&self, parent: NodeId, name: &str) -> Result<NodeId> {
        self.directory(parent)?.find(name).ok_or(Error::NoEntry)
    }

    fn remove(&mut self, parent: NodeId, name: &str, id: NodeId) -> Result<()> {
        let now = self.clock.now();
        self.change_entries(parent, now, |directory| {
            directory.entries.remove(name);
        })?;
        self.drop_link(id, now)
    }

    /// Counts one name of a node less.
    pub(super) fn drop_link(&mut self, id: NodeId, now: Timestamp) -> Result<()> {
        self.frees.step();
        let node = self.nodes.get_mut(id)?;
        node.links -= 1;
        node.times.changed = now;
        if node.links > 0 {
            self.budget.return_file();
        } else {
            self.free_unless_used(id);
        }
        Ok(())
    }

    /// Returns the error if the directory cannot have a new entry with this name.
    fn check_new_name(&self, parent: NodeId, name: &str) -> Result<()> {
        let directory = self.existing_directory(parent)?;
        if directory.find(name).is_some() {
            return Err(Error::Exists);
        }
        self.path_size(parent)?
            .plus(PathSize::of(name))
            .check_limits()
    }

    /// Returns a directory that has not been removed.
    pub(super) fn existing_directory(&self, id: NodeId) -> Result<&Directory> {
        let node = self.node(id)?;
        if node.links == 0 {
            return Err(Error::NoEntry);
        }
        node.directory()
    }

    /// Returns the size of the path from the root to a directory.
    pub(super) fn path_size(&self, mut id: NodeId) -> Result<PathSize> {
        let mut size = PathSize::default();
        while id != Self::ROOT {
            let directory = self.directory(id)?;
            size = size.plus(PathSize::of(&directory.name));
            id = directory.parent;
        }
        Ok(size)
    }

    pub(super) fn change_entries(
        &mut self,
        id: NodeId,
        now: Timestamp,
        change: impl FnOnce(&mut Directory),
    ) -> Result<()> {
        let node = self.nodes.get_mut(id)?;
        let NodeKind::Directory(directory) = &mut node.kind else {
            return Err(Error::NotADirectory);
        };
        change(Arc::make_mut(directory));
        node.times.modify(now);
        Ok(())
    }
}
