//! `conformance`: CPython's own tests of what Eryx replaces, in sandboxes.

use std::process::Command;

use anyhow::Result;
use eryx_guest_shims::Recipe;

use crate::process;
use crate::python::Venv;
use crate::wheel;

/// Build the Python package and run the tests in it, with further arguments for `tests/conformance/run.py`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let wheel = wheel::build(false)?;
    let recipe = Recipe::of_workspace();
    let root = recipe.root();
    let harness = root.join("tests/conformance");
    let work = root.join("target/conformance");
    let tools = Venv::ensure(&work.join("venv"), &harness.join("libraries.txt"))?;
    tools.install(&wheel)?;
    let libraries = work.join("libraries");
    tools.download(&harness.join("libraries.txt"), &libraries)?;
    process::run(
        Command::new(tools.python())
            .arg(harness.join("run.py"))
            .arg("--work")
            .arg(&work)
            .args(args)
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )
}
