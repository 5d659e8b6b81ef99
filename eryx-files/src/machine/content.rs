//! A file of the machine as the content of a file.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::machine::directory::MachineFileError;
use crate::source::Source;

/// The content of a regular file of the machine, which is read when a program asks for it. It holds
/// one descriptor of the process.
///
/// The file has to stay as it is: a program sees changes of its bytes, but the size is the one when
/// it was opened, and reads beyond the end of a file that has become shorter fail with EIO.
///
/// The program waits for the disk on the thread that runs it, for 256 KiB at a time.
#[derive(Debug)]
pub struct MachineFile {
    file: File,
    size: u64,
}

impl MachineFile {
    /// Opens a file. Links on the path are followed.
    ///
    /// # Errors
    ///
    /// [`MachineFileError`] if it cannot be opened, or is not a regular file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, MachineFileError> {
        let path = path.as_ref();
        let open = || {
            // Pitfall: opening a pipe blocks until its other end is opened, except with `NONBLOCK`.
            let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
            let file = File::options()
                .read(true)
                .custom_flags(flags.cast_signed())
                .open(path)?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(io::Error::other("it is not a regular file"));
            }
            let size = metadata.len();
            Ok(Self { file, size })
        };
        open().map_err(|source| MachineFileError::file(path, source))
    }
}

impl Source for MachineFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
}
