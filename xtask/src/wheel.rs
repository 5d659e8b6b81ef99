//! `wheel`: builds the Python package as a wheel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use eryx_guest_shims::{BuildInputs, GuestImage};

use crate::build_guest;
use crate::command;
use crate::native::KnownWheels;
use crate::progress::Progress;
use crate::sbom;
use crate::selections::WORKSPACE_FEATURES;
use crate::venv::{self, Venv};
use crate::workspace;

/// Imports the package several times, each in a new process, and prints the median duration.
const TIME_IMPORT: &str = "
import statistics, subprocess, sys
program = 'import time; t = time.perf_counter(); import eryx; print((time.perf_counter() - t) * 1e3)'
times = [float(subprocess.check_output([sys.executable, '-c', program])) for _ in range(5)]
print('%.1f' % statistics.median(times))
";

/// How a wheel is built.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// With the release profile.
    pub(crate) release: bool,
    /// For every Linux with glibc 2.17 or newer, with Zig as the C compiler and linker.
    pub(crate) manylinux: bool,
}

/// The oldest platform that a wheel for many systems supports: glibc 2.17.
const MANYLINUX: &str = "manylinux2014";

/// Builds the guest image if necessary, and the wheel. Returns the wheel's path.
pub(crate) fn run(options: Options) -> Result<PathBuf> {
    let mut progress = Progress::new(build_guest::STEPS + 1);
    build_guest::build(&mut progress, false)?;
    progress.step("building the wheel");
    let wheel = build(options)?;
    progress.done();
    Ok(wheel)
}

/// Builds the wheel into target/wheels, and prints its size and how long its import takes. Returns
/// its path. The guest image must be up to date.
pub(crate) fn build(options: Options) -> Result<PathBuf> {
    let root = workspace::root();
    let tools = Venv::ensure(
        &root.join("target/wheel-tools"),
        &root.join("xtask/wheel-tools.txt"),
    )?;
    let dir = root.join("target/wheels");
    // An older wheel in the folder could be taken for the new one.
    for wheel in our_wheels(&dir)? {
        fs::remove_file(&wheel).with_context(|| format!("cannot remove {}", wheel.display()))?;
    }
    let code = root.join("eryx-python/python/eryx/eryx-guest.cwasm");
    fs::copy(GuestImage::of(&BuildInputs::of_workspace()).cwasm(), &code)
        .with_context(|| format!("cannot write {}", code.display()))?;
    carry_native_wheels(options)?;
    fs::write(root.join("eryx-python/eryx.cdx.json"), sbom::of_wheel()?)
        .context("cannot write the SBOM")?;
    let mut maturin = Command::new(tools.program("maturin"));
    maturin
        .args(["build", "--manifest-path"])
        .arg(root.join("eryx-python/Cargo.toml"))
        .arg("--interpreter")
        .arg(tools.python())
        .arg("--out")
        .arg(&dir)
        .current_dir(root);
    if options.manylinux {
        let inputs = BuildInputs::of_workspace();
        let zig = Venv::ensure(&inputs.image_dir().join("tools"), &inputs.requirements())?;
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        maturin
            .args(["--zig", "--compatibility", MANYLINUX, "--target", &target])
            .env("CARGO_ZIGBUILD_ZIG_PATH", zig.program("python-zig"));
    }
    if options.release {
        maturin.args(["--profile", "release"]);
    } else {
        maturin.args(["--profile", "dev", "--features", WORKSPACE_FEATURES]);
    }
    command::run(&mut maturin)?;
    let wheel = our_wheels(&dir)?
        .pop()
        .with_context(|| format!("maturin left no wheel in {}", dir.display()))?;
    let size = fs::metadata(&wheel)?.len();
    let trial = Venv::empty(&root.join("target/wheel-trial"))?;
    trial.install(&wheel)?;
    let import = command::output(Command::new(trial.python()).args(["-c", TIME_IMPORT]))?;
    println!(
        "{}: {:.1} MB, imported in {} ms",
        wheel.display(),
        size as f64 / 1e6,
        import.trim()
    );
    Ok(wheel)
}

/// Copies the native wheels that factories know to the folder in which the package carries them.
///
/// # Errors
///
/// Fails if one is missing in a wheel for many systems, which is to be published.
fn carry_native_wheels(options: Options) -> Result<()> {
    let folder = native_wheels();
    venv::remove_dir(&folder)?;
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let known = KnownWheels::read()?;
    let (built, missing) = known.built()?;
    for wheel in &built {
        fs::copy(wheel, folder.join(wheel.file_name().unwrap_or_default()))?;
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    ensure!(
        !(options.release && options.manylinux),
        "the wheel would lack {missing}: `cargo xtask native` builds them"
    );
    println!("the wheel does not carry {missing}: `cargo xtask native` builds them");
    Ok(())
}

/// Returns the folder in which the package carries native wheels, which may not exist.
pub(crate) fn native_wheels() -> PathBuf {
    workspace::root().join("eryx-python/python/eryx/native")
}

/// Returns the wheels of the package in `dir`, which may not exist.
fn our_wheels(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut wheels = venv::wheels(dir)?;
    wheels.retain(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("eryx_sandbox-"))
    });
    Ok(wheels)
}
