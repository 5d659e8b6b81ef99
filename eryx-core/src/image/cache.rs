//! Machine code kept in the user's cache directory, by what it was made from.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{engine_fingerprint, precompile};
use crate::Error;

/// Machine code for `wasm`: from the cache, or compiled now and kept.
///
/// The directory is `$ERYX_CACHE_DIR`, else `$XDG_CACHE_HOME/eryx`, else `~/.cache/eryx`. It is made with
/// mode 0700; one that others can write to, or that is somebody else's, is not used.
pub(super) fn machine_code(wasm: &[u8]) -> Result<Vec<u8>, Error> {
    machine_code_in(directory(), wasm)
}

fn machine_code_in(dir: io::Result<PathBuf>, wasm: &[u8]) -> Result<Vec<u8>, Error> {
    let name = format!(
        "{}-{}.cwasm",
        hex(&Sha256::digest(wasm)),
        engine_fingerprint()?
    );
    let dir = match dir {
        Ok(dir) => dir,
        Err(reason) => {
            tracing::warn!(target: "eryx::image", %reason, "the compiled guest image is not kept");
            return precompile(wasm);
        }
    };
    let path = dir.join(name);
    if let Some(code) = read_verified(&path) {
        return Ok(code);
    }
    let code = precompile(wasm)?;
    if let Err(error) = write_verified(&dir, &path, &code) {
        tracing::warn!(target: "eryx::image", path = %path.display(), %error, "the compiled guest image is not kept");
    }
    Ok(code)
}

/// The file's content, if the digest at its end says that it is whole.
fn read_verified(path: &Path) -> Option<Vec<u8>> {
    let mut content = fs::read(path).ok()?;
    let end = content.len().checked_sub(32)?;
    if Sha256::digest(&content[..end]).as_slice() != &content[end..] {
        return None;
    }
    content.truncate(end);
    Some(content)
}

fn write_verified(dir: &Path, path: &Path, code: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(code)?;
    file.write_all(&Sha256::digest(code))?;
    file.persist(path)?;
    Ok(())
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

    #[test]
    fn a_cached_file_that_was_cut_or_changed_is_not_used() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("x.cwasm");
        write_verified(dir.path(), &path, b"machine code").expect("written");
        assert_eq!(read_verified(&path).as_deref(), Some(&b"machine code"[..]));
        let whole = fs::read(&path).expect("readable");
        fs::write(&path, &whole[..whole.len() - 1]).expect("written");
        assert_eq!(read_verified(&path), None);
        let mut changed = whole;
        changed[0] ^= 1;
        fs::write(&path, changed).expect("written");
        assert_eq!(read_verified(&path), None);
        fs::write(&path, b"short").expect("written");
        assert_eq!(read_verified(&path), None);
    }

    /// The smallest component there is.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn machine_code_is_compiled_once_and_then_found() {
        let dir = tempfile::tempdir().expect("made");
        let files = || fs::read_dir(dir.path()).expect("readable").count();
        let first = machine_code_in(Ok(dir.path().to_path_buf()), EMPTY).expect("compiled");
        assert_eq!(files(), 1);
        // Only a file that is read can change what is returned.
        let path = fs::read_dir(dir.path())
            .expect("readable")
            .next()
            .expect("one")
            .expect("readable")
            .path();
        write_verified(dir.path(), &path, b"from the cache").expect("written");
        let found = machine_code_in(Ok(dir.path().to_path_buf()), EMPTY).expect("found");
        assert_eq!(found, b"from the cache");
        assert_ne!(found, first);
    }

    #[test]
    fn without_a_directory_machine_code_is_compiled_and_not_kept() {
        let code = machine_code_in(Err(io::Error::other("none")), EMPTY).expect("compiled");
        assert!(!code.is_empty());
        machine_code_in(Err(io::Error::other("none")), b"garbage").expect_err("not a component");
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
