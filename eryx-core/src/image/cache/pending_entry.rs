//! One process compiles an image, and others that want the same wait for it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::time::{Instant, sleep};

use super::directory::Directory;
use super::kept;

/// What the name of a file ends with while it is written.
pub(super) const UNFINISHED: &str = ".building";

/// The longest a process waits for another one's image. Compiling takes ten seconds, and more when processors are busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);

/// The file that is going to be an entry of the cache, locked as long as this process is at it. It is removed if it does not
/// become one; the lock of a process that is killed is gone with it.
#[derive(Debug)]
pub(crate) struct Building {
    dir: Arc<Directory>,
    name: OsString,
    file: File,
}

/// What came of a look at an entry.
enum Looked {
    Begun(Building),
    OthersAreAtIt,
    Again,
}

impl Building {
    /// Begins the entry `name`, once no other process is at it: what it wanted may be there then. Returns none when the file cannot
    /// be made or locked, or others take longer than `patience`.
    pub(super) async fn begin(
        dir: &Arc<Directory>,
        name: &OsStr,
        patience: Duration,
    ) -> Option<Self> {
        let mut unfinished = name.to_owned();
        unfinished.push(UNFINISHED);
        let began = Instant::now();
        loop {
            match look(dir, &unfinished) {
                Ok(Looked::Begun(building)) => return Some(building),
                Ok(Looked::OthersAreAtIt) if began.elapsed() >= patience => return None,
                Ok(Looked::OthersAreAtIt) => sleep(LOOK).await,
                Ok(Looked::Again) => {}
                Err(error) => {
                    tracing::debug!(target: "eryx::image", %error, "what others compile is not waited for");
                    return None;
                }
            }
        }
    }

    /// Begins an entry without a look at what others do.
    pub(super) fn alone(dir: &Arc<Directory>, name: &OsStr) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut unfinished = name.to_owned();
        unfinished.push(format!(".{}-{number}{UNFINISHED}", std::process::id()));
        let file = dir.create(&unfinished)?;
        Ok(Self {
            dir: Arc::clone(dir),
            name: unfinished,
            file,
        })
    }

    /// Writes the entry, and gives it its name.
    pub(super) fn finish(mut self, name: &OsStr, code: &[u8]) -> io::Result<()> {
        kept::write(&mut self.file, code)?;
        self.dir.rename(&self.name, name)
    }

    /// Whether the file still has the name it was made under.
    fn has_its_name(&self) -> bool {
        is_same(&self.file, &self.dir, &self.name)
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        if self.has_its_name()
            && let Err(error) = self.dir.remove(&self.name)
        {
            tracing::debug!(target: "eryx::image", %error, "an unfinished file is left in the cache");
        }
        // A process that was forked meanwhile has the lock, too, unless it is given back.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Tries to make and lock the file, or to remove what a process left that is gone.
fn look(dir: &Arc<Directory>, name: &OsStr) -> io::Result<Looked> {
    match dir.create(name) {
        Ok(file) => {
            if !lock(&file)? {
                return Ok(Looked::OthersAreAtIt);
            }
            // Before it was locked, another process may have taken it for one that was left.
            if !is_same(&file, dir, name) {
                return Ok(Looked::Again);
            }
            Ok(Looked::Begun(Building {
                dir: Arc::clone(dir),
                name: name.to_owned(),
                file,
            }))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = match dir.read(name) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Looked::Again),
                Err(error) => return Err(error),
            };
            if !lock(&file)? {
                return Ok(Looked::OthersAreAtIt);
            }
            if is_same(&file, dir, name) {
                dir.remove(name)?;
            }
            Ok(Looked::Again)
        }
        Err(error) => Err(error),
    }
}

/// Locks a file, unless another process has it.
fn lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn is_same(file: &File, dir: &Directory, name: &OsStr) -> bool {
    match (file.metadata(), dir.stat(name)) {
        (Ok(file), Ok(found)) => file.ino() == found.st_ino,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

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

    const NAME: &str = "x.cwasm";

    #[tokio::test]
    async fn one_builds_and_the_others_wait_until_it_is_done_or_gives_up() {
        let (folder, dir) = directory();
        let name = OsStr::new(NAME);
        let first = Building::begin(&dir, name, PATIENCE).await.expect("begun");
        let second = tokio::spawn({
            let dir = Arc::clone(&dir);
            async move { Building::begin(&dir, OsStr::new(NAME), PATIENCE).await }
        });
        sleep(2 * LOOK).await;
        assert!(!second.is_finished());
        first.finish(name, b"code").expect("written");
        let second = second.await.expect("ended").expect("begun");
        assert!(folder.path().join(NAME).exists());
        // It found what it wanted, and gives up.
        drop(second);
        assert_eq!(names(&folder), [NAME]);
    }

    #[tokio::test]
    async fn who_waited_for_too_long_goes_on_alone() {
        let (folder, dir) = directory();
        let name = OsStr::new(NAME);
        let _first = Building::begin(&dir, name, PATIENCE).await.expect("begun");
        let waited = Building::begin(&dir, name, Duration::ZERO).await;
        assert!(waited.is_none());
        let alone = Building::alone(&dir, name).expect("begun");
        alone.finish(name, b"code").expect("written");
        assert_eq!(names(&folder).len(), 2);
    }

    #[tokio::test]
    async fn a_file_that_a_killed_process_left_is_in_no_ones_way() {
        let (folder, dir) = directory();
        fs::write(folder.path().join("x.cwasm.building"), "half").expect("written");
        let building = Building::begin(&dir, OsStr::new(NAME), PATIENCE)
            .await
            .expect("begun");
        building.finish(OsStr::new(NAME), b"code").expect("written");
        assert_eq!(names(&folder), [NAME]);
    }
}
