//! A tree of files in memory that never changes.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Folders and files. Sandboxes share one; a node is named by its number, and the root's is 0.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

/// The number of a node in its tree.
pub(crate) type Number = usize;

#[derive(Debug)]
pub(crate) enum Node {
    /// A file and its content.
    File(Bytes),
    /// A folder.
    Folder(Folder),
}

#[derive(Debug)]
pub(crate) struct Folder {
    /// The folder around it; the root's is the root.
    parent: Number,
    /// What is in it, ordered by name.
    entries: Vec<(Box<str>, Number)>,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is nothing of that name.
    NoEntry,
    /// A file stands where the path needs a folder.
    NotAFolder,
    /// The path is absolute, or leads out of the tree.
    Outside,
    /// The path is longer than [`MAX_PATH`].
    TooLong,
}

/// Why no tree can be made of a list of files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TreeError {
    /// Two files have this name, or a file and a folder.
    #[error("two files, or a file and a folder, are named {0:?}")]
    Taken(String),
    /// A path with `..` in it, or an empty one.
    #[error("{0:?} is no path of a file")]
    Path(String),
    /// There are more files and folders than this.
    #[error("there are more than {0} files and folders")]
    Nodes(usize),
}

const ROOT: Number = 0;

/// The longest path that is followed, in bytes: PATH_MAX of Linux and of the image's library.
const MAX_PATH: usize = 4096;

impl Tree {
    /// Returns the tree of these files, by their paths from the root, with the folders that the paths need. It has at most
    /// `most` files and folders.
    pub(crate) fn of<'a>(
        files: impl Iterator<Item = (&'a str, Bytes)>,
        most: usize,
    ) -> Result<Self, TreeError> {
        let mut growing = vec![Growing::Folder(ROOT, BTreeMap::new())];
        for (path, content) in files {
            let mut parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
            let Some(name) = parts.next_back().filter(|name| *name != "..") else {
                return Err(TreeError::Path(path.to_owned()));
            };
            let mut folder = ROOT;
            for part in parts {
                if part == ".." {
                    return Err(TreeError::Path(path.to_owned()));
                }
                folder = match growing[folder].find(part) {
                    Some(found) => found,
                    None => add(&mut growing, folder, part, None, most)?,
                };
            }
            // A file has nothing in it, so what is there already shows when something is added below it.
            if matches!(growing[folder], Growing::File(_)) || growing[folder].find(name).is_some() {
                return Err(TreeError::Taken(path.to_owned()));
            }
            add(&mut growing, folder, name, Some(content), most)?;
        }
        let nodes = growing.into_iter().map(Growing::grown).collect();
        Ok(Self { nodes })
    }

    /// Returns the node of this number, which has to be one of this tree's.
    pub(crate) fn node(&self, number: Number) -> &Node {
        &self.nodes[number]
    }

    /// Returns the node that `path` leads to from the folder `start`. The work is linear in the length of the path.
    pub(crate) fn find(&self, start: Number, path: &str) -> Result<Number, Missing> {
        if path.is_empty() {
            return Err(Missing::NoEntry);
        }
        if path.len() > MAX_PATH {
            return Err(Missing::TooLong);
        }
        if path.starts_with('/') {
            return Err(Missing::Outside);
        }
        let mut number = start;
        for part in path.split('/') {
            let Node::Folder(folder) = self.node(number) else {
                return Err(Missing::NotAFolder);
            };
            match part {
                "" | "." => {}
                ".." if number == ROOT => return Err(Missing::Outside),
                ".." => number = folder.parent,
                name => number = folder.find(name).ok_or(Missing::NoEntry)?,
            }
        }
        Ok(number)
    }
}

impl Folder {
    fn find(&self, name: &str) -> Option<Number> {
        let found = self
            .entries
            .binary_search_by(|(entry, _)| (**entry).cmp(name));
        found.ok().map(|at| self.entries[at].1)
    }

    /// Returns the entry at this position, in the order of names.
    pub(crate) fn entry(&self, position: usize) -> Option<(&str, Number)> {
        let (name, number) = self.entries.get(position)?;
        Some((name, *number))
    }
}

/// A node of a tree that is being made.
enum Growing {
    File(Bytes),
    Folder(Number, BTreeMap<Box<str>, Number>),
}

impl Growing {
    fn find(&self, name: &str) -> Option<Number> {
        match self {
            Self::File(_) => None,
            Self::Folder(_, entries) => entries.get(name).copied(),
        }
    }

    fn grown(self) -> Node {
        match self {
            Self::File(content) => Node::File(content),
            Self::Folder(parent, entries) => Node::Folder(Folder {
                parent,
                entries: entries.into_iter().collect(),
            }),
        }
    }
}

/// Adds a file, or a folder where there is no content, and returns its number.
fn add(
    nodes: &mut Vec<Growing>,
    parent: Number,
    name: &str,
    content: Option<Bytes>,
    most: usize,
) -> Result<Number, TreeError> {
    let number = nodes.len();
    // The root is not counted.
    if number > most {
        return Err(TreeError::Nodes(most));
    }
    match &mut nodes[parent] {
        Growing::Folder(_, entries) => entries.insert(name.into(), number),
        Growing::File(_) => return Err(TreeError::Taken(name.to_owned())),
    };
    nodes.push(match content {
        Some(content) => Growing::File(content),
        None => Growing::Folder(parent, BTreeMap::new()),
    });
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Result<Tree, TreeError> {
        let files = paths
            .iter()
            .map(|path| (*path, Bytes::from(path.to_string())));
        Tree::of(files, 8)
    }

    #[test]
    fn a_path_is_followed_from_a_folder_and_never_out_of_the_tree() {
        let tree = tree(&["a/b/c.py", "a/d.py", "e.py", "./f//g.py"]).expect("a tree");
        let content = |path| {
            tree.find(ROOT, path).map(|number| match tree.node(number) {
                Node::File(content) => String::from_utf8_lossy(content).into_owned(),
                Node::Folder(_) => "folder".to_owned(),
            })
        };
        let folder = |path| tree.find(ROOT, path).expect("a folder");
        for (path, found) in [
            ("e.py", Ok("e.py")),
            ("a/b/c.py", Ok("a/b/c.py")),
            ("./a//b/../d.py", Ok("a/d.py")),
            ("f/g.py", Ok("./f//g.py")),
            (".", Ok("folder")),
            ("a/b/", Ok("folder")),
            ("a/b/../..", Ok("folder")),
            ("", Err(Missing::NoEntry)),
            ("g.py", Err(Missing::NoEntry)),
            ("a/b/c", Err(Missing::NoEntry)),
            ("e.py/", Err(Missing::NotAFolder)),
            ("e.py/..", Err(Missing::NotAFolder)),
            ("a/d.py/x", Err(Missing::NotAFolder)),
            ("/e.py", Err(Missing::Outside)),
            ("..", Err(Missing::Outside)),
            ("a/../../e.py", Err(Missing::Outside)),
        ] {
            assert_eq!(content(path), found.map(str::to_owned), "{path}");
        }
        assert_eq!(
            tree.find(folder("a/b"), "../d.py"),
            tree.find(ROOT, "a/d.py")
        );
        assert_eq!(tree.find(folder("a"), "../.."), Err(Missing::Outside));
        let long = format!("{}e.py", "./".repeat(MAX_PATH / 2 - 2));
        assert!(tree.find(ROOT, &long).is_ok());
        assert_eq!(tree.find(ROOT, &format!("./{long}")), Err(Missing::TooLong));
    }

    #[test]
    fn the_entries_of_a_folder_are_ordered_by_name() {
        let tree = tree(&["b", "a/x", "c"]).expect("a tree");
        let Node::Folder(root) = tree.node(ROOT) else {
            panic!("the root is a folder");
        };
        let names: Vec<_> = (0..)
            .map_while(|position| Some(root.entry(position)?.0))
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn files_that_are_in_each_others_way_and_paths_that_lead_out_are_refused() {
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
        // Seven folders and a file are as many as there may be.
        tree(&["1/2/3/4/5/6/7/8"]).expect("a tree");
        let refused = tree(&["1/2/3/4/5/6/7/8/9"]).expect_err("refused");
        assert_eq!(refused, TreeError::Nodes(8));
    }
}
