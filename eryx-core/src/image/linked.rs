//! A guest image with native modules: the image of which a factory with such modules takes its
//! snapshot.

use std::sync::Arc;

use eryx_guest_linker::{LinkError, NativeModule};
use sha2::{Digest as _, Sha256};
use wasmtime::CacheStore;

use crate::error::{Error, ImageError};
use crate::image::cache::Cache;
use crate::image::function_cache::LayeredStore;
use crate::image::guest_image::GuestImage;
use crate::image::machine_code::MachineCode;
use crate::image::{Image, compile, yield_verifier};

/// A guest image with native modules.
pub(crate) struct LinkedImage {
    /// The component.
    pub(crate) wasm: Vec<u8>,
    pub(crate) image: Image,
    /// The machine code of its functions: a snapshot of it does not compile them again.
    functions: Arc<LayeredStore>,
}

impl LinkedImage {
    /// Links `base` with `modules`, and compiles the functions that `cache` does not have of it.
    /// `rejected` makes the error for a module that cannot be linked.
    ///
    /// # Errors
    ///
    /// The error of `rejected`, and [`Error::Image`] when the result is not valid.
    pub(crate) fn link(
        base: &GuestImage,
        cache: &Cache,
        modules: &[NativeModule<'_>],
        rejected: impl FnOnce(LinkError) -> Error,
    ) -> Result<Self, Error> {
        let wasm = eryx_guest_linker::link(base.wasm(), modules).map_err(rejected)?;
        // The linker adds the yield points. This does not rely on it.
        yield_verifier::verify(&wasm).map_err(|error| ImageError::new(error.to_string()))?;
        let (_, instrumented) = compile::instrument(&wasm)?;
        let functions = Arc::new(LayeredStore::new(base.functions(cache)?));
        let code = compile::compile_portable(&instrumented, Some(Arc::clone(&functions) as _))?;
        let digest = Sha256::digest(&wasm).into();
        let image = Image::load(MachineCode::from_bytes(&code)?, digest, false)?;
        Ok(Self {
            wasm,
            image,
            functions,
        })
    }

    /// Returns the machine code of its functions.
    pub(crate) fn functions(&self) -> Arc<dyn CacheStore> {
        Arc::clone(&self.functions) as _
    }
}
