//! The options `--save` and `--resume`: snapshots of the session of a script.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result, bail};
use clap::Args;
use eryx::{CancelHandle, Error, ExecuteResult, Program, Sandbox};
use rustix::fs::{self, AtFlags, Mode, OFlags};

/// The options.
#[derive(Args)]
pub(crate) struct SnapshotArgs {
    /// Continue from the snapshot that --save wrote to this file: the names, modules and files of
    /// an earlier script
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Write a snapshot of the session to this file when the script has ended, for --resume. It
    /// contains everything that the script has in memory, and is not encrypted
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

impl SnapshotArgs {
    /// Returns whether one of the options is given.
    pub(crate) fn is_given(&self) -> bool {
        self.resume.is_some() || self.save.is_some()
    }

    /// Reads the snapshot to continue from, and creates the file for the other one.
    pub(crate) fn open(&self) -> Result<Snapshots> {
        Ok(Snapshots {
            resumed: self.resume.as_deref().map(read).transpose()?,
            saved: self.save.as_deref().map(SnapshotFile::create).transpose()?,
        })
    }
}

/// The snapshots before and after the script.
pub(crate) struct Snapshots {
    resumed: Option<Vec<u8>>,
    saved: Option<SnapshotFile>,
}

impl Snapshots {
    /// Runs the script, and saves a snapshot: also after an exception, which does not end a
    /// session. Returns the result of the script, and that of saving.
    pub(crate) async fn execute(
        &self,
        sandbox: &Sandbox,
        program: Program,
        cancel: &CancelHandle,
    ) -> (Result<ExecuteResult, Error>, Result<()>) {
        if self.resumed.is_none() && self.saved.is_none() {
            return (sandbox.execute_cancellable(program, cancel).await, Ok(()));
        }
        let started = match &self.resumed {
            Some(snapshot) => sandbox.restore(snapshot).await,
            None => sandbox.session().await,
        };
        let mut session = match started {
            Ok(session) => session,
            Err(error) => return (Err(error), Ok(())),
        };
        let Some(file) = &self.saved else {
            let last = Box::pin(session.execute_last(program, cancel));
            return (last.await, Ok(()));
        };
        let mut result = session.execute_cancellable(program, cancel).await;
        let saved = match &result {
            Ok(_) | Err(Error::Exception(_)) => match session.snapshot().await {
                Ok(snapshot) => file.write(&snapshot),
                Err(error) => Err(error).context("--save: the session cannot be saved"),
            },
            Err(_) => Ok(()),
        };
        // The snapshot has written what was in the buffers of open files.
        let files = match &mut result {
            Ok(result) => Some(&mut result.files),
            Err(Error::Exception(raised)) => Some(&mut raised.usage.files),
            Err(_) => None,
        };
        if let Some(files) = files
            && let Ok(changed) = session.changes_since(files)
        {
            *files = changed;
        }
        (result, saved)
    }
}

/// The file of a snapshot, written beside its path and put in place when it is complete.
///
/// The directory is held open meanwhile: a script that can change the directories around it cannot
/// have the snapshot put elsewhere.
struct SnapshotFile {
    path: PathBuf,
    directory: OwnedFd,
    name: OsString,
    incomplete: OsString,
    file: File,
}

impl SnapshotFile {
    /// Creates the file, so that a wrong path is an error before the script runs. A snapshot
    /// may contain passwords: only the user can read it.
    fn create(path: &Path) -> Result<Self> {
        let failed = || format!("--save: cannot write {}", path.display());
        let Some(name) = path.file_name().filter(|_| !path.is_dir()) else {
            bail!(
                "--save: {} is not a file; write the name of one",
                path.display()
            );
        };
        let mut incomplete = name.to_owned();
        incomplete.push(format!(".{}.incomplete", process::id()));
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        // Without the permission to list the directory, files can be made in it.
        #[cfg(target_os = "linux")]
        let access = OFlags::PATH;
        #[cfg(not(target_os = "linux"))]
        let access = OFlags::RDONLY;
        let flags = access | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = parent.unwrap_or(Path::new("."));
        let directory = fs::openat(fs::CWD, parent, flags, Mode::empty()).with_context(failed)?;
        // With `EXCL`, nothing that exists is opened, and no link is followed.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        let file = fs::openat(&directory, &incomplete, flags, mode).with_context(failed)?;
        Ok(Self {
            path: path.to_owned(),
            directory,
            name: name.to_owned(),
            incomplete,
            file: file.into(),
        })
    }

    /// Writes a snapshot, in place of an older one.
    fn write(&self, snapshot: &[u8]) -> Result<()> {
        // The script may have reached the file, and written to it.
        let emptied = self.file.set_len(0);
        emptied
            .and_then(|()| (&self.file).write_all(snapshot))
            .and_then(|()| self.put_in_place())
            .with_context(|| format!("the snapshot {} cannot be written", self.path.display()))
    }

    fn put_in_place(&self) -> io::Result<()> {
        let (directory, incomplete) = (&self.directory, &self.incomplete);
        let here = fs::statat(directory, incomplete, AtFlags::SYMLINK_NOFOLLOW)?;
        let own = fs::fstat(&self.file)?;
        if (here.st_dev, here.st_ino) != (own.st_dev, own.st_ino) {
            return Err(io::Error::other(format!(
                "another file took the place of {} meanwhile; save to a directory that the script \
                 cannot change",
                incomplete.display()
            )));
        }
        fs::renameat(directory, incomplete, directory, &self.name)?;
        Ok(())
    }
}

impl Drop for SnapshotFile {
    fn drop(&mut self) {
        // Does not exist once it is in place.
        let _ = fs::unlinkat(&self.directory, &self.incomplete, AtFlags::empty());
    }
}

/// Reads a snapshot that `--save` wrote.
fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("--resume: cannot read {}", path.display()))
}
