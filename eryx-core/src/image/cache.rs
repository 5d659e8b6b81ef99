//! A cache in a directory of the user: of machine code, and of what factories make of packages. An
//! entry is keyed by its inputs.

mod directory;
#[cfg(test)]
mod directory_swap_tests;
pub(in crate::image) mod entry;
pub(crate) mod pending_entry;
mod prune;
mod user_cache;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use user_cache::{CacheEntry, CacheEntryKind, UserCache};

use sha2::{Digest as _, Sha256};
use wasmtime::CacheStore;

use crate::error::Error;
use crate::host_resource::check_file_size;
use crate::image::cache::directory::Directory;
use crate::image::cache::entry::ReadMode;
use crate::image::cache::pending_entry::PendingEntry;
use crate::image::cache::prune::Limits;
use crate::image::compile::{self, engine_fingerprint};
use crate::image::machine_code::MachineCode;

/// A cache directory of this user's own, if there is one that can be trusted.
#[derive(Clone)]
pub(crate) struct Cache {
    dir: Option<Arc<Directory>>,
    limits: Limits,
}

impl Cache {
    /// Opens the directory `dir`, or else the user's: `$ERYX_CACHE_DIR`, else
    /// `$XDG_CACHE_HOME/eryx`, else `~/.cache/eryx`. It is created with mode 0700; a directory that
    /// other users could write to or replace is not used.
    pub(crate) fn open(dir: Option<&Path>) -> Self {
        let path = dir.map_or_else(default_path, |dir| Ok(dir.to_path_buf()));
        match path.and_then(|path| Directory::open(&path)) {
            Ok(dir) => Self {
                dir: Some(Arc::new(dir)),
                limits: Limits::from_environment(),
            },
            Err(reason) => {
                tracing::warn!(target: "eryx::image", %reason, "compiled images are not cached");
                Self::disabled()
            }
        }
    }

    /// Returns a cache that stores nothing.
    pub(crate) fn disabled() -> Self {
        Self {
            dir: None,
            limits: Limits::default(),
        }
    }

    /// Returns whether this cache stores nothing.
    pub(super) fn is_disabled(&self) -> bool {
        self.dir.is_none()
    }

    /// Returns the machine code that was stored under `key` for this engine.
    pub(super) fn find(&self, key: &str, mode: ReadMode) -> Result<Option<MachineCode>, Error> {
        let name = CacheName::machine_code(key)?.0;
        let dir = self.dir.as_ref();
        Ok(dir.and_then(|dir| entry::find(dir, &name, mode)))
    }

    /// Begins the entry of this name once no other process is making it. That process may have
    /// stored the entry, so the caller should look for it again.
    pub(crate) async fn begin(&self, name: &CacheName) -> Option<PendingEntry> {
        let dir = self.dir.as_ref()?;
        PendingEntry::begin(dir, &name.0, pending_entry::TIMEOUT).await
    }

    /// Does what [`begin`](Self::begin) does for machine code, and blocks the thread while it
    /// waits.
    pub(super) fn begin_blocking(&self, key: &str) -> Result<Option<PendingEntry>, Error> {
        let Some(dir) = &self.dir else {
            return Ok(None);
        };
        let name = CacheName::machine_code(key)?;
        Ok(PendingEntry::begin_blocking(
            dir,
            &name.0,
            pending_entry::TIMEOUT,
        ))
    }

    /// Opens the file of an entry. It has what [`store`](Self::store) wrote and a digest after it,
    /// which is not compared.
    pub(crate) fn open_file(&self, name: &CacheName) -> Option<File> {
        entry::open(self.dir.as_ref()?, &name.0)
    }

    /// Returns the content of an entry, if it is unchanged.
    pub(crate) fn read(&self, name: &CacheName) -> Option<Vec<u8>> {
        entry::read_content(self.dir.as_ref()?, &name.0)
    }

    /// Stores an entry, in the file that was begun for it, if one was.
    pub(crate) fn store(&self, name: &CacheName, content: &[u8], pending: Option<PendingEntry>) {
        let Some(dir) = &self.dir else { return };
        match store(dir, &name.0, content, pending) {
            Ok(()) => prune::prune(dir, &name.0, self.limits),
            Err(error) => not_stored(dir, &name.0, &error),
        }
    }

    /// Compiles `wasm`, except the functions that `functions` has, and stores the machine code
    /// under `key`, in the entry that was begun for it, if one was.
    pub(super) fn compile(
        &self,
        key: &str,
        wasm: &[u8],
        functions: Option<Arc<dyn CacheStore>>,
        pending: Option<PendingEntry>,
    ) -> Result<MachineCode, Error> {
        // Machine code is larger than the wasm. This check spares a compilation that could not be
        // stored.
        check_file_size(wasm.len())?;
        let code = compile::compile_portable(wasm, functions)?;
        check_file_size(code.len())?;
        if let Some(dir) = &self.dir {
            let name = CacheName::machine_code(key)?.0;
            match store(dir, &name, &code, pending) {
                Ok(()) => {
                    prune::prune(dir, &name, self.limits);
                    // Processes that map the entry share its pages with this one.
                    if let Some(entry) = entry::find(dir, &name, ReadMode::InPlace) {
                        return Ok(entry);
                    }
                }
                Err(error) => not_stored(dir, &name, &error),
            }
        }
        let digest = Sha256::digest(&code).into();
        Ok(MachineCode::from_bytes(&code)?.with_digest(digest))
    }
}

fn store(
    dir: &Arc<Directory>,
    name: &OsStr,
    code: &[u8],
    pending: Option<PendingEntry>,
) -> io::Result<()> {
    let pending = match pending {
        Some(pending) => pending,
        None => PendingEntry::begin_unlocked(dir, name)?,
    };
    pending.commit(name, code)
}

fn not_stored(dir: &Directory, name: &OsStr, error: &io::Error) {
    tracing::warn!(
        target: "eryx::image",
        dir = %dir.path().display(),
        name = %name.to_string_lossy(),
        %error,
        "an entry is not stored in the cache"
    );
}

/// The name of an entry's file.
#[derive(Clone, Debug)]
pub(crate) struct CacheName(OsString);

impl CacheName {
    /// Returns the name of machine code for this engine.
    pub(crate) fn machine_code(key: &str) -> Result<Self, Error> {
        let name = format!("{key}-{}.{}", engine_fingerprint()?, entry::MACHINE_CODE);
        Ok(Self(name.into()))
    }

    /// Returns the name of bytecode.
    pub(crate) fn bytecode(key: &str) -> Self {
        Self(format!("bytecode-{key}.{}", entry::BYTECODE).into())
    }

    /// Returns the name of downloaded wheels.
    pub(crate) fn wheels(key: &str) -> Self {
        Self(format!("requirements-{key}.{}", entry::WHEELS).into())
    }

    /// Returns the name of the digests of the files in a directory.
    pub(crate) fn digests(key: &str) -> Self {
        Self(format!("directory-{key}.{}", entry::DIGESTS).into())
    }
}

/// Returns the directory that is used when the embedder names none.
fn default_path() -> io::Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|dir| !dir.is_empty());
    if let Some(dir) = env::var_os("ERYX_CACHE_DIR") {
        Ok(PathBuf::from(dir))
    } else if let Some(dir) = set("XDG_CACHE_HOME") {
        Ok(Path::new(&dir).join("eryx"))
    } else if let Some(home) = set("HOME") {
        Ok(Path::new(&home).join(".cache/eryx"))
    } else {
        Err(io::Error::other(
            "there is no HOME; set ERYX_CACHE_DIR to a directory of yours",
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The smallest component.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn find_or_compile(cache: &Cache, wasm: &[u8]) -> Result<MachineCode, Error> {
        match cache.find("key", ReadMode::InPlace)? {
            Some(code) => Ok(code),
            None => cache.compile("key", wasm, None, None),
        }
    }

    #[test]
    fn machine_code_is_compiled_once_and_then_found() {
        let dir = tempfile::tempdir().expect("made");
        let cache = Cache::open(Some(dir.path()));
        let files = || fs::read_dir(dir.path()).expect("readable").count();
        let first = find_or_compile(&cache, EMPTY).expect("compiled");
        assert!(first.bytes().starts_with(b"\x7fELF"));
        assert_eq!(files(), 1);
        // The result changes with the file, so it was read from there.
        let name = CacheName::machine_code("key").expect("named").0;
        let opened = cache.dir.as_ref().expect("opened");
        store(opened, &name, b"from the cache", None).expect("written");
        let found = find_or_compile(&cache, EMPTY).expect("found");
        assert!(found.bytes().starts_with(b"from the cache"));
        assert_eq!(files(), 1);
    }

    #[test]
    fn a_full_cache_keeps_the_newest_entry() {
        let dir = tempfile::tempdir().expect("made");
        let mut cache = Cache::open(Some(dir.path()));
        cache.limits.max_bytes = 1;
        for key in ["one", "two"] {
            cache.compile(key, EMPTY, None, None).expect("compiled");
            let entries = fs::read_dir(dir.path()).expect("readable");
            let names: Vec<_> = entries
                .map(|entry| entry.expect("readable").file_name())
                .collect();
            assert_eq!(names, [CacheName::machine_code(key).expect("named").0]);
        }
    }

    #[test]
    fn a_cache_without_a_directory_compiles_and_stores_nothing() {
        let cache = Cache::disabled();
        let code = find_or_compile(&cache, EMPTY).expect("compiled");
        assert!(!code.bytes().is_empty());
        find_or_compile(&cache, b"garbage").expect_err("not a component");
    }
}
