//! A file of machine code in the cache: written at once, and checked before it is used.

#[cfg(unix)]
use std::fs;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::code::Code;

/// How much of a file is in memory while its digest is made.
#[cfg(target_os = "linux")]
const CHUNK: usize = 128 << 10;

/// The length of the digest that ends a file.
const DIGEST: usize = 32;

/// What is in the file `name`, if there is one and the digest at its end says that it is whole.
///
/// `dir` has to be a directory that only this user can write to. A file there that nobody can write to, on a disk of this
/// machine, is used where it is; any other is copied first.
pub(super) fn find(dir: &Path, name: &str) -> Option<Code> {
    let mut file = File::open(dir.join(name)).ok()?;
    #[cfg(target_os = "linux")]
    if unchanging::is(dir, &file).unwrap_or(false) {
        if !is_whole(&mut file).unwrap_or(false) {
            return None;
        }
        #[allow(unsafe_code, reason = "it is going to be run")]
        // SAFETY: the directory and the file are this user's, so it is this user who wrote what was compiled, as `write`
        // does. Nobody else could ever open it for writing, and nobody can now.
        return Some(unsafe { Code::map(file) });
    }
    let mut content = Vec::new();
    file.read_to_end(&mut content).ok()?;
    let (code, digest) = content.split_at_checked(content.len().checked_sub(DIGEST)?)?;
    if Sha256::digest(code).as_slice() != digest {
        return None;
    }
    Code::seal(code).ok()
}

/// Put a file there that holds `code` and is read-only, in place of what is there under `name`.
pub(super) fn write(dir: &Path, name: &str, code: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(code)?;
    file.write_all(&Sha256::digest(code))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        file.as_file()
            .set_permissions(fs::Permissions::from_mode(0o400))?;
    }
    file.persist(dir.join(name))?;
    Ok(())
}

/// Whether what the file begins with is what its digest was made of.
#[cfg(target_os = "linux")]
fn is_whole(file: &mut File) -> io::Result<bool> {
    let Some(size) = file.metadata()?.len().checked_sub(DIGEST as u64) else {
        return Ok(false);
    };
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut rest = file.take(size);
    loop {
        match rest.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => hash.update(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut digest = [0; DIGEST];
    rest.into_inner().read_exact(&mut digest)?;
    Ok(hash.finalize().as_slice() == digest)
}

/// Files that keep their content.
#[cfg(target_os = "linux")]
mod unchanging {
    use std::fs::{self, File};
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use rustix::fs::fstatfs;

    /// The kinds of file systems that are this machine's alone, as statfs(2) numbers them. Others may have content that
    /// changes elsewhere, whatever a file's mode says here.
    const LOCAL: [u64; 8] = [
        0xef53,      // ext4
        0x5846_5342, // xfs
        0x9123_683e, // btrfs
        0xf2f5_2010, // f2fs
        0x2fc1_2fc1, // zfs
        0xca45_1a4e, // bcachefs
        0x0102_1994, // tmpfs
        0x794c_7630, // overlayfs
    ];

    /// Whether `file`, in `dir`, is the same user's, no one may write to it, and it has no name elsewhere.
    pub(super) fn is(dir: &Path, file: &File) -> io::Result<bool> {
        let owner = fs::metadata(dir)?.uid();
        let found = file.metadata()?;
        // Numbers of 32 bits, which some machines give a sign.
        let kind = u64::from(fstatfs(file)?.f_type as u32);
        Ok(found.is_file()
            && found.uid() == owner
            && found.mode() & 0o222 == 0
            && found.nlink() == 1
            && LOCAL.contains(&kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_cut_or_changed_is_not_used() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("x");
        let replace = |content: &[u8], mode| {
            std::fs::remove_file(&path).expect("removed");
            std::fs::write(&path, content).expect("written");
            let mut permissions = std::fs::metadata(&path).expect("there").permissions();
            permissions.set_readonly(mode);
            std::fs::set_permissions(&path, permissions).expect("set");
        };
        write(dir.path(), "x", b"machine code").expect("written");
        let whole = std::fs::read(&path).expect("readable");
        let mut changed = whole.clone();
        changed[0] ^= 1;
        // Read-only files are used where they are, and others are copied.
        for readonly in [true, false] {
            replace(&whole, readonly);
            let code = find(dir.path(), "x").expect("used");
            assert!(code.bytes().starts_with(b"machine code"));
            for content in [&whole[..whole.len() - 1], &changed, b"short", b""] {
                replace(content, readonly);
                assert!(find(dir.path(), "x").is_none(), "{content:?}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_could_be_changed_is_copied_and_one_that_could_not_is_mapped() {
        use std::fs::{Permissions, hard_link, remove_file, set_permissions};
        use std::os::unix::fs::{PermissionsExt, chown};

        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("x");
        let is_copied = || find(dir.path(), "x").expect("used").is_sealed();
        write(dir.path(), "x", b"machine code").expect("written");
        assert!(!is_copied());
        for mode in [0o600, 0o420, 0o402] {
            set_permissions(&path, Permissions::from_mode(mode)).expect("set");
            assert!(is_copied(), "{mode:o}");
        }
        set_permissions(&path, Permissions::from_mode(0o400)).expect("set");
        assert!(!is_copied());
        hard_link(&path, dir.path().join("y")).expect("linked");
        assert!(is_copied());
        remove_file(dir.path().join("y")).expect("removed");
        assert!(!is_copied());
        // Only root may give files away.
        if chown(&path, Some(1), None).is_ok() {
            assert!(is_copied());
        }
    }
}
