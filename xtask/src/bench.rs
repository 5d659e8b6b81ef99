//! `bench`: what a user waits for, beside the host's own interpreter and beside a peer.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use eryx_guest_shims::{GuestImage, Recipe};

use crate::cargo::cargo;
use crate::interpreter::Interpreter;
use crate::process;
use crate::python::{self, Venv};
use crate::wheel;

#[derive(Args)]
pub(crate) struct Options {
    /// How often everything is measured
    #[arg(long, value_name = "N", default_value_t = 20)]
    rounds: u32,
    /// Two rounds, to see that everything runs
    #[arg(long, conflicts_with = "write")]
    quick: bool,
    /// Groups of the table, instead of all
    #[arg(long, num_args = 1.., value_name = "GROUP", conflicts_with = "write")]
    groups: Vec<String>,
    /// Measure a build for development, which is made faster and runs slower
    #[arg(long, conflicts_with = "write")]
    dev: bool,
    /// Put the table into docs/performance.md
    #[arg(long)]
    write: bool,
}

/// Build what is measured and what it is measured against, and measure.
pub(crate) fn run(options: &Options) -> Result<()> {
    let recipe = Recipe::of_workspace();
    let root = recipe.root();
    let wheel = wheel::build(!options.dev)?;
    let servers = servers(root)?;
    let interpreter = Interpreter::newest()?;
    let place = root.join("target/bench");
    let libraries = place.join("libraries");

    let native = Venv::fresh_of(&interpreter.path, &place.join("native"))?;
    native.download(&root.join("eryx-python/tests/libraries.txt"), &libraries)?;
    native.install_all(&python::wheels(&libraries)?)?;
    let ours = Venv::fresh_of(&interpreter.path, &place.join("eryx"))?;
    ours.install(&wheel)?;

    let mut harness = Command::new(native.python());
    harness
        .arg(root.join("benches/run.py"))
        .arg("--servers")
        .arg(servers)
        .args(["--python", &column("native", &native.python())])
        .args(["--python", &column("eryx", &ours.python())])
        .args(["--wheel", &column("eryx", &wheel)])
        .arg("--image")
        .arg(GuestImage::of(&recipe).dir())
        .arg("--libraries")
        .arg(&libraries)
        .arg("--out")
        .arg(&place)
        .args(["--rounds", &options.rounds.to_string()])
        .env("PYTHONDONTWRITEBYTECODE", "1");
    match peer(&interpreter, root, &place) {
        Ok((peer, wheel)) => {
            harness.args(["--python", &column("peer", &peer.python())]);
            harness.args(["--wheel", &column("peer", &wheel)]);
        }
        Err(why) => {
            eprintln!("the peer is not measured: {why:#}");
            let line = format!("{why:#}")
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            harness.arg("--missing").arg(format!("peer={line}"));
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
    process::run(&mut harness)
}

/// The program with the servers.
fn servers(root: &Path) -> Result<PathBuf> {
    process::run(&mut cargo(&[
        "build",
        "--quiet",
        "--release",
        "--package",
        "eryx-bench",
    ]))?;
    Ok(root.join("target/release/eryx-bench"))
}

/// An environment with the peer, and the wheel it was installed from.
fn peer(interpreter: &Interpreter, root: &Path, place: &Path) -> Result<(Venv, PathBuf)> {
    ensure!(
        interpreter.minor >= PEER_NEEDS,
        "it needs CPython 3.{PEER_NEEDS} or newer, and the newest found is 3.{}",
        interpreter.minor
    );
    let peer = Venv::fresh_of(&interpreter.path, &place.join("peer"))?;
    let wheels = place.join("peer-wheel");
    peer.download_native(&root.join("benches/peer.txt"), &wheels)?;
    let wheel = python::wheels(&wheels)?
        .pop()
        .context("pip left no wheel of the peer")?;
    peer.install(&wheel)?;
    Ok((peer, wheel))
}

fn column(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

/// The minor version of Python 3 the peer's wheels are for.
const PEER_NEEDS: u32 = 12;
