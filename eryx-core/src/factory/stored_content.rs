//! Content in a file of the machine, which is read when a program first needs it, and compared with
//! its digest.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use eryx_files::Source;
use sha2::{Digest as _, Sha256};

/// Content in a file of the machine.
#[derive(Debug)]
pub(super) struct StoredContent {
    location: ContentLocation,
    size: u64,
    /// The SHA-256 of the content.
    digest: [u8; 32],
    content: OnceLock<Bytes>,
}

/// Where content is.
#[derive(Debug)]
pub(super) enum ContentLocation {
    /// The beginning of a file that is opened to read it.
    Path(PathBuf),
    /// A part of an open file, from this offset on.
    Part(Arc<File>, u64),
}

impl StoredContent {
    pub(super) fn new(location: ContentLocation, size: u64, digest: [u8; 32]) -> Self {
        Self {
            location,
            size,
            digest,
            content: OnceLock::new(),
        }
    }

    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Returns whether the content is in memory.
    pub(super) fn is_loaded(&self) -> bool {
        self.content.get().is_some()
    }

    /// Reads the content, unless it is in memory.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or was changed.
    pub(super) fn load(&self) -> io::Result<&Bytes> {
        if let Some(content) = self.content.get() {
            return Ok(content);
        }
        let size = usize::try_from(self.size).map_err(io::Error::other)?;
        let mut content = Vec::new();
        match &self.location {
            ContentLocation::Path(path) => {
                content.reserve_exact(size);
                File::open(path)?
                    .take(self.size)
                    .read_to_end(&mut content)?;
            }
            ContentLocation::Part(file, offset) => {
                content.resize(size, 0);
                file.read_exact_at(&mut content, *offset)?;
            }
        }
        if Sha256::digest(&content).as_slice() != self.digest {
            return Err(io::Error::other(self.changed()));
        }
        // Not initialised by a closure: a fork during one would leave the child waiting for ever.
        Ok(self.content.get_or_init(|| content.into()))
    }

    fn changed(&self) -> String {
        match &self.location {
            ContentLocation::Path(path) => format!(
                "{} was changed after the factory was built; build it again",
                path.display()
            ),
            ContentLocation::Part(..) => "an entry of the cache was changed".to_owned(),
        }
    }
}

impl Source for StoredContent {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let content = self.load().inspect_err(|reason| {
            tracing::warn!(target: "eryx::image", %reason, "a file of a package cannot be read");
        })?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let found = content.get(start..).unwrap_or_default();
        let length = found.len().min(buffer.len());
        buffer[..length].copy_from_slice(&found[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn content_is_read_once_and_never_if_it_was_changed() {
        let directory = tempfile::tempdir().expect("made");
        let path = directory.path().join("file");
        fs::write(&path, "content").expect("written");
        let digest = Sha256::digest("content").into();
        let stored = || StoredContent::new(ContentLocation::Path(path.clone()), 7, digest);
        let loaded = stored();
        assert_eq!(loaded.load().expect("read"), "content");
        let mut tail = [0; 9];
        assert_eq!(loaded.read_at(3, &mut tail).expect("read"), 4);
        assert_eq!(&tail[..4], b"tent");
        for changed in ["Content", "short"] {
            fs::write(&path, changed).expect("written");
            let error = stored().load().expect_err("changed");
            assert!(error.to_string().contains("build it again"), "{error}");
        }
        fs::remove_file(&path).expect("removed");
        stored().load().expect_err("removed");
        assert_eq!(loaded.load().expect("in memory"), "content");
    }
}
