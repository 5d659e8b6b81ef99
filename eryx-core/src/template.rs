//! The template of a sandbox: the image and the files that all of its interpreters start from.

use std::any::Any;
use std::sync::Arc;

use eryx_files::Layout;

use crate::image::Image;

/// An image, and the files that programs find.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) image: Image,
    pub(crate) files: Layout,
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
            _factory: None,
        }
    }

    /// Returns the template of `factory`.
    pub(crate) fn of_factory(
        image: Image,
        files: Layout,
        factory: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        Self {
            _factory: Some(factory),
            ..Self::new(image, files)
        }
    }
}
