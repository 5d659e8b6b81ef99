//! The files that a guest reads: `wasi:filesystem` over a tree in memory. Nothing here asks the kernel, so a program holds no
//! descriptor of the host, whatever it opens.

mod descriptor;
mod stream;
mod tree;

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTableError};

use crate::store_state::Host;

#[allow(unreachable_pub, reason = "what `bindgen!` makes names them in public")]
pub use descriptor::{Descriptor, DirectoryEntries};
pub(crate) use tree::{Tree, TreeError};

use bindings::wasi::filesystem::{preopens, types};
use types::ErrorCode;

/// Where a guest finds its packages.
pub(crate) const PACKAGES: &str = "/packages";

/// The most files and folders a program may hold open at once.
const MAX_OPEN: usize = 64;

mod bindings {
    #![allow(missing_docs, reason = "WASI documents these")]

    wasmtime::component::bindgen!({
        path: "src/files/wasi.wit",
        world: "eryx:files/imports",
        imports: { default: trappable },
        // The streams of `wasi:io` ask for it.
        require_store_data_send: true,
        with: {
            "wasi:io/error": wasmtime_wasi::p2::bindings::io::error,
            "wasi:io/streams": wasmtime_wasi::p2::bindings::io::streams,
            "wasi:clocks/wall-clock": wasmtime_wasi::p2::bindings::clocks::wall_clock,
            "wasi:filesystem/types.descriptor": crate::files::Descriptor,
            "wasi:filesystem/types.directory-entry-stream": crate::files::DirectoryEntries,
        },
        trappable_error_type: {
            "wasi:filesystem/types.error-code" => crate::files::Failure,
        },
    });
}

/// The files of one guest.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// What lies at [`PACKAGES`].
    packages: Option<Arc<Tree>>,
    /// How many files and folders the guest holds open.
    open: usize,
}

impl Files {
    /// Returns the files of a guest that sees `packages`, and nothing else.
    pub(crate) fn new(packages: Option<&Arc<Tree>>) -> Self {
        Self {
            packages: packages.cloned(),
            open: 0,
        }
    }
}

impl Host {
    /// Gives the guest a handle, unless it holds as many as it may.
    fn open(&mut self, descriptor: Descriptor) -> Result<Resource<Descriptor>, Failure> {
        if self.files.open >= MAX_OPEN {
            return Err(TOO_MANY.into());
        }
        let handle = self.table.push(descriptor)?;
        self.files.open += 1;
        Ok(handle)
    }
}

/// What a program is told that holds too many files: WASI 0.2 has no EMFILE, and this is EDQUOT.
const TOO_MANY: ErrorCode = ErrorCode::Quota;

/// How a function of `wasi:filesystem` fails: in a way the guest is told of, or in a way that ends the guest.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the file system.
    Code(ErrorCode),
    /// A handle the guest does not own.
    Trap(wasmtime::Error),
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        match error {
            ResourceTableError::Full => TOO_MANY.into(),
            other => Self::Trap(other.into()),
        }
    }
}

impl preopens::Host for Host {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let Some(tree) = self.files.packages.clone() else {
            return Ok(Vec::new());
        };
        match self.open(Descriptor::root(tree)) {
            Ok(root) => Ok(vec![(root, PACKAGES.to_owned())]),
            // There is no error for this call; the library of the image makes it once.
            Err(Failure::Code(code)) => Err(code.into()),
            Err(Failure::Trap(error)) => Err(error),
        }
    }
}

/// Links what an image imports of `wasi:filesystem`, in the place of what the linker has for it.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    types::add_to_linker::<_, HasSelf<Host>>(linker, |host| host)?;
    preopens::add_to_linker::<_, HasSelf<Host>>(linker, |host| host)?;
    linker.allow_shadowing(false);
    Ok(())
}
