//! Extension modules in WebAssembly among the files of packages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use eryx_guest_linker::{LinkError, NativeModule};

use crate::error::Error;
use crate::factory::native_code::{has_importable_name, is_importable};
use crate::factory::package_file::PackageFile;
use crate::factory::package_files::PackageFiles;
use crate::files::PACKAGES;
use crate::image::cache::Cache;
use crate::image::guest_image::GuestImage;
use crate::image::linked::LinkedImage;
use crate::package_error::PackageError;
use crate::thread;

/// Returns whether one of the files is an extension module.
pub(super) fn are_in(files: &PackageFiles) -> bool {
    modules(files).next().is_some()
}

/// Returns the extension modules. They are in memory: nothing else can have their names.
fn modules(files: &PackageFiles) -> impl Iterator<Item = (&str, &PackageFile, &Bytes)> {
    files.entries().filter_map(|(name, file)| {
        let content = has_importable_name(name).then(|| file.content().ok())??;
        is_importable(name, content).then_some((name, file, content))
    })
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
    let modules: Vec<_> = modules(files)
        .map(|(name, file, content)| Module {
            path: format!("{PACKAGES}/{name}"),
            package: file.package.to_path_buf(),
            content: content.clone(),
        })
        .collect();
    if modules.is_empty() {
        return Ok(None);
    }
    let (base, cache) = (base.clone(), cache.clone());
    // On a blocking thread: linking takes long, and the thread that polls this future may have to
    // handle signals (Ctrl-C) meanwhile.
    let linked = thread::run(move || {
        let inputs: Vec<_> = modules
            .iter()
            .map(|module| NativeModule {
                path: &module.path,
                content: &module.content,
            })
            .collect();
        LinkedImage::link(&base, &cache, &inputs, |error| {
            native_module_error(error, &modules)
        })
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
fn native_module_error(error: LinkError, modules: &[Module]) -> Error {
    let module = modules.iter().find(|module| module.path == error.module);
    let package = module.map_or(Path::new(PACKAGES), |module| &module.package);
    let file = error.module.trim_start_matches(PACKAGES);
    Error::Package(PackageError::NativeModule {
        path: package.to_path_buf(),
        file: file.trim_start_matches('/').to_owned(),
        reason: error.reason.to_string(),
    })
}
