//! A cache entry that is being compiled: one process compiles it, and others that need the same
//! entry wait.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::time::{Instant, sleep};

use crate::image::cache::directory::Directory;
use crate::image::cache::entry;

/// The suffix of a file's name while the file is written.
pub(super) const PENDING_SUFFIX: &str = ".building";

/// The longest a process waits for the entry of another process. Compiling takes ten seconds, and
/// more when processors are busy.
pub(super) const TIMEOUT: Duration = Duration::from_secs(300);

/// The interval between two attempts of a waiting process.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// A file that is going to be an entry of the cache, locked while this process compiles. Dropping
/// it without [`commit`](Self::commit) removes the file. The lock of a process that is killed is
/// released with it.
#[derive(Debug)]
pub(crate) struct PendingEntry {
    dir: Arc<Directory>,
    name: OsString,
    file: File,
}

/// The result of one attempt to begin an entry.
enum Attempt {
    Begun(PendingEntry),
    LockedByOther,
    Retry,
}

impl PendingEntry {
    /// Begins the entry `name`, once no other process is compiling it. Returns `None` when the file
    /// cannot be created or locked, or the other process takes longer than `timeout`.
    pub(super) async fn begin(
        dir: &Arc<Directory>,
        name: &OsStr,
        timeout: Duration,
    ) -> Option<Self> {
        let deadline = Instant::now() + timeout;
        loop {
            if let ControlFlow::Break(pending) = Self::begin_now(dir, name, deadline) {
                return pending;
            }
            sleep(RETRY_INTERVAL).await;
        }
    }

    /// Does what [`begin`](Self::begin) does, and blocks the thread while it waits.
    pub(super) fn begin_blocking(
        dir: &Arc<Directory>,
        name: &OsStr,
        timeout: Duration,
    ) -> Option<Self> {
        let deadline = Instant::now() + timeout;
        loop {
            if let ControlFlow::Break(pending) = Self::begin_now(dir, name, deadline) {
                return pending;
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
    }

    /// Begins the entry `name`, or continues while another process is compiling it. Breaks with
    /// `None` when the file cannot be created or locked, or the deadline has passed.
    fn begin_now(
        dir: &Arc<Directory>,
        name: &OsStr,
        deadline: Instant,
    ) -> ControlFlow<Option<Self>> {
        let mut pending_name = name.to_owned();
        pending_name.push(PENDING_SUFFIX);
        loop {
            match try_begin(dir, &pending_name) {
                Ok(Attempt::Begun(pending)) => return ControlFlow::Break(Some(pending)),
                Ok(Attempt::LockedByOther) if Instant::now() < deadline => {
                    return ControlFlow::Continue(());
                }
                Ok(Attempt::LockedByOther) => return ControlFlow::Break(None),
                Ok(Attempt::Retry) => {}
                Err(error) => {
                    tracing::debug!(
                        target: "eryx::image",
                        %error,
                        "compiling without a look at other processes"
                    );
                    return ControlFlow::Break(None);
                }
            }
        }
    }

    /// Begins an entry under a unique name, whatever other processes compile.
    pub(super) fn begin_unlocked(dir: &Arc<Directory>, name: &OsStr) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut pending_name = name.to_owned();
        pending_name.push(format!(".{}-{number}{PENDING_SUFFIX}", process::id()));
        let file = dir.create(&pending_name)?;
        Ok(Self {
            dir: Arc::clone(dir),
            name: pending_name,
            file,
        })
    }

    /// Writes `code` to the file, and renames it to `name`.
    pub(super) fn commit(mut self, name: &OsStr, code: &[u8]) -> io::Result<()> {
        entry::write(&mut self.file, code)?;
        self.dir.rename(&self.name, name)
    }
}

impl Drop for PendingEntry {
    fn drop(&mut self) {
        if is_same_file(&self.file, &self.dir, &self.name)
            && let Err(error) = self.dir.remove(&self.name)
        {
            tracing::debug!(
                target: "eryx::image",
                %error,
                "an unfinished file is left in the cache"
            );
        }
        // A process forked meanwhile shares the lock, which would outlive this descriptor.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Tries to create and lock the file, or to remove the file of a process that no longer exists.
fn try_begin(dir: &Arc<Directory>, name: &OsStr) -> io::Result<Attempt> {
    match dir.create(name) {
        Ok(file) => {
            if !try_lock(&file)? {
                return Ok(Attempt::LockedByOther);
            }
            // Before it was locked, another process may have removed it as an abandoned file.
            if !is_same_file(&file, dir, name) {
                return Ok(Attempt::Retry);
            }
            Ok(Attempt::Begun(PendingEntry {
                dir: Arc::clone(dir),
                name: name.to_owned(),
                file,
            }))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = match dir.read(name) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Attempt::Retry);
                }
                Err(error) => return Err(error),
            };
            if !try_lock(&file)? {
                return Ok(Attempt::LockedByOther);
            }
            if is_same_file(&file, dir, name) {
                dir.remove(name)?;
            }
            Ok(Attempt::Retry)
        }
        Err(error) => Err(error),
    }
}

/// Locks a file. Returns `false` if another process holds the lock.
fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns whether `name` in `dir` is still the open file `file`.
fn is_same_file(file: &File, dir: &Directory, name: &OsStr) -> bool {
    match (file.metadata(), dir.stat(name)) {
        (Ok(file), Ok(stat)) => file.ino() == stat.st_ino,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NAME: &str = "x.cwasm";

    fn directory() -> (tempfile::TempDir, Arc<Directory>) {
        let dir = tempfile::tempdir().expect("made");
        let opened = Directory::open(dir.path()).expect("opened");
        (dir, Arc::new(opened))
    }

    fn names(dir: &tempfile::TempDir) -> Vec<OsString> {
        let entries = fs::read_dir(dir.path()).expect("readable");
        entries
            .map(|entry| entry.expect("readable").file_name())
            .collect()
    }

    #[tokio::test]
    async fn a_second_process_waits_until_the_first_commits_or_drops_the_entry() {
        let (temp_dir, dir) = directory();
        let name = OsStr::new(NAME);
        let first = PendingEntry::begin(&dir, name, TIMEOUT)
            .await
            .expect("begun");
        let second = tokio::spawn({
            let dir = Arc::clone(&dir);
            async move { PendingEntry::begin(&dir, OsStr::new(NAME), TIMEOUT).await }
        });
        sleep(2 * RETRY_INTERVAL).await;
        assert!(!second.is_finished());
        first.commit(name, b"code").expect("written");
        let second = second.await.expect("ended").expect("begun");
        assert!(temp_dir.path().join(NAME).exists());
        // The second process finds the committed entry, and drops its own.
        drop(second);
        assert_eq!(names(&temp_dir), [NAME]);
    }

    #[tokio::test]
    async fn a_process_whose_wait_times_out_compiles_without_the_lock() {
        let (temp_dir, dir) = directory();
        let name = OsStr::new(NAME);
        let _first = PendingEntry::begin(&dir, name, TIMEOUT)
            .await
            .expect("begun");
        let timed_out = PendingEntry::begin(&dir, name, Duration::ZERO).await;
        assert!(timed_out.is_none());
        let unlocked = PendingEntry::begin_unlocked(&dir, name).expect("begun");
        unlocked.commit(name, b"code").expect("written");
        assert_eq!(names(&temp_dir).len(), 2);
    }

    #[tokio::test]
    async fn the_file_of_a_killed_process_is_removed() {
        let (temp_dir, dir) = directory();
        fs::write(temp_dir.path().join("x.cwasm.building"), "half").expect("written");
        let pending = PendingEntry::begin(&dir, OsStr::new(NAME), TIMEOUT)
            .await
            .expect("begun");
        pending.commit(OsStr::new(NAME), b"code").expect("written");
        assert_eq!(names(&temp_dir), [NAME]);
    }
}
