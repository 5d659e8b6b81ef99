//! The files in a snapshot: their differences from those that a session starts with.
//!
//! An entry is a tag, the length of the path (u16), and the path. The modification time (u64 of
//! seconds, u32 of nanoseconds) of a file or directory follows; then the size (u64) and the content
//! of a file, or the length (u16) and the target of a symbolic link. A further name of a file or
//! symbolic link has the length (u16) and the path of its first name, which has an entry of its own
//! or is one that the session starts with.
//!
//! Paths are relative to the root, without empty names, `.` and `..`. They ascend strictly, name by
//! name, so that a directory comes before what it contains. The directories on a path have entries
//! too: the sandbox that restores the session may have other files.

use std::collections::HashMap;
use std::sync::Arc;

use eryx_files::{
    Change, ChangeKind, Descriptor, Entry, Error, FileContent, FileId, FileSystem, FileType,
    Layout, Limits, NewTime, OpenFlags, Snapshot, Stat, Timestamp,
};

use crate::provided_content;
use crate::session_snapshot::{STEP, SnapshotReader, SnapshotWriter, yield_if_over};
use crate::snapshot_error::SnapshotError;
use crate::time_slice::TimeSlice;

pub(super) const END: u8 = 0;
pub(super) const DIRECTORY: u8 = 1;
pub(super) const FILE: u8 = 2;
pub(super) const SYMLINK: u8 = 3;
pub(super) const REMOVED: u8 = 4;
pub(super) const NAME: u8 = 5;

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
    let mut first_names = None;
    let mut last_directory = String::new();
    for change in now.changes_since(start) {
        yield_if_over(time_slice).await;
        let path = change.path.as_str();
        let relative = path.trim_start_matches('/');
        write_parents(writer, files, root, relative, &mut last_directory)?;
        let header = |writer: &mut SnapshotWriter, tag| {
            writer.put(&[tag]);
            put_text(writer, relative);
        };
        let entry = match change.kind {
            ChangeKind::Created(entry) | ChangeKind::Modified(entry) => entry,
            ChangeKind::Removed => {
                header(writer, REMOVED);
                continue;
            }
            _ => return Err(failed(path, Error::Unsupported)),
        };
        let stat = files.stat_at(root, false, relative);
        let stat = stat.map_err(|error| failed(path, error))?;
        if stat.file_type != FileType::Directory && stat.links > 1 {
            if first_names.is_none() {
                let names = names_at_start(files, root, &now, start, time_slice).await;
                first_names = Some(names);
            }
            let names = first_names.get_or_insert_default();
            let first = names.entry(stat.identity);
            let first = first.or_insert_with(|| relative.to_owned());
            if first != relative {
                header(writer, NAME);
                put_text(writer, first);
                continue;
            }
        }
        match entry {
            Entry::Directory => {
                header(writer, DIRECTORY);
                put_time(writer, stat.modified);
                relative.clone_into(&mut last_directory);
            }
            Entry::File(content) => {
                header(writer, FILE);
                put_time(writer, stat.modified);
                write_content(writer, path, &content, time_slice).await?;
            }
            Entry::Symlink(target) => {
                header(writer, SYMLINK);
                put_text(writer, &target);
            }
            _ => return Err(failed(path, Error::Unsupported)),
        }
    }
    writer.put(&[END]);
    Ok(())
}

/// Writes the directories on the path of an entry, except for those that were written before. They
/// have not changed, but the sandbox that restores the session may have other files.
///
/// `last` is the path of the directory that was written last. Those on that path were, too.
fn write_parents(
    writer: &mut SnapshotWriter,
    files: &FileSystem,
    root: Descriptor,
    path: &str,
    last: &mut String,
) -> Result<(), SnapshotError> {
    for (end, _) in path.match_indices('/') {
        let directory = &path[..end];
        let below = last.strip_prefix(directory);
        if below.is_some_and(|below| below.is_empty() || below.starts_with('/')) {
            continue;
        }
        let stat = files.stat_at(root, false, directory);
        let stat = stat.map_err(|error| failed(directory, error))?;
        writer.put(&[DIRECTORY]);
        put_text(writer, directory);
        put_time(writer, stat.modified);
        directory.clone_into(last);
    }
    Ok(())
}

/// Returns the path of each file that has several names, if the session started with the file, and
/// the path is one of them and has no entry: the content is that of the start. Otherwise the first
/// name with an entry has the content, so that a sandbox without the file can restore the session.
async fn names_at_start(
    files: &mut FileSystem,
    root: Descriptor,
    now: &Snapshot,
    start: &Snapshot,
    time_slice: &TimeSlice,
) -> HashMap<FileId, String> {
    let nothing = Snapshot::default();
    let mut names = HashMap::new();
    for Change { path, kind } in start.changes_since(&nothing) {
        yield_if_over(time_slice).await;
        let identity = start.identity(&path);
        if !matches!(kind, ChangeKind::Created(Entry::File(_)))
            || now.identity(&path) != identity
            || now.change_since(start, &path).is_some()
        {
            continue;
        }
        let relative = path.trim_start_matches('/');
        if let Ok(stat) = files.stat_at(root, false, relative)
            && stat.links > 1
        {
            names.insert(stat.identity, relative.to_owned());
        }
    }
    names
}

async fn write_content(
    writer: &mut SnapshotWriter,
    path: &str,
    content: &FileContent,
    time_slice: &TimeSlice,
) -> Result<(), SnapshotError> {
    if !content.is_loaded() {
        let begin = || {
            let load = content.begin_load();
            move || load.map_or(Ok(()), |load| load())
        };
        let loaded = provided_content::load_here(begin).await;
        let loaded = loaded.unwrap_or(Err(Error::Io));
        loaded.map_err(|error| failed(path, error))?;
    }
    // Content that cannot be provided has an error in place of a size.
    content.read(0, 1).map_err(|error| failed(path, error))?;
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
        yield_if_over(time_slice).await;
    }
    Ok(())
}

fn put_text(writer: &mut SnapshotWriter, text: &str) {
    // A path and the target of a link have at most `Limits::MAX_PATH` bytes.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    writer.put(&length.to_le_bytes());
    writer.put(&text.as_bytes()[..length.into()]);
}

fn put_time(writer: &mut SnapshotWriter, time: Timestamp) {
    writer.put(&time.seconds().to_le_bytes());
    writer.put(&time.nanoseconds().to_le_bytes());
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
    let mut walk = Walk::new(files).map_err(|error| failed("/", error))?;
    let mut previous = String::new();
    for _ in 0..=MAX_ENTRIES {
        let [tag] = reader.array(time_slice).await?;
        if tag == END {
            return walk.finish(files).map_err(|error| failed("/", error));
        }
        let path = text(reader, time_slice).await?;
        check_path(&path)?;
        if previous.split('/').ge(path.split('/')) {
            return Err(SnapshotError::Damaged("its files are out of order"));
        }
        let (parent, name) = split(&path);
        let directory = walk
            .enter(files, parent)
            .map_err(|error| failed(&path, error))?;
        let entry = (directory, name);
        let applied = match tag {
            DIRECTORY => {
                let modified = time(reader, time_slice).await?;
                let made = make_directory(files, entry, time_slice).await;
                made.and_then(|()| walk.push(files, name, Some(modified)))
            }
            FILE => {
                let modified = time(reader, time_slice).await?;
                let opened = open(files, entry, time_slice).await;
                let opened = opened.map_err(|error| failed(&path, error))?;
                read_content(reader, files, opened, &path, time_slice).await?;
                files
                    .set_times(opened, NewTime::Keep, NewTime::At(modified))
                    .and_then(|()| files.close(opened))
            }
            SYMLINK => {
                let target = text(reader, time_slice).await?;
                let free = make_room(files, entry, None, time_slice).await;
                free.and_then(|_| files.symlink_at(&target, directory, name))
            }
            NAME => {
                let first = text(reader, time_slice).await?;
                check_path(&first)?;
                let free = make_room(files, entry, None, time_slice).await;
                let linked = free.and_then(|_| link(files, walk.root, &first, entry));
                linked.map_err(|error| SnapshotError::Files {
                    path: path.clone(),
                    reason: format!(
                        "it is another name of the file {first:?}, which the sandbox that restores \
                         the session has to have too: {error}"
                    ),
                })?;
                Ok(())
            }
            REMOVED => make_room(files, entry, None, time_slice).await.map(|_| ()),
            _ => return Err(SnapshotError::Damaged("it has a file of an unknown type")),
        };
        applied.map_err(|error| failed(&path, error))?;
        previous = path;
        yield_if_over(time_slice).await;
    }
    Err(SnapshotError::Damaged("it has too many files"))
}

/// Returns the error unless a session can have the path.
fn check_path(path: &str) -> Result<(), SnapshotError> {
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
    if path.split('/').all(is_name) && path.split('/').count() <= Limits::MAX_DEPTH {
        return Ok(());
    }
    Err(SnapshotError::Damaged(
        "it has a path that no file can have",
    ))
}

/// Returns the path of the directory, which is empty for the root, and the name in it.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The directories on the path of the present entry, which are open: at most [`Limits::MAX_DEPTH`].
/// The paths ascend, so each directory is entered once.
struct Walk {
    root: Descriptor,
    /// The path of the last directory.
    path: String,
    levels: Vec<Level>,
}

struct Level {
    directory: Descriptor,
    /// Set when the walk leaves the directory: what is created in it changes its time.
    modified: Option<Timestamp>,
    /// The length of the path of the directory above.
    above: usize,
}

impl Walk {
    /// Returns a walk that begins at the root.
    fn new(files: &mut FileSystem) -> Result<Self, Error> {
        let root = files.open_root()?;
        let level = Level {
            directory: root,
            modified: None,
            above: 0,
        };
        Ok(Self {
            root,
            path: String::new(),
            levels: vec![level],
        })
    }

    /// Goes to a directory. No link on its path is followed.
    fn enter(&mut self, files: &mut FileSystem, path: &str) -> Result<Descriptor, Error> {
        while !self.contains(path) {
            self.leave(files)?;
        }
        let below = &path[self.path.len()..];
        for name in below.split('/').filter(|name| !name.is_empty()) {
            self.push(files, name, None)?;
        }
        let level = self.levels.last().ok_or(Error::BadDescriptor)?;
        Ok(level.directory)
    }

    /// Returns whether the last directory has the path, or contains what has.
    fn contains(&self, path: &str) -> bool {
        let below = path.strip_prefix(&*self.path);
        let is_below = |below: &str| below.is_empty() || below.starts_with('/');
        self.path.is_empty() || below.is_some_and(is_below)
    }

    /// Goes to a directory in the last one.
    fn push(
        &mut self,
        files: &mut FileSystem,
        name: &str,
        modified: Option<Timestamp>,
    ) -> Result<(), Error> {
        let level = self.levels.last().ok_or(Error::BadDescriptor)?;
        let directory = open_directory(files, level.directory, name)?;
        let above = self.path.len();
        if above > 0 {
            self.path.push('/');
        }
        self.path.push_str(name);
        self.levels.push(Level {
            directory,
            modified,
            above,
        });
        Ok(())
    }

    fn leave(&mut self, files: &mut FileSystem) -> Result<(), Error> {
        let level = self.levels.pop().ok_or(Error::BadDescriptor)?;
        self.path.truncate(level.above);
        if let Some(modified) = level.modified {
            files.set_times(level.directory, NewTime::Keep, NewTime::At(modified))?;
        }
        files.close(level.directory)
    }

    /// Leaves all directories.
    fn finish(mut self, files: &mut FileSystem) -> Result<(), Error> {
        while !self.levels.is_empty() {
            self.leave(files)?;
        }
        Ok(())
    }
}

/// A directory, and a name in it, as of openat(2).
type EntryAt<'p> = (Descriptor, &'p str);

/// Opens a directory in memory. A link at the end of the path is not followed.
fn open_directory(
    files: &mut FileSystem,
    parent: Descriptor,
    path: &str,
) -> Result<Descriptor, Error> {
    let flags = OpenFlags {
        directory: true,
        read: true,
        ..OpenFlags::default()
    };
    let directory = files.open_at(parent, path, flags)?;
    check_volume(files.stat(directory)?)?;
    Ok(directory)
}

/// Returns the error for what is mounted. A snapshot has no file of a mount.
fn check_volume(stat: Stat) -> Result<(), Error> {
    match stat.identity.volume {
        0 => Ok(()),
        _ => Err(Error::Busy),
    }
}

/// Removes what has the name, unless that has the type `keep`. Returns whether it has.
async fn make_room(
    files: &mut FileSystem,
    (directory, name): EntryAt<'_>,
    keep: Option<FileType>,
    time_slice: &TimeSlice,
) -> Result<bool, Error> {
    let stat = match files.stat_at(directory, false, name) {
        Err(Error::NoEntry) => return Ok(false),
        stat => stat?,
    };
    check_volume(stat)?;
    match stat.file_type {
        found if Some(found) == keep => return Ok(true),
        FileType::Directory => remove_directory(files, (directory, name), time_slice).await?,
        _ => files.unlink_file_at(directory, name)?,
    }
    Ok(false)
}

/// Removes a directory and what it contains. One directory is open at a time.
async fn remove_directory(
    files: &mut FileSystem,
    (parent, name): EntryAt<'_>,
    time_slice: &TimeSlice,
) -> Result<(), Error> {
    let mut path = name.to_owned();
    loop {
        if let Some(inner) = remove_files(files, (parent, &path), time_slice).await? {
            path.push('/');
            path.push_str(&inner);
            continue;
        }
        files.remove_directory_at(parent, &path)?;
        match path.rfind('/') {
            Some(end) => path.truncate(end),
            None => return Ok(()),
        }
    }
}

/// Removes what is in a directory, up to the first directory in it. Returns the name of that.
async fn remove_files(
    files: &mut FileSystem,
    (parent, path): EntryAt<'_>,
    time_slice: &TimeSlice,
) -> Result<Option<Arc<str>>, Error> {
    let directory = open_directory(files, parent, path)?;
    let listing = files.list(directory)?;
    let mut inner = None;
    while let Some((name, file_type)) = files.next_entry(listing)? {
        yield_if_over(time_slice).await;
        if file_type == FileType::Directory {
            inner = Some(name);
            break;
        }
        files.unlink_file_at(directory, &name)?;
    }
    files.close_listing(listing)?;
    files.close(directory)?;
    Ok(inner)
}

/// Creates a directory, unless there is one.
async fn make_directory(
    files: &mut FileSystem,
    entry: EntryAt<'_>,
    time_slice: &TimeSlice,
) -> Result<(), Error> {
    let keep = Some(FileType::Directory);
    if make_room(files, entry, keep, time_slice).await? {
        return Ok(());
    }
    let (parent, name) = entry;
    files.create_directory_at(parent, name)
}

/// Opens an empty file.
async fn open(
    files: &mut FileSystem,
    entry: EntryAt<'_>,
    time_slice: &TimeSlice,
) -> Result<Descriptor, Error> {
    make_room(files, entry, Some(FileType::File), time_slice).await?;
    let flags = OpenFlags {
        create: true,
        truncate: true,
        write: true,
        ..OpenFlags::default()
    };
    let (directory, name) = entry;
    files.open_at(directory, name, flags)
}

/// Gives another name to the file or symbolic link at a path. No link on the path is followed.
fn link(
    files: &mut FileSystem,
    root: Descriptor,
    path: &str,
    (new_parent, new_name): EntryAt<'_>,
) -> Result<(), Error> {
    let (parent, name) = split(path);
    let mut directory = root;
    for inner in parent.split('/').filter(|name| !name.is_empty()) {
        let opened = open_directory(files, directory, inner)?;
        if directory != root {
            files.close(directory)?;
        }
        directory = opened;
    }
    files.link_at(directory, false, name, new_parent, new_name)?;
    if directory != root {
        files.close(directory)?;
    }
    Ok(())
}

async fn read_content(
    reader: &mut SnapshotReader<'_>,
    files: &mut FileSystem,
    file: Descriptor,
    path: &str,
    time_slice: &TimeSlice,
) -> Result<(), SnapshotError> {
    let size = u64::from_le_bytes(reader.array(time_slice).await?);
    let mut buffer = vec![0; STEP];
    let mut offset = 0;
    while offset < size {
        let step = (size - offset).min(STEP as u64) as usize;
        let piece = &mut buffer[..step];
        reader.fill(piece, time_slice).await?;
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
        yield_if_over(time_slice).await;
    }
    Ok(())
}

async fn text(
    reader: &mut SnapshotReader<'_>,
    time_slice: &TimeSlice,
) -> Result<String, SnapshotError> {
    let length = usize::from(u16::from_le_bytes(reader.array(time_slice).await?));
    if length > Limits::MAX_PATH {
        return Err(SnapshotError::Damaged("it has a path that is too long"));
    }
    let mut bytes = vec![0; length];
    reader.fill(&mut bytes, time_slice).await?;
    String::from_utf8(bytes).map_err(|_| SnapshotError::Damaged("it has a path that is not UTF-8"))
}

async fn time(
    reader: &mut SnapshotReader<'_>,
    time_slice: &TimeSlice,
) -> Result<Timestamp, SnapshotError> {
    let seconds = u64::from_le_bytes(reader.array(time_slice).await?);
    let nanoseconds = u32::from_le_bytes(reader.array(time_slice).await?);
    Timestamp::new(seconds, nanoseconds)
        .ok_or(SnapshotError::Damaged("it has a time that is impossible"))
}

fn failed(path: &str, error: Error) -> SnapshotError {
    SnapshotError::Files {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
