//! An immutable tree of files in memory.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Directories and files, which the sandboxes of a factory share.
#[derive(Debug)]
pub(crate) struct FileTree {
    nodes: Vec<Node>,
}

/// The index of a node in its tree.
pub(crate) type NodeId = usize;

/// A file or a directory.
#[derive(Debug)]
pub(crate) enum Node {
    /// The content of a file.
    File(Bytes),
    /// A directory.
    Directory(Directory),
}

/// The entries of a directory.
#[derive(Debug)]
pub(crate) struct Directory {
    /// The directory that contains this one; the root contains itself.
    parent: NodeId,
    /// The entries, sorted by name.
    entries: Vec<(Box<str>, NodeId)>,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathError {
    /// There is no entry with that name.
    NoEntry,
    /// The path goes through a file.
    NotADirectory,
    /// The path is absolute, or leaves the tree.
    Outside,
    /// The path is longer than [`MAX_PATH`].
    TooLong,
}

/// Why a list of files does not form a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TreeError {
    /// Two files have this path, or a file and a directory.
    #[error("two files, or a file and a directory, are named {0:?}")]
    Taken(String),
    /// The path is empty, or contains `..`.
    #[error("{0:?} is not the path of a file")]
    Path(String),
    /// The tree would have more files and directories than this.
    #[error("there are more than {0} files and directories")]
    Nodes(usize),
}

/// The longest path, in bytes: PATH_MAX of Linux and of the image's libc.
const MAX_PATH: usize = 4096;

impl FileTree {
    /// The root directory.
    pub(crate) const ROOT: NodeId = 0;

    /// Returns the tree of these files, given with their paths from the root, and of the
    /// directories on those paths. It has at most `max_nodes` files and directories.
    pub(crate) fn new<'a>(
        files: impl Iterator<Item = (&'a str, Bytes)>,
        max_nodes: usize,
    ) -> Result<Self, TreeError> {
        let mut nodes = vec![NodeBuilder::Directory(Self::ROOT, BTreeMap::new())];
        for (path, content) in files {
            let mut parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
            let Some(name) = parts.next_back().filter(|name| *name != "..") else {
                return Err(TreeError::Path(path.to_owned()));
            };
            let mut directory = Self::ROOT;
            for part in parts {
                if part == ".." {
                    return Err(TreeError::Path(path.to_owned()));
                }
                directory = match nodes[directory].find(part) {
                    Some(found) => found,
                    None => add(&mut nodes, directory, part, None, max_nodes)?,
                };
            }
            // A file has no entries, so `find` alone would miss a file that the path goes through.
            if matches!(nodes[directory], NodeBuilder::File(_))
                || nodes[directory].find(name).is_some()
            {
                return Err(TreeError::Taken(path.to_owned()));
            }
            add(&mut nodes, directory, name, Some(content), max_nodes)?;
        }
        let nodes = nodes.into_iter().map(NodeBuilder::finish).collect();
        Ok(Self { nodes })
    }

    /// Returns a node of this tree.
    ///
    /// # Panics
    ///
    /// If the tree has no such node.
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// Returns the node at `path`, relative to the directory `start`. The time is linear in the
    /// length of the path.
    pub(crate) fn find(&self, start: NodeId, path: &str) -> Result<NodeId, PathError> {
        if path.is_empty() {
            return Err(PathError::NoEntry);
        }
        if path.len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        if path.starts_with('/') {
            return Err(PathError::Outside);
        }
        let mut id = start;
        for part in path.split('/') {
            let Node::Directory(directory) = self.node(id) else {
                return Err(PathError::NotADirectory);
            };
            match part {
                "" | "." => {}
                ".." if id == Self::ROOT => return Err(PathError::Outside),
                ".." => id = directory.parent,
                name => id = directory.find(name).ok_or(PathError::NoEntry)?,
            }
        }
        Ok(id)
    }
}

impl Directory {
    fn find(&self, name: &str) -> Option<NodeId> {
        let found = self
            .entries
            .binary_search_by(|(entry, _)| (**entry).cmp(name));
        found.ok().map(|at| self.entries[at].1)
    }

    /// Returns the entry at this position in the order of names.
    pub(crate) fn entry(&self, position: usize) -> Option<(&str, NodeId)> {
        let (name, id) = self.entries.get(position)?;
        Some((name, *id))
    }
}

/// A node of a tree that is being built.
enum NodeBuilder {
    File(Bytes),
    Directory(NodeId, BTreeMap<Box<str>, NodeId>),
}

impl NodeBuilder {
    fn find(&self, name: &str) -> Option<NodeId> {
        match self {
            Self::File(_) => None,
            Self::Directory(_, entries) => entries.get(name).copied(),
        }
    }

    fn finish(self) -> Node {
        match self {
            Self::File(content) => Node::File(content),
            Self::Directory(parent, entries) => Node::Directory(Directory {
                parent,
                entries: entries.into_iter().collect(),
            }),
        }
    }
}

/// Adds a file, or a directory if `content` is `None`, and returns its id.
fn add(
    nodes: &mut Vec<NodeBuilder>,
    parent: NodeId,
    name: &str,
    content: Option<Bytes>,
    max_nodes: usize,
) -> Result<NodeId, TreeError> {
    let id = nodes.len();
    // The root does not count.
    if id > max_nodes {
        return Err(TreeError::Nodes(max_nodes));
    }
    match &mut nodes[parent] {
        NodeBuilder::Directory(_, entries) => entries.insert(name.into(), id),
        NodeBuilder::File(_) => return Err(TreeError::Taken(name.to_owned())),
    };
    nodes.push(match content {
        Some(content) => NodeBuilder::File(content),
        None => NodeBuilder::Directory(parent, BTreeMap::new()),
    });
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Result<FileTree, TreeError> {
        let files = paths
            .iter()
            .map(|path| (*path, Bytes::from(path.to_string())));
        FileTree::new(files, 8)
    }

    #[test]
    fn a_path_is_resolved_from_a_directory_and_never_leaves_the_tree() {
        let tree = tree(&["a/b/c.py", "a/d.py", "e.py", "./f//g.py"]).expect("a tree");
        let content = |path| {
            tree.find(FileTree::ROOT, path)
                .map(|id| match tree.node(id) {
                    Node::File(content) => String::from_utf8_lossy(content).into_owned(),
                    Node::Directory(_) => "directory".to_owned(),
                })
        };
        let directory = |path| tree.find(FileTree::ROOT, path).expect("a directory");
        for (path, found) in [
            ("e.py", Ok("e.py")),
            ("a/b/c.py", Ok("a/b/c.py")),
            ("./a//b/../d.py", Ok("a/d.py")),
            ("f/g.py", Ok("./f//g.py")),
            (".", Ok("directory")),
            ("a/b/", Ok("directory")),
            ("a/b/../..", Ok("directory")),
            ("", Err(PathError::NoEntry)),
            ("g.py", Err(PathError::NoEntry)),
            ("a/b/c", Err(PathError::NoEntry)),
            ("e.py/", Err(PathError::NotADirectory)),
            ("e.py/..", Err(PathError::NotADirectory)),
            ("a/d.py/x", Err(PathError::NotADirectory)),
            ("/e.py", Err(PathError::Outside)),
            ("..", Err(PathError::Outside)),
            ("a/../../e.py", Err(PathError::Outside)),
        ] {
            assert_eq!(content(path), found.map(str::to_owned), "{path}");
        }
        assert_eq!(
            tree.find(directory("a/b"), "../d.py"),
            tree.find(FileTree::ROOT, "a/d.py")
        );
        assert_eq!(tree.find(directory("a"), "../.."), Err(PathError::Outside));
        let long = format!("{}e.py", "./".repeat(MAX_PATH / 2 - 2));
        assert!(tree.find(FileTree::ROOT, &long).is_ok());
        assert_eq!(
            tree.find(FileTree::ROOT, &format!("./{long}")),
            Err(PathError::TooLong)
        );
    }

    #[test]
    fn the_entries_of_a_directory_are_sorted_by_name() {
        let tree = tree(&["b", "a/x", "c"]).expect("a tree");
        let Node::Directory(root) = tree.node(FileTree::ROOT) else {
            panic!("the root is a directory");
        };
        let names: Vec<_> = (0..)
            .map_while(|position| Some(root.entry(position)?.0))
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn conflicting_files_and_paths_that_leave_the_tree_are_rejected() {
        for paths in [
            ["a", "a/b"],
            ["a/b", "a"],
            ["a/b", "./a//b"],
            ["a/b", "a/b/c/d"],
        ] {
            assert!(
                matches!(tree(&paths), Err(TreeError::Taken(_))),
                "{paths:?}"
            );
        }
        for path in ["", "/", ".", "..", "../a", "a/../b", "a/.."] {
            assert!(matches!(tree(&[path]), Err(TreeError::Path(_))), "{path}");
        }
        // Seven directories and a file are exactly the most.
        tree(&["1/2/3/4/5/6/7/8"]).expect("a tree");
        let rejected = tree(&["1/2/3/4/5/6/7/8/9"]).expect_err("rejected");
        assert_eq!(rejected, TreeError::Nodes(8));
    }
}
