//! The rename of a file or directory.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::node::{NodeId, NodeKind};
use crate::tree::Tree;
use crate::tree::entries::PathSize;

impl Tree {
    /// Renames an entry, and removes the entry that has the new name. The errors and their order
    /// are those of rename(2) in Linux.
    pub(crate) fn rename(
        &mut self,
        old_parent: NodeId,
        old_name: &str,
        new_parent: NodeId,
        new_name: &str,
    ) -> Result<()> {
        let old_directory = self.existing_directory(old_parent)?;
        let id = old_directory.find(old_name).ok_or(Error::NoEntry)?;
        let is_directory = self.node(id)?.is_directory();
        let replaced = self.existing_directory(new_parent)?.find(new_name);
        if is_directory && self.contains(id, new_parent)? {
            return Err(Error::Invalid);
        }
        if let Some(replaced) = replaced {
            let directory = self.node(replaced)?.directory().ok();
            // Also true if the entry moves out of a directory that it replaces.
            let is_empty = directory.is_none_or(|directory| directory.entries.is_empty());
            if !is_empty && self.contains(replaced, old_parent)? {
                return Err(Error::NotEmpty);
            }
            if replaced == id {
                return Ok(());
            }
            match (is_directory, directory) {
                (true, None) => return Err(Error::NotADirectory),
                (false, Some(_)) => return Err(Error::IsADirectory),
                _ if !is_empty => return Err(Error::NotEmpty),
                _ => {}
            }
        }
        let old_size = self.path_size(old_parent)?.plus(PathSize::of(old_name));
        let new_size = self.path_size(new_parent)?.plus(PathSize::of(new_name));
        new_size.check_limits()?;
        if new_size.depth > old_size.depth || new_size.length > old_size.length {
            new_size.plus(self.size_below(id)?).check_limits()?;
        }

        let now = self.clock.now();
        self.change_entries(old_parent, now, |directory| {
            directory.entries.remove(old_name);
        })?;
        self.change_entries(new_parent, now, |directory| {
            directory.entries.insert(new_name.into(), id);
        })?;
        let node = self.nodes.get_mut(id)?;
        node.times.changed = now;
        if let NodeKind::Directory(directory) = &mut node.kind {
            let directory = Arc::make_mut(directory);
            directory.parent = new_parent;
            directory.name = new_name.into();
        }
        match replaced {
            Some(replaced) => self.drop_link(replaced, now),
            None => Ok(()),
        }
    }

    /// Returns whether `directory` is `inner`, or contains it at any depth.
    fn contains(&self, directory: NodeId, mut inner: NodeId) -> Result<bool> {
        while inner != directory {
            if inner == Self::ROOT {
                return Ok(false);
            }
            inner = self.directory(inner)?.parent;
        }
        Ok(true)
    }

    /// Returns the most depth and length of a path below a node. Visits each of them once.
    fn size_below(&self, id: NodeId) -> Result<PathSize> {
        let mut most = PathSize::default();
        let mut pending = vec![(id, PathSize::default())];
        while let Some((id, above)) = pending.pop() {
            let Ok(directory) = self.directory(id) else {
                continue;
            };
            for (name, id) in &directory.entries {
                let size = above.plus(PathSize::of(name));
                most.depth = most.depth.max(size.depth);
                most.length = most.length.max(size.length);
                pending.push((*id, size));
            }
        }
        Ok(most)
    }
}
