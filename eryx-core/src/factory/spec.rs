use sha2::{Digest, Sha256};

use super::package_files::Sources;
use crate::image::EMBEDDED_DIGEST;

/// What a factory is made from.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    pub(super) sources: Sources,
    pub(super) imports: Vec<String>,
    pub(super) setup: Option<Vec<u8>>,
}

impl Plan {
    /// Names the snapshot that is made from it.
    pub(super) fn key(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            // Lengths keep one part's end from passing for the next one's beginning.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(EMBEDDED_DIGEST.as_bytes());
        add(&(self.imports.len() as u64).to_le_bytes());
        for module in &self.imports {
            add(module.as_bytes());
        }
        match &self.setup {
            Some(source) => add(&[&[1], &source[..]].concat()),
            None => add(&[0]),
        }
        for (name, content) in self.sources.files() {
            add(name.as_bytes());
            add(content);
        }
        format!("factory-{:x}", hash.finalize())
    }
}
