#![allow(unsafe_code, reason = "loading machine code; see each block")]
//! The image inside the program. The one place with `unsafe`: loading machine code.

use std::path::Path;

use wasmtime::component::Component;

use super::cache;
use crate::Error;
use crate::engine;

static WASM: &[u8] = include_bytes!(env!("ERYX_GUEST_WASM"));
static CWASM: &[u8] = include_bytes!(env!("ERYX_GUEST_CWASM"));

/// Load the embedded machine code; if this machine or engine cannot take it, compile the embedded
/// component and keep the result in the user's cache.
pub(super) fn load() -> Result<Component, Error> {
    match load_precompiled() {
        Ok(component) => Ok(component),
        Err(reason) => {
            tracing::warn!(target: "eryx::image", %reason, "compiling the guest image anew");
            let code = cache::machine_code(WASM)?;
            load_bytes(&code)
                .map_err(|error| Error::Image(format!("it cannot be loaded: {error:#}")))
        }
    }
}

#[cfg(target_os = "linux")]
fn load_precompiled() -> wasmtime::Result<Component> {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    // From a file, instances share the image's pages and copy only those they write to. This file has no
    // name another process could open, and its seals keep everybody from changing it.
    let file = memfd::MemfdOptions::default()
        .allow_sealing(true)
        .create("eryx-guest")?;
    file.as_file().write_all(CWASM)?;
    file.add_seals(&[
        memfd::FileSeal::SealShrink,
        memfd::FileSeal::SealGrow,
        memfd::FileSeal::SealWrite,
        memfd::FileSeal::SealSeal,
    ])?;
    let path = format!("/proc/self/fd/{}", file.as_file().as_raw_fd());
    // SAFETY: the file holds exactly the bytes `Engine::precompile_component` made when this program was
    // built: the build script checks their digest, they are part of the program, and the seals above keep
    // them as they are.
    unsafe { Component::deserialize_file(engine::engine()?, Path::new(&path)) }
}

#[cfg(not(target_os = "linux"))]
fn load_precompiled() -> wasmtime::Result<Component> {
    load_bytes(CWASM)
}

fn load_bytes(code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` is what `Engine::precompile_component` made, either when this program was built or
    // just now or earlier by this user, from a cache only this user can write to and whose digest
    // `cache::machine_code` has checked.
    unsafe { Component::deserialize(engine::engine()?, code) }
}
