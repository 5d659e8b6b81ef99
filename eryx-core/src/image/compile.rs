//! Compilation of components to machine code.

use std::sync::Arc;

use wasmtime::CacheStore;
use wasmtime_wizer::{ComponentContext, Wizer};

use crate::engine;
use crate::error::{Error, ImageError};
use crate::image::function_cache::RecordingStore;

/// The machine code of the guest image.
#[derive(Debug)]
#[non_exhaustive]
pub struct PrecompiledImage {
    /// The machine code of the whole component.
    pub component: Vec<u8>,
    /// The machine code of each function by itself, compressed. A snapshot that a
    /// [`SandboxFactory`](crate::SandboxFactory) takes of the image has nearly all of them
    /// unchanged, and does not compile those again.
    pub functions: Vec<u8>,
}

/// Compiles the guest image for the baseline processor of this machine's architecture, with the
/// exports by which a [`SandboxFactory`](crate::SandboxFactory) reads the state of an instance.
///
/// # Errors
///
/// [`Error::Image`] when `wasm` is not a component that the engine accepts.
pub fn precompile(wasm: &[u8]) -> Result<PrecompiledImage, Error> {
    let (_, instrumented) = instrument(wasm)?;
    let functions = Arc::new(RecordingStore::default());
    let component = baseline(&instrumented, Some(Arc::clone(&functions) as _))?;
    Ok(PrecompiledImage {
        component,
        functions: functions.to_bytes(),
    })
}

/// Returns a name for the compiler and the settings of [`precompile`]. Machine code made under
/// another name has to be compiled again.
///
/// # Errors
///
/// [`Error::Image`] when there is no compiler for this machine.
pub fn engine_fingerprint() -> Result<String, Error> {
    Ok(format!("{}-instrumented", engine::fingerprint()?))
}

/// Adds exports to the component `wasm` that return the contents of its memories, globals and
/// tables. Returns the instrumented component, and the context from which wizer makes a snapshot of
/// it.
pub(crate) fn instrument(wasm: &[u8]) -> Result<(ComponentContext<'_>, Vec<u8>), Error> {
    Wizer::new().instrument_component(wasm).map_err(|error| {
        ImageError::caused_by("it cannot be instrumented for snapshots", error).into()
    })
}

/// Compiles exactly this component for the baseline processor, and takes the functions that are in
/// `functions` from there.
pub(super) fn baseline(
    wasm: &[u8],
    functions: Option<Arc<dyn CacheStore>>,
) -> Result<Vec<u8>, Error> {
    engine::with_threads(|threads| {
        engine::baseline(functions, threads)?
            .precompile_component(wasm)
            .map_err(|error| Error::image("it does not compile", error))
    })
}

/// Compiles exactly this component for the processor of this machine.
pub(super) fn native(wasm: &[u8]) -> Result<Vec<u8>, Error> {
    engine::with_threads(|threads| {
        engine::native(threads)?
            .precompile_component(wasm)
            .map_err(|error| Error::image("it does not compile", error))
    })
}
