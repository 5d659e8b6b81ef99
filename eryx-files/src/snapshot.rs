//! The files at one moment, and how they differ from those of another.

use std::cmp::Ordering;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::content::Content;
use crate::error::Error;
use crate::layer::LayerBuilder;
use crate::node::{Directory, Node, NodeId, NodeKind};
use crate::source::Original;
use crate::stat::FileId;
use crate::time::Timestamp;
use crate::tree::{Nodes, Tree};

/// The files in memory at one moment, without those of mounts. Copies share all content.
#[derive(Clone, Debug)]
pub struct Snapshot(Nodes);

/// A file, directory or link of a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// A directory.
    Directory,
    /// A file, with its content.
    File(FileContent),
    /// A symbolic link, with its target. The target is the program's text: do not open it.
    Symlink(Arc<str>),
}

/// The content of a file of a [`Snapshot`]. Copies share it.
///
/// Two contents are equal if their bytes are. One that cannot be read is equal only to its copies.
#[derive(Clone, Debug)]
pub struct FileContent(Arc<Content>);

/// The identity of a file with content: equal for all names of one file of a [`Snapshot`], and for
/// no other file whose content exists at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentId(usize);

/// A difference between two snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path from the root, which starts with a slash. It contains neither `.` nor `..`.
    pub path: String,
    /// The difference.
    pub kind: ChangeKind,
}

/// The difference at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// Nothing had this path, or something of another type.
    Created(Entry),
    /// The content of the file, or the target of the link, is different.
    Modified(Entry),
    /// Nothing has this path any more. What a removed directory contained is not listed.
    Removed,
}

impl Snapshot {
    pub(crate) fn new(nodes: Nodes) -> Self {
        Self(nodes)
    }

    /// Returns what has this path, without following links. The path is from the root.
    pub fn get(&self, path: &str) -> Option<Entry> {
        self.find(path).map(|(_, node)| entry(node))
    }

    /// Returns the identity of what has this path, as [`Stat`](crate::Stat) has it, without
    /// following links. The path is from the root. Snapshots of file systems with the same
    /// [`Layout`](crate::Layout) have the same identities for the files of that.
    pub fn identity(&self, path: &str) -> Option<FileId> {
        self.find(path).map(|(id, node)| node.stat(0, id).identity)
    }

    fn find(&self, path: &str) -> Option<(NodeId, &Node)> {
        let mut id = Tree::ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            id = self.0.get(id)?.directory().ok()?.find(name)?;
        }
        Some((id, self.0.get(id)?))
    }

    /// Returns what is different from `start`, in the order of paths, directories before what they
    /// contain. Times are not compared. The time is linear in the number of all files, and constant
    /// if nothing has been written since.
    pub fn changes_since<'a>(&'a self, start: &'a Self) -> Changes<'a> {
        let root = Level {
            now: Tree::ROOT,
            before: Some(Tree::ROOT),
            last: None,
            path_length: 0,
        };
        Changes {
            now: &self.0,
            before: &start.0,
            path: String::new(),
            levels: if self.0.is_same(&start.0) {
                Vec::new()
            } else {
                vec![root]
            },
        }
    }

    /// Returns what is different from `start` about one path, or `None` if nothing is. The path is
    /// from the root.
    pub fn change_since(&self, start: &Self, path: &str) -> Option<ChangeKind> {
        // What a removed directory contained is not a change of its own.
        let has_parent = || {
            let parent = path.trim_end_matches('/').rsplit_once('/');
            let parent = parent.and_then(|(parent, _)| self.get(parent));
            matches!(parent, Some(Entry::Directory))
        };
        match (self.get(path), start.get(path)) {
            (None, Some(_)) if has_parent() => Some(ChangeKind::Removed),
            (None, _) => None,
            (Some(now), Some(before)) if now.has_type_of(&before) => {
                (!now.is_same(&before)).then_some(ChangeKind::Modified(now))
            }
            (Some(now), _) => Some(ChangeKind::Created(now)),
        }
    }
}

impl Default for Snapshot {
    /// Returns the snapshot of a file system without files.
    fn default() -> Self {
        let empty = LayerBuilder::new(Timestamp::default(), 0).build();
        Self(Nodes::new(empty))
    }
}

impl Entry {
    fn has_type_of(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Returns whether both are equal, as far as that is known without comparing bytes.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(content), Self::File(other)) => content.0.is_same(&other.0),
            (Self::Symlink(target), Self::Symlink(other)) => target == other,
            (Self::Directory, Self::Directory) => true,
            _ => false,
        }
    }
}

impl FileContent {
    /// Returns the identity of the file, which its names in a snapshot and copies of this share.
    pub fn id(&self) -> ContentId {
        ContentId(Arc::as_ptr(&self.0).addr())
    }

    /// Returns the size in bytes. Reads the content if it is [`Deferred`](crate::Deferred) and its
    /// size is not known; it is 0 if that fails.
    pub fn size(&self) -> u64 {
        self.0.load_size();
        self.0.size()
    }

    /// Returns whether the content can be read without the function of a
    /// [`Deferred`](crate::Deferred).
    pub fn is_loaded(&self) -> bool {
        let unloaded = self.0.unloaded();
        unloaded.is_none_or(|deferred| deferred.is_loaded())
    }

    /// Returns what loads the content on another thread, for the code that calls this; `None` if it
    /// [is loaded](Self::is_loaded).
    pub fn begin_load(
        &self,
    ) -> Option<impl FnOnce() -> Result<(), Error> + Send + 'static + use<>> {
        let unloaded = self.0.unloaded()?;
        (!unloaded.is_loaded()).then(|| unloaded.begin_load())
    }

    /// Reads at most `length` bytes from `offset` on, and at most
    /// [`Limits::MAX_TRANSFER`](crate::Limits::MAX_TRANSFER). Returns no bytes at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the [`Source`](crate::Source) of the content fails.
    pub fn read(&self, offset: u64, length: u64) -> Result<Bytes, Error> {
        self.0.read(offset, length)
    }

    /// Returns a reader of the content.
    pub fn reader(&self) -> impl io::Read + use<> {
        Reader {
            content: self.clone(),
            offset: 0,
        }
    }
}

impl From<Bytes> for FileContent {
    /// Returns the content with these bytes, for changes that are restored from elsewhere.
    fn from(bytes: Bytes) -> Self {
        Self(Arc::new(Content::original(Original::Bytes(bytes))))
    }
}

impl From<Vec<u8>> for FileContent {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl PartialEq for FileContent {
    fn eq(&self, other: &Self) -> bool {
        if self.0.is_same(&other.0) {
            return true;
        }
        let size = self.size();
        if size != other.size() || self.0.has_unknown_size() || other.0.has_unknown_size() {
            return false;
        }
        let mut offset = 0;
        while offset < size {
            match (self.read(offset, u64::MAX), other.read(offset, u64::MAX)) {
                (Ok(bytes), Ok(others)) if bytes == others && !bytes.is_empty() => {
                    offset += bytes.len() as u64;
                }
                _ => return false,
            }
        }
        true
    }
}

impl Eq for FileContent {}

struct Reader {
    content: FileContent,
    offset: u64,
}

impl io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(self.offset, buffer.len() as u64);
        let bytes = read.map_err(io::Error::other)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }
}

/// The differences between two snapshots.
#[derive(Clone, Debug)]
pub struct Changes<'a> {
    now: &'a Nodes,
    before: &'a Nodes,
    /// The path of the directory on the last level.
    path: String,
    levels: Vec<Level>,
}

/// A directory that is being compared.
#[derive(Clone, Debug)]
struct Level {
    now: NodeId,
    before: Option<NodeId>,
    /// The last name that was compared.
    last: Option<Arc<str>>,
    /// The length of the path of the directory above.
    path_length: usize,
}

impl Changes<'_> {
    /// Compares the next name of the directory on the last level. Returns `None` at its end.
    fn step(&mut self) -> Option<Option<Change>> {
        let level = self.levels.last_mut()?;
        let after = |nodes: &Nodes, id: Option<NodeId>| {
            let directory: &Directory = nodes.get(id?)?.directory().ok()?;
            Tree::next_entry(directory, level.last.as_deref())
        };
        let mut now = after(self.now, Some(level.now));
        let mut before = after(self.before, level.before);
        if let (Some((now_name, _)), Some((before_name, _))) = (&now, &before) {
            match now_name.cmp(before_name) {
                Ordering::Less => before = None,
                Ordering::Equal => {}
                Ordering::Greater => now = None,
            }
        }
        let (name, _) = now.as_ref().or(before.as_ref())?;
        level.last = Some(Arc::clone(name));
        let path = format!("{}/{name}", self.path);
        let before_id = before.map(|(_, id)| id);
        let Some((_, id)) = now else {
            return Some(Some(Change {
                path,
                kind: ChangeKind::Removed,
            }));
        };
        let (node, old) = (
            self.now.get(id)?,
            before_id.and_then(|id| self.before.get(id)),
        );
        let old = old.filter(|old| old.file_type() == node.file_type());
        if node.is_directory() {
            self.levels.push(Level {
                now: id,
                before: before_id.filter(|_| old.is_some()),
                last: None,
                path_length: self.path.len(),
            });
            self.path.clone_from(&path);
        }
        let new = entry(node);
        let kind = match old.map(entry) {
            None => ChangeKind::Created(new),
            Some(old) if new.is_same(&old) => return Some(None),
            Some(_) => ChangeKind::Modified(new),
        };
        Some(Some(Change { path, kind }))
    }
}

impl Iterator for Changes<'_> {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        while !self.levels.is_empty() {
            match self.step() {
                Some(Some(change)) => return Some(change),
                Some(None) => {}
                None => {
                    if let Some(level) = self.levels.pop() {
                        self.path.truncate(level.path_length);
                    }
                }
            }
        }
        None
    }
}

fn entry(node: &Node) -> Entry {
    match &node.kind {
        NodeKind::File(content) => Entry::File(FileContent(Arc::clone(content))),
        NodeKind::Directory(_) => Entry::Directory,
        NodeKind::Symlink(target) => Entry::Symlink(Arc::clone(target)),
    }
}
