//! Extension modules in WebAssembly among the files of packages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use eryx_guest_linker::{LinkError, NativeModule, is_webassembly};

use crate::error::Error;
use crate::factory::package_files::PackageFiles;
use crate::files::PACKAGES;
use crate::image::cache::Cache;
use crate::image::guest_image::GuestImage;
use crate::image::linked::LinkedImage;
use crate::package_error::PackageError;
use crate::thread;

/// The endings by which the interpreter finds an extension module.
const ENDINGS: [&str; 3] = [".cpython-314-wasm32-wasi.so", ".abi3.so", ".so"];

/// Returns whether the interpreter can import a file of this name, if it is WebAssembly.
pub(super) fn has_importable_name(name: &str) -> bool {
    let file = name.rsplit_once('/').map_or(name, |(_, file)| file);
    let module = ENDINGS.iter().find_map(|ending| file.strip_suffix(ending));
    module.is_some_and(|module| !module.is_empty() && !module.contains('.'))
}

/// Returns whether the interpreter can import a file of this name and content.
pub(super) fn is_importable(name: &str, content: &[u8]) -> bool {
    is_webassembly(content) && has_importable_name(name)
}

/// Returns whether one of the files is an extension module.
pub(super) fn are_in(files: &PackageFiles) -> bool {
    files
        .entries()
        .any(|(name, file)| is_importable(name, &file.content))
}

/// Returns `base` with the extension modules of the packages, or `None` if they have none.
///
/// # Errors
///
/// [`Error::Package`] when a module cannot be linked.
pub(super) async fn link(
    files: &PackageFiles,
    base: &GuestImage,
    cache: &Cache,
) -> Result<Option<Arc<LinkedImage>>, Error> {
    let modules: Vec<_> = files
        .entries()
        .filter(|(name, file)| is_importable(name, &file.content))
        .map(|(name, file)| Module {
            path: format!("{PACKAGES}/{name}"),
            package: file.package.to_path_buf(),
            content: file.content.clone(),
        })
        .collect();
    if modules.is_empty() {
        return Ok(None);
    }
    let (base, cache) = (base.clone(), cache.clone());
    // On another thread: this task may have to handle signals.
    let linked = thread::run(move || {
        let inputs: Vec<_> = modules
            .iter()
            .map(|module| NativeModule {
                path: &module.path,
                content: &module.content,
            })
            .collect();
        LinkedImage::link(&base, &cache, &inputs, |error| rejected(error, &modules))
    });
    Ok(Some(Arc::new(linked.await??)))
}

/// An extension module of a package.
struct Module {
    /// The path of its file in the sandbox.
    path: String,
    package: PathBuf,
    content: Bytes,
}

/// Returns the error for a module that cannot be linked.
fn rejected(error: LinkError, modules: &[Module]) -> Error {
    let module = modules.iter().find(|module| module.path == error.module);
    let package = module.map_or(Path::new(PACKAGES), |module| &module.package);
    let file = error.module.trim_start_matches(PACKAGES);
    Error::Package(PackageError::NativeModule {
        path: package.to_path_buf(),
        file: file.trim_start_matches('/').to_owned(),
        reason: error.reason.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_webassembly_with_a_name_that_the_interpreter_finds_is_importable() {
        let module = b"\0asm\x01\0\0\0";
        for (name, expected) in [
            ("package/_speed.cpython-314-wasm32-wasi.so", true),
            ("_speed.abi3.so", true),
            ("package/_speed.so", true),
            ("package/_speed.cpython-313-wasm32-wasi.so", false),
            ("package/_speed.cpython-314-x86_64-linux-gnu.so", false),
            ("package/.so", false),
            ("package/_speed.pyd", false),
        ] {
            assert_eq!(is_importable(name, module), expected, "{name}");
            assert!(!is_importable(name, b"\x7fELF"), "{name}");
        }
    }
}
