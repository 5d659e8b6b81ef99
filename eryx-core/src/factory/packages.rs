//! Packages as the guest finds them: one directory, read-only, of pure Python.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

/// Why packages cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// It cannot be read.
    #[error("the package {path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// The package.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is a file, but no wheel.
    #[error(
        "{path} is no wheel ({reason}); give a .whl file, or the directory of an installed or unpacked package",
        path = path.display()
    )]
    NotAWheel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It has a part compiled for a processor, which cannot run in a sandbox.
    #[error(
        "{path} has native code ({file}), which cannot run in a sandbox; take a pure Python release of it, if there is one",
        path = path.display()
    )]
    NativeCode {
        /// The package.
        path: PathBuf,
        /// The part.
        file: String,
    },
    /// Two packages have the same file with different contents.
    #[error("{first} and {second} both have {file}, and they differ; leave one of them out",
        first = first.display(), second = second.display())]
    Conflict {
        /// One package.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The file.
        file: String,
    },
    /// They cannot be put where the guest finds them.
    #[error("the packages cannot be unpacked: {0}")]
    Unpack(io::Error),
}

/// Endings of files that hold machine code.
const NATIVE: [&str; 4] = ["so", "pyd", "dylib", "dll"];

/// The most one package may hold unpacked, in bytes: an archive can claim to hold anything.
const MAX_UNPACKED: u64 = 1 << 30;

/// The files of all packages, by their name below the directory the guest sees.
#[derive(Default)]
pub(super) struct Sources {
    files: BTreeMap<String, (PathBuf, Vec<u8>)>,
}

impl Sources {
    /// Read wheels and directories.
    pub(super) fn read(packages: &[PathBuf]) -> Result<Self, PackageError> {
        let mut sources = Self::default();
        for path in packages {
            let unreadable = |source| PackageError::Unreadable {
                path: path.clone(),
                source,
            };
            if fs::metadata(path).map_err(unreadable)?.is_dir() {
                sources.directory(path).map_err(|error| match error {
                    Failure::Package(error) => error,
                    Failure::Io(error) => unreadable(error),
                })?;
            } else {
                sources.wheel(path)?;
            }
        }
        Ok(sources)
    }

    /// Every file's name and content, by name.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(name, (_, content))| (name.as_str(), content.as_slice()))
    }

    fn directory(&mut self, package: &Path) -> Result<(), Failure> {
        // The directory of one package keeps its name; the contents of any other lie at the top.
        let prefix = match package.file_name() {
            Some(name) if package.join("__init__.py").is_file() => {
                format!("{}/", name.to_string_lossy())
            }
            _ => String::new(),
        };
        self.walk(package, package, &prefix)
    }

    fn walk(&mut self, package: &Path, dir: &Path, prefix: &str) -> Result<(), Failure> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if entry.file_name() != "__pycache__" {
                    self.walk(package, &entry.path(), &format!("{name}/"))?;
                }
            } else if kind.is_file() {
                self.add(package, name, fs::read(entry.path())?)?;
            }
        }
        Ok(())
    }

    fn wheel(&mut self, path: &Path) -> Result<(), PackageError> {
        let not_a_wheel = |reason: String| PackageError::NotAWheel {
            path: path.to_path_buf(),
            reason,
        };
        let file = fs::File::open(path).map_err(|source| PackageError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        let mut archive =
            zip::ZipArchive::new(file).map_err(|error| not_a_wheel(error.to_string()))?;
        let mut has_metadata = false;
        let mut left = MAX_UNPACKED;
        for index in 0..archive.len() {
            let mut entry = archive
                .by_index(index)
                .map_err(|error| not_a_wheel(error.to_string()))?;
            if entry.is_dir() {
                continue;
            }
            let Some(name) = entry.enclosed_name() else {
                return Err(not_a_wheel(format!(
                    "it has a file named {:?}",
                    entry.name()
                )));
            };
            let name = name.to_string_lossy().replace('\\', "/");
            has_metadata |= name.ends_with(".dist-info/METADATA");
            let mut content = Vec::new();
            let size = entry
                .by_ref()
                .take(left + 1)
                .read_to_end(&mut content)
                .map_err(|error| not_a_wheel(error.to_string()))?;
            left = left
                .checked_sub(size as u64)
                .ok_or_else(|| not_a_wheel(format!("it holds more than {MAX_UNPACKED} bytes")))?;
            self.add(path, name, content)?;
        }
        if !has_metadata {
            return Err(not_a_wheel("it has no .dist-info/METADATA".to_owned()));
        }
        Ok(())
    }

    fn add(&mut self, package: &Path, name: String, content: Vec<u8>) -> Result<(), PackageError> {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        if NATIVE.contains(&extension) {
            return Err(PackageError::NativeCode {
                path: package.to_path_buf(),
                file: name,
            });
        }
        match self.files.get(&name) {
            Some((first, found)) if *found != content => Err(PackageError::Conflict {
                first: first.clone(),
                second: package.to_path_buf(),
                file: name,
            }),
            Some(_) => Ok(()),
            None => {
                self.files.insert(name, (package.to_path_buf(), content));
                Ok(())
            }
        }
    }
}

/// What ends the walk of a directory.
enum Failure {
    Package(PackageError),
    Io(io::Error),
}

impl From<PackageError> for Failure {
    fn from(error: PackageError) -> Self {
        Self::Package(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Packages in a directory, gone with the last who holds it.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    dir: Arc<TempDir>,
}

impl Installed {
    /// Unpack into a directory of this user's own.
    pub(super) fn from(sources: &Sources) -> Result<Self, PackageError> {
        let dir = tempfile::Builder::new()
            .prefix("eryx-packages-")
            .tempdir()
            .map_err(PackageError::Unpack)?;
        for (name, content) in sources.files() {
            let path = dir.path().join(name);
            let parent = path.parent().unwrap_or(dir.path());
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, content))
                .map_err(PackageError::Unpack)?;
        }
        Ok(Self { dir: Arc::new(dir) })
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }
}
