//! The image embedded in this program, and the snapshots that factories take of it.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::error::{Error, ImageError};
use crate::image::Image;
use crate::image::cache::Cache;
use crate::image::cache::entry::ReadMode;
use crate::image::cache::pending_entry::PendingEntry;
use crate::image::compile;
use crate::image::function_cache::PrecompiledStore;
use crate::image::machine_code::MachineCode;

/// The component.
pub(crate) static WASM: &[u8] = include_bytes!(env!("ERYX_GUEST_WASM"));
/// The SHA-256 of the component, in hexadecimal.
pub(crate) static WASM_DIGEST: &str = env!("ERYX_GUEST_WASM_SHA256");
/// The machine code of the instrumented component.
#[cfg(feature = "embedded-machine-code")]
static CWASM: &[u8] = include_bytes!(env!("ERYX_GUEST_CWASM"));
/// The machine code of each function by itself.
static FUNCTIONS: &[u8] = include_bytes!(env!("ERYX_GUEST_FUNCTIONS"));

/// The path of the machine code, if it is not embedded in this program.
static PRECOMPILED_PATH: OnceLock<PathBuf> = OnceLock::new();

/// Sets the path of the machine code of the embedded image. The file is mapped, so processes that
/// use the same file share its pages. The call has no effect once the image is loaded or a path was
/// set.
///
/// If the file cannot be read, or was made for another compiler, the image is compiled and cached.
///
/// # Safety
///
/// The file must be the `target/guest/eryx-guest.cwasm` that `cargo xtask build-guest` wrote when
/// this program was built, and must not change while the program runs: it contains code that is
/// executed unchecked. Store it where only users who may replace the program can write.
#[allow(unsafe_code, reason = "the file's content is executed")]
pub unsafe fn set_precompiled_path(path: PathBuf) {
    let _ = PRECOMPILED_PATH.set(path);
}

/// Loads the machine code from the path that was set, or the embedded one. If there is none, or
/// this machine or engine does not accept it, compiles the component and caches the result.
pub(super) fn load() -> Result<Image, Error> {
    match load_precompiled() {
        Ok(image) => Ok(image),
        // Compiling takes longer, and needs more of the missing resource.
        Err(missing @ Error::HostResource(_)) => Err(missing),
        Err(reason) => {
            tracing::warn!(target: "eryx::image", %reason, "compiling the guest image anew");
            let (_, instrumented) = compile::instrument(WASM)?;
            let cache = Cache::open(None);
            let key = HEXLOWER.encode(&Sha256::digest(&instrumented));
            let code = match cache.find(&key, ReadMode::InPlace)? {
                Some(code) => code,
                None => cache.compile(&key, &instrumented, None, None)?,
            };
            load_or_copy(&cache, &key, code, embedded_image)
        }
    }
}

#[allow(unsafe_code, reason = "loading machine code; see the block")]
fn load_precompiled() -> Result<Image, Error> {
    if let Some(path) = PRECOMPILED_PATH.get() {
        // SAFETY: the caller of `set_precompiled_path` guarantees what `from_path` requires.
        let code = unsafe { MachineCode::from_path(path) };
        return embedded_image(code.map_err(|error| {
            Error::image(format_args!("{} cannot be read", path.display()), error)
        })?);
    }
    #[cfg(feature = "embedded-machine-code")]
    return embedded_image(MachineCode::from_bytes(CWASM)?);
    #[cfg(not(feature = "embedded-machine-code"))]
    Err(ImageError::new("it has no machine code").into())
}

/// Returns the snapshot of the image that `cache` has under `key`.
pub(crate) fn load_cached(cache: &Cache, key: &str) -> Result<Option<Image>, Error> {
    match cache.find(key, ReadMode::InPlace)? {
        Some(code) => load_or_copy(cache, key, code, snapshot_of_image).map(Some),
        None => Ok(None),
    }
}

/// Compiles `wasm`, a snapshot of the image made by this process, and caches it under `key`, in the
/// entry that was begun for it, if one was.
pub(crate) fn compile_snapshot(
    cache: &Cache,
    key: &str,
    wasm: &[u8],
    pending: Option<PendingEntry>,
) -> Result<Image, Error> {
    let functions = match PrecompiledStore::from_bytes(FUNCTIONS) {
        Ok(functions) => Some(Arc::new(functions) as _),
        Err(reason) => {
            tracing::warn!(target: "eryx::image", %reason, "compiling every function anew");
            None
        }
    };
    let code = cache.compile(key, wasm, functions, pending)?;
    load_or_copy(cache, key, code, snapshot_of_image)
}

/// Loads the machine code of the embedded image.
fn embedded_image(code: MachineCode) -> Result<Image, Error> {
    Image::load(code, Sha256::digest(WASM_DIGEST).into())
}

/// Loads the machine code of a snapshot of the embedded image. Two equal factories that were built
/// separately may differ in their memory, which is part of the code that is hashed.
fn snapshot_of_image(code: MachineCode) -> Result<Image, Error> {
    let Some(digest) = code.digest() else {
        return Err(ImageError::new("its machine code has no digest").into());
    };
    let mut hash = Sha256::new_with_prefix(WASM_DIGEST);
    hash.update(digest);
    Image::load(code, hash.finalize().into())
}

/// Loads `code` with `load`. If that fails, loads a copy in memory of the entry that `cache` has
/// under `key`: not every reason for which a system refuses to run code from a file can be checked
/// in advance.
fn load_or_copy(
    cache: &Cache,
    key: &str,
    code: MachineCode,
    load: fn(MachineCode) -> Result<Image, Error>,
) -> Result<Image, Error> {
    load(code).or_else(|reason| match cache.find(key, ReadMode::Copy)? {
        Some(copy) => {
            tracing::warn!(
                target: "eryx::image",
                %reason,
                "the cached machine code cannot be mapped, and is copied"
            );
            load(copy)
        }
        None => Err(reason),
    })
}

#[cfg(test)]
mod tests {
    use crate::image::yield_check;

    #[test]
    fn all_code_of_the_embedded_image_yields() {
        yield_check::check(super::WASM).expect("it does");
    }

    /// Trap: features of the build machine's processor compiled into the machine code.
    #[cfg(feature = "embedded-machine-code")]
    #[allow(unsafe_code, reason = "loading machine code; see each block")]
    #[test]
    fn the_machine_code_loads_on_the_baseline_processor_of_its_architecture() {
        use wasmtime::Engine;
        use wasmtime::component::Component;

        use crate::engine;

        let mut config = engine::portable_config().expect("a compiler");
        // SAFETY: the loaded code is never run.
        unsafe { config.detect_host_feature(|_| Some(false)) };
        let baseline = Engine::new(&config).expect("an engine");
        // SAFETY: as in `MachineCode::load`.
        unsafe { Component::deserialize(&baseline, super::CWASM) }
            .expect("it needs no special features");
        // Code compiled for this processor is rejected there, if the processor has more features.
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx") {
            let native = engine::on_demand()
                .expect("an engine")
                .precompile_component(b"\0asm\x0d\0\x01\0")
                .expect("compiled");
            // SAFETY: as above.
            let rejected = unsafe { Component::deserialize(&baseline, native) };
            let reason = format!("{:#}", rejected.expect_err("rejected"));
            assert!(reason.contains("not available on the host"), "{reason}");
        }
    }
}
