//! The entries of a cache, for the user to see and to remove.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::image::cache::default_path;
use crate::image::cache::directory::Directory;
use crate::image::cache::entry::{self, is_entry, last_use};
use crate::image::cache::prune::is_abandoned;

/// The cache of this user, or one in another directory: what factories store.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// use eryx_core::image::UserCache;
///
/// let cache = UserCache::open(None)?;
/// for entry in cache.entries()? {
///     println!("{} bytes: {:?}", entry.size(), entry.kind());
///     cache.remove(&entry)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UserCache {
    directory: Directory,
}

/// The content of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheEntryKind {
    /// The compiled snapshot of a factory. It contains the memory of the interpreter after imports
    /// and setup code.
    Factory,
    /// The machine code of the guest image.
    Image,
    /// The bytecode of packages.
    Bytecode,
    /// The downloaded wheels of requirements.
    Download,
    /// The digests of the files in a directory of packages.
    Digests,
    /// A file that was not completed, because its process was killed.
    Incomplete,
}

/// An entry of a cache.
#[derive(Debug, Clone)]
pub struct CacheEntry {
    name: OsString,
    kind: CacheEntryKind,
    size: u64,
    last_use: SystemTime,
}

impl CacheEntry {
    /// Returns the name of its file.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// Returns what it contains.
    pub fn kind(&self) -> CacheEntryKind {
        self.kind
    }

    /// Returns its size, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns when it was used for the last time, to the hour.
    pub fn last_use(&self) -> SystemTime {
        self.last_use
    }
}

impl UserCache {
    /// Opens the directory `directory`, or else the user's: `$ERYX_CACHE_DIR`, else
    /// `$XDG_CACHE_HOME/eryx`, else `~/.cache/eryx`. It is created if it does not exist.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or other users could write to it or replace it: such a directory
    /// is not used as a cache.
    pub fn open(directory: Option<&Path>) -> io::Result<Self> {
        let path = directory.map_or_else(default_path, |path| Ok(path.to_path_buf()))?;
        Ok(Self {
            directory: Directory::open(&path)?,
        })
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the entries, the one that was used last first. Other files of the directory are not
    /// among them.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn entries(&self) -> io::Result<Vec<CacheEntry>> {
        let now = SystemTime::now();
        let mut entries = Vec::new();
        for (name, stat) in self.directory.files()? {
            let last_use = last_use(&stat);
            let age = now.duration_since(last_use).unwrap_or_default();
            let kind = match is_entry(&name) {
                true => kind(&name),
                false if is_abandoned(&name, age) => CacheEntryKind::Incomplete,
                false => continue,
            };
            entries.push(CacheEntry {
                name,
                kind,
                size: stat.st_size.unsigned_abs(),
                last_use,
            });
        }
        entries.sort_by(|first, second| {
            (second.last_use, &first.name).cmp(&(first.last_use, &second.name))
        });
        Ok(entries)
    }

    /// Removes an entry. Processes that use it keep it, until they end.
    ///
    /// # Errors
    ///
    /// When its file cannot be removed. That it does not exist any more is no error.
    pub fn remove(&self, entry: &CacheEntry) -> io::Result<()> {
        match self.directory.remove(&entry.name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn kind(name: &OsStr) -> CacheEntryKind {
    let extension = Path::new(name).extension().and_then(OsStr::to_str);
    match extension {
        Some(entry::BYTECODE) => CacheEntryKind::Bytecode,
        Some(entry::WHEELS) => CacheEntryKind::Download,
        Some(entry::DIGESTS) => CacheEntryKind::Digests,
        _ if name.to_string_lossy().starts_with("factory-") => CacheEntryKind::Factory,
        _ => CacheEntryKind::Image,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[test]
    fn entries_have_their_kind_and_are_removed_and_other_files_stay() {
        let dir = tempfile::tempdir().expect("made");
        let day = Duration::from_secs(24 * 3600);
        for (name, days) in [
            ("factory-1-x.cwasm", 1),
            ("abc-x.cwasm", 2),
            ("bytecode-1-0.pycs", 3),
            ("requirements-1.wheels", 4),
            ("directory-1.digests", 5),
            ("factory-2-x.cwasm.building", 6),
            ("factory-3-x.cwasm.building", 0),
            ("notes.txt", 6),
        ] {
            fs::write(dir.path().join(name), name).expect("written");
            let file = fs::File::open(dir.path().join(name)).expect("opened");
            file.set_modified(SystemTime::now() - day * days)
                .expect("set");
        }
        let cache = UserCache::open(Some(dir.path())).expect("opened");
        let entries = cache.entries().expect("listed");
        let kinds: Vec<_> = entries.iter().map(CacheEntry::kind).collect();
        assert_eq!(
            kinds,
            [
                CacheEntryKind::Factory,
                CacheEntryKind::Image,
                CacheEntryKind::Bytecode,
                CacheEntryKind::Download,
                CacheEntryKind::Digests,
                CacheEntryKind::Incomplete
            ]
        );
        assert_eq!(entries[0].size(), 17);
        for entry in &entries {
            cache.remove(entry).expect("removed");
            cache.remove(entry).expect("it does not exist any more");
        }
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["factory-3-x.cwasm.building", "notes.txt"]);
    }
}
