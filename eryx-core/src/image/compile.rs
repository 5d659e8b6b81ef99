//! Compilation of components to machine code.

use std::sync::Arc;

use wasmtime::CacheStore;
use wasmtime_wizer::{ComponentContext, Wizer};

use crate::engine;
use crate::engine::compile_threads::with_threads;
use crate::error::{Error, ImageError};
use crate::image::function_cache::FunctionRecorder;

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
    let functions = Arc::new(FunctionRecorder::default());
    let component = compile_portable(&instrumented, Some(Arc::clone(&functions) as _))?;
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
pub(super) fn compile_portable(
    wasm: &[u8],
    functions: Option<Arc<dyn CacheStore>>,
) -> Result<Vec<u8>, Error> {
    with_threads(|threads| {
        engine::portable_compiler(functions, threads)?
            .precompile_component(wasm)
            .map_err(|error| Error::image("it does not compile", error))
    })
}

/// Compiles exactly this component for the processor of this machine.
pub(super) fn native(wasm: &[u8]) -> Result<Vec<u8>, Error> {
    with_threads(|threads| {
        engine::native(threads)?
            .precompile_component(wasm)
            .map_err(|error| Error::image("it does not compile", error))
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use eryx_sync::Mutex;

    use super::*;
    use crate::image::function_cache::PrecompiledFunctions;

    /// Returns a component with one function and one data segment.
    fn component(data: u8, function: u8) -> Vec<u8> {
        wat::parse_str(format!(
            "(component (core module
                (memory 1) (data (i32.const 0) \"{}\")
                (func (param i32) (result i32) (i32.mul (local.get 0) (i32.const {function})))))",
            char::from(data)
        ))
        .expect("a component")
    }

    #[test]
    fn a_recorded_function_is_not_compiled_again() {
        let recording = Arc::new(FunctionRecorder::default());
        compile_portable(&component(b'a', 3), Some(Arc::clone(&recording) as _)).expect("compiled");
        let empty = FunctionRecorder::default().to_bytes();
        let precompiled = PrecompiledFunctions::from_bytes(&recording.to_bytes()).expect("read");
        assert_ne!(
            precompiled,
            PrecompiledFunctions::from_bytes(&empty).expect("read")
        );

        /// Counts the functions that are compiled because they are not in the store.
        #[derive(Debug)]
        struct CountingStore(PrecompiledFunctions, Mutex<usize>);
        impl CacheStore for CountingStore {
            fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
                self.0.get(key)
            }
            fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
                *self.1.lock() += 1;
                true
            }
        }
        let counting = Arc::new(CountingStore(precompiled, Mutex::new(0)));
        let misses = || *counting.1.lock();
        let compile_again = |data, function| {
            compile_portable(&component(data, function), Some(Arc::clone(&counting) as _))
                .expect("compiled")
        };
        let with_other_data = compile_again(b'b', 3);
        assert_eq!(misses(), 0);
        assert_eq!(
            with_other_data,
            compile_portable(&component(b'b', 3), None).expect("compiled"),
            "the same machine code as without a store"
        );
        compile_again(b'a', 4);
        assert_eq!(misses(), 1);
    }
}
