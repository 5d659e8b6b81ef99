//! `bench`: measures sandboxes against this machine's own interpreter and against pyeryx.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use eryx_guest_shims::{BuildInputs, GuestImage};

use crate::command::{self, cargo};
use crate::find_python::Interpreter;
use crate::venv::{self, Venv};
use crate::wheel;
use crate::workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// How often each benchmark runs
    #[arg(long, value_name = "N", default_value_t = 20)]
    rounds: u32,
    /// Two rounds, to check that everything runs
    #[arg(long, conflicts_with = "write")]
    quick: bool,
    /// Groups of the table, instead of all
    #[arg(long, num_args = 1.., value_name = "GROUP", conflicts_with = "write")]
    groups: Vec<String>,
    /// Measure a development build, which compiles faster and runs slower
    #[arg(long, conflicts_with = "write")]
    dev: bool,
    /// Write the table to docs/performance.md
    #[arg(long)]
    write: bool,
}

/// Builds the subjects of the benchmarks and runs them.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root();
    let wheel = wheel::run(wheel::Options {
        release: !options.dev,
        ..wheel::Options::default()
    })?;
    let servers = build_servers()?;
    let interpreter = Interpreter::newest()?;
    let work = root.join("target/bench");
    let libraries = work.join("libraries");

    let native = Venv::empty_with(&interpreter.path, &work.join("native"))?;
    native.download(&root.join("eryx-python/tests/libraries.txt"), &libraries)?;
    native.install_all(&venv::wheels(&libraries)?)?;
    let eryx = Venv::empty_with(&interpreter.path, &work.join("eryx"))?;
    eryx.install(&wheel)?;

    let mut harness = Command::new(native.python());
    harness
        .arg(root.join("benches/harness/run.py"))
        .arg("--servers")
        .arg(servers)
        .args(["--python", &subject("native", &native.python())])
        .args(["--python", &subject("eryx", &eryx.python())])
        .args(["--wheel", &subject("eryx", &wheel)])
        .arg("--image")
        .arg(GuestImage::of(&BuildInputs::of_workspace()).dir())
        .arg("--libraries")
        .arg(&libraries)
        .arg("--out")
        .arg(&work)
        .args(["--rounds", &options.rounds.to_string()])
        .env("PYTHONDONTWRITEBYTECODE", "1");
    match install_pyeryx(&interpreter, &work) {
        Ok((pyeryx, wheel)) => {
            harness.args(["--python", &subject("pyeryx", &pyeryx.python())]);
            harness.args(["--wheel", &subject("pyeryx", &wheel)]);
        }
        Err(error) => {
            let reason = format!("{error:#}");
            eprintln!("pyeryx is not measured: {reason}");
            let line = reason.lines().next().unwrap_or_default();
            harness.arg("--missing").arg(format!("pyeryx={line}"));
        }
    }
    if options.quick {
        harness.arg("--quick");
    }
    if options.dev {
        harness.args(["--note", "of a build for development"]);
    }
    if options.write {
        harness.arg("--write").arg(root.join("docs/performance.md"));
    }
    if !options.groups.is_empty() {
        harness.arg("--groups").args(&options.groups);
    }
    command::run(&mut harness)
}

/// Builds the program with the benchmarks' servers and returns its path.
fn build_servers() -> Result<PathBuf> {
    command::run(&mut cargo(&[
        "build",
        "--release",
        "--package",
        "eryx-bench",
    ]))?;
    Ok(workspace::target_dir().join("release/eryx-bench"))
}

/// Returns an environment with pyeryx, and the wheel it was installed from.
fn install_pyeryx(interpreter: &Interpreter, work: &Path) -> Result<(Venv, PathBuf)> {
    ensure!(
        interpreter.minor >= PYERYX_MINOR_VERSION,
        "it needs CPython 3.{PYERYX_MINOR_VERSION} or newer, and the newest found is 3.{}",
        interpreter.minor
    );
    let venv = Venv::empty_with(&interpreter.path, &work.join("pyeryx"))?;
    let wheels = work.join("pyeryx-wheel");
    venv.download_native(
        &workspace::root().join("benches/pyeryx-requirements.txt"),
        &wheels,
    )?;
    let wheel = venv::wheels(&wheels)?
        .pop()
        .context("pip left no wheel of pyeryx")?;
    venv.install(&wheel)?;
    Ok((venv, wheel))
}

fn subject(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

/// The minor version of Python 3 that pyeryx's wheels need.
const PYERYX_MINOR_VERSION: u32 = 12;
