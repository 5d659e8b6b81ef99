//! `test`: runs every test, and the checks of the Python sources.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::build_guest;
use crate::client_matrix;
use crate::command::{self, cargo};
use crate::lint_python;
use crate::packages;
use crate::progress::Progress;
use crate::selections::WORKSPACE;
use crate::venv::Venv;
use crate::wheel;
use crate::workspace;

/// The program that gives the tests of the Python package a fake internet.
const NETNS_PROGRAM: &str = "eryx-testkit-netns";

/// Builds everything that is missing and runs all tests.
pub(crate) fn run() -> Result<()> {
    let mut progress = Progress::new(build_guest::STEPS + 9);
    progress.step("checking the Python sources (ruff, mypy)");
    lint_python::run()?;
    build_guest::build(&mut progress, false)?;
    progress.step("testing the guest's Python without an image (pytest)");
    test_guest_python()?;
    progress.step("compiling the Rust tests");
    command::run(cargo(&["test", "--no-run"]).args(WORKSPACE))?;
    command::run(cargo(&["build", "--bin", NETNS_PROGRAM]).args(WORKSPACE))?;
    progress.step("running the Rust tests and the documentation's programs");
    command::run(cargo(&["test"]).args(WORKSPACE))?;
    progress.step("building the wheel");
    let wheel = wheel::build(wheel::Options::default())?;
    progress.step("testing the Python package as it is installed (pytest)");
    let examples = example_environment(&wheel)?;
    test_package(&wheel, &examples)?;
    progress.step("using the package from agents, and `eryx mcp` from a client (pytest)");
    command::run(&mut pytest(&examples, "tests/agents"))?;
    progress.step("running network libraries against real servers");
    client_matrix::run_with_wheel(&wheel, false, &[])?;
    progress.step("importing and using popular packages");
    packages::run_with_wheel(&wheel, false, true, &[])?;
    progress.done();
    Ok(())
}

/// Returns an environment with `wheel` and the dependencies of the examples.
fn example_environment(wheel: &Path) -> Result<Venv> {
    let root = workspace::root();
    let examples = Venv::ensure(
        &root.join("target/example-tests"),
        &root.join("examples/requirements.txt"),
    )?;
    examples.install(wheel)?;
    Ok(examples)
}

/// Tests the Python package that `wheel` installs.
fn test_package(wheel: &Path, examples: &Venv) -> Result<()> {
    let root = workspace::root();
    let tools = Venv::ensure(
        &root.join("target/wheel-tests"),
        &root.join("xtask/python-tools.txt"),
    )?;
    tools.install(wheel)?;
    let libraries = root.join("target/libraries");
    tools.download(&root.join("eryx-python/tests/libraries.txt"), &libraries)?;
    let netns_program = workspace::target_dir().join("debug").join(NETNS_PROGRAM);
    command::run(
        pytest(&tools, "eryx-python")
            .env("ERYX_WHEEL", wheel)
            .env("ERYX_TEST_WHEELS", libraries)
            .env("ERYX_EXAMPLE_PYTHON", examples.python())
            .env("ERYX_TESTKIT_NETNS", netns_program),
    )
}

/// Tests the Python code of the guest and of the benchmarks with this machine's Python.
fn test_guest_python() -> Result<()> {
    let tools = lint_python::tools()?;
    command::run(&mut pytest(&tools, "eryx-guest-shims"))?;
    command::run(&mut pytest(&tools, "benches"))
}

/// Returns the command that runs the tests in `folder` of the workspace.
fn pytest(tools: &Venv, folder: &str) -> Command {
    let mut command = Command::new(tools.program("pytest"));
    command
        .arg("--quiet")
        .current_dir(workspace::root().join(folder))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}
