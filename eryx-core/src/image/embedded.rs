//! The image inside the program.

use std::sync::Arc;

use super::Image;
use sha2::{Digest, Sha256};

use super::cache::{Building, Cache, Use};
use super::code::Code;
use super::functions::Known;
#[cfg(feature = "embedded-machine-code")]
use super::refused;
use crate::Error;

/// The component.
pub(crate) static WASM: &[u8] = include_bytes!(env!("ERYX_GUEST_WASM"));
/// Its SHA-256 in hexadecimal.
pub(crate) static WASM_DIGEST: &str = env!("ERYX_GUEST_WASM_SHA256");
#[cfg(feature = "embedded-machine-code")]
pub(super) static CWASM: &[u8] = include_bytes!(env!("ERYX_GUEST_CWASM"));
static FUNCTIONS: &[u8] = include_bytes!(env!("ERYX_GUEST_FUNCTIONS"));

/// Load the machine code that was named or is embedded; if there is none or this machine or engine cannot take it,
/// compile the embedded component and keep the result in the user's cache.
pub(super) fn load() -> Result<Image, Error> {
    match prepared() {
        Ok(image) => Ok(image),
        // Compiling it would take longer, and more of what is missing.
        Err(missing @ Error::HostResource(_)) => Err(missing),
        Err(reason) => {
            tracing::warn!(target: "eryx::image", %reason, "compiling the guest image anew");
            let (_, readable) = super::readable(WASM)?;
            let cache = Cache::open(None);
            let key = format!("{:x}", Sha256::digest(&readable));
            match load_cached(&cache, &key)? {
                Some(image) => Ok(image),
                None => load_or_copy(&cache, &key, cache.compile(&key, &readable, None, None)?),
            }
        }
    }
}

#[allow(unsafe_code, reason = "loading machine code; see the block")]
fn prepared() -> Result<Image, Error> {
    if let Some(path) = super::MACHINE_CODE.get() {
        // SAFETY: whoever named the file vouched for it.
        let code = unsafe { Code::open(path) };
        return Image::load(code.map_err(|error| {
            let what = format!("{} cannot be read", path.display());
            Error::image(what, &error)
        })?);
    }
    #[cfg(feature = "embedded-machine-code")]
    return Image::load(Code::seal(CWASM).map_err(|error| refused(&error))?);
    #[cfg(not(feature = "embedded-machine-code"))]
    Err(Error::Image("it has no machine code".to_owned()))
}

/// What `cache` holds under `key`.
pub(super) fn load_cached(cache: &Cache, key: &str) -> Result<Option<Image>, Error> {
    match cache.find(key, Use::InPlace)? {
        Some(code) => load_or_copy(cache, key, code).map(Some),
        None => Ok(None),
    }
}

/// Compile `wasm`, a snapshot of the image made by this process, and keep it in `cache` under `key`.
pub(super) fn compile(
    cache: &Cache,
    key: &str,
    wasm: &[u8],
    building: Option<Building>,
) -> Result<Image, Error> {
    let functions = match Known::from_bytes(FUNCTIONS) {
        Ok(functions) => Some(Arc::new(functions) as _),
        Err(reason) => {
            tracing::warn!(target: "eryx::image", %reason, "compiling every function anew");
            None
        }
    };
    load_or_copy(cache, key, cache.compile(key, wasm, functions, building)?)
}

/// Loads `code`; if that fails, a copy in memory of what `cache` holds under `key`: there are more reasons for a system not to
/// run what is in a file than can be asked for before.
fn load_or_copy(cache: &Cache, key: &str, code: Code) -> Result<Image, Error> {
    Image::load(code).or_else(|reason| match cache.find(key, Use::Copied)? {
        Some(copy) => {
            tracing::warn!(target: "eryx::image", %reason, "the machine code is not used where it is, but copied");
            Image::load(copy)
        }
        None => Err(reason),
    })
}
