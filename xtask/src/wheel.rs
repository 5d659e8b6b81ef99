//! `wheel`: the Python package, as a file that pip installs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use eryx_guest_shims::{GuestImage, Recipe};

use crate::guest;
use crate::process;
use crate::python::Venv;

/// Imports the package a few times, each in a process of its own, and prints the median of how long it took.
const TIME_IMPORT: &str = "
import statistics, subprocess, sys
program = 'import time; t = time.perf_counter(); import eryx; print((time.perf_counter() - t) * 1e3)'
times = [float(subprocess.check_output([sys.executable, '-c', program])) for _ in range(5)]
print('%.1f' % statistics.median(times))
";

/// Build the wheel into target/wheels and say how large it is and how long importing it takes. Returns its path.
pub(crate) fn build(release: bool) -> Result<PathBuf> {
    guest::build(false)?;
    let recipe = Recipe::of_workspace();
    let root = recipe.root();
    let tools = Venv::ensure(
        &root.join("target/wheel-tools"),
        &root.join("xtask/wheel-tools.txt"),
    )?;
    let wheels = root.join("target/wheels");
    remove_wheels(&wheels)?;
    let code = root.join("eryx-python/python/eryx/eryx-guest.cwasm");
    fs::copy(GuestImage::of(&recipe).cwasm(), &code)
        .with_context(|| format!("cannot write {}", code.display()))?;
    process::run(
        Command::new(tools.program("maturin"))
            .args(["build", "--quiet", "--manifest-path"])
            .arg(root.join("eryx-python/Cargo.toml"))
            .args(["--profile", if release { "release" } else { "dev" }])
            .arg("--interpreter")
            .arg(tools.python())
            .arg("--out")
            .arg(&wheels)
            .current_dir(root),
    )?;
    let wheel = the_wheel(&wheels)?;
    let size = fs::metadata(&wheel)?.len();
    let trial = Venv::fresh(&root.join("target/wheel-trial"))?;
    trial.install(&wheel)?;
    let import = process::output(Command::new(trial.python()).args(["-c", TIME_IMPORT]))?;
    println!(
        "{}: {:.1} MB, imported in {} ms",
        wheel.display(),
        size as f64 / 1e6,
        import.trim()
    );
    Ok(wheel)
}

/// An older wheel left in place could be taken for the new one.
fn remove_wheels(dir: &Path) -> Result<()> {
    for path in wheels_in(dir)? {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

fn the_wheel(dir: &Path) -> Result<PathBuf> {
    wheels_in(dir)?
        .pop()
        .with_context(|| format!("maturin left no wheel in {}", dir.display()))
}

fn wheels_in(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("eryx-") && name.ends_with(".whl") {
            found.push(path);
        }
    }
    Ok(found)
}
