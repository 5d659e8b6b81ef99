//! An image in an engine.

use wasmtime::component::{Component, HasSelf, Instance as Exports, InstancePre, Linker};
use wasmtime::{Engine, Store};

use crate::Error;
use crate::bindings::{Sandbox as Guest, SandboxIndices};
use crate::files;
use crate::store_state::Host;
use crate::net;

/// An image ready to be instantiated, with the host's side linked.
pub(crate) struct Linked {
    pre: InstancePre<Host>,
    exports: SandboxIndices,
}

impl Linked {
    pub(super) fn of(component: &Component) -> Result<Self, Error> {
        gives_way(component)?;
        let linked = linker(component.engine()).and_then(|linker| {
            let pre = linker.instantiate_pre(component)?;
            let exports = SandboxIndices::new(&pre)?;
            Ok(Self { pre, exports })
        });
        linked.map_err(|error| {
            Error::Image(format!(
                "it was made for another version of this host: {error:#}"
            ))
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.pre.engine()
    }

    /// Make an instance: what the host calls of it, and all it exports.
    pub(crate) async fn instantiate(
        &self,
        store: &mut Store<Host>,
    ) -> wasmtime::Result<(Guest, Exports)> {
        let exports = self.pre.instantiate_async(&mut *store).await?;
        Ok((self.exports.load(&mut *store, &exports)?, exports))
    }
}

/// Refuse an image whose code would never let go of the processor.
fn gives_way(component: &Component) -> Result<(), Error> {
    let ty = component.component_type();
    if ty
        .imports(component.engine())
        .any(|(name, _)| name == YIELD_IMPORT)
    {
        return Ok(());
    }
    Err(Error::Image(format!(
        "its code does not give way to the host: it imports no function `{YIELD_IMPORT}`. Images are made by `cargo xtask \
         build-guest`"
    )))
}

/// What the code of an image calls when it has run for a while.
const YIELD_IMPORT: &str = "yield-now";

/// Everything an image may import.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    files::add_to_linker(&mut linker)?;
    Guest::add_to_linker_imports::<_, HasSelf<Host>>(&mut linker, |host| host)?;
    net::add_to_linker(&mut linker)?;
    Ok(linker)
}
