//! Machine code kept in the user's cache directory, by what it was made from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::CacheStore;

use super::code::Code;
use super::{compiled, engine_fingerprint, kept, refused};
use crate::Error;

/// Machine code for `wasm`: from the cache, or compiled now and kept.
///
/// The directory is `$ERYX_CACHE_DIR`, else `$XDG_CACHE_HOME/eryx`, else `~/.cache/eryx`. It is made with
/// mode 0700; one that others can write to, or that is somebody else's, is not used.
pub(super) fn machine_code(wasm: &[u8]) -> Result<Code, Error> {
    machine_code_in(&Cache::open(None), &hex(&Sha256::digest(wasm)), wasm)
}

/// A cache directory of this user's own, if there is one that can be trusted.
#[derive(Clone)]
pub(crate) struct Cache {
    dir: Option<PathBuf>,
}

impl Cache {
    /// The directory described at [`machine_code`], or `dir` if that is given.
    pub(crate) fn open(dir: Option<&Path>) -> Self {
        let opened = match dir {
            Some(dir) => private_directory(dir).map(|()| dir.to_path_buf()),
            None => directory(),
        };
        match opened {
            Ok(dir) => Self { dir: Some(dir) },
            Err(reason) => {
                tracing::warn!(target: "eryx::image", %reason, "compiled images are not kept");
                Self { dir: None }
            }
        }
    }

    /// What was kept under `key` for this engine.
    pub(super) fn find(&self, key: &str) -> Result<Option<Code>, Error> {
        let name = file_name(key)?;
        Ok(self.dir.as_ref().and_then(|dir| kept::find(dir, &name)))
    }

    /// Compile `wasm`, all but what is in `functions`, and keep the machine code under `key`.
    pub(super) fn compile(
        &self,
        key: &str,
        wasm: &[u8],
        functions: Option<Arc<dyn CacheStore>>,
    ) -> Result<Code, Error> {
        let code = compiled(wasm, functions)?;
        if let Some(dir) = &self.dir {
            let name = file_name(key)?;
            match kept::write(dir, &name, &code) {
                // Other processes have it from there, too, and then it is in memory once.
                Ok(()) => {
                    if let Some(kept) = kept::find(dir, &name) {
                        return Ok(kept);
                    }
                }
                Err(error) => {
                    tracing::warn!(target: "eryx::image", dir = %dir.display(), name, %error, "a compiled image is not kept");
                }
            }
        }
        Code::seal(&code).map_err(|error| refused(&error))
    }
}

fn machine_code_in(cache: &Cache, key: &str, wasm: &[u8]) -> Result<Code, Error> {
    match cache.find(key)? {
        Some(code) => Ok(code),
        None => cache.compile(key, wasm, None),
    }
}

fn file_name(key: &str) -> Result<String, Error> {
    Ok(format!("{key}-{}.cwasm", engine_fingerprint()?))
}

fn directory() -> io::Result<PathBuf> {
    let dir = if let Some(dir) = std::env::var_os("ERYX_CACHE_DIR") {
        PathBuf::from(dir)
    } else if let Some(dir) = std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Path::new(&dir).join("eryx")
    } else if let Some(home) = std::env::var_os("HOME").filter(|home| !home.is_empty()) {
        Path::new(&home).join(".cache/eryx")
    } else {
        return Err(io::Error::other(
            "there is no HOME; set ERYX_CACHE_DIR to a directory of yours",
        ));
    };
    private_directory(&dir)?;
    Ok(dir)
}

#[cfg(unix)]
fn private_directory(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    let found = fs::metadata(dir)?;
    // A file this process makes shows who it is without asking libc.
    let own = tempfile::tempfile_in(dir)?.metadata()?.uid();
    if found.uid() != own || found.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "{} can be written to by others; make it yours alone (chmod 700) or set ERYX_CACHE_DIR",
            dir.display()
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private_directory(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component there is.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn machine_code_is_compiled_once_and_then_found() {
        let dir = tempfile::tempdir().expect("made");
        let cache = Cache {
            dir: Some(dir.path().to_path_buf()),
        };
        let files = || fs::read_dir(dir.path()).expect("readable").count();
        let first = machine_code_in(&cache, "key", EMPTY).expect("compiled");
        assert!(first.bytes().starts_with(b"\x7fELF"));
        assert_eq!(files(), 1);
        // Only a file that is read can change what is returned.
        let name = file_name("key").expect("named");
        kept::write(dir.path(), &name, b"from the cache").expect("written");
        let found = machine_code_in(&cache, "key", EMPTY).expect("found");
        assert!(found.bytes().starts_with(b"from the cache"));
    }

    #[test]
    fn without_a_directory_machine_code_is_compiled_and_not_kept() {
        let cache = Cache { dir: None };
        let code = machine_code_in(&cache, "key", EMPTY).expect("compiled");
        assert!(!code.bytes().is_empty());
        machine_code_in(&cache, "key", b"garbage").expect_err("not a component");
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_others_can_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("made");
        let cache = dir.path().join("new/eryx");
        private_directory(&cache).expect("made private");
        assert_eq!(
            fs::metadata(&cache).expect("there").permissions().mode() & 0o777,
            0o700
        );
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).expect("set");
        let error = private_directory(&cache).expect_err("refused").to_string();
        assert!(error.contains("ERYX_CACHE_DIR"), "{error}");
    }
}
