//! `test`: runs every check of the Python sources, and every test.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::build_guest;
use crate::client_matrix;
use crate::command::{self, cargo};
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
    let mut progress = Progress::new(build_guest::STEPS + 8);
    build_guest::build(&mut progress, false)?;
    progress.step("checking the guest's Python (ruff, mypy, pytest)");
    check_guest_python()?;
    progress.step("compiling the Rust tests");
    command::run(cargo(&["test", "--no-run"]).args(WORKSPACE))?;
    command::run(cargo(&["build", "--bin", NETNS_PROGRAM]).args(WORKSPACE))?;
    progress.step("running the Rust tests and the documentation's programs");
    command::run(cargo(&["test"]).args(WORKSPACE))?;
    progress.step("building the wheel");
    let wheel = wheel::build(wheel::Options::default())?;
    progress.step("checking the Python package as it is installed (ruff, mypy, pytest)");
    let examples = example_environment(&wheel)?;
    check_package(&wheel, &examples)?;
    progress.step("using the package from agents, and `eryx mcp` from a client (pytest)");
    command::run(
        Command::new(examples.program("pytest"))
            .arg("--quiet")
            .current_dir(workspace::root().join("tests/agents"))
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )?;
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

/// Checks the Python package that `wheel` installs.
fn check_package(wheel: &Path, examples: &Venv) -> Result<()> {
    let root = workspace::root();
    let tools = Venv::ensure(
        &root.join("target/wheel-tests"),
        &root.join("xtask/python-tools.txt"),
    )?;
    tools.install(wheel)?;
    let libraries = root.join("target/libraries");
    tools.download(&root.join("eryx-python/tests/libraries.txt"), &libraries)?;
    let environment = [
        ("ERYX_WHEEL", wheel.to_path_buf()),
        ("ERYX_TEST_WHEELS", libraries),
        ("ERYX_EXAMPLE_PYTHON", examples.python()),
        (
            "ERYX_TESTKIT_NETNS",
            workspace::target_dir().join("debug").join(NETNS_PROGRAM),
        ),
    ];
    check_python(&tools, &root.join("eryx-python"), &["."], &environment)
}

/// Checks the Python code of the guest, the examples, the tests and the benchmarks with this
/// machine's Python.
fn check_guest_python() -> Result<()> {
    let root = workspace::root();
    let tools = Venv::ensure(
        &root.join("target/python-tools"),
        &root.join("xtask/python-tools.txt"),
    )?;
    let folders = [
        ".",
        "../examples",
        "../tests",
        "../eryx-cli",
        "../eryx-core/python",
        "../eryx-net-host/tests",
        "../xtask/native",
    ];
    check_python(&tools, &root.join("eryx-guest-shims"), &folders, &[])?;
    check_python(&tools, &root.join("benches"), &["."], &[])
}

/// Lints `folders` and checks their format; type-checks and tests the files that the settings in
/// `home` list.
fn check_python(
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
        command::run(
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
