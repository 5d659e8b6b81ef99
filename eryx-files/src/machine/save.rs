//! Saving the files of a program to a folder of the machine.

use std::collections::HashMap;
use std::path::Path;

use thiserror::Error;

use crate::error::{Error, Result};
use crate::machine::directory::{MachineDirectory, MachineFileError};
use crate::mount::{MountedDirectory, MountedFile};
use crate::snapshot::{Change, ChangeKind, ContentId, Entry, FileContent};
use crate::stat::{FileId, FileType};

/// The most bytes that are copied for additional names of files, where hard links are impossible:
/// the default limit on the files of a program. 10,000 names of one file would otherwise fill a
/// disk.
const MAX_COPIED: u64 = 64 << 20;

/// The files that were saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedFiles {
    /// The number of files. Each name of a file counts.
    pub files: usize,
    /// The bytes that were written. A file with several names counts once.
    pub bytes: u64,
    /// Their paths, as the program sees them.
    pub paths: Vec<String>,
    /// The paths of symbolic links, which are not saved: one that is opened could lead out of the
    /// folder.
    pub skipped_links: Vec<String>,
}

/// The error for files that cannot be saved.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The folder cannot be opened.
    #[error(transparent)]
    Folder(#[from] MachineFileError),
    /// A file cannot be written. Others before it may have been.
    #[error("{path:?} cannot be saved: {source}; save to an empty folder, on a disk with space")]
    File {
        /// The path of the file, as the program sees it.
        path: String,
        /// The error of the file system.
        source: Error,
    },
    /// A file has more names than the file system of the folder has hard links for.
    #[error(
        "{path:?} cannot be saved: it is another name of a saved file, a hard link to that file \
         cannot be made, and at most {} MiB are copied instead; save to a folder on a file system \
         with hard links",
        MAX_COPIED >> 20
    )]
    Names {
        /// The path of the file, as the program sees it.
        path: String,
    },
}

/// A file that was saved.
struct Original {
    /// Kept, so that no other content gets its identity.
    _content: FileContent,
    /// The position of its path in [`SavedFiles::paths`].
    position: usize,
    /// The file in the folder.
    identity: FileId,
}

/// A folder of the machine to save files to. It holds one descriptor of the process: if a link or
/// another folder takes its place later, nothing is written there.
#[derive(Debug)]
pub struct SaveFolder(MachineDirectory);

impl SaveFolder {
    /// Opens a folder that exists. Links on the path are followed.
    ///
    /// # Errors
    ///
    /// [`MachineFileError`] if it cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, MachineFileError> {
        MachineDirectory::read_write(path, u64::MAX).map(Self)
    }
}

/// Saves files to a folder.
struct Saver {
    folder: MachineDirectory,
    saved: SavedFiles,
    originals: HashMap<ContentId, Original>,
    /// The bytes of copies for further names.
    copied: u64,
}

/// Writes the files and directories that were created or modified to an existing folder. `/a/b` of
/// the program becomes `a/b` below it. A file that has the path already is replaced by a new one;
/// one that the program removed stays. Further names of a file become hard links, or copies if the
/// file system of the folder has none.
///
/// Nothing outside of the folder is written: links in it are not followed. New files are not
/// executable.
///
/// # Errors
///
/// [`SaveError`]: for example if a file or link has the path of a directory.
pub fn save_changes(
    changes: impl Iterator<Item = Change>,
    folder: impl AsRef<Path>,
) -> Result<SavedFiles, SaveError> {
    save_changes_to(changes, &SaveFolder::open(folder)?)
}

/// Writes files and directories as [`save_changes`] does, to a folder that was opened before.
///
/// # Errors
///
/// Those of [`save_changes`].
pub fn save_changes_to(
    changes: impl Iterator<Item = Change>,
    folder: &SaveFolder,
) -> Result<SavedFiles, SaveError> {
    let mut saver = Saver {
        folder: folder.0.share(),
        saved: SavedFiles::default(),
        originals: HashMap::new(),
        copied: 0,
    };
    for Change { path, kind } in changes {
        let entry = match kind {
            ChangeKind::Created(entry) | ChangeKind::Modified(entry) => entry,
            ChangeKind::Removed => continue,
        };
        match entry {
            Entry::Directory => {
                if let Err(source) = directory(&saver.folder, &path) {
                    return Err(SaveError::File { path, source });
                }
            }
            Entry::File(content) => saver.file(path, content)?,
            Entry::Symlink(_) => saver.saved.skipped_links.push(path),
        }
    }
    Ok(saver.saved)
}

impl Saver {
    /// Writes a file, or gives its name to the file that was saved with the same content.
    fn file(&mut self, path: String, content: FileContent) -> Result<(), SaveError> {
        let entry = match free_entry(&self.folder, &path) {
            Ok(entry) => entry,
            Err(source) => return Err(SaveError::File { path, source }),
        };
        if let Some(original) = self.originals.get(&content.id()) {
            if self.link(original, &entry).is_ok() {
                self.saved.files += 1;
                self.saved.paths.push(path);
                return Ok(());
            }
            self.copied = self.copied.saturating_add(content.size());
            if self.copied > MAX_COPIED {
                return Err(SaveError::Names { path });
            }
        }
        let (directory, name) = &entry;
        let written = directory.create_file(name).and_then(|file| {
            let bytes = copy(&content, &*file)?;
            Ok((bytes, file.stat()?.identity))
        });
        let (bytes, identity) = match written {
            Ok(written) => written,
            Err(source) => return Err(SaveError::File { path, source }),
        };
        // Further names are links to the last copy: some file systems limit the links of a file.
        self.originals.insert(
            content.id(),
            Original {
                _content: content,
                position: self.saved.paths.len(),
                identity,
            },
        );
        self.saved.files += 1;
        self.saved.bytes += bytes;
        self.saved.paths.push(path);
        Ok(())
    }

    /// Makes a hard link to a file that was saved. Another process can replace that file, before
    /// the link is made or after the check.
    fn link(&self, original: &Original, (new_parent, new_name): &EntryAt<'_>) -> Result<()> {
        let path = &self.saved.paths[original.position];
        let (parent, name) = split(path)?;
        let parent = directory(&self.folder, parent)?;
        // If the file was removed, a link in its place may have the same identity.
        let is_original = |directory: &MachineDirectory, name| {
            let stat = directory.stat_entry(name)?;
            Ok(stat.file_type == FileType::File && stat.identity == original.identity)
        };
        if !is_original(&parent, name)? {
            return Err(Error::Access);
        }
        parent.link(name, new_parent, new_name)?;
        if !is_original(new_parent, new_name)? {
            new_parent.remove_file(new_name)?;
            return Err(Error::Access);
        }
        Ok(())
    }
}

/// A directory, and a name in it, as of openat(2).
type EntryAt<'p> = (MachineDirectory, &'p str);

/// Returns where the file with a path is created, after removing what is in its place.
fn free_entry<'p>(folder: &MachineDirectory, path: &'p str) -> Result<EntryAt<'p>> {
    let (parent, name) = split(path)?;
    let directory = directory(folder, parent)?;
    match directory.stat_entry(name) {
        Err(Error::NoEntry) => {}
        Ok(stat) if stat.file_type == FileType::Directory => return Err(Error::IsADirectory),
        // Not written to: it can be a link, or have a name outside of the folder.
        Ok(_) => directory.remove_file(name)?,
        Err(error) => return Err(error),
    }
    Ok((directory, name))
}

/// Returns the path of the directory, and the name.
fn split(path: &str) -> Result<(&str, &str)> {
    let (parent, name) = path.rsplit_once('/').ok_or(Error::Invalid)?;
    check_name(name)?;
    Ok((parent, name))
}

/// Opens the directory at a path, after creating what is missing of it.
fn directory(folder: &MachineDirectory, path: &str) -> Result<MachineDirectory> {
    let mut directory = folder.share();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        check_name(name)?;
        directory = match directory.inner(name) {
            Err(Error::NoEntry) => {
                directory.create_directory(name)?;
                directory.inner(name)?
            }
            found => found?,
        };
    }
    Ok(directory)
}

/// Returns the error for a name that leads elsewhere. No snapshot has one, but changes can be made
/// by others.
fn check_name(name: &str) -> Result<()> {
    if matches!(name, "" | "." | "..") || name.contains('\0') {
        return Err(Error::NotPermitted);
    }
    Ok(())
}

fn copy(content: &FileContent, file: &dyn MountedFile) -> Result<u64> {
    let mut offset = 0;
    loop {
        let bytes = content.read(offset, u64::MAX)?;
        if bytes.is_empty() {
            return Ok(offset);
        }
        let written = file.write(Some(offset), &bytes)?;
        if written == 0 {
            return Err(Error::Io);
        }
        offset += written as u64;
    }
}
