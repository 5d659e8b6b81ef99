//! An image in one engine, linked with the host functions and ready to be instantiated.

use wasmtime::component::{Component, HasSelf, Instance, InstancePre, Linker};
use wasmtime::{Engine, Store};

use crate::bindings::{Sandbox as Guest, SandboxIndices};
use crate::error::{Error, ImageError};
use crate::imports::{filesystem, functions, key_derivation, net};
use crate::store_state::StoreState;

/// The import that the yield points of an image call.
const YIELD_IMPORT: &str = "yield-now";

/// An image linked with the host functions.
pub(crate) struct PrelinkedImage {
    pre: InstancePre<StoreState>,
    indices: SandboxIndices,
}

impl PrelinkedImage {
    pub(super) fn new(component: &Component) -> Result<Self, Error> {
        check_yields(component)?;
        let prelinked = linker(component.engine()).and_then(|linker| {
            let pre = linker.instantiate_pre(component)?;
            let indices = SandboxIndices::new(&pre)?;
            Ok(Self { pre, indices })
        });
        prelinked.map_err(|error| {
            ImageError::caused_by("it was made for another version of Eryx", error).into()
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.pre.engine()
    }

    /// Makes an instance. Returns the exports that the host calls, and the instance.
    pub(crate) async fn instantiate(
        &self,
        store: &mut Store<StoreState>,
    ) -> wasmtime::Result<(Guest, Instance)> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        Ok((self.indices.load(&mut *store, &instance)?, instance))
    }
}

/// Rejects an image without yield points: it could run for ever without yielding.
fn check_yields(component: &Component) -> Result<(), ImageError> {
    let ty = component.component_type();
    if ty
        .imports(component.engine())
        .any(|(name, _)| name == YIELD_IMPORT)
    {
        return Ok(());
    }
    Err(ImageError::new(format!(
        "its code does not yield to the host: it imports no function `{YIELD_IMPORT}`. Images are \
         made by `cargo xtask build-guest`"
    )))
}

/// Returns a linker with every import that an image may have.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<StoreState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    filesystem::add_to_linker(&mut linker)?;
    Guest::add_to_linker_imports::<_, HasSelf<StoreState>>(&mut linker, |state| state)?;
    net::add_to_linker(&mut linker)?;
    functions::add_to_linker(&mut linker)?;
    key_derivation::add_to_linker(&mut linker)?;
    Ok(linker)
}
