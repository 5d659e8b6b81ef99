//! `conformance`: runs CPython's own tests of the modules that Eryx replaces, in sandboxes.

use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::venv::Venv;
use crate::wheel;
use crate::workspace;

/// Builds the Python package and runs the tests with it. `args` go to `tests/conformance/run.py`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let wheel = wheel::run(wheel::Options::default())?;
    let root = workspace::root();
    let harness = root.join("tests/conformance");
    let work = root.join("target/conformance");
    let tools = Venv::ensure(&work.join("venv"), &harness.join("libraries.txt"))?;
    tools.install(&wheel)?;
    let libraries = work.join("libraries");
    tools.download(&harness.join("libraries.txt"), &libraries)?;
    command::run(
        Command::new(tools.python())
            .arg(harness.join("run.py"))
            .arg("--work")
            .arg(&work)
            .args(args)
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )
}
