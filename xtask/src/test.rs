//! `test`: every check of the Python sources, and every test.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use eryx_guest_shims::Recipe;

use crate::cargo::cargo;
use crate::clients;
use crate::guest;
use crate::process;
use crate::python::Venv;
use crate::wheel;

/// Build what is missing and run all tests.
pub(crate) fn run() -> Result<()> {
    guest::build(false)?;
    python()?;
    process::run(&mut cargo(&["test", "--workspace", "--all-features"]))?;
    package()
}

/// Check the Python package as it is installed.
fn package() -> Result<()> {
    let recipe = Recipe::of_workspace();
    let root = recipe.root();
    let wheel = wheel::build(false)?;
    let tools = Venv::ensure(
        &root.join("target/wheel-tests"),
        &root.join("xtask/python-tools.txt"),
    )?;
    tools.install(&wheel)?;
    let libraries = root.join("target/libraries");
    // The example of scaling out has an environment of its own, as its users do.
    let cluster = Venv::ensure(
        &root.join("target/example-tests"),
        &root.join("examples/scale-out/requirements.txt"),
    )?;
    cluster.install(&wheel)?;
    tools.download(&root.join("eryx-python/tests/libraries.txt"), &libraries)?;
    let environment = [
        ("ERYX_WHEEL", wheel.clone()),
        ("ERYX_TEST_WHEELS", libraries),
        ("ERYX_EXAMPLE_PYTHON", cluster.python()),
        // Built along with the tests of its package.
        (
            "ERYX_TESTKIT_WORLD",
            root.join("target/debug/eryx-testkit-world"),
        ),
    ];
    check(&tools, &root.join("eryx-python"), &["."], &environment)?;
    clients::with(&wheel, false, &[])
}

/// Lint, type-check and test the Python sources with the host's own interpreter.
fn python() -> Result<()> {
    let recipe = Recipe::of_workspace();
    let root = recipe.root();
    let tools = Venv::ensure(
        &root.join("target/python-tools"),
        &root.join("xtask/python-tools.txt"),
    )?;
    let folders = [".", "../examples", "../tests"];
    check(&tools, &root.join("eryx-guest-shims"), &folders, &[])?;
    check(&tools, &root.join("benches"), &["."], &[])
}

/// Lint and format-check `folders`, type-check and test what the settings in `home` say.
fn check(
    tools: &Venv,
    home: &Path,
    folders: &[&str],
    environment: &[(&str, PathBuf)],
) -> Result<()> {
    for (tool, args, folders) in [
        ("ruff", &["check"][..], folders),
        ("ruff", &["format", "--check"], folders),
        ("mypy", &[], &[]),
        ("pytest", &["--quiet"], &[]),
    ] {
        eprintln!("{tool} {}", [args, folders].concat().join(" "));
        process::run(
            Command::new(tools.program(tool))
                .args(args)
                .args(folders)
                .current_dir(home)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .envs(environment.iter().map(|(name, value)| (name, value))),
        )?;
    }
    Ok(())
}
