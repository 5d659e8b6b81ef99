//! The errors and metadata of the machine, as programs see them.

use rustix::fs::{FileType as SystemFileType, Stat as SystemStat, Timespec, Timestamps};
use rustix::fs::{UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::stat::{FileId, FileType, Stat};
use crate::time::{NewTime, Timestamp};

pub(super) fn error(errno: Errno) -> Error {
    match errno {
        Errno::ACCESS => Error::Access,
        Errno::BADF => Error::BadDescriptor,
        Errno::BUSY => Error::Busy,
        Errno::DQUOT | Errno::NOSPC => Error::NoSpace,
        Errno::EXIST => Error::Exists,
        Errno::FBIG => Error::FileTooLarge,
        Errno::INVAL => Error::Invalid,
        Errno::ISDIR => Error::IsADirectory,
        Errno::LOOP => Error::Loop,
        Errno::MFILE | Errno::NFILE => Error::TooManyOpen,
        Errno::NAMETOOLONG => Error::NameTooLong,
        Errno::NOENT => Error::NoEntry,
        Errno::NOTDIR => Error::NotADirectory,
        Errno::NOTEMPTY => Error::NotEmpty,
        Errno::NOTSUP => Error::Unsupported,
        Errno::PERM => Error::NotPermitted,
        Errno::ROFS => Error::ReadOnly,
        Errno::XDEV => Error::CrossDevice,
        _ => Error::Io,
    }
}

pub(super) fn file_type(system: SystemFileType) -> FileType {
    match system {
        SystemFileType::Directory => FileType::Directory,
        SystemFileType::RegularFile => FileType::File,
        SystemFileType::Symlink => FileType::Symlink,
        _ => FileType::Other,
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the types of the fields differ between platforms"
)]
pub(super) fn stat(system: &SystemStat) -> Stat {
    let file_type = file_type(SystemFileType::from_raw_mode(system.st_mode));
    // A mount can contain file systems with the same numbers.
    let number = (system.st_ino as u64) ^ (system.st_dev as u64).rotate_left(48);
    Stat {
        file_type,
        identity: FileId {
            volume: 0,
            number: number.max(1),
        },
        links: system.st_nlink as u64,
        size: match file_type {
            FileType::File | FileType::Symlink => u64::try_from(system.st_size).unwrap_or(0),
            FileType::Directory | FileType::CharacterDevice | FileType::Other => 0,
        },
        accessed: time(system.st_atime as i64, system.st_atime_nsec as u64),
        modified: time(system.st_mtime as i64, system.st_mtime_nsec as u64),
        changed: time(system.st_ctime as i64, system.st_ctime_nsec as u64),
    }
}

/// Returns a time. Those before 1970 become the start of 1970.
fn time(seconds: i64, nanoseconds: u64) -> Timestamp {
    let nanoseconds = u32::try_from(nanoseconds).ok();
    let seconds = u64::try_from(seconds).ok();
    seconds
        .zip(nanoseconds)
        .and_then(|(seconds, nanoseconds)| Timestamp::new(seconds, nanoseconds))
        .unwrap_or_default()
}

pub(super) fn timestamps(accessed: NewTime, modified: NewTime) -> Result<Timestamps> {
    Ok(Timestamps {
        last_access: timespec(accessed)?,
        last_modification: timespec(modified)?,
    })
}

fn timespec(new: NewTime) -> Result<Timespec> {
    let special = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    Ok(match new {
        NewTime::Keep => special(UTIME_OMIT),
        NewTime::Now => special(UTIME_NOW),
        NewTime::At(time) => Timespec {
            tv_sec: time.seconds().try_into().map_err(|_| Error::Invalid)?,
            tv_nsec: time.nanoseconds().into(),
        },
    })
}
