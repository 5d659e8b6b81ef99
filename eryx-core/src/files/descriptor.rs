//! The open files and directories of a guest.

use std::sync::Arc;

use bytes::Bytes;

use crate::file_tree::{Directory, FileTree, Node, NodeId};
use crate::files::error::FileError;

/// An open file or directory.
#[derive(Debug)]
#[allow(
    unreachable_pub,
    reason = "the code that `bindgen!` generates names it in public"
)]
pub struct Descriptor {
    tree: Arc<FileTree>,
    id: NodeId,
}

impl Descriptor {
    /// Opens the root of a tree.
    pub(super) fn root(tree: Arc<FileTree>) -> Self {
        Self {
            tree,
            id: FileTree::ROOT,
        }
    }

    /// Opens another node of the same tree.
    pub(super) fn reopen(&self, id: NodeId) -> Self {
        Self {
            tree: Arc::clone(&self.tree),
            id,
        }
    }

    pub(super) fn id(&self) -> NodeId {
        self.id
    }

    /// Returns a node of the tree.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        self.tree.node(id)
    }

    /// Returns the content of the open file.
    pub(super) fn file(&self) -> Result<&Bytes, FileError> {
        match self.tree.node(self.id) {
            Node::File(content) => Ok(content),
            Node::Directory(_) => Err(FileError::IsADirectory),
        }
    }

    /// Returns the open directory.
    pub(super) fn directory(&self) -> Result<&Directory, FileError> {
        match self.tree.node(self.id) {
            Node::Directory(directory) => Ok(directory),
            Node::File(_) => Err(FileError::NotADirectory),
        }
    }

    /// Returns the node at `path`, relative to the open directory.
    pub(super) fn find(&self, path: &str) -> Result<NodeId, FileError> {
        self.directory()?;
        Ok(self.tree.find(self.id, path)?)
    }

    /// Returns whether both descriptors are of the same node.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tree, &other.tree) && self.id == other.id
    }
}

/// An iteration over the entries of a directory.
#[derive(Debug)]
#[allow(
    unreachable_pub,
    reason = "the code that `bindgen!` generates names it in public"
)]
pub struct DirectoryEntries {
    directory: Descriptor,
    next: usize,
}

impl DirectoryEntries {
    /// Begins with the first entry of the open directory.
    pub(super) fn new(descriptor: &Descriptor) -> Result<Self, FileError> {
        descriptor.directory()?;
        Ok(Self {
            directory: descriptor.reopen(descriptor.id),
            next: 0,
        })
    }

    /// Returns the name and the node of the next entry.
    pub(super) fn next(&mut self) -> Result<Option<(&str, &Node)>, FileError> {
        let Some((name, id)) = self.directory.directory()?.entry(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        Ok(Some((name, self.directory.node(id))))
    }
}
