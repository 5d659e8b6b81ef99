//! Reading of untrusted zip archives.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use ::zip::ZipArchive;

use crate::factory::package_limits::{Quota, QuotaExceeded, SharedQuota};

/// The largest metadata file of a project that is read, in bytes: ten times a long description.
const MAX_METADATA: u64 = 1 << 20;

/// The bytes of the central directory that are read for each file of the quota: its name and its
/// attributes.
const DIRECTORY_ENTRY_SIZE: u64 = 512;

/// The longest name of a file, in bytes: PATH_MAX of Linux.
const MAX_NAME: usize = 4096;

/// Why an archive cannot be used.
#[derive(Debug)]
pub(super) enum ZipError {
    /// Its files exceed the quota.
    QuotaExceeded(QuotaExceeded),
    /// It is damaged, or not a zip archive.
    Invalid(String),
}

impl From<::zip::result::ZipError> for ZipError {
    fn from(error: ::zip::result::ZipError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<io::Error> for ZipError {
    fn from(error: io::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<QuotaExceeded> for ZipError {
    fn from(exceeded: QuotaExceeded) -> Self {
        Self::QuotaExceeded(exceeded)
    }
}

/// Returns the files of a zip archive within `quota`. Names that would leave the directory they are
/// unpacked to are rejected. The sizes that the archive declares are checked before it is unpacked,
/// and the unpacked sizes again.
pub(super) fn files(
    file: impl Read + Seek,
    quota: &SharedQuota,
) -> Result<Vec<(String, Vec<u8>)>, ZipError> {
    let left = quota.left();
    let mut archive = open(file, left)?;
    if archive.len() > left.files {
        return Err(QuotaExceeded::Files.into());
    }
    if archive
        .decompressed_size()
        .is_some_and(|size| size > u128::from(left.bytes))
    {
        return Err(QuotaExceeded::Bytes.into());
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
            return Err(ZipError::Invalid(format!("it has a file named {start:?}")));
        };
        let name = name.to_string_lossy().replace('\\', "/");
        let size = entry.size();
        quota.take_file(size)?;
        let Some(content) = read_entry(entry, size)? else {
            return Err(ZipError::Invalid(format!(
                "{name:?} unpacks to more bytes than it declares"
            )));
        };
        files.push((name, content));
    }
    Ok(files)
}

/// Returns the content of the first file whose name `is_wanted` accepts.
pub(super) fn find(
    file: impl Read + Seek,
    quota: Quota,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Option<Vec<u8>>, ZipError> {
    let mut archive = open(file, quota)?;
    let name = archive
        .file_names()
        .filter_map(Result::ok)
        .find(|name| is_wanted(name))
        .map(Cow::into_owned);
    let Some(name) = name else { return Ok(None) };
    let entry = archive.by_name(&name)?;
    match read_entry(entry, MAX_METADATA)? {
        Some(content) => Ok(Some(content)),
        None => Err(ZipError::Invalid(format!(
            "{name} is larger than {MAX_METADATA} bytes"
        ))),
    }
}

/// Returns the content of an entry, or `None` if it has more than `max_bytes`.
fn read_entry(entry: impl Read, max_bytes: u64) -> Result<Option<Vec<u8>>, ZipError> {
    let mut content = Vec::new();
    let size = entry
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut content)?;
    if size as u64 > max_bytes {
        return Ok(None);
    }
    content.shrink_to_fit();
    Ok(Some(content))
}

/// Opens an archive, and reads its central directory unless that is larger than the quota of files
/// allows.
fn open<R: Read + Seek>(file: R, quota: Quota) -> Result<ZipArchive<LimitedReader<R>>, ZipError> {
    let max_bytes = DIRECTORY_ENTRY_SIZE
        .saturating_mul(quota.files as u64)
        .max(64 << 10);
    let left = Rc::new(Cell::new(Some(max_bytes)));
    let limited = LimitedReader {
        file,
        left: Rc::clone(&left),
    };
    let opened = ZipArchive::new(limited);
    if left.get() == Some(0) {
        return Err(QuotaExceeded::Files.into());
    }
    left.set(None);
    Ok(opened?)
}

/// A reader that fails once `left` bytes are read, if there is a limit.
struct LimitedReader<R> {
    file: R,
    left: Rc<Cell<Option<u64>>>,
}

impl<R: Read> Read for LimitedReader<R> {
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

impl<R: Seek> Seek for LimitedReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use ::zip::ZipWriter;
    use ::zip::write::SimpleFileOptions;

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

    /// A reader that counts the bytes read.
    struct CountingReader(Cursor<Vec<u8>>, Rc<Cell<u64>>);

    impl Read for CountingReader {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read(buffer)?;
            self.1.set(self.1.get() + read as u64);
            Ok(read)
        }
    }

    impl Seek for CountingReader {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn an_archive_exactly_within_the_quota_is_unpacked_and_a_larger_one_is_rejected() {
        let bytes = archive(4, 1000);
        let unpacked = |bytes: u64, files: usize, archive: &[u8]| {
            super::files(
                Cursor::new(archive),
                &SharedQuota::new(Quota { bytes, files }),
            )
            .map(|files| files.len())
        };
        assert_eq!(unpacked(4000, 4, &bytes).expect("unpacked"), 4);
        assert!(matches!(
            unpacked(3999, 4, &bytes),
            Err(ZipError::QuotaExceeded(QuotaExceeded::Bytes))
        ));
        assert!(matches!(
            unpacked(4000, 3, &bytes),
            Err(ZipError::QuotaExceeded(QuotaExceeded::Files))
        ));
    }

    #[test]
    fn an_archive_that_unpacks_to_more_than_it_declares_is_rejected() {
        let honest = archive(1, 1 << 20);
        // The unpacked size is in the header of the file and in the central directory, four bytes
        // each.
        let size = (1u32 << 20).to_le_bytes();
        let mut lying = honest.clone();
        for at in 0..lying.len() - 4 {
            if lying[at..at + 4] == size {
                lying[at..at + 4].copy_from_slice(&10u32.to_le_bytes());
            }
        }
        assert_ne!(lying, honest);
        let quota = Quota {
            bytes: 1000,
            files: 1,
        };
        files(Cursor::new(lying), &SharedQuota::new(quota)).expect_err("rejected");
    }

    #[test]
    fn the_central_directory_of_too_many_files_is_not_read_to_its_end() {
        let bytes = archive(20_000, 0);
        let read = Rc::new(Cell::new(0));
        let counted = CountingReader(Cursor::new(bytes.clone()), Rc::clone(&read));
        let quota = Quota {
            bytes: 1 << 20,
            files: 200,
        };
        assert!(matches!(
            files(counted, &SharedQuota::new(quota)),
            Err(ZipError::QuotaExceeded(QuotaExceeded::Files))
        ));
        let max_bytes = DIRECTORY_ENTRY_SIZE * 200 + (64 << 10);
        assert!(
            read.get() <= max_bytes,
            "{} of {} bytes",
            read.get(),
            bytes.len()
        );
    }
}
