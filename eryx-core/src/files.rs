//! The files of a guest: `wasi:filesystem` over a tree in memory. It never calls the kernel, so a
//! program holds no descriptor of the host, whichever files it opens.

mod bindings;
mod descriptor;
mod error;
mod filesystem;
mod stream;

use wasmtime::component::{HasSelf, Linker, Resource};

use crate::failure::Failure;
use crate::files::bindings::wasi::filesystem::{preopens, types};
use crate::files::descriptor::Descriptor;
use crate::store_state::StoreState;

/// The directory where a guest finds its packages.
pub(crate) const PACKAGES: &str = "/packages";

impl preopens::Host for StoreState {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let Some(tree) = self.packages.clone() else {
            return Ok(Vec::new());
        };
        match self.open(Descriptor::root(tree)) {
            Ok(root) => Ok(vec![(root, PACKAGES.to_owned())]),
            // This function has no error for the guest; the image's libc calls it only once.
            Err(Failure::Guest(error)) => Err(types::ErrorCode::from(error).into()),
            Err(Failure::Trap(error)) => Err(error),
        }
    }
}

/// Links the functions of `wasi:filesystem`, in place of those of wasmtime's WASI that are in the
/// linker.
pub(crate) fn add_to_linker(linker: &mut Linker<StoreState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    types::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| state)?;
    preopens::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| state)?;
    linker.allow_shadowing(false);
    Ok(())
}
