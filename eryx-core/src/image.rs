//! The guest image: its machine code, made ahead of time or here.

use std::sync::{Arc, OnceLock};

use wasmtime::CacheStore;
use wasmtime_wizer::{ComponentContext, Wizer};

use crate::Error;
use crate::engine;
use crate::engine::compiling::with_threads;
use crate::host_resource::HostResourceError;
use crate::process_lock::ProcessLock;

use code::Code;
pub(crate) use linked::Linked;

#[cfg_attr(
    not(feature = "embedded-image"),
    allow(dead_code, reason = "nothing to keep")
)]
mod cache;
mod code;
mod counted;
#[cfg(feature = "embedded-image")]
mod embedded;
mod functions;
mod linked;

/// The guest image's machine code.
#[derive(Debug)]
pub struct PrecompiledImage {
    /// Of the whole image, to be loaded.
    pub whole: Vec<u8>,
    /// Of each function by itself, compressed: what a [`SandboxFactory`](crate::SandboxFactory) makes of the image has
    /// nearly all of them unchanged.
    pub functions: Vec<u8>,
}

/// Compile the guest image for any processor of this machine's architecture, with the functions that let a
/// [`SandboxFactory`](crate::SandboxFactory) read the state of an instance.
///
/// # Errors
///
/// [`Error::Image`] when `wasm` is not a component the engine takes.
pub fn precompile(wasm: &[u8]) -> Result<PrecompiledImage, Error> {
    let (_, readable) = readable(wasm)?;
    let functions = Arc::new(functions::Collected::default());
    let whole = compiled(&readable, Some(Arc::clone(&functions) as _))?;
    Ok(PrecompiledImage {
        whole,
        functions: functions.to_bytes(),
    })
}

/// Where the machine code of the embedded image is, if it is not inside the program.
#[cfg(feature = "embedded-image")]
static MACHINE_CODE: OnceLock<std::path::PathBuf> = OnceLock::new();

/// Have the machine code of the embedded image mapped from the file at `path`, which every process that does so shares.
/// It has no effect once the image is loaded, or another file was named.
///
/// A file that cannot be read, or was made for another compiler, is passed over: the image is compiled and cached.
///
/// # Safety
///
/// The file has to be what `cargo xtask build-guest` left in `target/guest/eryx-guest.cwasm` when this program was built,
/// and has to stay as it is while the program runs: it holds code, and nothing checks it. Put it where only those can
/// write who may replace the program.
#[cfg(feature = "embedded-image")]
#[allow(unsafe_code, reason = "what it names is going to be run")]
pub unsafe fn set_precompiled_path(path: std::path::PathBuf) {
    let _ = MACHINE_CODE.set(path);
}

/// The component with added functions that return what its memories, globals and tables hold, and what there is
/// to know about the component to make another one of that.
pub(crate) fn readable(wasm: &[u8]) -> Result<(ComponentContext<'_>, Vec<u8>), Error> {
    Wizer::new()
        .instrument_component(wasm)
        .map_err(|error| Error::Image(format!("its state cannot be read: {error:#}")))
}

/// The machine code of exactly this component, with what is in `functions` taken from there.
fn compiled(wasm: &[u8], functions: Option<Arc<dyn CacheStore>>) -> Result<Vec<u8>, Error> {
    with_threads(|threads| {
        engine::baseline(functions, threads)?
            .precompile_component(wasm)
            .map_err(|error| Error::image("it does not compile", &error))
    })
}

/// Names the compiler and settings [`precompile`] uses. Machine code made under another name has to be
/// made again.
///
/// # Errors
///
/// [`Error::Image`] when there is no compiler for this machine.
pub fn engine_fingerprint() -> Result<String, Error> {
    // The name of the preparation says that the state of an instance can be read.
    Ok(format!("{}-readable", engine::fingerprint()?))
}

pub(crate) use cache::{Building, Cache};

#[cfg(feature = "embedded-image")]
pub(crate) use embedded::{WASM as EMBEDDED_COMPONENT, WASM_DIGEST as EMBEDDED_DIGEST};

/// The component inside this program: none, and nobody gets as far as reading it.
#[cfg(not(feature = "embedded-image"))]
pub(crate) static EMBEDDED_COMPONENT: &[u8] = &[];
/// Its digest: none.
#[cfg(not(feature = "embedded-image"))]
pub(crate) static EMBEDDED_DIGEST: &str = "";

/// The guest image, for as many engines as it is wanted in.
#[derive(Clone)]
pub(crate) struct Image {
    engines: Arc<Engines>,
}

struct Engines {
    code: Code,
    /// In the pool, unless there is none or the image is not made for it.
    pooled: Option<Linked>,
    plain: OnceLock<Linked>,
}

impl Image {
    /// The image this program carries, loaded once.
    #[cfg(feature = "embedded-image")]
    pub(crate) fn embedded() -> Result<Self, Error> {
        static IMAGE: OnceLock<Image> = OnceLock::new();
        static LOADING: ProcessLock = ProcessLock::new();
        if let Some(image) = IMAGE.get() {
            return Ok(image.clone());
        }
        let _loading = LOADING.take();
        if let Some(image) = IMAGE.get() {
            return Ok(image.clone());
        }
        // What failed is tried again by the next: descriptors or memory may have been missing.
        let image = embedded::load()?;
        Ok(IMAGE.get_or_init(|| image).clone())
    }

    /// The image this program carries: none.
    #[cfg(not(feature = "embedded-image"))]
    pub(crate) fn embedded() -> Result<Self, Error> {
        Err(Error::Image(
            "this program carries none; build it with eryx-core's feature `embedded-image`"
                .to_owned(),
        ))
    }

    /// Compile `wasm` for this machine and link it. It may be larger than the places of the pool.
    pub(crate) fn compile(wasm: &[u8]) -> Result<Self, Error> {
        counted::check(wasm).map_err(|refused| Error::Image(refused.to_string()))?;
        let code = with_threads(|threads| {
            engine::native(threads)?
                .precompile_component(wasm)
                .map_err(|error| Error::image("it does not compile", &error))
        })?;
        let code = Code::seal(&code).map_err(|error| refused(&error))?;
        let image = Self::of(code, None);
        image.plain()?;
        Ok(image)
    }

    /// A snapshot of the embedded image that `cache` holds under `key`.
    #[cfg(feature = "embedded-image")]
    pub(crate) fn cached_snapshot(cache: &Cache, key: &str) -> Result<Option<Self>, Error> {
        embedded::load_cached(cache, key)
    }

    /// Compile a snapshot of the embedded image and keep it in `cache` under `key`, in the file that was begun for it.
    #[cfg(feature = "embedded-image")]
    pub(crate) fn compile_snapshot(
        cache: &Cache,
        key: &str,
        wasm: &[u8],
        building: Option<Building>,
    ) -> Result<Self, Error> {
        embedded::compile(cache, key, wasm, building)
    }

    /// A snapshot of the embedded image: there is none.
    #[cfg(not(feature = "embedded-image"))]
    pub(crate) fn cached_snapshot(_cache: &Cache, _key: &str) -> Result<Option<Self>, Error> {
        Self::embedded().map(Some)
    }

    /// Compile a snapshot of the embedded image: there is none.
    #[cfg(not(feature = "embedded-image"))]
    pub(crate) fn compile_snapshot(
        _cache: &Cache,
        _key: &str,
        wasm: &[u8],
        _building: Option<Building>,
    ) -> Result<Self, Error> {
        Self::compile(wasm)
    }

    /// Load and link `code`.
    #[cfg(feature = "embedded-image")]
    fn load(code: Code) -> Result<Self, Error> {
        let pooled = engine::pooled().and_then(|engine| {
            let component = code.load(engine).map_err(|error| refused(&error));
            component
                .and_then(|component| Linked::of(&component))
                .inspect_err(|reason| {
                    tracing::debug!(target: "eryx::image", %reason, "it is not pooled");
                })
                .ok()
        });
        let image = Self::of(code, pooled);
        if image.pooled().is_none() {
            image.plain()?;
        }
        Ok(image)
    }

    fn of(code: Code, pooled: Option<Linked>) -> Self {
        Self {
            engines: Arc::new(Engines {
                code,
                pooled,
                plain: OnceLock::new(),
            }),
        }
    }

    /// Checks that its descriptors were not closed.
    pub(crate) fn check(&self) -> Result<(), HostResourceError> {
        self.engines.code.check()
    }

    /// For instances in the pool, if there can be any.
    pub(crate) fn pooled(&self) -> Option<&Linked> {
        self.engines.pooled.as_ref()
    }

    /// For instances with memory of their own; linked when the first is made.
    pub(crate) fn plain(&self) -> Result<&Linked, Error> {
        static LINKING: ProcessLock = ProcessLock::new();
        let plain = &self.engines.plain;
        if let Some(linked) = plain.get() {
            return Ok(linked);
        }
        let _linking = LINKING.take();
        if let Some(linked) = plain.get() {
            return Ok(linked);
        }
        let component = self.engines.code.load(engine::plain()?);
        let linked = Linked::of(&component.map_err(|error| refused(&error))?)?;
        Ok(plain.get_or_init(|| linked))
    }
}

/// Machine code that cannot be loaded.
fn refused(error: &wasmtime::Error) -> Error {
    Error::image("it cannot be loaded", error)
}
