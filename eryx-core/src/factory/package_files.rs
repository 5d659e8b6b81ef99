//! Packages as the guest finds them: one directory, read-only, of pure Python.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::zip::{self, ArchiveError};
use super::dependencies::is_metadata;
use super::package_limits::{Full, PackageLimits, Room};
use crate::files::{Tree, TreeError};

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
    /// A wheel requires a project that no wheel beside it is of.
    #[error(
        "{project} needs {dependency}, and no wheel beside those listed is of that; download it too, or list it"
    )]
    MissingDependency {
        /// The project.
        project: String,
        /// What it needs.
        dependency: String,
    },
    /// Two wheels could be what is needed.
    #[error("{first} and {second} are both of {project}; list the one to take",
        first = first.display(), second = second.display())]
    Ambiguous {
        /// The project they are of.
        project: String,
        /// One wheel.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// It is no factory that was saved.
    #[error("{origin} is no saved factory ({reason}); give what SandboxFactory's save wrote")]
    NotAFactory {
        /// The file, or what else it came from.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The packages hold more than they may.
    #[error(
        "{package} is too large: the packages of a factory may hold {allowed} together; leave some out, or allow more (PackageLimits \
         in Rust, max_package_bytes and max_package_files in Python)",
        package = package.display()
    )]
    TooLarge {
        /// The package with which they do.
        package: PathBuf,
        /// What they may hold, in words.
        allowed: String,
    },
    /// The packages' files cannot lie in one folder.
    #[error("the packages cannot be unpacked into one folder: {0}")]
    Unpack(String),
    /// The packages cannot be put into one file.
    #[error("the packages cannot be put into one file: {0}")]
    Pack(io::Error),
    /// The factory cannot be written.
    #[error("the factory cannot be saved to {path}: {source}", path = path.display())]
    Save {
        /// Where to.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Endings of files that hold machine code.
const NATIVE: [&str; 4] = ["so", "pyd", "dylib", "dll"];

/// The files of all packages, by their name below the directory the guest sees.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    files: BTreeMap<String, (PathBuf, Bytes)>,
    /// How many bytes they hold.
    bytes: u64,
    limits: PackageLimits,
}

impl Sources {
    /// Returns no files yet, and keeps to `limits`.
    pub(super) fn within(limits: PackageLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Keeps to `limits` from now on.
    pub(super) fn limit(&mut self, limits: PackageLimits) {
        self.limits = limits;
    }

    pub(super) fn limits(&self) -> &PackageLimits {
        &self.limits
    }

    /// Returns how much more there is room for.
    fn room(&self) -> Room {
        let all = self.limits.room();
        Room {
            bytes: all.bytes.saturating_sub(self.bytes),
            files: all.files.saturating_sub(self.files.len()),
        }
    }

    /// Returns the error of a package for which there is no room.
    pub(super) fn full(&self, package: &Path, full: Full) -> PackageError {
        PackageError::TooLarge {
            package: package.to_path_buf(),
            allowed: match full {
                Full::Bytes => format!("{} bytes", self.limits.max_bytes()),
                Full::Files => format!("{} files", self.limits.max_files()),
            },
        }
    }

    /// Add a wheel or a directory.
    pub(super) fn read(&mut self, package: &Path) -> Result<(), PackageError> {
        let unreadable = |source| PackageError::Unreadable {
            path: package.to_path_buf(),
            source,
        };
        if fs::metadata(package).map_err(unreadable)?.is_dir() {
            self.directory(package).map_err(|error| match error {
                Failure::Package(error) => error,
                Failure::Io(error) => unreadable(error),
            })
        } else {
            self.wheel(package)
        }
    }

    /// Every file's name and content, by name.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(name, (_, content))| (name.as_str(), &**content))
    }

    /// Returns the folder that guests see. It shares the files' content.
    pub(super) fn tree(&self) -> Result<Arc<Tree>, PackageError> {
        let files = self.files.iter();
        let files = files.map(|(name, (_, content))| (name.as_str(), content.clone()));
        // Most files share their folders; names that are made to have folders of their own end here.
        let most = self.limits.max_files().saturating_mul(2);
        match Tree::of(files, most) {
            Ok(tree) => Ok(Arc::new(tree)),
            Err(TreeError::Nodes(_)) => {
                Err(self.full(Path::new("what they unpack to"), Full::Files))
            }
            Err(error) => Err(PackageError::Unpack(error.to_string())),
        }
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
            // What a link leads to counts; the system ends the walk of one that leads in a circle.
            let kind = fs::metadata(entry.path())?;
            if kind.is_dir() {
                if entry.file_name() != "__pycache__" {
                    self.walk(package, &entry.path(), &format!("{name}/"))?;
                }
            } else if kind.is_file() {
                let most = self.room().bytes;
                let mut content = Vec::new();
                let file = fs::File::open(entry.path())?;
                if kind.len() <= most {
                    file.take(most.saturating_add(1))
                        .read_to_end(&mut content)?;
                }
                if kind.len() > most || content.len() as u64 > most {
                    return Err(self.full(package, Full::Bytes).into());
                }
                self.add(package, name, content)?;
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
        let files = archive::files(file, self.room()).map_err(|error| match error {
            ArchiveError::Full(full) => self.full(path, full),
            ArchiveError::Broken(reason) => not_a_wheel(reason),
        })?;
        let mut has_metadata = false;
        for (name, content) in files {
            has_metadata |= is_metadata(&name);
            self.add(path, installed_name(&name), content)?;
        }
        if !has_metadata {
            return Err(not_a_wheel("it has no .dist-info/METADATA".to_owned()));
        }
        Ok(())
    }

    /// Add one file of a package.
    pub(super) fn add(
        &mut self,
        package: &Path,
        name: String,
        content: Vec<u8>,
    ) -> Result<(), PackageError> {
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
                let size = content.len() as u64;
                self.room()
                    .take(size)
                    .map_err(|full| self.full(package, full))?;
                self.bytes += size;
                self.files
                    .insert(name, (package.to_path_buf(), content.into()));
                Ok(())
            }
        }
    }
}

/// Where a file of a wheel is installed: the folders `*.data/purelib` and `*.data/platlib` lie at the top (Binary
/// distribution format, "The .data directory").
fn installed_name(name: &str) -> String {
    let mut parts = name.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(data), Some("purelib" | "platlib"), Some(rest)) if data.ends_with(".data") => {
            rest.to_owned()
        }
        _ => name.to_owned(),
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
