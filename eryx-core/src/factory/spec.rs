//! The inputs of a factory, and their digest.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::factory::native_modules;
use crate::factory::package_files::PackageFiles;
use crate::image::guest_image::GuestImage;

/// The inputs of a factory.
#[derive(Debug, Clone, Default)]
pub(super) struct FactorySpec {
    pub(super) files: PackageFiles,
    pub(super) imports: Vec<String>,
    pub(super) setup: Option<Vec<u8>>,
}

impl FactorySpec {
    /// Returns a name for the factory made from these inputs and `image`.
    pub(super) fn digest(&self, image: &GuestImage) -> String {
        self.key(image, true)
    }

    /// Returns a name for the memory of the snapshot. Without imports, setup code and native
    /// modules, no file of a package is read before the snapshot, so that all such factories have
    /// the same.
    pub(super) fn snapshot_key(&self, image: &GuestImage) -> String {
        let has_files =
            !self.imports.is_empty() || self.setup.is_some() || native_modules::are_in(&self.files);
        self.key(image, has_files)
    }

    fn key(&self, image: &GuestImage, has_files: bool) -> String {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            // The length separates a part from the next one.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(image.sha256().as_bytes());
        add(&(self.imports.len() as u64).to_le_bytes());
        for module in &self.imports {
            add(module.as_bytes());
        }
        match &self.setup {
            Some(source) => add(&[&[1], &source[..]].concat()),
            None => add(&[0]),
        }
        if has_files {
            add(&self.files.digest());
        }
        format!("factory-{}", HEXLOWER.encode(&hash.finalize()))
    }
}
