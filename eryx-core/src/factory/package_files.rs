//! The files of all packages, as the guest sees them: one read-only directory of pure Python.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use eryx_files::{Layer, LayerBuilder, LayerError};

use crate::factory::package_limits::{PackageLimits, Quota, QuotaExceeded};
use crate::factory::wheel::{installed_name, is_metadata, is_native};
use crate::factory::zip::{self, ZipError};
use crate::files::MODIFIED;
use crate::package_error::PackageError;

/// The files of all packages, by their name below the directory that the guest sees.
#[derive(Debug, Clone, Default)]
pub(super) struct PackageFiles {
    /// The package and the content of each file, by name.
    files: BTreeMap<String, (PathBuf, Bytes)>,
    /// The size of all files together.
    bytes: u64,
    limits: PackageLimits,
}

impl PackageFiles {
    /// Returns an empty collection with these limits.
    pub(super) fn new(limits: PackageLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Sets the limits for the packages that are added from now on.
    pub(super) fn set_limits(&mut self, limits: PackageLimits) {
        self.limits = limits;
    }

    pub(super) fn limits(&self) -> &PackageLimits {
        &self.limits
    }

    /// Returns the quota that is left.
    fn quota(&self) -> Quota {
        let all = self.limits.quota();
        Quota {
            bytes: all.bytes.saturating_sub(self.bytes),
            files: all.files.saturating_sub(self.files.len()),
        }
    }

    /// Returns the error for a package that exceeds the quota.
    pub(super) fn too_large(&self, package: &Path, exceeded: QuotaExceeded) -> PackageError {
        PackageError::TooLarge {
            package: package.to_path_buf(),
            allowed: match exceeded {
                QuotaExceeded::Bytes => format!("{} bytes", self.limits.max_bytes()),
                QuotaExceeded::Files => format!("{} files", self.limits.max_files()),
            },
        }
    }

    /// Adds a wheel or a directory.
    pub(super) fn read(&mut self, package: &Path) -> Result<(), PackageError> {
        let unreadable = |source| PackageError::Unreadable {
            path: package.to_path_buf(),
            source,
        };
        if fs::metadata(package).map_err(unreadable)?.is_dir() {
            self.read_directory(package).map_err(|error| match error {
                WalkError::Package(error) => error,
                WalkError::Io(error) => unreadable(error),
            })
        } else {
            self.read_wheel(package)
        }
    }

    /// Returns the name and the content of every file, sorted by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(name, (_, content))| (name.as_str(), &**content))
    }

    /// Returns the directory that guests see. It shares the content of the files.
    pub(super) fn layer(&self) -> Result<Arc<Layer>, PackageError> {
        // Directories count too, and files of ordinary packages share most of them. This bounds the
        // directories of names that were crafted to have one each.
        let max_nodes = self.limits.max_files().saturating_mul(2);
        let mut layer = LayerBuilder::new(MODIFIED, max_nodes);
        for (name, (_, content)) in &self.files {
            layer
                .file(name, content.clone())
                .map_err(|error| match error {
                    LayerError::Nodes(_) => {
                        self.too_large(Path::new("the unpacked content"), QuotaExceeded::Files)
                    }
                    error => PackageError::Unpack(error.to_string()),
                })?;
        }
        Ok(layer.build())
    }

    fn read_directory(&mut self, package: &Path) -> Result<(), WalkError> {
        // The directory of one package keeps its name; the entries of any other lie at the top.
        let prefix = match package.file_name() {
            Some(name) if package.join("__init__.py").is_file() => {
                format!("{}/", name.to_string_lossy())
            }
            _ => String::new(),
        };
        self.walk(package, package, &prefix)
    }

    fn walk(&mut self, package: &Path, dir: &Path, prefix: &str) -> Result<(), WalkError> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            // Links are followed; for a link to one of its own parents the system fails with ELOOP.
            let metadata = fs::metadata(entry.path())?;
            if metadata.is_dir() {
                if entry.file_name() != "__pycache__" {
                    self.walk(package, &entry.path(), &format!("{name}/"))?;
                }
            } else if metadata.is_file() {
                let max_bytes = self.quota().bytes;
                let mut content = Vec::new();
                let file = fs::File::open(entry.path())?;
                if metadata.len() <= max_bytes {
                    file.take(max_bytes.saturating_add(1))
                        .read_to_end(&mut content)?;
                }
                if metadata.len() > max_bytes || content.len() as u64 > max_bytes {
                    return Err(self.too_large(package, QuotaExceeded::Bytes).into());
                }
                self.add(package, name, content)?;
            }
        }
        Ok(())
    }

    fn read_wheel(&mut self, path: &Path) -> Result<(), PackageError> {
        let not_a_wheel = |reason: String| PackageError::NotAWheel {
            path: path.to_path_buf(),
            reason,
        };
        let file = fs::File::open(path).map_err(|source| PackageError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        let files = zip::files(file, self.quota()).map_err(|error| match error {
            ZipError::QuotaExceeded(exceeded) => self.too_large(path, exceeded),
            ZipError::Invalid(reason) => not_a_wheel(reason),
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

    /// Adds one file of a package.
    pub(super) fn add(
        &mut self,
        package: &Path,
        name: String,
        content: Vec<u8>,
    ) -> Result<(), PackageError> {
        if is_native(&name) {
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
                self.quota()
                    .take_file(size)
                    .map_err(|exceeded| self.too_large(package, exceeded))?;
                self.bytes += size;
                self.files
                    .insert(name, (package.to_path_buf(), content.into()));
                Ok(())
            }
        }
    }
}

/// Why a directory cannot be read.
enum WalkError {
    Package(PackageError),
    Io(io::Error),
}

impl From<PackageError> for WalkError {
    fn from(error: PackageError) -> Self {
        Self::Package(error)
    }
}

impl From<io::Error> for WalkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
