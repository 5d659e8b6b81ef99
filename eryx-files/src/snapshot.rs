//! The files at one moment, and how they differ from those of another.

use std::cmp::Ordering;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::content::Content;
use crate::error::Error;
use crate::node::{Directory, Node, NodeId, NodeKind};
use crate::tree::{Nodes, Tree};

/// The files in memory at one moment, without those of mounts.
#[derive(Clone, Debug)]
pub struct Snapshot(Nodes);

/// A file, directory or link of a [`Snapshot`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// A directory.
    Directory,
    /// A file, with its content.
    File(FileContent),
    /// A symbolic link, with its target. The target is the program's text: do not open it.
    Symlink(Arc<str>),
}

/// The content of a file of a [`Snapshot`].
#[derive(Clone, Debug)]
pub struct FileContent(Arc<Content>);

/// A difference between two snapshots.
#[derive(Clone, Debug)]
pub struct Change {
    /// The path from the root, which starts with a slash. It contains neither `.` nor `..`.
    pub path: String,
    /// What is different.
    pub kind: ChangeKind,
}

/// What is different about a path.
#[derive(Clone, Debug)]
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
        let mut node = self.0.get(Tree::ROOT)?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            node = self.0.get(node.directory().ok()?.find(name)?)?;
        }
        Some(entry(node))
    }

    /// Returns what is different from `start`, in the order of paths, directories before what they
    /// contain. Times are not compared.
    pub fn changes_since<'a>(&'a self, start: &'a Self) -> Changes<'a> {
        Changes {
            now: &self.0,
            before: &start.0,
            path: String::new(),
            levels: vec![Level {
                now: Tree::ROOT,
                before: Some(Tree::ROOT),
                last: None,
                path_length: 0,
            }],
        }
    }
}

impl FileContent {
    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.0.size()
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
        let kind = match old {
            None => ChangeKind::Created(entry(node)),
            Some(old) if is_same(node, old) => return Some(None),
            Some(_) => ChangeKind::Modified(entry(node)),
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

/// Returns whether two nodes of the same type are equal, as far as that is known without comparing
/// bytes.
fn is_same(node: &Node, old: &Node) -> bool {
    match (&node.kind, &old.kind) {
        (NodeKind::File(content), NodeKind::File(old)) => content.is_same(old),
        (NodeKind::Symlink(target), NodeKind::Symlink(old)) => target == old,
        (NodeKind::Directory(_), NodeKind::Directory(_)) => true,
        _ => false,
    }
}
