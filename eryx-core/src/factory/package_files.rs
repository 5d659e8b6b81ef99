//! The files of all packages, as the guest sees them: one read-only directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use eryx_files::{LayerBuilder, LayerError};
use sha2::{Digest as _, Sha256};

use crate::factory::native_code;
use crate::factory::package_file::PackageFile;
use crate::factory::package_limits::{PackageLimits, Quota, QuotaExceeded};
use crate::factory::package_reader::{self, PackageSource, ReadError};
use crate::factory::stored_content::StoredContent;
use crate::files::MODIFIED;
use crate::image::cache::Cache;
use crate::package_error::PackageError;

/// The files of all packages, by their name below the directory that the guest sees.
#[derive(Debug, Clone, Default)]
pub(super) struct PackageFiles {
    files: BTreeMap<String, PackageFile>,
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

    /// Adds wheels and directories. The files of a directory that did not change since an earlier
    /// build, whose digests are in the cache, are not read.
    pub(super) fn read(
        &mut self,
        packages: &[PackageSource],
        cache: &Cache,
    ) -> Result<(), PackageError> {
        let files =
            package_reader::read(packages, self.quota(), cache).map_err(|error| match error {
                ReadError::Package(error) => error,
                ReadError::TooLarge(position, exceeded) => {
                    self.too_large(packages[position].path(), exceeded)
                }
            })?;
        for (name, file) in files {
            self.insert(name, file)?;
        }
        Ok(())
    }

    /// Adds one file of a package.
    pub(super) fn add(
        &mut self,
        package: &Arc<Path>,
        name: String,
        content: Vec<u8>,
    ) -> Result<(), PackageError> {
        native_code::check(package, &name, &content)?;
        self.insert(name, PackageFile::new(package, content))
    }

    fn insert(&mut self, name: String, file: PackageFile) -> Result<(), PackageError> {
        match self.files.get(&name) {
            Some(first) if first.digest != file.digest => Err(PackageError::Conflict {
                first: first.package.to_path_buf(),
                second: file.package.to_path_buf(),
                file: name,
            }),
            Some(_) => Ok(()),
            None => {
                let size = file.size();
                self.quota()
                    .take_file(size)
                    .map_err(|exceeded| self.too_large(&file.package, exceeded))?;
                self.bytes += size;
                self.files.insert(name, file);
                Ok(())
            }
        }
    }

    /// Returns the name of every file with the file, sorted by name.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &PackageFile)> {
        self.files.iter().map(|(name, file)| (name.as_str(), file))
    }

    /// Returns the files that are not in memory yet, or were not when they were added.
    pub(super) fn to_load(&self) -> Vec<Arc<StoredContent>> {
        let stored = self.files.values().filter_map(PackageFile::stored_content);
        stored.cloned().collect()
    }

    /// Returns a digest of the names and the content of all files.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (name, file) in &self.files {
            // The length separates a name from the digest after it.
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update(file.digest);
        }
        hash.finalize().into()
    }

    /// Returns the directory that guests see, to which files can be added. It shares the content of
    /// the files.
    pub(super) fn layer(&self) -> Result<LayerBuilder, PackageError> {
        // Directories count too, and files of ordinary packages share most of them. This bounds the
        // directories of names that were crafted to have one each.
        let max_nodes = self.limits.max_files().saturating_mul(2);
        let mut layer = LayerBuilder::new(MODIFIED, max_nodes);
        for (name, file) in &self.files {
            file.add_to(&mut layer, name).map_err(|error| match error {
                LayerError::Nodes(_) => {
                    self.too_large(Path::new("the unpacked content"), QuotaExceeded::Files)
                }
                error => PackageError::Unpack(error.to_string()),
            })?;
        }
        Ok(layer)
    }
}
