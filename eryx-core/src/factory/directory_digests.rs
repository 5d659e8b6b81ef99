//! The digests of the files in a directory of packages, as an earlier build computed them, so that
//! the next one does not read what has not changed.
//!
//! They are an entry of the cache: for each file the length of its name in four bytes, the name,
//! its [`FileIdentity`] and its digest. All numbers are little-endian.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::factory::fields::take;
use crate::factory::package_file::FileIdentity;
use crate::image::cache::{Cache, CacheName};

/// The first bytes of the entry.
const MAGIC: &[u8; 16] = b"eryx digests 1\n\0";

/// The smallest number of files whose digests are stored: reading fewer takes no time.
const MIN_FILES: usize = 256;

/// The digests of the files in a directory, by name.
#[derive(Debug, Default)]
pub(super) struct DirectoryDigests(HashMap<String, FileDigest>);

/// The digest of a file, and what stat(2) said of the file before it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileDigest {
    pub(super) identity: FileIdentity,
    pub(super) sha256: [u8; 32],
}

impl DirectoryDigests {
    /// Returns what an earlier build has stored for `directory`; nothing if there is none.
    pub(super) fn find(cache: &Cache, directory: &Path) -> Self {
        let content = name(directory).and_then(|name| cache.read(&name));
        content
            .and_then(|content| parse(&content))
            .unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the digest of a file, if the file has not changed.
    pub(super) fn get(&self, name: &str, identity: FileIdentity) -> Option<&FileDigest> {
        self.0
            .get(name)
            .filter(|digest| digest.identity == identity)
    }
}

/// Stores the digests of the files in `directory`.
pub(super) fn store(cache: &Cache, directory: &Path, files: &[(&str, FileDigest)]) {
    if files.len() < MIN_FILES {
        return;
    }
    let Some(entry) = name(directory) else { return };
    let mut content = MAGIC.to_vec();
    for (name, digest) in files {
        content.extend((name.len() as u32).to_le_bytes());
        content.extend(name.as_bytes());
        content.extend(
            digest
                .identity
                .0
                .iter()
                .flat_map(|field| field.to_le_bytes()),
        );
        content.extend(digest.sha256);
    }
    cache.store(&entry, &content, None);
}

/// Returns the name of the entry, which the path of the directory determines.
fn name(directory: &Path) -> Option<CacheName> {
    let path = fs::canonicalize(directory).ok()?;
    let key = Sha256::digest(path.as_os_str().as_bytes());
    Some(CacheName::digests(&HEXLOWER.encode(&key)))
}

fn parse(content: &[u8]) -> Option<DirectoryDigests> {
    let mut rest = content.strip_prefix(MAGIC)?;
    let mut files = HashMap::new();
    while !rest.is_empty() {
        let length = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
        let (name, after) = rest.split_at_checked(length)?;
        rest = after;
        let mut identity = [0; FileIdentity::FIELDS];
        for field in &mut identity {
            *field = u64::from_le_bytes(take(&mut rest)?);
        }
        let digest = FileDigest {
            identity: FileIdentity(identity),
            sha256: take(&mut rest)?,
        };
        files.insert(std::str::from_utf8(name).ok()?.to_owned(), digest);
    }
    Some(DirectoryDigests(files))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u64) -> FileDigest {
        FileDigest {
            identity: FileIdentity([number; FileIdentity::FIELDS]),
            sha256: [7; 32],
        }
    }

    #[test]
    fn stored_digests_are_found_for_the_same_directory_and_the_same_identity() {
        let directory = tempfile::tempdir().expect("made");
        let cache = Cache::open(Some(&directory.path().join("cache")));
        let names: Vec<_> = (0..MIN_FILES)
            .map(|number| format!("{number}.py"))
            .collect();
        let files: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), digest(1)))
            .collect();
        store(&cache, directory.path(), &files[1..]);
        let found = DirectoryDigests::find(&cache, directory.path());
        assert!(found.0.is_empty(), "too few to store");
        store(&cache, directory.path(), &files);
        let found = DirectoryDigests::find(&cache, directory.path());
        assert_eq!(found.get("9.py", digest(1).identity), Some(&digest(1)));
        assert_eq!(found.get("9.py", digest(2).identity), None);
        assert_eq!(found.get("other.py", digest(1).identity), None);
        let other = DirectoryDigests::find(&cache, &directory.path().join("cache"));
        assert!(other.0.is_empty());
    }

    #[test]
    fn an_incomplete_entry_is_not_used() {
        let mut content = MAGIC.to_vec();
        assert!(parse(&content).is_some());
        content.extend([1, 0, 0, 0, b'a', 0]);
        assert!(parse(&content).is_none());
        assert!(parse(b"eryx digests 0\n\0").is_none());
    }
}
