//! A process-wide registry of loaded factories, by weak references: building a factory equal to a
//! loaded one returns the loaded one.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::thread;

use eryx_sync::{Mutex, MutexGuard};

use crate::factory::bytecode::PackageLayer;
use crate::factory::spec::FactorySpec;
use crate::image::Image;

/// A loaded factory. Equal factories, and the sandboxes and sessions of them, share it.
pub(super) struct LoadedFactory {
    pub(super) digest: String,
    pub(super) image: Image,
    pub(super) package_layer: Arc<PackageLayer>,
    pub(super) spec: FactorySpec,
}

impl LoadedFactory {
    /// Begins to read the files that the build did not have to read, so that programs find the
    /// content that they had then.
    pub(super) fn load_in_background(self: &Arc<Self>) {
        let mut files = self.spec.files.to_load();
        files.retain(|file| !file.is_loaded());
        if files.is_empty() {
            return;
        }
        let factory = Arc::downgrade(self);
        let thread = thread::Builder::new().name("eryx-read".to_owned());
        let read = move || {
            for file in files {
                if factory.strong_count() == 0 {
                    return;
                }
                // A program that reads the file gets the error.
                let _ = file.load();
            }
        };
        if let Err(reason) = thread.spawn(read) {
            tracing::debug!(target: "eryx::image", %reason, "files are read when they are needed");
        }
    }
}

type Registry = BTreeMap<String, Weak<LoadedFactory>>;

/// Returns the registry, or `None` if it is locked. It never blocks: in a forked child the lock's
/// owner may not exist, and missing the registry costs only loading the factory again.
fn registry() -> Option<MutexGuard<'static, Registry>> {
    static REGISTRY: Mutex<Registry> = Mutex::new(BTreeMap::new());
    REGISTRY.try_lock()
}

/// Returns the loaded factory with this digest.
pub(super) fn find(digest: &str) -> Option<Arc<LoadedFactory>> {
    registry()?.get(digest)?.upgrade()
}

/// Registers `loaded` until its last reference is dropped.
pub(super) fn insert(loaded: &Arc<LoadedFactory>) {
    if let Some(mut registry) = registry() {
        registry.retain(|_, loaded| loaded.strong_count() > 0);
        registry.insert(loaded.digest.clone(), Arc::downgrade(loaded));
    }
}
