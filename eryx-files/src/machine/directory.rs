//! A directory of the machine as a mount.

use std::any::Any;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{self, AtFlags, CWD, Dir, FileType as SystemFileType, Mode, OFlags};
use rustix::io::retry_on_intr;
use thiserror::Error;

use crate::error::{Error, Result};
use crate::machine::errno;
use crate::machine::file::OpenMachineFile;
use crate::mount::{Access, MountedDirectory, MountedEntries, MountedFile};
use crate::stat::{FileType, Stat};
use crate::time::NewTime;

/// The bytes that a new file or directory counts: about those that it takes on a disk.
const ENTRY: u64 = 4096;

/// How directories are opened. `NOFOLLOW` refuses links also if another process puts one there.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A directory of the machine, which a program can read, or read and write.
///
/// A program reaches nothing outside of it. Each system call names one entry of one open directory,
/// never `..`, and follows no link; links are resolved within the root that the program sees, so a
/// link to `/etc/passwd` leads to that file of the program. Other processes can change the
/// directory at the same time: what they move into it, and hard links in it, belong to it. Pipes,
/// devices and sockets cannot be opened. Names that are not UTF-8 are not listed.
///
/// The program waits for the disk on the thread that runs it: mount no network file system.
#[derive(Debug)]
pub struct MachineDirectory {
    directory: Arc<OwnedFd>,
    /// `None` if the mount is read-only.
    growth: Option<Arc<Growth>>,
}

/// The error for a directory of the machine that cannot be mounted, or a file that cannot be read.
#[derive(Debug, Error)]
#[error("the {what} {path:?} cannot be opened: {source}; name one that exists and is readable")]
pub struct MachineFileError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl MachineFileError {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self {
            what: "file",
            path: path.to_owned(),
            source,
        }
    }
}

/// The bytes by which a mount can still grow.
#[derive(Debug)]
pub(super) struct Growth(AtomicU64);

impl Growth {
    pub(super) fn take(&self, bytes: u64) -> Result<()> {
        let taken = self.take_at_most(bytes);
        if taken < bytes {
            self.release(taken);
            return Err(Error::NoSpace);
        }
        Ok(())
    }

    pub(super) fn take_at_most(&self, bytes: u64) -> u64 {
        let order = Ordering::Relaxed;
        let rest = |free: u64| Some(free.saturating_sub(bytes));
        let free = self.0.fetch_update(order, order, rest);
        free.unwrap_or_else(|free| free).min(bytes)
    }

    pub(super) fn release(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl MachineDirectory {
    /// Opens a directory that programs can read.
    ///
    /// # Errors
    ///
    /// [`MachineFileError`] if it cannot be opened.
    pub fn read_only(path: impl AsRef<Path>) -> Result<Self, MachineFileError> {
        Self::open(path.as_ref(), None)
    }

    /// Opens a directory that programs can read and write. All of them together make it grow by at
    /// most `max_growth` bytes; a new file counts 4096 bytes in addition. Space that a program
    /// frees does not count again.
    ///
    /// The sizes of files count: the holes of sparse files that are in the directory already can be
    /// filled in addition. A file can have at most the size that this process may write
    /// (`ulimit -f`).
    ///
    /// # Errors
    ///
    /// [`MachineFileError`] if it cannot be opened.
    pub fn read_write(path: impl AsRef<Path>, max_growth: u64) -> Result<Self, MachineFileError> {
        let growth = Growth(AtomicU64::new(max_growth));
        Self::open(path.as_ref(), Some(Arc::new(growth)))
    }

    fn open(path: &Path, growth: Option<Arc<Growth>>) -> Result<Self, MachineFileError> {
        // The path is the embedder's: links in it are followed.
        let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
        let opened = fs::openat(CWD, path, flags, Mode::empty());
        let directory = opened.map_err(|errno| MachineFileError {
            what: "directory",
            path: path.to_owned(),
            source: errno.into(),
        })?;
        Ok(Self {
            directory: Arc::new(directory),
            growth,
        })
    }

    fn growth(&self) -> Result<&Arc<Growth>> {
        self.growth.as_ref().ok_or(Error::ReadOnly)
    }

    /// Returns another handle of this directory.
    pub(super) fn share(&self) -> Self {
        Self {
            directory: Arc::clone(&self.directory),
            growth: self.growth.clone(),
        }
    }

    /// Returns a directory in this one, as [`MountedDirectory::directory`].
    pub(super) fn inner(&self, name: &str) -> Result<Self> {
        let opened = fs::openat(&self.directory, name, DIRECTORY, Mode::empty());
        Ok(Self {
            directory: Arc::new(opened.map_err(errno::error)?),
            growth: self.growth.clone(),
        })
    }

    /// Gives a file of this directory another name. For the embedder: programs make no links.
    pub(super) fn link(&self, name: &str, new_parent: &Self, new_name: &str) -> Result<()> {
        self.growth()?;
        // Without `SYMLINK_FOLLOW`: a symbolic link that another process puts there gets the name
        // itself.
        let flags = AtFlags::empty();
        fs::linkat(
            &self.directory,
            name,
            &new_parent.directory,
            new_name,
            flags,
        )
        .map_err(errno::error)
    }
}

impl MountedDirectory for MachineDirectory {
    fn stat(&self) -> Result<Stat, Error> {
        let stat = fs::fstat(&self.directory).map_err(errno::error)?;
        Ok(errno::stat(&stat))
    }

    fn stat_entry(&self, name: &str) -> Result<Stat, Error> {
        let stat = fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW);
        Ok(errno::stat(&stat.map_err(errno::error)?))
    }

    fn directory(&self, name: &str) -> Result<Arc<dyn MountedDirectory>, Error> {
        Ok(Arc::new(self.inner(name)?))
    }

    fn open_file(&self, name: &str, access: Access) -> Result<Arc<dyn MountedFile>, Error> {
        if access.write {
            self.growth()?;
        }
        // Pitfall: opening a pipe blocks until its other end is opened, and opening a device can
        // have an effect. So the type is checked before, and `NONBLOCK` is for the case that
        // another process puts a pipe there in between.
        let before = self.stat_entry(name)?;
        match before.file_type {
            FileType::File => {}
            FileType::Directory => return Err(Error::IsADirectory),
            FileType::Symlink => return Err(Error::Loop),
            FileType::CharacterDevice | FileType::Other => return Err(Error::NotPermitted),
        }
        let mode = match (access.read, access.write) {
            (_, false) => OFlags::RDONLY,
            (false, true) => OFlags::WRONLY,
            (true, true) => OFlags::RDWR,
        };
        let flags = mode | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = retry_on_intr(|| fs::openat(&self.directory, name, flags, Mode::empty()));
        let opened = opened.map_err(errno::error)?;
        let after = errno::stat(&fs::fstat(&opened).map_err(errno::error)?);
        if after.file_type != FileType::File || after.identity != before.identity {
            return Err(Error::Access);
        }
        if access.truncate {
            retry_on_intr(|| fs::ftruncate(&opened, 0)).map_err(errno::error)?;
        }
        Ok(Arc::new(OpenMachineFile::new(opened, self.growth.clone())))
    }

    fn create_file(&self, name: &str) -> Result<Arc<dyn MountedFile>, Error> {
        let growth = self.growth()?;
        growth.take(ENTRY)?;
        // With `EXCL`, nothing that exists is opened, and no link is followed.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let opened = retry_on_intr(|| fs::openat(&self.directory, name, flags, mode));
        let opened = opened.map_err(errno::error)?;
        Ok(Arc::new(OpenMachineFile::new(opened, self.growth.clone())))
    }

    fn create_directory(&self, name: &str) -> Result<(), Error> {
        self.growth()?.take(ENTRY)?;
        let mode = Mode::from_raw_mode(0o755);
        fs::mkdirat(&self.directory, name, mode).map_err(errno::error)
    }

    fn remove_file(&self, name: &str) -> Result<(), Error> {
        self.growth()?;
        fs::unlinkat(&self.directory, name, AtFlags::empty()).map_err(errno::error)
    }

    fn remove_directory(&self, name: &str) -> Result<(), Error> {
        self.growth()?;
        fs::unlinkat(&self.directory, name, AtFlags::REMOVEDIR).map_err(errno::error)
    }

    fn rename(
        &self,
        name: &str,
        new_parent: &dyn MountedDirectory,
        new_name: &str,
    ) -> Result<(), Error> {
        let growth = self.growth()?;
        let new_parent: &dyn Any = new_parent;
        let new_parent = new_parent.downcast_ref::<Self>();
        let is_same_mount = |parent: &&Self| {
            let other = parent.growth.as_ref();
            other.is_some_and(|other| Arc::ptr_eq(growth, other))
        };
        let new_parent = new_parent.filter(is_same_mount).ok_or(Error::CrossDevice)?;
        fs::renameat(&self.directory, name, &new_parent.directory, new_name).map_err(errno::error)
    }

    fn read_link(&self, name: &str) -> Result<String, Error> {
        let target = fs::readlinkat(&self.directory, name, Vec::new()).map_err(errno::error)?;
        target.into_string().map_err(|_| Error::Io)
    }

    fn set_times(
        &self,
        name: Option<&str>,
        accessed: NewTime,
        modified: NewTime,
    ) -> Result<(), Error> {
        self.growth()?;
        let times = errno::timestamps(accessed, modified)?;
        let set = match name {
            Some(name) => fs::utimensat(&self.directory, name, &times, AtFlags::SYMLINK_NOFOLLOW),
            None => fs::futimens(&self.directory, &times),
        };
        set.map_err(errno::error)
    }

    fn entries(&self) -> Result<MountedEntries, Error> {
        let directory = Arc::clone(&self.directory);
        let entries = Dir::read_from(&*directory).map_err(errno::error)?;
        Ok(Box::new(entries.filter_map(move |entry| {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return Some(Err(errno::error(error))),
            };
            let name = entry.file_name().to_str().ok()?;
            if matches!(name, "." | "..") {
                return None;
            }
            let file_type = match entry.file_type() {
                SystemFileType::Unknown => {
                    let stat = fs::statat(&*directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
                    SystemFileType::from_raw_mode(stat.st_mode)
                }
                known => known,
            };
            Some(Ok((name.to_owned(), errno::file_type(file_type))))
        })))
    }
}
