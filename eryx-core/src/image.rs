//! The guest image: its machine code, precompiled or compiled here, and linked for an engine.

pub(crate) mod cache;
pub(crate) mod compile;
mod embedded;
mod function_cache;
pub(crate) mod guest_image;
pub(crate) mod linked;
mod machine_code;
pub(crate) mod prelinked;
mod yield_verifier;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use eryx_sync::ProcessLock;
use sha2::{Digest as _, Sha256};

pub use cache::{CacheEntry, CacheEntryKind, UserCache};
pub use compile::{PrecompiledImage, engine_fingerprint, precompile};
#[cfg(feature = "embedded-image")]
pub use embedded::set_precompiled_path;

use crate::engine;
use crate::error::{Error, ImageError};
use crate::host_resource::HostResourceError;
use crate::idle_pool;
use crate::image::machine_code::MachineCode;
use crate::image::prelinked::PrelinkedImage;
use crate::memory_reset::ImagePages;
use crate::session_snapshot::Digest;

/// How many images this process has loaded.
static IMAGES: AtomicU64 = AtomicU64::new(0);

/// An image, loaded and linked for each engine that uses it.
#[derive(Clone)]
pub(crate) struct Image {
    inner: Arc<Inner>,
    /// Whether the embedder permits that an instance runs more than one program.
    permits_reuse: bool,
}

struct Inner {
    code: MachineCode,
    /// For the pooling allocator; `None` where there is no pool or the image does not fit its
    /// slots.
    pooled: Option<PrelinkedImage>,
    on_demand: OnceLock<PrelinkedImage>,
    /// Identifies the memory that instances start with, and the code.
    digest: Digest,
    /// Distinguishes it from the other images of the process.
    identity: u64,
    pages: ImagePages,
    /// Whether an instance can be reset after its program, and used for the next one.
    is_resettable: bool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        idle_pool::evict_image(self.identity);
    }
}

impl Image {
    /// Compiles the component `wasm` for this machine and links it. Its instances are not pooled:
    /// it may be larger than the slots of the pool.
    pub(crate) fn compile(wasm: &[u8]) -> Result<Self, Error> {
        yield_verifier::verify(wasm).map_err(|error| ImageError::new(error.to_string()))?;
        let code = MachineCode::from_bytes(&compile::native(wasm)?)?;
        let image = Self::new(code, None, Sha256::digest(wasm).into(), false);
        image.on_demand()?;
        Ok(image)
    }

    /// Loads and links `code`, the machine code of the image with this digest. `is_resettable` says
    /// that programs change nothing of an instance but its memory: a hostile image could leave
    /// something for the next program elsewhere, such as in a global.
    fn load(code: MachineCode, digest: Digest, is_resettable: bool) -> Result<Self, Error> {
        let pooled = engine::pooled().and_then(|engine| {
            code.load(engine)
                .and_then(|component| PrelinkedImage::new(&component))
                .inspect_err(|reason| {
                    tracing::debug!(target: "eryx::image", %reason, "the image is not pooled");
                })
                .ok()
        });
        let image = Self::new(code, pooled, digest, is_resettable);
        if image.pooled().is_none() {
            image.on_demand()?;
        }
        Ok(image)
    }

    fn new(
        code: MachineCode,
        pooled: Option<PrelinkedImage>,
        digest: Digest,
        is_resettable: bool,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                code,
                pooled,
                on_demand: OnceLock::new(),
                digest,
                identity: IMAGES.fetch_add(1, Ordering::Relaxed),
                pages: ImagePages::default(),
                is_resettable,
            }),
            permits_reuse: true,
        }
    }

    /// Returns this image, whose instances run more than one program only if `is_permitted`.
    pub(crate) fn with_reuse(mut self, is_permitted: bool) -> Self {
        self.permits_reuse = is_permitted;
        self
    }

    /// Returns a number that no other image of this process has.
    pub(crate) fn identity(&self) -> u64 {
        self.inner.identity
    }

    /// Returns whether an instance is reset after its program, and used for the next one.
    pub(crate) fn reuses_instances(&self) -> bool {
        self.permits_reuse && self.inner.is_resettable
    }

    /// Returns what the memory of its instances is reset with.
    pub(crate) fn pages(&self) -> &ImagePages {
        &self.inner.pages
    }

    /// Returns the digest of the image: of its code, and of the memory that instances start with.
    pub(crate) fn digest(&self) -> &Digest {
        &self.inner.digest
    }

    /// Checks that the descriptor of the machine code was not closed.
    pub(crate) fn check_descriptor(&self) -> Result<(), HostResourceError> {
        self.inner.code.check_descriptor()
    }

    /// Returns the image linked for the pooling allocator, if its instances can be pooled.
    pub(crate) fn pooled(&self) -> Option<&PrelinkedImage> {
        self.inner.pooled.as_ref()
    }

    /// Returns the image linked for the on-demand allocator. The first call links it.
    pub(crate) fn on_demand(&self) -> Result<&PrelinkedImage, Error> {
        static LINKING: ProcessLock = ProcessLock::new();
        let on_demand = &self.inner.on_demand;
        if let Some(prelinked) = on_demand.get() {
            return Ok(prelinked);
        }
        let _guard = LINKING.lock();
        if let Some(prelinked) = on_demand.get() {
            return Ok(prelinked);
        }
        let component = self.inner.code.load(engine::on_demand()?)?;
        let prelinked = PrelinkedImage::new(&component)?;
        Ok(on_demand.get_or_init(|| prelinked))
    }
}
