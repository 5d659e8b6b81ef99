//! A file of the machine as the content of a file.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
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
///
/// Files that the kernel makes when they are read, as in `/proc` and `/sys`, have another size than
/// it says. They are read as a whole when they are opened, and hold no descriptor.
#[derive(Debug)]
pub struct MachineFile(Content);

#[derive(Debug)]
enum Content {
    OnDisk { file: File, size: u64 },
    InMemory(Vec<u8>),
}

impl MachineFile {
    /// Opens a file. Links on the path are followed.
    ///
    /// # Errors
    ///
    /// [`MachineFileError`] if it cannot be opened, is not a regular file, or has another size than
    /// the kernel says, and more than 16 MiB.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, MachineFileError> {
        let path = path.as_ref();
        let open = || {
            // Before it is opened, as that has an effect on some devices.
            check_type(&fs::metadata(path)?)?;
            // Pitfall: opening a pipe blocks until its other end is opened, except with `NONBLOCK`.
            let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
            let file = File::options()
                .read(true)
                .custom_flags(flags.cast_signed())
                .open(path)?;
            let metadata = file.metadata()?;
            check_type(&metadata)?;
            let size = metadata.len();
            if has_size(&file, size)? {
                return Ok(Self(Content::OnDisk { file, size }));
            }
            read_whole(&file, size).map(|content| Self(Content::InMemory(content)))
        };
        open().map_err(|source| MachineFileError::file(path, source))
    }
}

/// The most bytes of a file with another size than the kernel says.
const MAX_IN_MEMORY: u64 = 16 << 20;

/// Reads a file of which the kernel says that it has `size` bytes.
fn read_whole(file: impl Read, size: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(MAX_IN_MEMORY + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_IN_MEMORY {
        return Err(io::Error::other(format!(
            "the kernel says that it has {size} bytes, and it has more than {MAX_IN_MEMORY}, the \
             limit for such files"
        )));
    }
    Ok(content)
}

/// Checks that a file is a regular file.
fn check_type(metadata: &Metadata) -> io::Result<()> {
    let file_type = metadata.file_type();
    let found = match () {
        () if file_type.is_file() => return Ok(()),
        () if file_type.is_dir() => "directory",
        () if file_type.is_fifo() => "pipe",
        () if file_type.is_socket() => "socket",
        () => "device",
    };
    Err(io::Error::other(format!(
        "it is a {found}, not a regular file"
    )))
}

/// Returns whether a file ends at its size: at least one that is empty, and at most one that has
/// bytes.
fn has_size(file: &File, size: u64) -> io::Result<bool> {
    let last = size.checked_sub(1);
    let read = loop {
        match file.read_at(&mut [0], last.unwrap_or(0)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    Ok((read > 0) == last.is_some())
}

impl Source for MachineFile {
    fn size(&self) -> u64 {
        match &self.0 {
            Content::OnDisk { size, .. } => *size,
            Content::InMemory(content) => content.len() as u64,
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Content::OnDisk { file, .. } => file.read_at(buffer, offset),
            Content::InMemory(content) => {
                let start = usize::try_from(offset).ok();
                let rest = start.and_then(|start| content.get(start..));
                rest.unwrap_or_default().read(buffer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_another_size_than_the_kernel_says_is_read_up_to_a_limit() {
        let bytes = |count: u64| io::repeat(1).take(count);
        let read = read_whole(bytes(MAX_IN_MEMORY), 0).expect("not too large");
        assert_eq!(read.len() as u64, MAX_IN_MEMORY);
        for count in [MAX_IN_MEMORY + 1, u64::MAX] {
            let error = read_whole(bytes(count), 7).expect_err("too large");
            let text = error.to_string();
            assert!(
                text.contains("7 bytes, and it has more than 16777216"),
                "{text}"
            );
        }
    }
}
