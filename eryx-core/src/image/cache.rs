//! Machine code kept in the user's cache directory, by what it was made from.

mod building;
mod directory;
mod kept;
mod prune;
#[cfg(test)]
mod race;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::CacheStore;

use super::code::Code;
use super::{compiled, engine_fingerprint, refused};
use crate::Error;
use crate::host_resource::check_file_size;

pub(crate) use building::Building;
use building::PATIENCE;
use directory::Directory;
pub(super) use kept::Use;

/// A cache directory of this user's own, if there is one that can be trusted.
#[derive(Clone)]
pub(crate) struct Cache {
    dir: Option<Arc<Directory>>,
    /// The most bytes that what is kept takes together.
    max_bytes: u64,
}

impl Cache {
    /// Opens the directory `dir`, or that of the user: `$ERYX_CACHE_DIR`, else `$XDG_CACHE_HOME/eryx`, else `~/.cache/eryx`.
    /// It is made with mode 0700; one that others could change or exchange is not used.
    pub(crate) fn open(dir: Option<&Path>) -> Self {
        let path = dir.map_or_else(path, |dir| Ok(dir.to_path_buf()));
        match path.and_then(|path| Directory::open(&path)) {
            Ok(dir) => Self {
                dir: Some(Arc::new(dir)),
                max_bytes: prune::max_bytes(std::env::var_os("ERYX_CACHE_MAX_BYTES")),
            },
            Err(reason) => {
                tracing::warn!(target: "eryx::image", %reason, "compiled images are not kept");
                Self::none()
            }
        }
    }

    /// Returns a cache that keeps nothing.
    pub(crate) fn none() -> Self {
        Self {
            dir: None,
            max_bytes: 0,
        }
    }

    /// Returns what was kept under `key` for this engine.
    pub(super) fn find(&self, key: &str, how: Use) -> Result<Option<Code>, Error> {
        let name = file_name(key)?;
        let dir = self.dir.as_ref();
        Ok(dir.and_then(|dir| kept::find(dir, &name, how)))
    }

    /// Begins what is going to be kept under `key`, once no other process is at it: it may have been kept then.
    pub(crate) async fn begin(&self, key: &str) -> Result<Option<Building>, Error> {
        let name = file_name(key)?;
        match &self.dir {
            Some(dir) => Ok(Building::begin(dir, &name, PATIENCE).await),
            None => Ok(None),
        }
    }

    /// Compiles `wasm`, all but what is in `functions`, and keeps the machine code under `key`, in the file that was begun for it.
    pub(super) fn compile(
        &self,
        key: &str,
        wasm: &[u8],
        functions: Option<Arc<dyn CacheStore>>,
        building: Option<Building>,
    ) -> Result<Code, Error> {
        // Its machine code is larger than it. Compiling takes a while, and is not begun for nothing.
        check_file_size(wasm.len())?;
        let code = compiled(wasm, functions)?;
        check_file_size(code.len())?;
        if let Some(dir) = &self.dir {
            let name = file_name(key)?;
            match keep(dir, &name, &code, building) {
                Ok(()) => {
                    prune::prune(dir, &name, self.max_bytes);
                    // Other processes have it from there, too, and then it is in memory once.
                    if let Some(kept) = kept::find(dir, &name, Use::InPlace) {
                        return Ok(kept);
                    }
                }
                Err(error) => {
                    tracing::warn!(target: "eryx::image", dir = %dir.path().display(), name = %name.to_string_lossy(), %error, "a compiled image is not kept");
                }
            }
        }
        Code::seal(&code).map_err(|error| refused(&error))
    }
}

fn keep(
    dir: &Arc<Directory>,
    name: &OsString,
    code: &[u8],
    building: Option<Building>,
) -> io::Result<()> {
    let building = match building {
        Some(building) => building,
        None => Building::alone(dir, name)?,
    };
    building.finish(name, code)
}

fn file_name(key: &str) -> Result<OsString, Error> {
    Ok(format!("{key}-{}{}", engine_fingerprint()?, prune::ENTRY).into())
}

/// The directory that is used where none is named.
fn path() -> io::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|dir| !dir.is_empty());
    if let Some(dir) = std::env::var_os("ERYX_CACHE_DIR") {
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

    /// The smallest component there is.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn machine_code(cache: &Cache, wasm: &[u8]) -> Result<Code, Error> {
        match cache.find("key", Use::InPlace)? {
            Some(code) => Ok(code),
            None => cache.compile("key", wasm, None, None),
        }
    }

    #[test]
    fn machine_code_is_compiled_once_and_then_found() {
        let dir = tempfile::tempdir().expect("made");
        let cache = Cache::open(Some(dir.path()));
        let files = || fs::read_dir(dir.path()).expect("readable").count();
        let first = machine_code(&cache, EMPTY).expect("compiled");
        assert!(first.bytes().starts_with(b"\x7fELF"));
        assert_eq!(files(), 1);
        // Only a file that is read can change what is returned.
        let name = file_name("key").expect("named");
        let opened = cache.dir.as_ref().expect("opened");
        keep(opened, &name, b"from the cache", None).expect("written");
        let found = machine_code(&cache, EMPTY).expect("found");
        assert!(found.bytes().starts_with(b"from the cache"));
        assert_eq!(files(), 1);
    }

    #[test]
    fn a_cache_that_is_full_keeps_the_newest() {
        let dir = tempfile::tempdir().expect("made");
        let mut cache = Cache::open(Some(dir.path()));
        cache.max_bytes = 1;
        for key in ["one", "two"] {
            cache.compile(key, EMPTY, None, None).expect("compiled");
            let entries = fs::read_dir(dir.path()).expect("readable");
            let names: Vec<_> = entries
                .map(|entry| entry.expect("readable").file_name())
                .collect();
            assert_eq!(names, [file_name(key).expect("named")]);
        }
    }

    #[test]
    fn without_a_directory_machine_code_is_compiled_and_not_kept() {
        let cache = Cache::none();
        let code = machine_code(&cache, EMPTY).expect("compiled");
        assert!(!code.bytes().is_empty());
        machine_code(&cache, b"garbage").expect_err("not a component");
    }
}
