//! The files in a snapshot: their differences from those that a session starts with.
//!
//! An entry is a tag, the length of the path (u16), and the path. The modification time (u64 of
//! seconds, u32 of nanoseconds) of a file or directory follows; then the size (u64) and the content
//! of a file, or the length (u16) and the target of a link.

use eryx_files::{
    ChangeKind, Descriptor, Entry, Error, FileContent, FileSystem, FileType, Layout, Limits,
    NewTime, OpenFlags, Snapshot, Timestamp,
};

use crate::session_snapshot::{STEP, SnapshotReader, SnapshotWriter};
use crate::snapshot_error::SnapshotError;
use crate::time_slice::TimeSlice;

const END: u8 = 0;
const DIRECTORY: u8 = 1;
const FILE: u8 = 2;
const SYMLINK: u8 = 3;
const REMOVED: u8 = 4;

/// The most entries: each file that a session may have, and each that it may have removed.
const MAX_ENTRIES: usize = Limits::MAX_FILES + Layout::MAX_NODES;

/// Writes the differences between `start` and `files`.
///
/// # Errors
///
/// [`SnapshotError::Files`] when a file cannot be read.
pub(crate) async fn write(
    writer: &mut SnapshotWriter,
    files: &mut FileSystem,
    start: &Snapshot,
    time_slice: &TimeSlice,
) -> Result<(), SnapshotError> {
    let root = files.open_root().map_err(|error| failed("/", error))?;
    let now = files.snapshot();
    for change in now.changes_since(start) {
        let path = change.path.as_str();
        let relative = path.trim_start_matches('/');
        let header = |writer: &mut SnapshotWriter, tag| {
            writer.put(&[tag]);
            put_text(writer, relative);
        };
        match change.kind {
            ChangeKind::Created(entry) | ChangeKind::Modified(entry) => match entry {
                Entry::Directory => {
                    header(writer, DIRECTORY);
                    put_time(writer, files, root, relative)?;
                }
                Entry::File(content) => {
                    header(writer, FILE);
                    put_time(writer, files, root, relative)?;
                    write_content(writer, path, &content, time_slice).await?;
                }
                Entry::Symlink(target) => {
                    header(writer, SYMLINK);
                    put_text(writer, &target);
                }
                _ => return Err(failed(path, Error::Unsupported)),
            },
            ChangeKind::Removed => header(writer, REMOVED),
            _ => return Err(failed(path, Error::Unsupported)),
        }
        if time_slice.is_over() {
            tokio::task::yield_now().await;
        }
    }
    writer.put(&[END]);
    Ok(())
}

async fn write_content(
    writer: &mut SnapshotWriter,
    path: &str,
    content: &FileContent,
    time_slice: &TimeSlice,
) -> Result<(), SnapshotError> {
    writer.put(&content.size().to_le_bytes());
    let mut offset = 0;
    while offset < content.size() {
        let bytes = content
            .read(offset, STEP as u64)
            .map_err(|error| failed(path, error))?;
        if bytes.is_empty() {
            return Err(failed(path, Error::Io));
        }
        writer.put(&bytes);
        offset += bytes.len() as u64;
        if time_slice.is_over() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

fn put_text(writer: &mut SnapshotWriter, text: &str) {
    // A path and the target of a link have at most `Limits::MAX_PATH` bytes.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    writer.put(&length.to_le_bytes());
    writer.put(&text.as_bytes()[..length.into()]);
}

fn put_time(
    writer: &mut SnapshotWriter,
    files: &FileSystem,
    root: Descriptor,
    path: &str,
) -> Result<(), SnapshotError> {
    let stat = files
        .stat_at(root, false, path)
        .map_err(|error| failed(path, error))?;
    writer.put(&stat.modified.seconds().to_le_bytes());
    writer.put(&stat.modified.nanoseconds().to_le_bytes());
    Ok(())
}

/// Reads the files of a snapshot into `files`, which are those that a session starts with. Their
/// limits apply.
///
/// # Errors
///
/// [`SnapshotError`].
pub(crate) async fn read(
    reader: &mut SnapshotReader<'_>,
    files: &mut FileSystem,
    time_slice: &TimeSlice,
) -> Result<(), SnapshotError> {
    let root = files.open_root().map_err(|error| failed("/", error))?;
    // Set at the end, from the deepest directory on: what is created in one changes its time.
    let mut directories: Vec<(String, Timestamp)> = Vec::new();
    for _ in 0..=MAX_ENTRIES {
        let [tag] = reader.array()?;
        if tag == END {
            for (path, time) in directories.into_iter().rev() {
                set_time(files, root, &path, time)?;
            }
            return files.close(root).map_err(|error| failed("/", error));
        }
        let path: String = text(reader)?;
        let applied =
            match tag {
                DIRECTORY => {
                    let modified = time(reader)?;
                    let created = make_room(files, root, &path, Some(FileType::Directory))
                        .and_then(|exists| match exists {
                            true => Ok(()),
                            false => files.create_directory_at(root, &path),
                        });
                    directories.push((path.clone(), modified));
                    created
                }
                FILE => {
                    let modified = time(reader)?;
                    let opened = open(files, root, &path).map_err(|error| failed(&path, error))?;
                    read_content(reader, files, opened, &path, time_slice).await?;
                    files
                        .set_times(opened, NewTime::Keep, NewTime::At(modified))
                        .and_then(|()| files.close(opened))
                }
                SYMLINK => {
                    let target = text(reader)?;
                    make_room(files, root, &path, None)
                        .and_then(|_| files.symlink_at(&target, root, &path))
                }
                REMOVED => make_room(files, root, &path, None).map(|_| ()),
                _ => return Err(SnapshotError::Damaged("it has a file of an unknown type")),
            };
        applied.map_err(|error| failed(&path, error))?;
        if time_slice.is_over() {
            tokio::task::yield_now().await;
        }
    }
    Err(SnapshotError::Damaged("it has too many files"))
}

/// Removes what has the path, unless that has the type `keep`. Returns whether it has.
fn make_room(
    files: &mut FileSystem,
    root: Descriptor,
    path: &str,
    keep: Option<FileType>,
) -> Result<bool, Error> {
    match files.stat_at(root, false, path) {
        Err(Error::NoEntry) => Ok(false),
        Err(error) => Err(error),
        Ok(stat) if Some(stat.file_type) == keep => Ok(true),
        Ok(stat) => {
            if stat.file_type == FileType::Directory {
                remove_directory(files, root, path)?;
            } else {
                files.unlink_file_at(root, path)?;
            }
            Ok(false)
        }
    }
}

/// Removes a directory and what it contains. Paths have at most [`Limits::MAX_DEPTH`] names.
fn remove_directory(files: &mut FileSystem, root: Descriptor, path: &str) -> Result<(), Error> {
    let flags = OpenFlags {
        directory: true,
        read: true,
        ..OpenFlags::default()
    };
    let directory = files.open_at(root, path, flags)?;
    let listing = files.list(directory)?;
    while let Some((name, file_type)) = files.next_entry(listing)? {
        let path = format!("{path}/{name}");
        if file_type == FileType::Directory {
            remove_directory(files, root, &path)?;
        } else {
            files.unlink_file_at(root, &path)?;
        }
    }
    files.close_listing(listing)?;
    files.close(directory)?;
    files.remove_directory_at(root, path)
}

fn open(files: &mut FileSystem, root: Descriptor, path: &str) -> Result<Descriptor, Error> {
    make_room(files, root, path, Some(FileType::File))?;
    let flags = OpenFlags {
        create: true,
        truncate: true,
        write: true,
        ..OpenFlags::default()
    };
    files.open_at(root, path, flags)
}

async fn read_content(
    reader: &mut SnapshotReader<'_>,
    files: &mut FileSystem,
    file: Descriptor,
    path: &str,
    time_slice: &TimeSlice,
) -> Result<(), SnapshotError> {
    let size = u64::from_le_bytes(reader.array()?);
    let mut buffer = vec![0; STEP];
    let mut offset = 0;
    while offset < size {
        let step = (size - offset).min(STEP as u64) as usize;
        let piece = &mut buffer[..step];
        reader.fill(piece)?;
        let mut rest: &[u8] = piece;
        while !rest.is_empty() {
            // The limits of the file system bound the size.
            let written = files
                .write(file, offset, rest)
                .map_err(|error| failed(path, error))?;
            if written == 0 {
                return Err(failed(path, Error::NoSpace));
            }
            rest = &rest[written..];
            offset += written as u64;
        }
        if time_slice.is_over() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

fn set_time(
    files: &mut FileSystem,
    root: Descriptor,
    path: &str,
    time: Timestamp,
) -> Result<(), SnapshotError> {
    match files.set_times_at(root, false, path, NewTime::Keep, NewTime::At(time)) {
        // A later entry removed it: only in a forged snapshot.
        Ok(()) | Err(Error::NoEntry) => Ok(()),
        Err(error) => Err(failed(path, error)),
    }
}

fn text(reader: &mut SnapshotReader<'_>) -> Result<String, SnapshotError> {
    let length = usize::from(u16::from_le_bytes(reader.array()?));
    if length > Limits::MAX_PATH {
        return Err(SnapshotError::Damaged("it has a path that is too long"));
    }
    let mut bytes = vec![0; length];
    reader.fill(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| SnapshotError::Damaged("it has a path that is not UTF-8"))
}

fn time(reader: &mut SnapshotReader<'_>) -> Result<Timestamp, SnapshotError> {
    let seconds = u64::from_le_bytes(reader.array()?);
    let nanoseconds = u32::from_le_bytes(reader.array()?);
    Timestamp::new(seconds, nanoseconds)
        .ok_or(SnapshotError::Damaged("it has a time that is impossible"))
}

fn failed(path: &str, error: Error) -> SnapshotError {
    SnapshotError::Files {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
