//! An open file of the machine.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs;
use rustix::io::{pread, pwrite, retry_on_intr};
use rustix::process::{Resource, getrlimit};

use crate::error::{Error, Result};
use crate::machine::directory::Growth;
use crate::machine::errno;
use crate::mount::MountedFile;
use crate::stat::Stat;
use crate::time::NewTime;

/// The largest size of a file of the machine: its offsets are signed.
const MAX_SIZE: u64 = i64::MAX as u64;

/// Returns the size up to which this process may write files.
///
/// Pitfall: beyond RLIMIT_FSIZE, the kernel does not only refuse a write, but sends SIGXFSZ, which
/// ends the process.
fn max_written_size() -> u64 {
    let limit = getrlimit(Resource::Fsize).current;
    limit.map_or(MAX_SIZE, |limit| limit.min(MAX_SIZE))
}

/// An open regular file.
#[derive(Debug)]
pub(super) struct OpenMachineFile {
    file: OwnedFd,
    /// `None` if the mount is read-only.
    growth: Option<Arc<Growth>>,
}

impl OpenMachineFile {
    pub(super) fn new(file: OwnedFd, growth: Option<Arc<Growth>>) -> Self {
        Self { file, growth }
    }

    fn growth(&self) -> Result<&Growth> {
        self.growth.as_deref().ok_or(Error::ReadOnly)
    }

    fn size(&self) -> Result<u64> {
        Ok(self.stat()?.size)
    }
}

impl MountedFile for OpenMachineFile {
    fn stat(&self) -> Result<Stat, Error> {
        let stat = fs::fstat(&self.file).map_err(errno::error)?;
        Ok(errno::stat(&stat))
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Error> {
        if offset >= MAX_SIZE {
            return Ok(Bytes::new());
        }
        let mut buffer = vec![0; length];
        let read = retry_on_intr(|| pread(&self.file, &mut buffer[..], offset));
        buffer.truncate(read.map_err(errno::error)?);
        Ok(buffer.into())
    }

    fn write(&self, offset: Option<u64>, data: &[u8]) -> Result<usize, Error> {
        let growth = self.growth()?;
        if data.is_empty() {
            return Ok(0);
        }
        let size = self.size()?;
        let offset = offset.unwrap_or(size);
        let room = max_written_size().saturating_sub(offset);
        if room == 0 {
            return Err(Error::FileTooLarge);
        }
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let data = &data[..data.len().min(room)];
        let wanted = (offset + data.len() as u64).saturating_sub(size);
        let taken = growth.take_at_most(wanted);
        let missing = (wanted - taken) as usize;
        let fitting = data.len().checked_sub(missing).filter(|fit| *fit > 0);
        let Some(fitting) = fitting else {
            growth.release(taken);
            return Err(Error::NoSpace);
        };
        let written = retry_on_intr(|| pwrite(&self.file, &data[..fitting], offset));
        written.map_err(errno::error)
    }

    fn set_size(&self, size: u64) -> Result<(), Error> {
        let growth = self.growth()?;
        // Also if the file is larger now: another process can shrink it before it gets the size.
        if size > max_written_size() {
            return Err(Error::FileTooLarge);
        }
        growth.take(size.saturating_sub(self.size()?))?;
        retry_on_intr(|| fs::ftruncate(&self.file, size)).map_err(errno::error)
    }

    fn set_times(&self, accessed: NewTime, modified: NewTime) -> Result<(), Error> {
        self.growth()?;
        let times = errno::timestamps(accessed, modified)?;
        fs::futimens(&self.file, &times).map_err(errno::error)
    }
}
