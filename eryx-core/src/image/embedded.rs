#![allow(unsafe_code, reason = "loading machine code; see each block")]
//! The image inside the program. The one place with `unsafe`: loading machine code.

use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Component;

use super::cache::{self, Cache};
use super::functions::Known;
use crate::Error;
use crate::engine;

/// The component.
pub(crate) static WASM: &[u8] = include_bytes!(env!("ERYX_GUEST_WASM"));
/// Its SHA-256 in hexadecimal.
pub(crate) static WASM_DIGEST: &str = env!("ERYX_GUEST_WASM_SHA256");
static CWASM: &[u8] = include_bytes!(env!("ERYX_GUEST_CWASM"));
static FUNCTIONS: &[u8] = include_bytes!(env!("ERYX_GUEST_FUNCTIONS"));

/// Load the embedded machine code; if this machine or engine cannot take it, compile the embedded
/// component and keep the result in the user's cache.
pub(super) fn load() -> Result<Component, Error> {
    match load_precompiled() {
        Ok(component) => Ok(component),
        Err(reason) => {
            tracing::warn!(target: "eryx::image", %reason, "compiling the guest image anew");
            let (_, readable) = super::readable(WASM)?;
            loaded(&cache::machine_code(&readable)?)
        }
    }
}

/// What `cache` holds under `key`.
pub(super) fn load_cached(cache: &Cache, key: &str) -> Result<Option<Component>, Error> {
    match cache.find(key)? {
        Some(code) => loaded(&code).map(Some),
        None => Ok(None),
    }
}

/// Compile `wasm`, a snapshot of the image made by this process, and keep it in `cache` under `key`.
pub(super) fn compile(cache: &Cache, key: &str, wasm: &[u8]) -> Result<Component, Error> {
    let functions = match Known::from_bytes(FUNCTIONS) {
        Ok(functions) => Some(Arc::new(functions) as _),
        Err(reason) => {
            tracing::warn!(target: "eryx::image", %reason, "compiling every function anew");
            None
        }
    };
    loaded(&cache.compile(key, wasm, functions)?)
}

fn loaded(code: &[u8]) -> Result<Component, Error> {
    load_bytes(code).map_err(|error| Error::Image(format!("it cannot be loaded: {error:#}")))
}

fn load_precompiled() -> wasmtime::Result<Component> {
    load_bytes(CWASM)
}

#[cfg(target_os = "linux")]
fn load_bytes(code: &[u8]) -> wasmtime::Result<Component> {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    // From a file, instances share the image's pages and copy only those they write to. This file has no
    // name another process could open, and its seals keep everybody from changing it.
    let file = memfd::MemfdOptions::default()
        .allow_sealing(true)
        .create("eryx-guest")?;
    file.as_file().write_all(code)?;
    file.add_seals(&[
        memfd::FileSeal::SealShrink,
        memfd::FileSeal::SealGrow,
        memfd::FileSeal::SealWrite,
        memfd::FileSeal::SealSeal,
    ])?;
    let path = format!("/proc/self/fd/{}", file.as_file().as_raw_fd());
    // SAFETY: `code`, and so the file, is what `Engine::precompile_component` made: when this program was
    // built, whose part it is, or later for this user, in a cache only this user can write to and whose digest
    // is checked when it is read. The seals above keep it as it is.
    unsafe { Component::deserialize_file(engine::engine()?, Path::new(&path)) }
}

#[cfg(not(target_os = "linux"))]
fn load_bytes(code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: as above.
    unsafe { Component::deserialize(engine::engine()?, code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trap: features of the build machine's processor baked into the machine code.
    #[test]
    fn the_machine_code_loads_on_the_plainest_processor_of_its_architecture() {
        let mut config = engine::baseline_config().expect("a compiler");
        // SAFETY: what is loaded is never run.
        unsafe { config.detect_host_feature(|_| Some(false)) };
        let plain = wasmtime::Engine::new(&config).expect("an engine");
        // SAFETY: as in `load_bytes`.
        unsafe { Component::deserialize(&plain, CWASM) }.expect("it asks for nothing special");
        // What is compiled for the processor at hand is refused there, wherever that one has more to offer.
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx") {
            let native = engine::engine()
                .expect("an engine")
                .precompile_component(b"\0asm\x0d\0\x01\0")
                .expect("compiled");
            // SAFETY: as above.
            let refused = unsafe { Component::deserialize(&plain, native) };
            let reason = format!("{:#}", refused.expect_err("refused"));
            assert!(reason.contains("not available on the host"), "{reason}");
        }
    }
}
