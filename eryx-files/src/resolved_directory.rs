//! The directory that a path leads to.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::mount::{Mount, MountedDirectory, Mounts};
use crate::node::NodeId;

/// A directory.
#[derive(Clone, Debug)]
pub(crate) enum ResolvedDirectory {
    /// A directory in memory, of this volume.
    Node(usize, NodeId),
    /// A directory of a mount that is not in memory.
    Mounted(Box<MountedPath>),
}

/// A directory that is not in memory.
#[derive(Clone, Debug)]
pub(crate) struct MountedPath {
    pub(crate) volume: usize,
    pub(crate) directory: Arc<dyn MountedDirectory>,
    /// The names from the root of the mount to this directory. They are not links, so `..` removes
    /// the last.
    names: Vec<Box<str>>,
    /// The directories above this one, from the root of the mount on, as far as they are open: all
    /// or none.
    above: Vec<Arc<dyn MountedDirectory>>,
}

impl MountedPath {
    pub(crate) fn root(volume: usize, directory: Arc<dyn MountedDirectory>) -> Self {
        Self {
            volume,
            directory,
            names: Vec::new(),
            above: Vec::new(),
        }
    }

    /// Returns a directory in this one.
    pub(crate) fn enter(mut self: Box<Self>, name: &str) -> Result<Box<Self>> {
        if self.names.len() >= Limits::MAX_DEPTH {
            return Err(Error::NameTooLong);
        }
        let inner = self.directory.directory(name)?;
        if self.above.len() == self.names.len() {
            self.above.push(Arc::clone(&self.directory));
        }
        self.names.push(name.into());
        self.directory = inner;
        Ok(self)
    }

    /// Returns the directory that contains this one, or `None` if that is outside of the mount.
    ///
    /// Pitfall: `..` of the machine's file system leaves the mount, if another process moves a
    /// directory out of it at the right time.
    pub(crate) fn parent(mut self: Box<Self>, mounts: &Mounts) -> Result<Option<Box<Self>>> {
        if self.names.pop().is_none() {
            return Ok(None);
        }
        if self.above.is_empty() {
            let Mount::Directory(root) = &mounts.mount(self.volume)?.1 else {
                return Err(Error::NoEntry);
            };
            let mut directory = Arc::clone(root);
            for name in &self.names {
                let inner = directory.directory(name)?;
                self.above.push(std::mem::replace(&mut directory, inner));
            }
            self.directory = directory;
        } else if let Some(parent) = self.above.pop() {
            self.directory = parent;
        }
        Ok(Some(self))
    }

    /// Closes the directories above this one. A program that holds many directories open would
    /// hold all of these open too.
    pub(crate) fn close_above(&mut self) {
        self.above = Vec::new();
    }
}
