//! An immutable tree of files in memory, which sandboxes share.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::content::Content;
use crate::limits::Limits;
use crate::node::{Directory, Node, NodeId, NodeKind};
use crate::source::{Deferred, Original, Source};
use crate::time::Timestamp;

/// The largest original content, in bytes: 2^50. Offsets in it cannot overflow.
const MAX_ORIGINAL: u64 = 1 << 50;

/// An immutable tree of files and directories, which any number of sandboxes share.
#[derive(Debug)]
pub struct Layer {
    nodes: Vec<Node>,
    has_deferred: bool,
}

impl Layer {
    pub(crate) const ROOT: NodeId = 0;

    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(usize::try_from(id).ok()?)
    }

    pub(crate) fn has_deferred(&self) -> bool {
        self.has_deferred
    }

    /// Returns the number of files and directories, including the root.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }
}

/// Builds a [`Layer`].
///
/// ```
/// use eryx_files::{LayerBuilder, Timestamp};
///
/// let time = Timestamp::from_seconds(315_532_800);
/// let mut files = LayerBuilder::new(time, 1000);
/// files.file("package/__init__.py", &b"VERSION = 1"[..])?;
/// assert_eq!(files.build().nodes(), 3);
/// # Ok::<(), eryx_files::LayerError>(())
/// ```
#[derive(Debug)]
pub struct LayerBuilder {
    nodes: Vec<Node>,
    /// All files and directories have this time.
    time: Timestamp,
    max_nodes: usize,
    has_deferred: bool,
}

/// The error for a file or directory that cannot be added to a layer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The path is taken by a file, or by a directory where a file is added.
    #[error("two files, or a file and a directory, are named {0:?}; rename one of them")]
    Taken(String),
    /// The path is empty, contains `..` or a NUL, or is too long.
    #[error(
        "{0:?} is not a path of a file; give one without `..` and NUL, of at most 128 names of 255 \
         bytes and 4095 bytes in all"
    )]
    Path(String),
    /// The layer would have more files and directories than this.
    #[error("there are more than {0} files and directories; add fewer, or raise the limit")]
    Nodes(usize),
    /// The content is larger than 2^50 bytes.
    #[error("the content of {0:?} is larger than 2^50 bytes")]
    Size(String),
}

impl LayerBuilder {
    /// Returns a builder for a tree whose files all have the time `time`, and which has at most
    /// `max_nodes` files and directories, without the root.
    pub fn new(time: Timestamp, max_nodes: usize) -> Self {
        let root = Node::new_directory(Layer::ROOT, "".into(), time);
        Self {
            nodes: vec![root],
            time,
            max_nodes,
            has_deferred: false,
        }
    }

    /// Returns a builder that adds to a copy of `layer`, which may have at most `max_nodes` files
    /// and directories then. No content is copied.
    pub fn extend(layer: &Layer, time: Timestamp, max_nodes: usize) -> Self {
        Self {
            nodes: layer.nodes.clone(),
            time,
            max_nodes,
            has_deferred: layer.has_deferred,
        }
    }

    /// Sets how many files and directories the tree may have, without the root.
    pub fn set_max_nodes(&mut self, max_nodes: usize) {
        self.max_nodes = max_nodes;
    }

    /// Adds a file, and the directories on its path. A `/` at the start of the path is ignored.
    ///
    /// # Errors
    ///
    /// [`LayerError`] if the path is not valid or taken, or there are too many files.
    pub fn file(&mut self, path: &str, content: impl Into<Bytes>) -> Result<(), LayerError> {
        self.original(path, Original::Bytes(content.into()))
    }

    /// Adds a file whose content is read when a program asks for it.
    ///
    /// # Errors
    ///
    /// As [`file`](Self::file), and [`LayerError::Size`].
    pub fn source(&mut self, path: &str, source: Arc<dyn Source>) -> Result<(), LayerError> {
        self.original(path, Original::Source(source))
    }

    /// Adds a file whose content is provided when it is first needed.
    ///
    /// # Errors
    ///
    /// As [`source`](Self::source).
    pub fn deferred(&mut self, path: &str, content: Arc<Deferred>) -> Result<(), LayerError> {
        self.original(path, Original::Deferred(content))?;
        self.has_deferred = true;
        Ok(())
    }

    fn original(&mut self, path: &str, original: Original) -> Result<(), LayerError> {
        if original.size() > MAX_ORIGINAL {
            return Err(LayerError::Size(path.to_owned()));
        }
        let (parts, name) = split(path)?;
        let parent = self.directories(path, &parts)?;
        if self.entries(parent).is_none_or(|d| d.find(name).is_some()) {
            return Err(LayerError::Taken(path.to_owned()));
        }
        let content = NodeKind::File(Arc::new(Content::original(original)));
        self.add(parent, name, |time| Node::new(content, time))?;
        Ok(())
    }

    /// Adds a directory, and those on its path, unless it exists.
    ///
    /// # Errors
    ///
    /// [`LayerError`] if the path is not valid, is that of a file, or there are too many files.
    pub fn directory(&mut self, path: &str) -> Result<(), LayerError> {
        self.directory_id(path).map(|_| ())
    }

    pub(crate) fn directory_id(&mut self, path: &str) -> Result<NodeId, LayerError> {
        let (mut parts, name) = split(path)?;
        parts.push(name);
        self.directories(path, &parts)
    }

    /// Returns the tree.
    pub fn build(self) -> Arc<Layer> {
        Arc::new(Layer {
            nodes: self.nodes,
            has_deferred: self.has_deferred,
        })
    }

    /// Returns the directory at the path of these names, which is added if it does not exist.
    fn directories(&mut self, path: &str, names: &[&str]) -> Result<NodeId, LayerError> {
        let mut id = Layer::ROOT;
        for name in names {
            let Some(directory) = self.entries(id) else {
                return Err(LayerError::Taken(path.to_owned()));
            };
            id = match directory.find(name) {
                Some(found) => found,
                None => {
                    let own_name = Arc::from(*name);
                    self.add(id, name, |time| Node::new_directory(id, own_name, time))?
                }
            };
        }
        if self.entries(id).is_none() {
            return Err(LayerError::Taken(path.to_owned()));
        }
        Ok(id)
    }

    fn entries(&self, id: NodeId) -> Option<&Directory> {
        self.nodes.get(id as usize)?.directory().ok()
    }

    fn add(
        &mut self,
        parent: NodeId,
        name: &str,
        node: impl FnOnce(Timestamp) -> Node,
    ) -> Result<NodeId, LayerError> {
        let id = self.nodes.len();
        // The root does not count.
        if id > self.max_nodes {
            return Err(LayerError::Nodes(self.max_nodes));
        }
        if let NodeKind::Directory(directory) = &mut self.nodes[parent as usize].kind {
            let entries = &mut Arc::make_mut(directory).entries;
            entries.insert(name.into(), id as NodeId);
        }
        self.nodes.push(node(self.time));
        Ok(id as NodeId)
    }
}

/// Returns the names of the directories on a path, and the last name.
fn split(path: &str) -> Result<(Vec<&str>, &str), LayerError> {
    let mut parts: Vec<_> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let is_invalid = |part: &&str| *part == ".." || part.len() > Limits::MAX_NAME;
    let length: usize = parts.iter().map(|part| part.len() + 1).sum();
    let valid = !parts.iter().any(is_invalid)
        && parts.len() <= Limits::MAX_DEPTH
        && length <= Limits::MAX_PATH
        && !path.contains('\0');
    match parts.pop() {
        Some(name) if valid => Ok((parts, name)),
        _ => Err(LayerError::Path(path.to_owned())),
    }
}
