//! The files, directories and links in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::content::Content;
use crate::error::{Error, Result};
use crate::stat::{FileId, FileType, Stat};
use crate::time::{Times, Timestamp};

/// The number of a node. Numbers are never given out twice.
pub(crate) type NodeId = u64;

/// A file, a directory or a symbolic link. Copies are cheap, because they share the content.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    /// The number of names. A node without a name exists as long as it is open.
    pub(crate) links: u64,
    pub(crate) times: Times,
}

#[derive(Clone, Debug)]
pub(crate) enum NodeKind {
    File(Arc<Content>),
    Directory(Arc<Directory>),
    Symlink(Arc<str>),
}

/// A directory.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    /// The directory that contains this one. The root contains itself.
    pub(crate) parent: NodeId,
    /// The name of this directory there. That of the root is empty.
    pub(crate) name: Arc<str>,
    pub(crate) entries: BTreeMap<Arc<str>, NodeId>,
}

impl Node {
    pub(crate) fn new(kind: NodeKind, now: Timestamp) -> Self {
        Self {
            kind,
            links: 1,
            times: Times::all(now),
        }
    }

    pub(crate) fn new_directory(parent: NodeId, name: Arc<str>, now: Timestamp) -> Self {
        let directory = Directory {
            parent,
            name,
            entries: BTreeMap::new(),
        };
        Self::new(NodeKind::Directory(Arc::new(directory)), now)
    }

    pub(crate) fn file_type(&self) -> FileType {
        match self.kind {
            NodeKind::File(_) => FileType::File,
            NodeKind::Directory(_) => FileType::Directory,
            NodeKind::Symlink(_) => FileType::Symlink,
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.kind, NodeKind::Directory(_))
    }

    pub(crate) fn directory(&self) -> Result<&Directory> {
        match &self.kind {
            NodeKind::Directory(directory) => Ok(directory),
            NodeKind::File(_) | NodeKind::Symlink(_) => Err(Error::NotADirectory),
        }
    }

    pub(crate) fn file(&self) -> Result<&Arc<Content>> {
        match &self.kind {
            NodeKind::File(content) => Ok(content),
            NodeKind::Directory(_) => Err(Error::IsADirectory),
            NodeKind::Symlink(_) => Err(Error::Invalid),
        }
    }

    pub(crate) fn stat(&self, volume: u64, id: NodeId) -> Stat {
        Stat {
            file_type: self.file_type(),
            identity: FileId {
                volume,
                // 0 is not a valid inode number.
                number: id + 1,
            },
            links: self.links,
            size: match &self.kind {
                NodeKind::File(content) => content.size(),
                NodeKind::Directory(_) => 0,
                NodeKind::Symlink(target) => target.len() as u64,
            },
            accessed: self.times.accessed,
            modified: self.times.modified,
            changed: self.times.changed,
        }
    }
}

impl Directory {
    pub(crate) fn find(&self, name: &str) -> Option<NodeId> {
        self.entries.get(name).copied()
    }
}
