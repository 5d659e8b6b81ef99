//! The resolution of paths: the only place that follows `..`, symbolic links and mount points.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::mount::{Mount, Mounts};
use crate::node::{Node, NodeId, NodeKind};
use crate::resolved_directory::{MountedPath, ResolvedDirectory};
use crate::stat::{FileType, Stat};
use crate::tree::Tree;

/// Whether a symbolic link at the end of a path is followed. Others always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// No.
    Never,
    /// If the path ends in a slash.
    IfDirectory,
    /// Yes.
    Always,
}

/// The target of a path.
#[derive(Debug)]
pub(crate) struct Found {
    /// The directory that contains the last entry.
    pub(crate) directory: ResolvedDirectory,
    pub(crate) last: Last,
    /// The path ends in a slash.
    pub(crate) trailing_slash: bool,
}

/// The end of a path.
#[derive(Debug)]
pub(crate) enum Last {
    /// The path ends in `.`, or a link leads to the root: it is the directory itself.
    Dot,
    /// The path ends in `..`: it is the directory itself, after that step.
    DotDot,
    /// A name, and what has it.
    Name(Box<str>, Option<Object>),
}

/// The file or directory with a name.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    /// A node in memory, of this volume.
    Node(usize, NodeId),
    /// A mount point, with the directory that is mounted there.
    MountPoint(ResolvedDirectory),
    /// An entry of a directory that is not in memory.
    Mounted(Stat),
}

/// The nodes and mounts that paths lead through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) mounts: &'a Mounts,
}

/// A part of a path.
struct Component<'a> {
    name: &'a str,
    is_last: bool,
    trailing_slash: bool,
}

/// The rest of a path: of the path itself, and of the target of each link that it leads to.
struct Pending<'p> {
    texts: Vec<Text<'p>>,
}

struct Text<'p> {
    text: Cow<'p, str>,
    position: usize,
    /// The end of the last name.
    end: usize,
}

impl<'p> Pending<'p> {
    fn push(&mut self, text: Cow<'p, str>) {
        let end = text.trim_end_matches('/').len();
        self.texts.push(Text {
            text,
            position: 0,
            end,
        });
    }

    fn next(&mut self) -> Option<Component<'_>> {
        while self
            .texts
            .pop_if(|text| text.position >= text.end)
            .is_some()
        {}
        let is_last_text = {
            let (_, outer) = self.texts.split_last()?;
            outer.iter().all(|text| text.position >= text.end)
        };
        let trailing_slash = self.texts.iter().any(|text| text.end < text.text.len());
        let text = self.texts.last_mut()?;
        let rest = &text.text[text.position..text.end];
        let start = text.position + (rest.len() - rest.trim_start_matches('/').len());
        let name = text.text[start..text.end].split('/').next()?;
        text.position = start + name.len();
        Some(Component {
            name,
            is_last: is_last_text && text.position >= text.end,
            trailing_slash,
        })
    }
}

impl<'a> Resolver<'a> {
    pub(crate) fn node(&self, volume: usize, id: NodeId) -> Result<&'a Node> {
        match volume {
            0 => self.tree.node(id),
            volume => self.mounts.node(volume, id),
        }
    }

    /// Resolves a path from a directory on.
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`] for an absolute path.
    pub(crate) fn resolve(
        &self,
        start: ResolvedDirectory,
        path: &str,
        follow: Follow,
    ) -> Result<Found> {
        self.walk(start, path, follow, false)
    }

    /// Resolves the path of a file that is created if it does not exist.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve), and [`Error::IsADirectory`] if the path ends in a slash, or
    /// that of a link on the way.
    pub(crate) fn resolve_new_file(
        &self,
        start: ResolvedDirectory,
        path: &str,
        follow: Follow,
    ) -> Result<Found> {
        self.walk(start, path, follow, true)
    }

    fn walk(
        &self,
        start: ResolvedDirectory,
        path: &str,
        follow: Follow,
        is_new_file: bool,
    ) -> Result<Found> {
        if path.is_empty() {
            return Err(Error::NoEntry);
        }
        if path.starts_with('/') {
            return Err(Error::NotPermitted);
        }
        check_text(path)?;
        let mut directory = start;
        let mut pending = Pending { texts: Vec::new() };
        pending.push(Cow::Borrowed(path));
        let (mut components, mut links, mut lookups) = (0, 0, 0);
        let (mut last, mut trailing_slash) = (Last::Dot, false);
        while let Some(component) = pending.next() {
            trailing_slash = component.trailing_slash;
            let name = component.name;
            components += 1;
            if components > Limits::MAX_COMPONENTS {
                return Err(Error::NameTooLong);
            }
            if name == "." {
                last = Last::Dot;
                continue;
            }
            lookups += 1;
            if lookups > Limits::MAX_LOOKUPS {
                return Err(Error::NameTooLong);
            }
            if name == ".." {
                directory = self.parent(directory)?;
                last = Last::DotDot;
                continue;
            }
            if name.len() > Limits::MAX_NAME {
                return Err(Error::NameTooLong);
            }
            if is_new_file && component.is_last && trailing_slash {
                return Err(Error::IsADirectory);
            }
            let Some(object) = self.lookup(&directory, name)? else {
                if !component.is_last {
                    return Err(Error::NoEntry);
                }
                last = Last::Name(name.into(), None);
                break;
            };
            let file_type = self.file_type(&object)?;
            let is_followed = match follow {
                Follow::Never => false,
                Follow::IfDirectory => trailing_slash,
                Follow::Always => true,
            };
            if file_type == FileType::Symlink && (is_followed || !component.is_last) {
                links += 1;
                if links > Limits::MAX_LINKS {
                    return Err(Error::Loop);
                }
                let target = self.target(&directory, name, &object)?;
                if target.starts_with('/') {
                    directory = ResolvedDirectory::Node(0, Tree::ROOT);
                }
                last = Last::Dot;
                pending.push(target);
            } else if component.is_last {
                last = Last::Name(name.into(), Some(object));
                break;
            } else if file_type == FileType::Directory {
                directory = self.enter(directory, name, object)?;
            } else {
                return Err(Error::NotADirectory);
            }
        }
        Ok(Found {
            directory,
            last,
            trailing_slash,
        })
    }

    /// Returns what has this name in a directory.
    fn lookup(&self, directory: &ResolvedDirectory, name: &str) -> Result<Option<Object>> {
        match directory {
            ResolvedDirectory::Node(volume, id) => {
                let Some(id) = self.node(*volume, *id)?.directory()?.find(name) else {
                    return Ok(None);
                };
                Ok(Some(match self.mounted_at(*volume, id)? {
                    Some(directory) => Object::MountPoint(directory),
                    None => Object::Node(*volume, id),
                }))
            }
            ResolvedDirectory::Mounted(mounted) => match mounted.directory.stat_entry(name) {
                Ok(stat) => Ok(Some(Object::Mounted(stat))),
                Err(Error::NoEntry) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Returns the root of the mount at a directory, if there is one.
    pub(crate) fn mounted_at(
        &self,
        volume: usize,
        id: NodeId,
    ) -> Result<Option<ResolvedDirectory>> {
        let Some(inner) = self.mounts.volume_at(id).filter(|_| volume == 0) else {
            return Ok(None);
        };
        Ok(Some(match &self.mounts.mount(inner)?.1 {
            Mount::Layer(_) => ResolvedDirectory::Node(inner, Tree::ROOT),
            Mount::Directory(directory) => {
                ResolvedDirectory::Mounted(Box::new(MountedPath::root(inner, directory.clone())))
            }
        }))
    }

    pub(crate) fn file_type(&self, object: &Object) -> Result<FileType> {
        match object {
            Object::Node(volume, id) => Ok(self.node(*volume, *id)?.file_type()),
            Object::MountPoint(_) => Ok(FileType::Directory),
            Object::Mounted(stat) => Ok(stat.file_type),
        }
    }

    /// Returns the target of a symbolic link.
    pub(crate) fn target(
        &self,
        directory: &ResolvedDirectory,
        name: &str,
        object: &Object,
    ) -> Result<Cow<'a, str>> {
        match (object, directory) {
            (Object::Node(volume, id), _) => match &self.node(*volume, *id)?.kind {
                NodeKind::Symlink(target) => Ok(Cow::Borrowed(target)),
                NodeKind::File(_) | NodeKind::Directory(_) => Err(Error::Invalid),
            },
            (Object::Mounted(_), ResolvedDirectory::Mounted(mounted)) => {
                let target = mounted.directory.read_link(name)?;
                check_text(&target)?;
                Ok(Cow::Owned(target))
            }
            _ => Err(Error::Invalid),
        }
    }

    /// Returns a directory, which has this name in `parent`.
    pub(crate) fn enter(
        &self,
        parent: ResolvedDirectory,
        name: &str,
        object: Object,
    ) -> Result<ResolvedDirectory> {
        match (object, parent) {
            (Object::Node(volume, id), _) => Ok(ResolvedDirectory::Node(volume, id)),
            (Object::MountPoint(directory), _) => Ok(directory),
            (Object::Mounted(_), ResolvedDirectory::Mounted(mounted)) => {
                Ok(ResolvedDirectory::Mounted(mounted.enter(name)?))
            }
            (Object::Mounted(_), ResolvedDirectory::Node(..)) => Err(Error::NoEntry),
        }
    }

    fn parent(&self, directory: ResolvedDirectory) -> Result<ResolvedDirectory> {
        let volume = match directory {
            // As in Linux, the parent of the root is the root.
            ResolvedDirectory::Node(0, Tree::ROOT) => return Ok(directory),
            ResolvedDirectory::Node(volume, Tree::ROOT) => volume,
            ResolvedDirectory::Node(volume, id) => {
                let parent = self.node(volume, id)?.directory()?.parent;
                return Ok(ResolvedDirectory::Node(volume, parent));
            }
            ResolvedDirectory::Mounted(mounted) => {
                let volume = mounted.volume;
                match mounted.parent(self.mounts)? {
                    Some(parent) => return Ok(ResolvedDirectory::Mounted(parent)),
                    None => volume,
                }
            }
        };
        let point = self.mounts.mount(volume)?.0;
        Ok(ResolvedDirectory::Node(
            0,
            self.tree.node(point)?.directory()?.parent,
        ))
    }
}

/// Checks a path or the target of a link.
pub(crate) fn check_text(path: &str) -> Result<()> {
    if path.len() > Limits::MAX_PATH {
        return Err(Error::NameTooLong);
    }
    if path.contains('\0') {
        return Err(Error::Invalid);
    }
    Ok(())
}
