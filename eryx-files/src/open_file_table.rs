//! The open files, directories and listings of a program.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::mount::{Access, MountedEntries, MountedFile};
use crate::node::NodeId;
use crate::resolved_directory::ResolvedDirectory;

/// An open file or directory of a [`FileSystem`](crate::FileSystem). No number is given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Descriptor(u64);

/// An iteration over the entries of a directory. No number is given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listing(u64);

/// An open file or directory.
#[derive(Debug)]
pub(crate) enum Opened {
    Directory(ResolvedDirectory),
    File(OpenFile, Access),
}

#[derive(Clone, Debug)]
pub(crate) enum OpenFile {
    /// A file in memory, of this volume.
    Node(usize, NodeId),
    Mounted(usize, Arc<dyn MountedFile>),
}

/// The state of an iteration.
pub(crate) enum Entries {
    /// Over a directory in memory, of this volume. The next entry is the first whose name is
    /// greater than that of the last one. An iteration holds no copy of the directory: many
    /// iterations would take too much memory.
    Node {
        volume: usize,
        id: NodeId,
        last: Option<Arc<str>>,
    },
    Mounted(MountedEntries),
}

/// All that a program holds open.
pub(crate) struct OpenFileTable {
    opened: HashMap<u64, Opened>,
    listings: HashMap<u64, Entries>,
    next: u64,
    /// The number of them that are not in memory.
    mounted: usize,
    max_open: usize,
    /// The entries by which both limits are raised for files that the caller opens itself.
    reserve: usize,
}

impl Opened {
    /// Returns the node of volume 0 that has to exist as long as this is open.
    pub(crate) fn node(&self) -> Option<NodeId> {
        match self {
            Self::Directory(ResolvedDirectory::Node(0, id))
            | Self::File(OpenFile::Node(0, id), _) => Some(*id),
            Self::Directory(_) | Self::File(..) => None,
        }
    }

    fn is_mounted(&self) -> bool {
        matches!(
            self,
            Self::Directory(ResolvedDirectory::Mounted(_)) | Self::File(OpenFile::Mounted(..), _)
        )
    }
}

impl Entries {
    /// Returns the node of volume 0 that has to exist as long as this is open.
    pub(crate) fn node(&self) -> Option<NodeId> {
        match self {
            Self::Node { volume: 0, id, .. } => Some(*id),
            Self::Node { .. } | Self::Mounted(_) => None,
        }
    }
}

impl OpenFileTable {
    pub(crate) fn new(max_open: usize) -> Self {
        Self {
            opened: HashMap::new(),
            listings: HashMap::new(),
            next: 0,
            mounted: 0,
            max_open,
            reserve: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.opened.len() + self.listings.len()
    }

    pub(crate) fn set_reserve(&mut self, reserve: usize) {
        self.reserve = reserve;
    }

    /// Returns the error if nothing more can be opened, in memory or not.
    pub(crate) fn check_room(&self, is_mounted: bool) -> Result<()> {
        let max_mounted = Limits::MAX_MOUNT_DESCRIPTORS + self.reserve;
        let max_open = self.max_open + self.reserve;
        if self.len() >= max_open || (is_mounted && self.mounted >= max_mounted) {
            return Err(Error::TooManyOpen);
        }
        Ok(())
    }

    pub(crate) fn open(&mut self, mut opened: Opened) -> Result<Descriptor> {
        self.check_room(opened.is_mounted())?;
        if let Opened::Directory(ResolvedDirectory::Mounted(mounted)) = &mut opened {
            mounted.close_above();
        }
        self.mounted += usize::from(opened.is_mounted());
        self.next += 1;
        self.opened.insert(self.next, opened);
        Ok(Descriptor(self.next))
    }

    pub(crate) fn get(&self, descriptor: Descriptor) -> Result<&Opened> {
        self.opened.get(&descriptor.0).ok_or(Error::BadDescriptor)
    }

    pub(crate) fn close(&mut self, descriptor: Descriptor) -> Result<Opened> {
        let opened = self.opened.remove(&descriptor.0);
        let opened = opened.ok_or(Error::BadDescriptor)?;
        self.mounted -= usize::from(opened.is_mounted());
        Ok(opened)
    }

    pub(crate) fn list(&mut self, entries: Entries) -> Result<Listing> {
        let is_mounted = matches!(entries, Entries::Mounted(_));
        self.check_room(is_mounted)?;
        self.mounted += usize::from(is_mounted);
        self.next += 1;
        self.listings.insert(self.next, entries);
        Ok(Listing(self.next))
    }

    pub(crate) fn entries(&mut self, listing: Listing) -> Result<&mut Entries> {
        self.listings
            .get_mut(&listing.0)
            .ok_or(Error::BadDescriptor)
    }

    pub(crate) fn close_listing(&mut self, listing: Listing) -> Result<Entries> {
        let entries = self.listings.remove(&listing.0);
        let entries = entries.ok_or(Error::BadDescriptor)?;
        self.mounted -= usize::from(matches!(entries, Entries::Mounted(_)));
        Ok(entries)
    }
}
