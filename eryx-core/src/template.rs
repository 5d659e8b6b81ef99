//! The template of a sandbox: the image and the packages that all of its interpreters start from.

use std::any::Any;
use std::sync::Arc;

use crate::file_tree::FileTree;
use crate::image::Image;

/// An image, and for a sandbox of a factory the packages that programs can import.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) image: Image,
    pub(crate) packages: Option<Arc<FileTree>>,
    /// Keeps the factory registered while a sandbox or a session of it exists: building an equal
    /// factory then returns the loaded one.
    _factory: Option<Arc<dyn Any + Send + Sync>>,
}

impl Template {
    /// Returns a template that belongs to no factory.
    pub(crate) fn new(image: Image, packages: Option<Arc<FileTree>>) -> Self {
        Self {
            image,
            packages,
            _factory: None,
        }
    }

    /// Returns the template of `factory`.
    pub(crate) fn of_factory(
        image: Image,
        packages: Arc<FileTree>,
        factory: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        Self {
            _factory: Some(factory),
            ..Self::new(image, Some(packages))
        }
    }
}
