//! A file of a package: in memory, or on disk until it is needed.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use eryx_files::{LayerBuilder, LayerError, Source as _};
use sha2::{Digest as _, Sha256};

use crate::factory::stored_content::StoredContent;
use crate::local_file::is_local;

/// The age from which a change of a file has another time than the change before it: more than the
/// interval in which a kernel updates its clock.
const CLOCK_INTERVAL: Duration = Duration::from_millis(100);

/// The same for file systems that store whole milliseconds, or seconds.
const COARSE_INTERVAL: Duration = Duration::from_secs(3);

/// A file of a package.
#[derive(Debug, Clone)]
pub(super) struct PackageFile {
    /// The package.
    pub(super) package: Arc<Path>,
    /// The SHA-256 of the content.
    pub(super) digest: [u8; 32],
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Bytes(Bytes),
    Stored(Arc<StoredContent>),
}

impl PackageFile {
    pub(super) fn new(package: &Arc<Path>, content: Vec<u8>) -> Self {
        Self {
            package: Arc::clone(package),
            digest: Sha256::digest(&content).into(),
            content: Content::Bytes(content.into()),
        }
    }

    /// Returns a file whose content is read when it is needed.
    pub(super) fn stored(package: &Arc<Path>, file: StoredContent) -> Self {
        Self {
            package: Arc::clone(package),
            digest: *file.digest(),
            content: Content::Stored(Arc::new(file)),
        }
    }

    /// Returns the number of bytes.
    pub(super) fn size(&self) -> u64 {
        match &self.content {
            Content::Bytes(content) => content.len() as u64,
            Content::Stored(file) => file.size(),
        }
    }

    /// Returns the content.
    ///
    /// # Errors
    ///
    /// When it has to be read, and the file was changed or removed meanwhile.
    pub(super) fn content(&self) -> io::Result<&Bytes> {
        match &self.content {
            Content::Bytes(content) => Ok(content),
            Content::Stored(file) => file.load(),
        }
    }

    /// Returns the content that may still have to be read, None if it never had to.
    pub(super) fn stored_content(&self) -> Option<&Arc<StoredContent>> {
        match &self.content {
            Content::Bytes(_) => None,
            Content::Stored(file) => Some(file),
        }
    }

    /// Adds the file to what programs see.
    pub(super) fn add_to(&self, layer: &mut LayerBuilder, name: &str) -> Result<(), LayerError> {
        match &self.content {
            Content::Bytes(content) => layer.file(name, content.clone()),
            Content::Stored(file) => layer.source(name, Arc::clone(file) as _),
        }
    }
}

/// What stat(2) says of a file: as long as it is the same, the content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIdentity(pub(super) [u64; Self::FIELDS]);

impl FileIdentity {
    pub(super) const FIELDS: usize = 7;

    pub(super) fn from_metadata(metadata: &Metadata) -> Self {
        Self([
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            metadata.mtime().cast_unsigned(),
            metadata.mtime_nsec().cast_unsigned(),
            metadata.ctime().cast_unsigned(),
            metadata.ctime_nsec().cast_unsigned(),
        ])
    }

    /// Returns the identity of a file that is about to be read, if a change after that would change
    /// it: the file is on a local file system, and was not changed just now.
    pub(super) fn before_reading(file: &File, metadata: &Metadata) -> Option<Self> {
        let seconds = u64::try_from(metadata.ctime()).ok()?;
        let nanoseconds = u32::try_from(metadata.ctime_nsec()).ok()?;
        let interval = match nanoseconds % 1_000_000 {
            0 => COARSE_INTERVAL,
            _ => CLOCK_INTERVAL,
        };
        let changed = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        let age = SystemTime::now().duration_since(changed).ok()?;
        (age >= interval && is_local(file).ok()?).then(|| Self::from_metadata(metadata))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_identity_of_a_file_that_was_changed_just_now_is_not_known() {
        let directory = tempfile::tempdir().expect("made");
        let path = directory.path().join("file");
        fs::write(&path, "content").expect("written");
        let file = File::open(&path).expect("opened");
        // Sets its ctime to now. The mtime is of no use, as programs can set it.
        file.set_modified(UNIX_EPOCH).expect("set");
        let metadata = file.metadata().expect("known");
        assert_eq!(FileIdentity::before_reading(&file, &metadata), None);
    }
}
