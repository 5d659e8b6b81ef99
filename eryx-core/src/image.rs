//! The guest image: its machine code, made ahead of time or here.

use wasmtime::component::{Component, Linker};

use crate::Error;
use crate::bindings::SandboxPre;
use crate::engine;
use crate::host::Host;
use crate::net;

#[cfg(feature = "embedded")]
mod cache;
#[cfg(feature = "embedded")]
mod embedded;

/// Compile a component for any processor of this machine's architecture.
///
/// # Errors
///
/// [`Error::Image`] when `wasm` is not a component the engine takes.
pub fn precompile(wasm: &[u8]) -> Result<Vec<u8>, Error> {
    engine::baseline()?
        .precompile_component(wasm)
        .map_err(|error| Error::Image(format!("it does not compile: {error:#}")))
}

/// Names the compiler and settings [`precompile`] uses. Machine code made under another name has to be
/// made again.
///
/// # Errors
///
/// [`Error::Image`] when there is no compiler for this machine.
pub fn engine_fingerprint() -> Result<String, Error> {
    engine::fingerprint()
}

/// An image ready to be instantiated, with the host's side linked.
#[derive(Clone)]
pub(crate) struct Image {
    pre: SandboxPre<Host>,
}

impl Image {
    /// The image this program carries, loaded once.
    #[cfg(feature = "embedded")]
    pub(crate) fn embedded() -> Result<Self, Error> {
        use std::sync::OnceLock;
        static IMAGE: OnceLock<Result<Image, String>> = OnceLock::new();
        IMAGE
            .get_or_init(|| {
                let component = embedded::load().map_err(|error| error.to_string())?;
                Self::link(&component).map_err(|error| error.to_string())
            })
            .clone()
            .map_err(Error::Image)
    }

    /// The image this program carries: none.
    #[cfg(not(feature = "embedded"))]
    pub(crate) fn embedded() -> Result<Self, Error> {
        Err(Error::Image(
            "this program carries none; build it with eryx-core's feature `embedded`".to_owned(),
        ))
    }

    /// Compile `wasm` for this machine and link it.
    pub(crate) fn compile(wasm: &[u8]) -> Result<Self, Error> {
        let component = Component::from_binary(engine::engine()?, wasm)
            .map_err(|error| Error::Image(format!("it does not compile: {error:#}")))?;
        Self::link(&component)
    }

    pub(crate) fn pre(&self) -> &SandboxPre<Host> {
        &self.pre
    }

    fn link(component: &Component) -> Result<Self, Error> {
        let mut linker = Linker::new(component.engine());
        let linked = wasmtime_wasi::p2::add_to_linker_async(&mut linker)
            .and_then(|()| net::add_to_linker(&mut linker))
            .and_then(|()| SandboxPre::new(linker.instantiate_pre(component)?));
        match linked {
            Ok(pre) => Ok(Self { pre }),
            Err(error) => Err(Error::Image(format!(
                "it was made for another version of this host: {error:#}"
            ))),
        }
    }
}
