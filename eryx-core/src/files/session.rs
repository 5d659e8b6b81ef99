//! The files of a session, between two executions.

use eryx_files::{
    Change, ChangeKind, Descriptor, Entry, Error, FileSystem, FileType, OpenFlags, Snapshot, Stat,
};
use thiserror::Error;

use crate::files::SharedFiles;
use crate::nesting::Nesting;

/// The most files and directories that one call holds open.
const OPEN: usize = 3;

/// The most bytes of a file that has more than none, although its size is 0.
const MAX_UNSIZED: u64 = 16 << 20;

/// The files of a [`Session`](crate::Session), as its programs see them. No program runs meanwhile.
///
/// Paths are absolute. Links on a path are followed, to the place where they lead a program. What
/// is written counts against the limits of the session, `max_file_bytes` and `max_files`. Mounted
/// directories are included, with the access that programs have. The caller waits for each call, in
/// which content of [`Files::with_source`](crate::Files::with_source) is provided too.
///
/// [`Session::files`](crate::Session::files) has an example.
#[derive(Debug)]
pub struct SessionFiles<'a> {
    files: &'a SharedFiles,
}

/// The error of an operation on a file of a session.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the session's file {path:?}: {reason}{remedy}")]
#[non_exhaustive]
pub struct SessionFilesError {
    /// The path.
    pub path: String,
    /// The error of the file system.
    pub reason: Error,
    remedy: &'static str,
}

/// The remedy for a file of more than [`MAX_UNSIZED`] bytes without a size.
const READ_IN_PROGRAM: &str = "; the kernel makes it when it is read, and of such a file 16 MiB can be \
                               read here: have a program read it";

fn remedy(reason: Error) -> &'static str {
    match reason {
        Error::NoSpace | Error::FileTooLarge => {
            "; raise the limit in the ResourceLimits, or remove files"
        }
        Error::Invalid => "; give an absolute path without NUL",
        Error::NotAFile => {
            "; it is a device, or a program's link to one: give the path of a regular file"
        }
        _ => "",
    }
}

type Result<T> = std::result::Result<T, SessionFilesError>;

impl<'a> SessionFiles<'a> {
    pub(crate) fn new(files: &'a SharedFiles) -> Self {
        Self { files }
    }

    /// Returns the content of a regular file. What another process appends to it meanwhile, in a
    /// mounted directory, is not included. A file of a mounted directory that the kernel makes when
    /// it is read, as in `/proc`, has the size 0, and 16 MiB at most.
    ///
    /// # Errors
    ///
    /// [`SessionFilesError`]: for example if there is no such file, it is a directory, or a program
    /// made a link from there to a device.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let content = self.call(path, |files, root, relative| {
            // Its size need not be known before.
            if let Some(content) = files.unloaded_at(root, true, relative, true) {
                Nesting::current()
                    .inner()
                    .run(|| content.load().map(drop))?;
            }
            let flags = OpenFlags {
                follow: true,
                read: true,
                ..OpenFlags::default()
            };
            with_open(files, root, relative, flags, |files, file| {
                let size = file_size(files, file)?;
                // The kernel says 0 for files that it makes when they are read, as in a mounted
                // /proc.
                let end = if size == 0 { u64::MAX } else { size };
                let mut content = Vec::new();
                while (content.len() as u64) < end {
                    let done = content.len() as u64;
                    let piece = files.read(file, done, end - done)?;
                    if piece.is_empty() {
                        break;
                    }
                    content.extend_from_slice(&piece);
                    if size == 0 && content.len() as u64 > MAX_UNSIZED {
                        return Err(Error::FileTooLarge);
                    }
                }
                Ok(content)
            })
        });
        content.map_err(|error| match error.reason {
            Error::FileTooLarge => SessionFilesError {
                remedy: READ_IN_PROGRAM,
                ..error
            },
            _ => error,
        })
    }

    /// Writes a file, in place of the content that it has. Creates it, and the directories on its
    /// path, if they do not exist. If the content does not fit into the limits, the file has the
    /// part that does.
    ///
    /// # Errors
    ///
    /// [`SessionFilesError`]: for example for a limit, a read-only mount, or a device.
    pub fn write(&self, path: &str, content: &[u8]) -> Result<()> {
        self.call(path, |files, root, relative| {
            if let Some((parent, _)) = relative.rsplit_once('/') {
                create_directories(files, root, parent)?;
            }
            let flags = OpenFlags {
                follow: true,
                create: true,
                truncate: true,
                write: true,
                ..OpenFlags::default()
            };
            with_open(files, root, relative, flags, |files, file| {
                file_size(files, file)?;
                let mut done = 0;
                while done < content.len() {
                    done += match files.write(file, done as u64, &content[done..])? {
                        0 => return Err(Error::Io),
                        written => written,
                    };
                }
                Ok(())
            })
        })
    }

    /// Creates a directory, and those on its path, unless it exists.
    ///
    /// # Errors
    ///
    /// [`SessionFilesError`]: for example if a file has the path.
    pub fn create_directory(&self, path: &str) -> Result<()> {
        self.call(path, create_directories)
    }

    /// Removes a file, a link or an empty directory.
    ///
    /// # Errors
    ///
    /// [`SessionFilesError`]: for example if a directory is not empty, or something is mounted
    /// there.
    pub fn remove(&self, path: &str) -> Result<()> {
        self.call(path, |files, root, relative| {
            let stat = files.stat_at(root, false, relative)?;
            if stat.file_type == FileType::Directory {
                files.remove_directory_at(root, relative)
            } else {
                files.unlink_file_at(root, relative)
            }
        })
    }

    /// Returns the names in a directory and their types, in the order of the names.
    ///
    /// # Errors
    ///
    /// [`SessionFilesError`]: for example if there is no such directory.
    pub fn list(&self, path: &str) -> Result<Vec<(String, FileType)>> {
        self.call(path, |files, root, relative| {
            let flags = OpenFlags {
                follow: true,
                directory: true,
                read: true,
                ..OpenFlags::default()
            };
            with_open(files, root, relative, flags, |files, directory| {
                let listing = files.list(directory)?;
                let mut names = Vec::new();
                let listed = loop {
                    match files.next_entry(listing) {
                        Ok(Some((name, file_type))) => names.push((name.to_string(), file_type)),
                        Ok(None) => break Ok(()),
                        Err(error) => break Err(error),
                    }
                };
                files.close_listing(listing)?;
                listed?;
                names.sort_by(|(name, _), (other, _)| name.cmp(other));
                Ok(names)
            })
        })
    }

    /// Returns what is known about the file or directory at a path.
    ///
    /// # Errors
    ///
    /// [`SessionFilesError`]: for example if there is nothing.
    pub fn stat(&self, path: &str) -> Result<Stat> {
        self.call(path, |files, root, relative| {
            if let Some(content) = files.unloaded_at(root, true, relative, false) {
                Nesting::current()
                    .inner()
                    .run(|| content.load().map(drop))?;
            }
            files.stat_at(root, true, relative)
        })
    }

    /// Returns what has a path, without following links; `None` if nothing has, and for what is in
    /// mounts.
    pub fn get(&self, path: &str) -> Option<Entry> {
        self.files.lock().snapshot().get(path)
    }

    /// Returns the paths of all files, directories and links, and what they are, in the order of
    /// the paths, directories before what they contain. What is in mounts, and so what is in
    /// `/packages`, is not included.
    pub fn all(&self) -> Vec<(String, Entry)> {
        self.with_all(|entries| entries.collect())
    }

    /// Calls `work` with the items of [`all`](Self::all), for work that needs a part of them, or
    /// one at a time.
    pub fn with_all<T>(
        &self,
        work: impl FnOnce(&mut dyn Iterator<Item = (String, Entry)>) -> T,
    ) -> T {
        let snapshot = self.files.lock().snapshot();
        let nothing = Snapshot::default();
        let entries = snapshot.changes_since(&nothing);
        let mut entries = entries.filter_map(|Change { path, kind }| match kind {
            ChangeKind::Created(entry) => Some((path, entry)),
            _ => None,
        });
        work(&mut entries)
    }

    /// Calls `work` with the root and the path from there.
    fn call<T>(
        &self,
        path: &str,
        work: impl FnOnce(&mut FileSystem, Descriptor, &str) -> std::result::Result<T, Error>,
    ) -> Result<T> {
        let in_root = |files: &mut FileSystem| {
            let relative = path.strip_prefix('/').ok_or(Error::Invalid)?;
            let relative = match relative.trim_start_matches('/') {
                "" => ".",
                relative => relative,
            };
            let root = files.open_root()?;
            let result = work(files, root, relative);
            files.close(root)?;
            result
        };
        let result = self.files.lock().with_more_open(OPEN, in_root);
        result.map_err(|reason| SessionFilesError {
            path: path.to_owned(),
            reason,
            remedy: remedy(reason),
        })
    }
}

/// Calls `work` with the open file or directory at a path.
fn with_open<T>(
    files: &mut FileSystem,
    root: Descriptor,
    path: &str,
    flags: OpenFlags,
    work: impl FnOnce(&mut FileSystem, Descriptor) -> std::result::Result<T, Error>,
) -> std::result::Result<T, Error> {
    let opened = files.open_at(root, path, flags)?;
    let result = work(files, opened);
    files.close(opened)?;
    result
}

/// Returns the size of an open file.
///
/// Pitfall: a program can put a link to `/dev/zero`, which has no end, in the place of a file.
fn file_size(files: &FileSystem, file: Descriptor) -> std::result::Result<u64, Error> {
    let stat = files.stat(file)?;
    match stat.file_type {
        FileType::File => Ok(stat.size),
        FileType::Directory => Err(Error::IsADirectory),
        _ => Err(Error::NotAFile),
    }
}

fn create_directories(
    files: &mut FileSystem,
    root: Descriptor,
    path: &str,
) -> std::result::Result<(), Error> {
    let ends = path.match_indices('/').map(|(end, _)| end);
    for end in ends.chain([path.len()]) {
        let directory = &path[..end];
        match files.stat_at(root, true, directory) {
            Ok(stat) if stat.file_type == FileType::Directory => {}
            Ok(_) => return Err(Error::NotADirectory),
            Err(Error::NoEntry) => files.create_directory_at(root, directory)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
