//! Archives whose content nobody vouches for.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use zip::ZipArchive;

use super::package_limits::{Full, Room};

/// The most bytes of metadata that are read of a project: a long description, and ten times that.
const MAX_METADATA: u64 = 1 << 20;

/// The most bytes that the list of an archive's files may take for each file there may be: the name, and what is known of it.
const LISTED: u64 = 512;

/// The longest name of a file in an archive, in bytes: PATH_MAX of Linux.
const MAX_NAME: usize = 4096;

/// Why an archive cannot be used.
#[derive(Debug)]
pub(super) enum ArchiveError {
    /// It holds more than there is room for.
    Full(Full),
    /// It is damaged, or no archive.
    Broken(String),
}

impl From<zip::result::ZipError> for ArchiveError {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<Full> for ArchiveError {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

/// Returns the files of an archive in the format of zip, with names that stay below the folder they are unpacked to, if there
/// is `room` for them. What the archive says of its size is checked before anything is unpacked, and what it unpacks to again.
pub(super) fn files(
    file: impl Read + Seek,
    room: Room,
) -> Result<Vec<(String, Vec<u8>)>, ArchiveError> {
    let mut archive = open(file, room)?;
    let mut left = room;
    if archive.len() > room.files {
        return Err(Full::Files.into());
    }
    if archive
        .decompressed_size()
        .is_some_and(|size| size > u128::from(room.bytes))
    {
        return Err(Full::Bytes.into());
    }
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.enclosed_name();
        let Some(name) = name.filter(|name| name.as_os_str().len() <= MAX_NAME) else {
            let start: String = entry.name()?.chars().take(256).collect();
            return Err(ArchiveError::Broken(format!(
                "it has a file named {start:?}"
            )));
        };
        let name = name.to_string_lossy().replace('\\', "/");
        let content = read(entry, left.bytes)?.ok_or(Full::Bytes)?;
        left.take(content.len() as u64)?;
        files.push((name, content));
    }
    Ok(files)
}

/// Returns the content of the first file whose name is `wanted`.
pub(super) fn find(
    file: impl Read + Seek,
    room: Room,
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<Vec<u8>>, ArchiveError> {
    let mut archive = open(file, room)?;
    let name = archive
        .file_names()
        .filter_map(Result::ok)
        .find(|name| wanted(name))
        .map(Cow::into_owned);
    let Some(name) = name else { return Ok(None) };
    let entry = archive.by_name(&name)?;
    match read(entry, MAX_METADATA)? {
        Some(content) => Ok(Some(content)),
        None => Err(ArchiveError::Broken(format!(
            "{name} is larger than {MAX_METADATA} bytes"
        ))),
    }
}

/// Returns what is in an entry, unless that is more than `most` bytes.
fn read(entry: impl Read, most: u64) -> Result<Option<Vec<u8>>, ArchiveError> {
    let mut content = Vec::new();
    let size = entry
        .take(most.saturating_add(1))
        .read_to_end(&mut content)?;
    if size as u64 > most {
        return Ok(None);
    }
    content.shrink_to_fit();
    Ok(Some(content))
}

/// Reads the list of an archive's files, unless it is longer than that of as many files as there is room for.
fn open<R: Read + Seek>(file: R, room: Room) -> Result<ZipArchive<Metered<R>>, ArchiveError> {
    let most = LISTED.saturating_mul(room.files as u64).max(64 << 10);
    let left = Rc::new(Cell::new(Some(most)));
    let metered = Metered {
        file,
        left: Rc::clone(&left),
    };
    let opened = ZipArchive::new(metered);
    if left.get() == Some(0) {
        return Err(Full::Files.into());
    }
    left.set(None);
    Ok(opened?)
}

/// A file of which only so many bytes are read, while there is a bound.
struct Metered<R> {
    file: R,
    left: Rc<Cell<Option<u64>>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if let Some(left) = self.left.get() {
            let left = left.saturating_sub(read as u64);
            self.left.set(Some(left));
            if left == 0 {
                return Err(io::Error::other("the list of its files is too long"));
            }
        }
        Ok(read)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(files: usize, size: usize) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for index in 0..files {
            archive
                .start_file(format!("{index}"), SimpleFileOptions::default())
                .expect("begun");
            archive.write_all(&vec![0; size]).expect("written");
        }
        archive.finish().expect("finished").into_inner()
    }

    /// Counts the bytes that are read of it.
    struct Counted(Cursor<Vec<u8>>, Rc<Cell<u64>>);

    impl Read for Counted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read(buffer)?;
            self.1.set(self.1.get() + read as u64);
            Ok(read)
        }
    }

    impl Seek for Counted {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn an_archive_that_there_is_just_room_for_is_unpacked_and_a_larger_one_is_not() {
        let bytes = archive(4, 1000);
        let unpacked = |bytes: u64, files: usize, archive: &[u8]| {
            super::files(Cursor::new(archive), Room { bytes, files }).map(|files| files.len())
        };
        assert_eq!(unpacked(4000, 4, &bytes).expect("unpacked"), 4);
        assert!(matches!(
            unpacked(3999, 4, &bytes),
            Err(ArchiveError::Full(Full::Bytes))
        ));
        assert!(matches!(
            unpacked(4000, 3, &bytes),
            Err(ArchiveError::Full(Full::Files))
        ));
    }

    #[test]
    fn an_archive_that_says_it_is_small_is_refused_when_it_unpacks_to_more() {
        let honest = archive(1, 1 << 20);
        // The size it unpacks to stands in the header of the file and in the list, four bytes each.
        let size = (1u32 << 20).to_le_bytes();
        let mut lying = honest.clone();
        for at in 0..lying.len() - 4 {
            if lying[at..at + 4] == size {
                lying[at..at + 4].copy_from_slice(&10u32.to_le_bytes());
            }
        }
        assert_ne!(lying, honest);
        let room = Room {
            bytes: 1000,
            files: 1,
        };
        files(Cursor::new(lying), room).expect_err("refused");
    }

    #[test]
    fn a_list_of_too_many_files_is_not_read_to_its_end() {
        let bytes = archive(20_000, 0);
        let read = Rc::new(Cell::new(0));
        let counted = Counted(Cursor::new(bytes.clone()), Rc::clone(&read));
        let room = Room {
            bytes: 1 << 20,
            files: 200,
        };
        assert!(matches!(
            files(counted, room),
            Err(ArchiveError::Full(Full::Files))
        ));
        let most = LISTED * 200 + (64 << 10);
        assert!(
            read.get() <= most,
            "{} of {} bytes",
            read.get(),
            bytes.len()
        );
    }
}
