//! `packages`: imports popular packages of the package index in sandboxes, and uses some of them.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::client_matrix;
use crate::command;
use crate::native;
use crate::wheel;
use crate::workspace;

/// Builds the Python package and runs the packages in `names`, or all, with it.
///
/// The resulting table is compared with the one in docs/popular-packages.md, or written there.
pub(crate) fn run(write: bool, half: bool, names: &[String]) -> Result<()> {
    let wheel = wheel::run(wheel::Options::default())?;
    run_with_wheel(&wheel, write, half, names)
}

/// Runs the packages with a wheel that exists. `half`: every second one, and those with programs.
pub(crate) fn run_with_wheel(
    wheel: &Path,
    write: bool,
    half: bool,
    names: &[String],
) -> Result<()> {
    let root = workspace::root();
    let sources = root.join("tests/packages");
    let tools = client_matrix::servers(wheel)?;
    let libraries = root.join("target/packages");
    let built = root.join("target/packages-built");
    tools.download(&sources.join("libraries.txt"), &libraries)?;
    tools.build_pure(&sources.join("sources.txt"), &built)?;
    command::run(
        Command::new(tools.python())
            .arg(sources.join("packages.py"))
            .arg(if write { "--write" } else { "--check" })
            .arg(root.join("docs/popular-packages.md"))
            .args(half.then_some("--half"))
            .arg("--wheels")
            .args([&libraries, &built])
            .arg("--native")
            .arg(native::wheels())
            .arg("--")
            .args(names)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONPATH", root.join("tests/clients")),
    )
}
