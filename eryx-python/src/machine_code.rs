//! Where the package keeps the machine code of the guest image.
#![allow(unsafe_code, reason = "naming machine code; see the block")]

use std::path::PathBuf;

use pyo3::pyfunction;

/// Called once, by the package itself.
#[pyfunction]
#[pyo3(name = "_use_machine_code")]
pub(crate) fn set_precompiled_path(path: PathBuf) {
    // SAFETY: the file was put beside this library when both were built and is installed along with it; whoever can
    // write to it can write to the library.
    unsafe { eryx::image::set_precompiled_path(path) }
}
