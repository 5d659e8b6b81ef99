//! The folder with the snapshots of sessions that were saved.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::arguments::SessionName;

/// The end of the name of a file with a snapshot. No name of a session with it is a special name of
/// a file system, such as `..`.
const SUFFIX: &str = ".eryx-session";

/// The snapshots of sessions, in a folder of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedSessions {
    folder: PathBuf,
    max: usize,
}

impl SavedSessions {
    /// Returns the snapshots in `folder`, which has at most `max` of them.
    pub(crate) fn new(folder: &Path, max: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            max,
        }
    }

    /// Writes a snapshot, in place of the one that has the name.
    ///
    /// # Errors
    ///
    /// The message for the model: there are too many, or the file cannot be written.
    pub(crate) async fn write(self, name: SessionName, snapshot: Vec<u8>) -> Result<(), String> {
        self.on_thread(move |folder| {
            let failed = |error: io::Error| {
                format!(
                    "the snapshot `{}` cannot be written: {error}",
                    name.as_str()
                )
            };
            let names = folder.list().map_err(failed)?;
            if !names.contains(&name) && names.len() >= folder.max {
                let names: Vec<_> = names.iter().map(SessionName::as_str).collect();
                return Err(format!(
                    "there are {} saved sessions, the most that are allowed: {}. Save in place of \
                     one of them, by its name",
                    names.len(),
                    names.join(", ")
                ));
            }
            // Only the user of the server can read it.
            let mut file = NamedTempFile::new_in(&folder.folder).map_err(failed)?;
            file.write_all(&snapshot).map_err(failed)?;
            let persisted = file.persist(folder.path(&name));
            persisted.map_err(|error| failed(error.error))?;
            Ok(())
        })
        .await
    }

    /// Returns a snapshot.
    ///
    /// # Errors
    ///
    /// The message for the model: there is none with this name, or it cannot be read.
    pub(crate) async fn read(self, name: SessionName) -> Result<Vec<u8>, String> {
        self.on_thread(move |folder| {
            let read = || {
                let mut snapshot = Vec::new();
                File::open(folder.path(&name))?.read_to_end(&mut snapshot)?;
                Ok(snapshot)
            };
            read().map_err(|error: io::Error| match error.kind() {
                io::ErrorKind::NotFound => format!(
                    "there is no saved session `{}`; list_sessions shows the saved sessions",
                    name.as_str()
                ),
                _ => format!("the snapshot `{}` cannot be read: {error}", name.as_str()),
            })
        })
        .await
    }

    /// Returns the names of all snapshots, in their order.
    ///
    /// # Errors
    ///
    /// The message for the model: the folder cannot be read.
    pub(crate) async fn names(self) -> Result<Vec<SessionName>, String> {
        self.on_thread(|folder| {
            let failed = |error| format!("the saved sessions cannot be listed: {error}");
            folder.list().map_err(failed)
        })
        .await
    }

    fn list(&self) -> io::Result<Vec<SessionName>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            // Other files in the folder are not of this server.
            names.extend(name.and_then(|name| SessionName::try_from(name.to_owned()).ok()));
        }
        names.sort();
        Ok(names)
    }

    fn path(&self, name: &SessionName) -> PathBuf {
        self.folder.join(format!("{}{SUFFIX}", name.as_str()))
    }

    /// Calls `work` on a thread that may wait for the disk.
    async fn on_thread<T: Send + 'static>(
        self,
        work: impl FnOnce(Self) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let done = tokio::task::spawn_blocking(move || work(self)).await;
        done.unwrap_or_else(|_| Err("the server is stopped".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SessionName {
        SessionName::try_from(text.to_owned()).expect("valid")
    }

    #[tokio::test]
    async fn snapshots_are_read_as_written_and_bounded_in_number() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("other.txt"), "x").expect("written");
        let saved = SavedSessions::new(folder.path(), 2);
        for text in ["..", "b"] {
            let content = text.as_bytes().to_vec();
            saved.clone().write(name(text), content).await.expect(text);
        }
        let names = saved.clone().names().await;
        assert_eq!(names, Ok(vec![name(".."), name("b")]));
        let error = saved.clone().write(name("c"), vec![1]).await;
        assert!(error.is_err_and(|text| text.contains("there are 2 saved sessions")));
        saved
            .clone()
            .write(name("b"), b"again".to_vec())
            .await
            .expect("replaced");
        assert_eq!(saved.clone().read(name("b")).await, Ok(b"again".to_vec()));
        assert_eq!(saved.clone().read(name("..")).await, Ok(b"..".to_vec()));
        let error = saved.clone().read(name("c")).await;
        assert!(error.is_err_and(|text| text.contains("no saved session `c`")));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 3);
        let missing = SavedSessions::new(&folder.path().join("missing"), 2);
        let error = missing.clone().write(name("c"), vec![1]).await;
        assert!(error.is_err_and(|text| text.contains("cannot be written")));
        assert!(missing.names().await.is_err());
    }
}
