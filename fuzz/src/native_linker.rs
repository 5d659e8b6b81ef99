//! Extension modules that a factory links into its image.

use std::sync::LazyLock;

use eryx_guest_linker::{NativeModule, link};
use wasmparser::Validator;

use crate::test_image::image;

static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(image);

/// Links a module, and checks that what is accepted gives a valid image, and the same
/// each time.
pub fn link_module(content: &[u8]) {
    let module = NativeModule {
        path: "/packages/module.so",
        content,
    };
    let modules = [module];
    let Ok(linked) = link(&IMAGE, &modules) else {
        return;
    };
    Validator::new()
        .validate_all(&linked)
        .expect("an image with an accepted module is valid");
    assert_eq!(link(&IMAGE, &modules).expect("accepted before"), linked);
}
