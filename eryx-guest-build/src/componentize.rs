//! Runs componentize-py, which links CPython with the shims and snapshots the initialised memory.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use eryx_guest_shims::{BuildInputs, EXTENSION_MODULES};

use crate::assemble::assemble;
use crate::native;

/// The programs that build an image.
#[derive(Debug, Clone, Copy)]
pub struct Tools<'a> {
    /// componentize-py, which links CPython.
    pub componentize_py: &'a Path,
    /// Zig, of which the C compiler is used.
    pub zig: &'a Path,
}

/// Returns the component that the programs of `tools` build from `inputs`.
///
/// # Errors
///
/// Fails when an extension module cannot be assembled or compiled, or componentize-py fails.
pub fn componentize(inputs: &BuildInputs, work_dir: &Path, tools: Tools<'_>) -> Result<Vec<u8>> {
    fs::create_dir_all(work_dir)
        .with_context(|| format!("cannot create {}", work_dir.display()))?;
    let staging =
        tempfile::tempdir_in(work_dir).context("cannot create a temporary build folder")?;
    let modules = staging.path().join("modules");
    fs::create_dir(&modules)?;
    for module in &EXTENSION_MODULES {
        assemble(inputs, module, &modules)?;
    }
    native::compile(inputs, tools.zig, staging.path(), &modules)?;
    let componentize_py = tools.componentize_py;
    let sources = staging.path().join("python");
    copy_sources(inputs, &sources)?;
    copy_time_zones(componentize_py, &sources)?;
    let wasm = staging.path().join("guest.wasm");
    let status = Command::new(componentize_py)
        .arg("--wit-path")
        .arg(inputs.wit())
        .args(["--world", "sandbox", "componentize", "_eryx_app", "--python-path"])
        .arg(&sources)
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

/// Copies the Python sources to `dir`. Pitfall: the build compiles them beside the sources, and a
/// second build that finds that bytecode makes another image of the same inputs.
fn copy_sources(inputs: &BuildInputs, dir: &Path) -> Result<()> {
    for path in inputs.files()? {
        if let Ok(name) = path.strip_prefix(inputs.python()) {
            let copy = dir.join(name);
            fs::create_dir_all(copy.parent().unwrap_or(dir))?;
            fs::copy(&path, &copy).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// Copies the package `tzdata`, which is installed beside `componentize_py`, to `dir`.
fn copy_time_zones(componentize_py: &Path, dir: &Path) -> Result<()> {
    let lib = componentize_py
        .parent()
        .and_then(Path::parent)
        .context("componentize-py is in no environment")?
        .join("lib");
    for version in fs::read_dir(&lib).with_context(|| format!("cannot read {}", lib.display()))? {
        let package = version?.path().join("site-packages/tzdata");
        if package.is_dir() {
            return copy_dir(&package, &dir.join("tzdata"));
        }
    }
    bail!(
        "the package tzdata is not installed in {}: remove that environment, so that the next build \
         makes it anew",
        lib.display()
    )
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let copy = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_dir(&path, &copy)?;
        } else {
            fs::copy(&path, &copy).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use eryx_guest_shims::BuildInputs;

    use super::copy_sources;

    #[test]
    fn sources_are_copied_without_bytecode_beside_them() {
        let dir = tempfile::tempdir().expect("created");
        let inputs = BuildInputs::at(&dir.path().join("workspace"));
        for folder in [
            inputs.wit(),
            inputs.builder(),
            inputs.linker().join("yield_points"),
            inputs.native(),
            inputs.python(),
        ] {
            fs::create_dir_all(folder).expect("created");
        }
        fs::create_dir(inputs.python().join("package")).expect("created");
        for name in ["app.py", "package/module.py", "package/module.pyc"] {
            fs::write(inputs.python().join(name), name).expect("written");
        }
        let copies = dir.path().join("copies");
        copy_sources(&inputs, &copies).expect("copied");
        let copy = fs::read_to_string(copies.join("package/module.py"));
        assert_eq!(copy.expect("copied"), "package/module.py");
        assert!(copies.join("app.py").is_file());
        assert!(!copies.join("package/module.pyc").exists());
    }
}
