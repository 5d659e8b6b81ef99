//! The rename of a file or directory.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::node::{NodeId, NodeKind};
use crate::tree::Tree;
use crate::tree::entries::Extent;

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
        let old_extent = self.extent_above(old_parent)?.plus(Extent::of(old_name));
        let new_extent = self.extent_above(new_parent)?.plus(Extent::of(new_name));
        new_extent.check()?;
        if new_extent.depth > old_extent.depth || new_extent.length > old_extent.length {
            new_extent.plus(self.extent_below(id)?).check()?;
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

    /// Returns how far the entries below a node reach. Visits each of them once.
    fn extent_below(&self, id: NodeId) -> Result<Extent> {
        let mut most = Extent::default();
        let mut pending = vec![(id, Extent::default())];
        while let Some((id, above)) = pending.pop() {
            let Ok(directory) = self.directory(id) else {
                continue;
            };
            for (name, id) in &directory.entries {
                let extent = above.plus(Extent::of(name));
                most.depth = most.depth.max(extent.depth);
                most.length = most.length.max(extent.length);
                pending.push((*id, extent));
            }
        }
        Ok(most)
    }
}
