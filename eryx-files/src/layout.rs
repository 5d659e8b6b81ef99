//! The files that a sandbox starts with.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::file_system::FileSystem;
use crate::layer::{Layer, LayerBuilder, LayerError};
use crate::limits::Limits;
use crate::mount::{Mount, Mounts};
use crate::source::{Deferred, Source};
use crate::time::{Clock, Timestamp};
use crate::tree::Tree;

/// The files that sandboxes start with: directories and files that each sandbox can change for
/// itself, and mounts. Sandboxes share it, so the start of a sandbox copies no file.
///
/// ```
/// use eryx_files::{Layout, Limits, Timestamp};
///
/// let time = Timestamp::from_seconds(1_700_000_000);
/// let layout = Layout::builder(time)
///     .directory("/tmp")?
///     .file("/data/in.csv", &b"a,b\n1,2\n"[..])?
///     .build();
/// let mut files = layout.start(Limits::default(), move || time);
/// let root = files.open_root()?;
/// let stat = files.stat_at(root, true, "data/in.csv")?;
/// assert_eq!(stat.size, 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Layout {
    layer: Arc<Layer>,
    mounts: Arc<Mounts>,
}

/// Builds a [`Layout`].
#[derive(Debug)]
pub struct LayoutBuilder {
    layer: LayerBuilder,
    mounts: Mounts,
}

/// The error for an entry that cannot be added to a layout.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The path is not valid or taken, or there are too many files.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// Something is mounted there already.
    #[error("something is mounted at {0:?} already; mount it elsewhere")]
    Mounted(String),
}

impl Layout {
    /// The most files and directories of a layout. As many can be in one directory, which is copied
    /// when a program first changes it.
    pub const MAX_NODES: usize = 65_536;

    /// Returns a builder for a layout without files. All that is added has the time `time`.
    pub fn builder(time: Timestamp) -> LayoutBuilder {
        LayoutBuilder {
            layer: LayerBuilder::new(time, Self::MAX_NODES),
            mounts: Mounts::default(),
        }
    }

    /// Returns a builder that adds to a copy of this layout. What is added has the time `time`.
    ///
    /// No content is copied: the time is linear in the number of files and directories, and a
    /// fraction of a microsecond for each. So a layout can be extended for a single sandbox.
    ///
    /// ```
    /// use eryx_files::{Layout, Timestamp};
    ///
    /// let time = Timestamp::from_seconds(1_700_000_000);
    /// let shared = Layout::builder(time).directory("/tmp")?.build();
    /// let own = shared.extend(time).file("/data/in.csv", &b"1,2"[..])?.build();
    /// assert!(!own.is_same(&shared));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn extend(&self, time: Timestamp) -> LayoutBuilder {
        LayoutBuilder {
            layer: LayerBuilder::extend(&self.layer, time, Self::MAX_NODES),
            mounts: Mounts::clone(&self.mounts),
        }
    }

    /// Returns whether both are copies of the same layout.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.layer, &other.layer) && Arc::ptr_eq(&self.mounts, &other.mounts)
    }

    /// Returns the file system of a new sandbox, which takes its times from `clock`.
    pub fn start(
        &self,
        limits: Limits,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> FileSystem {
        let clock = Clock(Arc::new(clock));
        let tree = Tree::new(Arc::clone(&self.layer), limits, clock);
        FileSystem::new(tree, Arc::clone(&self.mounts), limits)
    }
}

impl LayoutBuilder {
    /// Adds a directory, and those on its path, unless it exists.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] if the path is not valid, is that of a file, or there are too many files.
    pub fn directory(mut self, path: &str) -> Result<Self, LayoutError> {
        self.layer.directory(path)?;
        Ok(self)
    }

    /// Adds a file, and the directories on its path. The program can change its own copy.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] if the path is not valid or taken, or there are too many files.
    pub fn file(mut self, path: &str, content: impl Into<Bytes>) -> Result<Self, LayoutError> {
        self.layer.file(path, content)?;
        Ok(self)
    }

    /// Adds a file whose content is read when a program asks for it.
    ///
    /// # Errors
    ///
    /// As [`file`](Self::file), and [`LayerError::Size`] in [`LayoutError::Layer`].
    pub fn source(mut self, path: &str, source: Arc<dyn Source>) -> Result<Self, LayoutError> {
        self.layer.source(path, source)?;
        Ok(self)
    }

    /// Adds a file whose content is provided when it is first needed.
    ///
    /// # Errors
    ///
    /// As [`source`](Self::source).
    pub fn deferred(mut self, path: &str, content: Arc<Deferred>) -> Result<Self, LayoutError> {
        self.layer.deferred(path, content)?;
        Ok(self)
    }

    /// Mounts a layer or a directory. The directory of the mount point is added, and what it
    /// contains is hidden.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] if the path is not valid, is that of a file, or something is mounted there.
    pub fn mount(mut self, path: &str, mount: Mount) -> Result<Self, LayoutError> {
        let point = self.layer.directory_id(path)?;
        if !self.mounts.add(point, mount) {
            return Err(LayoutError::Mounted(path.to_owned()));
        }
        Ok(self)
    }

    /// Returns the layout.
    pub fn build(self) -> Layout {
        Layout {
            layer: self.layer.build(),
            mounts: Arc::new(self.mounts),
        }
    }
}
