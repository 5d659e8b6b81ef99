//! A file of machine code in the cache: written at once, and checked before it is used.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};

use rustix::fs::{
    Mode, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, fchmod, fstat, futimens,
};
use sha2::{Digest, Sha256};

use super::directory::{Directory, is_own_file};
use crate::image::code::Code;

/// How much of a file is in memory while its digest is made.
#[cfg(target_os = "linux")]
const CHUNK: usize = 128 << 10;

/// The length of the digest that ends a file.
const DIGEST: usize = 32;

/// The largest file that is read, in bytes: machine code of the image takes 70 MB, and what a factory can add is a fraction.
const MAX_SIZE: u64 = 1 << 30;

/// How old the time of a file's last use may be before it is set anew, in seconds.
const HOUR: i64 = 3600;

/// How the content of a file is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::image) enum Use {
    /// Where it is, if it cannot change there and may be run from there, and as a copy else.
    InPlace,
    /// As a copy in memory.
    Copied,
}

/// Returns what is in the file `name`, if there is one of this user's that no one else may write to, and the digest at its end
/// says that it is whole.
pub(super) fn find(dir: &Directory, name: &OsStr, how: Use) -> Option<Code> {
    let mut file = dir.read(name).ok()?;
    let found = fstat(&file).ok()?;
    if !is_own_file(&found) || found.st_mode & 0o022 != 0 {
        return None;
    }
    let size = u64::try_from(found.st_size).ok()?;
    if size > MAX_SIZE {
        return None;
    }
    let code = used(&mut file, &found, size, how)?;
    note_use(&file, &found);
    Some(code)
}

fn used(file: &mut File, found: &Stat, size: u64, how: Use) -> Option<Code> {
    #[cfg(target_os = "linux")]
    if how == Use::InPlace && unchanging::is(file, found).unwrap_or(false) {
        if !is_whole(file, size).unwrap_or(false) {
            return None;
        }
        let file = file.try_clone().ok()?;
        #[allow(unsafe_code, reason = "it is going to be run")]
        // SAFETY: the file is this user's, and lies in a directory that only this user could change when it was opened, so it is
        // this user who wrote what was compiled, as `write` does. Nobody else could ever open it for writing, and nobody can now.
        return unsafe { Code::map(file) }.ok();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (how, found);
    let mut content = Vec::with_capacity(usize::try_from(size).ok()?);
    file.take(size).read_to_end(&mut content).ok()?;
    let (code, digest) = content.split_at_checked(content.len().checked_sub(DIGEST)?)?;
    if Sha256::digest(code).as_slice() != digest {
        return None;
    }
    Code::seal(code).ok()
}

/// Writes `code` to a new file, which is read-only then.
pub(super) fn write(file: &mut File, code: &[u8]) -> io::Result<()> {
    file.write_all(code)?;
    file.write_all(&Sha256::digest(code))?;
    fchmod(&*file, Mode::RUSR)?;
    Ok(())
}

/// Sets the time of a file's last change to now, which is how the cache knows what was not used for long.
fn note_use(file: &File, found: &Stat) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs().cast_signed());
    if now.saturating_sub(found.st_mtime) < HOUR {
        return;
    }
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        },
    };
    // On a file system that is read-only nothing is removed either.
    if let Err(error) = futimens(file, &times) {
        tracing::debug!(target: "eryx::image", %error, "the use of a compiled image is not noted");
    }
}

/// Whether what the file begins with is what its digest was made of.
#[cfg(target_os = "linux")]
fn is_whole(file: &mut File, size: u64) -> io::Result<bool> {
    let Some(size) = size.checked_sub(DIGEST as u64) else {
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

/// Files that keep their content, and may be run.
#[cfg(target_os = "linux")]
mod unchanging {
    use std::fs::File;
    use std::io;

    use rustix::fs::{Stat, StatVfsMountFlags, fstatfs, fstatvfs};

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

    /// Whether no one may write to `file`, it has no name elsewhere, and the file system is local and lets its files be run.
    pub(super) fn is(file: &File, found: &Stat) -> io::Result<bool> {
        // Numbers of 32 bits, which some machines give a sign.
        let kind = u64::from(fstatfs(file)?.f_type as u32);
        let flags = fstatvfs(file)?.f_flag;
        Ok(found.st_mode & 0o222 == 0
            && found.st_nlink == 1
            && LOCAL.contains(&kind)
            && !flags.contains(StatVfsMountFlags::NOEXEC))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::path::Path;

    use super::*;

    fn put(dir: &Directory, content: &[u8]) {
        let mut file = dir.create(OsStr::new("x")).expect("made");
        write(&mut file, content).expect("written");
    }

    fn found(dir: &Directory) -> Option<Code> {
        find(dir, OsStr::new("x"), Use::InPlace)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn a_file_that_was_cut_or_changed_is_not_used() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("x");
        let opened = Directory::open(dir.path()).expect("opened");
        let replace = |content: &[u8], mode| {
            fs::remove_file(&path).expect("removed");
            fs::write(&path, content).expect("written");
            set_mode(&path, mode);
        };
        put(&opened, b"machine code");
        let whole = fs::read(&path).expect("readable");
        let mut changed = whole.clone();
        changed[0] ^= 1;
        // Read-only files are used where they are, and others are copied.
        for mode in [0o400, 0o600] {
            replace(&whole, mode);
            let code = found(&opened).expect("used");
            assert!(code.bytes().starts_with(b"machine code"));
            for content in [&whole[..whole.len() - 1], &changed, b"short", b""] {
                replace(content, mode);
                assert!(found(&opened).is_none(), "{content:?}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_could_be_changed_is_copied_and_one_that_could_not_is_mapped() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("x");
        let opened = Directory::open(dir.path()).expect("opened");
        let is_copied = || found(&opened).expect("used").is_sealed();
        put(&opened, b"machine code");
        assert!(!is_copied());
        set_mode(&path, 0o600);
        assert!(is_copied());
        set_mode(&path, 0o400);
        assert!(!is_copied());
        let copy = find(&opened, OsStr::new("x"), Use::Copied).expect("used");
        assert!(copy.is_sealed());
        fs::hard_link(&path, dir.path().join("y")).expect("linked");
        assert!(is_copied());
        fs::remove_file(dir.path().join("y")).expect("removed");
        assert!(!is_copied());
    }

    #[test]
    fn a_file_that_others_may_write_to_or_that_is_theirs_is_not_used() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("x");
        let opened = Directory::open(dir.path()).expect("opened");
        put(&opened, b"machine code");
        for mode in [0o420, 0o402, 0o622] {
            set_mode(&path, mode);
            assert!(found(&opened).is_none(), "{mode:o}");
        }
        for mode in [0o400, 0o600] {
            set_mode(&path, mode);
            assert!(found(&opened).is_some(), "{mode:o}");
            // Only root may give files away.
            if chown(&path, Some(65534), None).is_ok() {
                assert!(found(&opened).is_none(), "{mode:o}");
                chown(&path, Some(0), None).expect("given back");
            }
        }
    }

    #[test]
    fn what_is_no_file_is_passed_over_and_not_waited_for() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("x");
        let opened = Directory::open(dir.path()).expect("opened");
        let read_write = Mode::RUSR | Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, read_write).expect("made");
        assert!(found(&opened).is_none(), "a fifo");
        fs::remove_file(&path).expect("removed");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("linked");
        assert!(found(&opened).is_none(), "a link");
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("made");
        assert!(found(&opened).is_none(), "a folder");
        fs::remove_dir(&path).expect("removed");
        // A file of holes takes no room.
        let file = fs::File::create(&path).expect("made");
        file.set_len(MAX_SIZE + 1).expect("set");
        assert!(found(&opened).is_none(), "too large a file");
    }

    #[test]
    fn the_time_of_a_files_last_use_is_noted() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("x");
        let opened = Directory::open(dir.path()).expect("opened");
        put(&opened, b"machine code");
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        let file = fs::File::open(&path).expect("opened");
        file.set_modified(long_ago).expect("set");
        assert!(found(&opened).is_some());
        assert!(
            fs::metadata(&path)
                .expect("there")
                .modified()
                .expect("known")
                > long_ago
        );
    }
}
