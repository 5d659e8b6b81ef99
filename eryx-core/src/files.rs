//! The files of a guest: `wasi:filesystem` over the file system of `eryx-files`, in memory. It
//! calls the kernel only for files and directories of the machine that the embedder adds, so a
//! program holds no descriptor of the host otherwise, whichever files it opens.

mod bindings;
mod changed;
mod descriptor;
mod devices;
mod error;
mod filesystem;
mod layout;
mod session;
mod start;
mod start_error;
mod stream;

pub use changed::{ChangedFiles, ReadError};
pub use session::{SessionFiles, SessionFilesError};
pub use start::{Files, MountAccess};
pub use start_error::FilesError;

pub(crate) use descriptor::SharedFiles;
pub(crate) use layout::{MODIFIED, PACKAGES, with_packages, without_packages};

use wasmtime::component::{HasSelf, Linker, Resource};

use crate::failure::Failure;
use crate::files::bindings::wasi::filesystem::{preopens, types};
use crate::files::descriptor::Descriptor;
use crate::store_state::StoreState;

impl preopens::Host for StoreState {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let root = self.files.lock().open_root();
        match root.map_err(Failure::Guest).and_then(|id| self.hold(id)) {
            Ok(root) => Ok(vec![(root, "/".to_owned())]),
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
