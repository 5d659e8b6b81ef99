//! An entry of the cache: a file of machine code whose digest is verified before it is used.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    Mode, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, fchmod, fstat, futimens,
};
use sha2::{Digest, Sha256};

use crate::host_resource::check_file_size;
use crate::image::cache::directory::{Directory, is_own_file};
use crate::image::machine_code::MachineCode;

/// The bytes of a file that are in memory at a time while its digest is computed.
#[cfg(target_os = "linux")]
const CHUNK: usize = 128 << 10;

/// The length of the SHA-256 digest at the end of a file, in bytes.
const DIGEST_LEN: usize = 32;

/// The largest file that is read, in bytes. The machine code of the image has 70 MB, and a factory
/// adds a fraction of that.
const MAX_SIZE: u64 = 1 << 30;

/// The age from which a file's time of last use is updated, in seconds.
const LAST_USE_PRECISION: i64 = 3600;

/// The extensions of the names of entries.
pub(super) const MACHINE_CODE: &str = "cwasm";
pub(super) const BYTECODE: &str = "pycs";
pub(super) const WHEELS: &str = "wheels";
pub(super) const DIGESTS: &str = "digests";

/// Returns whether `name` is that of an entry.
pub(super) fn is_entry(name: &OsStr) -> bool {
    let extension = Path::new(name).extension().and_then(OsStr::to_str);
    matches!(extension, Some(MACHINE_CODE | BYTECODE | WHEELS | DIGESTS))
}

/// Returns the time of an entry's last use.
pub(super) fn last_use(stat: &Stat) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0))
}

/// How an entry is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::image) enum ReadMode {
    /// Map the file if it cannot change and may be executed, and copy it otherwise.
    InPlace,
    /// Copy the file into memory.
    Copy,
}

/// Returns the machine code in the file `name`, if the file is this user's, no other user may write
/// to it, and its digest matches.
pub(super) fn find(dir: &Directory, name: &OsStr, mode: ReadMode) -> Option<MachineCode> {
    let (mut file, stat) = open_own(dir, name)?;
    let size = u64::try_from(stat.st_size).ok()?;
    let code = read(&mut file, &stat, size, mode)?;
    update_last_use(&file, &stat);
    Some(code)
}

/// Opens the file `name`, if it is this user's and no other user may write to it.
pub(super) fn open(dir: &Directory, name: &OsStr) -> Option<File> {
    let (file, stat) = open_own(dir, name)?;
    update_last_use(&file, &stat);
    Some(file)
}

/// Returns the content of the file `name`, if it is this user's, no other user may write to it, and
/// its digest matches.
pub(super) fn read_content(dir: &Directory, name: &OsStr) -> Option<Vec<u8>> {
    let (mut file, stat) = open_own(dir, name)?;
    let (content, _) = read_and_compare(&mut file, u64::try_from(stat.st_size).ok()?)?;
    update_last_use(&file, &stat);
    Some(content)
}

fn open_own(dir: &Directory, name: &OsStr) -> Option<(File, Stat)> {
    let file = dir.read(name).ok()?;
    let stat = fstat(&file).ok()?;
    let is_own = is_own_file(&stat) && stat.st_mode & 0o022 == 0;
    let is_small = u64::try_from(stat.st_size).is_ok_and(|size| size <= MAX_SIZE);
    (is_own && is_small).then_some((file, stat))
}

fn read(file: &mut File, stat: &Stat, size: u64, mode: ReadMode) -> Option<MachineCode> {
    #[cfg(target_os = "linux")]
    if mode == ReadMode::InPlace && immutable::is_immutable(file, stat).unwrap_or(false) {
        let digest = matching_digest(file, size).ok()??;
        let file = file.try_clone().ok()?;
        #[allow(unsafe_code, reason = "the code is going to be executed")]
        // SAFETY: the file is this user's, and lies in a directory that only this user could change
        // when it was opened, so this user wrote it with the result of a compilation, as `write`
        // does. No other user could ever open it for writing, and no process can now.
        let code = unsafe { MachineCode::from_cache_file(file) };
        return Some(code.ok()?.with_digest(digest));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (mode, stat);
    let (code, digest) = read_and_compare(file, size)?;
    Some(MachineCode::from_bytes(&code).ok()?.with_digest(digest))
}

/// Returns the content of a file and its digest, which the file ends with.
fn read_and_compare(file: &mut File, size: u64) -> Option<(Vec<u8>, [u8; DIGEST_LEN])> {
    let mut content = Vec::with_capacity(usize::try_from(size).ok()?);
    file.take(size).read_to_end(&mut content).ok()?;
    let (written, digest) = content.split_last_chunk::<DIGEST_LEN>()?;
    let computed = Sha256::digest(written).into();
    if *digest != computed {
        return None;
    }
    content.truncate(content.len() - DIGEST_LEN);
    Some((content, computed))
}

/// Writes `code` and its digest to a new file, and makes the file read-only.
///
/// # Errors
///
/// When the file cannot be written, or is larger than this process may write.
pub(super) fn write(file: &mut File, code: &[u8]) -> io::Result<()> {
    check_file_size(code.len() + DIGEST_LEN).map_err(io::Error::other)?;
    file.write_all(code)?;
    file.write_all(&Sha256::digest(code))?;
    fchmod(&*file, Mode::RUSR)?;
    Ok(())
}

/// Sets a file's modification time to now: the cache evicts by it.
fn update_last_use(file: &File, stat: &Stat) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs().cast_signed());
    if now.saturating_sub(stat.st_mtime) < LAST_USE_PRECISION {
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
    // This fails on a read-only file system, where nothing is evicted either.
    if let Err(error) = futimens(file, &times) {
        tracing::debug!(
            target: "eryx::image",
            %error,
            "the last use of a cache entry is not recorded"
        );
    }
}

/// Returns the digest at the end of the file, if it is that of the bytes before it.
#[cfg(target_os = "linux")]
fn matching_digest(file: &mut File, size: u64) -> io::Result<Option<[u8; DIGEST_LEN]>> {
    let Some(size) = size.checked_sub(DIGEST_LEN as u64) else {
        return Ok(None);
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
    let mut digest = [0; DIGEST_LEN];
    rest.into_inner().read_exact(&mut digest)?;
    Ok((hash.finalize().as_slice() == digest).then_some(digest))
}

/// The check for files whose content cannot change, and may be executed.
#[cfg(target_os = "linux")]
mod immutable {
    use std::fs::File;
    use std::io;

    use rustix::fs::{Stat, StatVfsMountFlags, fstatvfs};

    use crate::local_file::is_local;

    /// Returns whether `file` is read-only, has a single link, and lies on a local file system that
    /// is not mounted with `noexec`.
    pub(super) fn is_immutable(file: &File, stat: &Stat) -> io::Result<bool> {
        let flags = fstatvfs(file)?.f_flag;
        Ok(stat.st_mode & 0o222 == 0
            && stat.st_nlink == 1
            && is_local(file)?
            && !flags.contains(StatVfsMountFlags::NOEXEC))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::path::Path;

    use super::*;

    fn store(dir: &Directory, content: &[u8]) {
        let mut file = dir.create(OsStr::new("x")).expect("made");
        write(&mut file, content).expect("written");
    }

    fn found(dir: &Directory) -> Option<MachineCode> {
        find(dir, OsStr::new("x"), ReadMode::InPlace)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn a_truncated_or_changed_file_is_not_used() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("x");
        let opened = Directory::open(dir.path()).expect("opened");
        let replace = |content: &[u8], mode| {
            fs::remove_file(&path).expect("removed");
            fs::write(&path, content).expect("written");
            set_mode(&path, mode);
        };
        store(&opened, b"machine code");
        let intact = fs::read(&path).expect("readable");
        let mut changed = intact.clone();
        changed[0] ^= 1;
        // Read-only files are mapped, and others are copied.
        for mode in [0o400, 0o600] {
            replace(&intact, mode);
            let code = found(&opened).expect("used");
            assert!(code.bytes().starts_with(b"machine code"));
            for content in [&intact[..intact.len() - 1], &changed, b"short", b""] {
                replace(content, mode);
                assert!(found(&opened).is_none(), "{content:?}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_immutable_file_is_mapped_and_any_other_is_copied() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("x");
        let opened = Directory::open(dir.path()).expect("opened");
        let is_copied = || found(&opened).expect("used").is_sealed();
        store(&opened, b"machine code");
        assert!(!is_copied());
        set_mode(&path, 0o600);
        assert!(is_copied());
        set_mode(&path, 0o400);
        assert!(!is_copied());
        let copy = find(&opened, OsStr::new("x"), ReadMode::Copy).expect("used");
        assert!(copy.is_sealed());
        fs::hard_link(&path, dir.path().join("y")).expect("linked");
        assert!(is_copied());
        fs::remove_file(dir.path().join("y")).expect("removed");
        assert!(!is_copied());
    }

    #[test]
    fn a_file_that_other_users_own_or_may_write_to_is_not_used() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("x");
        let opened = Directory::open(dir.path()).expect("opened");
        store(&opened, b"machine code");
        for mode in [0o420, 0o402, 0o622] {
            set_mode(&path, mode);
            assert!(found(&opened).is_none(), "{mode:o}");
        }
        for mode in [0o400, 0o600] {
            set_mode(&path, mode);
            assert!(found(&opened).is_some(), "{mode:o}");
            // Only root may change the owner of a file.
            if chown(&path, Some(65534), None).is_ok() {
                assert!(found(&opened).is_none(), "{mode:o}");
                chown(&path, Some(0), None).expect("given back");
            }
        }
    }

    #[test]
    fn a_fifo_a_link_a_directory_and_a_file_too_large_are_not_used() {
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
        assert!(found(&opened).is_none(), "a directory");
        fs::remove_dir(&path).expect("removed");
        // A sparse file takes no space.
        let file = fs::File::create(&path).expect("made");
        file.set_len(MAX_SIZE + 1).expect("set");
        assert!(found(&opened).is_none(), "too large a file");
    }

    #[test]
    fn finding_an_entry_updates_its_time_of_last_use() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("x");
        let opened = Directory::open(dir.path()).expect("opened");
        store(&opened, b"machine code");
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
