//! The template of a sandbox: the image and the files that all of its interpreters start from.

use std::any::Any;
use std::sync::Arc;

use eryx_files::Layout;
use sha2::{Digest as _, Sha256};

use crate::image::Image;
use crate::session_snapshot::Digest;

/// An image, and the files that programs find.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) image: Image,
    pub(crate) files: Layout,
    /// The digest of the factory's key; zeros without a factory.
    factory_digest: Digest,
    /// Keeps the factory registered while a sandbox or a session of it exists: building an equal
    /// factory then returns the loaded one.
    _factory: Option<Arc<dyn Any + Send + Sync>>,
}

impl Template {
    /// Returns a template that belongs to no factory.
    pub(crate) fn new(image: Image, files: Layout) -> Self {
        Self {
            image,
            files,
            factory_digest: Digest::default(),
            _factory: None,
        }
    }

    /// Returns this template with other files.
    pub(crate) fn with_files(&self, files: Layout) -> Self {
        Self {
            files,
            ..self.clone()
        }
    }

    /// Returns the digest of the factory's key; zeros without a factory.
    pub(crate) fn factory_digest(&self) -> Digest {
        self.factory_digest
    }

    /// Returns the template of `factory`, which has this key.
    pub(crate) fn of_factory(
        image: Image,
        files: Layout,
        key: &str,
        factory: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        Self {
            factory_digest: Sha256::digest(key).into(),
            _factory: Some(factory),
            ..Self::new(image, files)
        }
    }
}
