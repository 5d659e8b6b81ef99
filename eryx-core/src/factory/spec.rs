//! The inputs of a factory, and their digest.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::factory::package_files::PackageFiles;
use crate::image::embedded;

/// The inputs of a factory.
#[derive(Debug, Clone, Default)]
pub(super) struct FactorySpec {
    pub(super) files: PackageFiles,
    pub(super) imports: Vec<String>,
    pub(super) setup: Option<Vec<u8>>,
}

impl FactorySpec {
    /// Returns a name for the snapshot made from these inputs and the embedded image.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            // The length separates a part from the next one.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(embedded::WASM_DIGEST.as_bytes());
        add(&(self.imports.len() as u64).to_le_bytes());
        for module in &self.imports {
            add(module.as_bytes());
        }
        match &self.setup {
            Some(source) => add(&[&[1], &source[..]].concat()),
            None => add(&[0]),
        }
        for (name, content) in self.files.iter() {
            add(name.as_bytes());
            add(content);
        }
        format!("factory-{}", HEXLOWER.encode(&hash.finalize()))
    }
}
