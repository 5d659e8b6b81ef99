//! Saving the files of a program to a folder of the machine.

use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use crate::error::{Error, Result};
use crate::machine::directory::{MachineDirectory, MachineFileError};
use crate::mount::{MountedDirectory, MountedFile};
use crate::snapshot::{Change, ChangeKind, Entry, FileContent};
use crate::stat::FileType;

/// The files that were saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedFiles {
    /// The number of files.
    pub files: usize,
    /// Their bytes.
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
}

/// Writes the files and directories that were created or modified to an existing folder. `/a/b` of
/// the program becomes `a/b` below it. A file that has the path already is replaced by a new one;
/// one that the program removed stays.
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
    let folder: Arc<dyn MountedDirectory> =
        Arc::new(MachineDirectory::read_write(folder, u64::MAX)?);
    let mut saved = SavedFiles::default();
    for Change { path, kind } in changes {
        let entry = match kind {
            ChangeKind::Created(entry) | ChangeKind::Modified(entry) => entry,
            ChangeKind::Removed => continue,
        };
        let result = match entry {
            Entry::Directory => directory(&folder, &path).map(|_| None),
            Entry::File(content) => file(&folder, &path, &content).map(Some),
            Entry::Symlink(_) => {
                saved.skipped_links.push(path);
                continue;
            }
        };
        match result {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                saved.files += 1;
                saved.bytes += bytes;
                saved.paths.push(path);
            }
            Err(source) => return Err(SaveError::File { path, source }),
        }
    }
    Ok(saved)
}

/// Opens the directory at a path, after creating what is missing of it.
fn directory(folder: &Arc<dyn MountedDirectory>, path: &str) -> Result<Arc<dyn MountedDirectory>> {
    let mut directory = Arc::clone(folder);
    for name in path.split('/').filter(|name| !name.is_empty()) {
        check_name(name)?;
        directory = match directory.directory(name) {
            Err(Error::NoEntry) => {
                directory.create_directory(name)?;
                directory.directory(name)?
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

/// Writes a file, and returns its bytes.
fn file(folder: &Arc<dyn MountedDirectory>, path: &str, content: &FileContent) -> Result<u64> {
    let (parent, name) = path.rsplit_once('/').ok_or(Error::Invalid)?;
    check_name(name)?;
    let directory = directory(folder, parent)?;
    match directory.stat_entry(name) {
        Err(Error::NoEntry) => {}
        Ok(stat) if stat.file_type == FileType::Directory => return Err(Error::IsADirectory),
        // Not written to: it can be a link, or have a name outside of the folder.
        Ok(_) => directory.remove_file(name)?,
        Err(error) => return Err(error),
    }
    let file = directory.create_file(name)?;
    copy(content, &*file)
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
