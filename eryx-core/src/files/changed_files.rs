//! The files that a program changed.

use std::fmt;
use std::path::Path;

use eryx_files::{
    Change, ChangeKind, Changes, Entry, SaveError, SaveFolder, SavedFiles, Snapshot, save_changes,
    save_changes_to,
};
use thiserror::Error;

/// The files that an execution changed: a cheap handle, with their content in memory as it was at
/// the end.
///
/// Mounted directories of the machine are not included. Each copy of the handle keeps all in-memory
/// files, both as they were at the start of the execution and at its end: at most twice
/// [`max_file_bytes`](crate::ResourceLimits::with_max_file_bytes).
///
/// Paths, names and content are the program's choice. Do not use such a path on the machine
/// unchecked; [`save`](Self::save) never writes outside of its folder.
///
/// ```no_run
/// # async fn example(sandbox: eryx_core::Sandbox) -> Result<(), Box<dyn std::error::Error>> {
/// let result = sandbox
///     .execute("import pathlib; pathlib.Path('/tmp/a.txt').write_text('hello')")
///     .await?;
/// for change in result.files.iter() {
///     println!("{}", change.path);
/// }
/// assert_eq!(result.files.read("/tmp/a.txt")?, b"hello");
/// result.files.save("/srv/results/1")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct ChangedFiles(Option<(Snapshot, Snapshot)>);

/// The error for content of a changed file that cannot be returned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The execution neither created nor modified a file with this path.
    #[error(
        "the program neither created nor modified the file {0:?}; paths are absolute, and those in \
         mounts are not included"
    )]
    NotChanged(String),
    /// The content is that of [`Files`](crate::Files), and cannot be read.
    #[error("the content of {0:?} cannot be read: its source failed")]
    Source(String),
}

impl ChangedFiles {
    /// Returns what is different at `end`.
    pub(crate) fn between(start: Snapshot, end: Snapshot) -> Self {
        Self(Some((start, end)))
    }

    /// Returns what is different at a later `end`.
    pub(crate) fn until(&self, end: Snapshot) -> Self {
        Self(self.0.as_ref().map(|(start, _)| (start.clone(), end)))
    }

    /// Returns what was created, modified and removed, in the order of paths, directories before
    /// what they contain. What a removed directory contained is not listed.
    pub fn iter(&self) -> impl Iterator<Item = Change> + '_ {
        self.changes().into_iter().flatten()
    }

    fn changes(&self) -> Option<Changes<'_>> {
        let (start, end) = self.0.as_ref()?;
        Some(end.changes_since(start))
    }

    /// Returns whether nothing was changed. Takes no time if the execution wrote no file.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Returns what was changed at a path, or `None` if nothing was.
    pub fn get(&self, path: &str) -> Option<ChangeKind> {
        let (start, end) = self.0.as_ref()?;
        end.change_since(start, path)
    }

    /// Returns the content of a file that was created or modified. For large files,
    /// [`get`](Self::get) has a reader.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: there is no such file, or its content cannot be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        let (Some(ChangeKind::Created(entry)) | Some(ChangeKind::Modified(entry))) = self.get(path)
        else {
            return Err(ReadError::NotChanged(path.to_owned()));
        };
        let Entry::File(content) = entry else {
            return Err(ReadError::NotChanged(path.to_owned()));
        };
        let mut bytes = Vec::new();
        loop {
            match content.read(bytes.len() as u64, u64::MAX) {
                Ok(piece) if piece.is_empty() => return Ok(bytes),
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(_) => return Err(ReadError::Source(path.to_owned())),
            }
        }
    }

    /// Writes the files and directories that were created or modified to an existing folder of the
    /// machine: `/a/b` becomes `a/b` below it. A file that has the path already is replaced; one
    /// that the program removed stays.
    ///
    /// Nothing outside of the folder is written, whatever the folder and the names contain.
    /// Symbolic links are not written. Names of one file become hard links, or copies if the file
    /// system of the folder has none. New files are not executable.
    ///
    /// # Errors
    ///
    /// [`SaveError`]: the folder cannot be opened, or a file not be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<SavedFiles, SaveError> {
        save_changes(self.iter(), folder)
    }

    /// Writes files as [`save`](Self::save) does, to a folder that was opened before, for example
    /// before the program ran.
    ///
    /// # Errors
    ///
    /// Those of [`save`](Self::save).
    pub fn save_to(&self, folder: &SaveFolder) -> Result<SavedFiles, SaveError> {
        save_changes_to(self.iter(), folder)
    }
}

/// Two are equal when the paths, the changes and the content are.
impl PartialEq for ChangedFiles {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ChangedFiles {}

impl fmt::Debug for ChangedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Shows no more paths than this: a program chooses their number.
        const MAX: usize = 16;
        let mut paths = f.debug_list();
        paths.entries(self.iter().take(MAX).map(|change| change.path));
        if self.iter().nth(MAX).is_some() {
            paths.finish_non_exhaustive()
        } else {
            paths.finish()
        }
    }
}
