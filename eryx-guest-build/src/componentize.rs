//! Runs componentize-py, which links CPython with the shims and snapshots the initialised memory.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use eryx_guest_shims::{BuildInputs, EXTENSION_MODULES};

use crate::assemble::assemble;

/// Returns the component that the program `componentize_py` builds from `inputs`.
///
/// # Errors
///
/// Fails when an extension module cannot be assembled, or componentize-py fails.
pub fn componentize(
    inputs: &BuildInputs,
    work_dir: &Path,
    componentize_py: &Path,
) -> Result<Vec<u8>> {
    fs::create_dir_all(work_dir)
        .with_context(|| format!("cannot create {}", work_dir.display()))?;
    let staging =
        tempfile::tempdir_in(work_dir).context("cannot create a temporary build folder")?;
    let modules = staging.path().join("modules");
    fs::create_dir(&modules)?;
    for module in &EXTENSION_MODULES {
        assemble(inputs, module, &modules)?;
    }
    let wasm = staging.path().join("guest.wasm");
    let status = Command::new(componentize_py)
        .arg("--wit-path")
        .arg(inputs.wit())
        .args(["--world", "sandbox", "componentize", "app", "--python-path"])
        .arg(inputs.python())
        .arg("--python-path")
        .arg(&modules)
        .arg("--output")
        .arg(&wasm)
        // The image must not depend on the environment of the build.
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME")
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", componentize_py.display()))?;
    ensure!(status.success(), "componentize-py ended with {status}");
    fs::read(&wasm).context("componentize-py left no component")
}
