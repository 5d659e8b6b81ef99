//! pydantic's own tests, in sandboxes with the pydantic-core that is built for them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::client_matrix;
use crate::command;
use crate::native;
use crate::venv::{Venv, remove_dir};
use crate::workspace;

/// Runs the tests with the Python package in `wheel`.
pub(crate) fn run(wheel: &Path) -> Result<()> {
    let sources = workspace::root().join("tests/native");
    let work = workspace::target_dir().join("native/pydantic");
    let python = client_matrix::servers(wheel)?;
    let libraries = work.join("libraries");
    python.download(&sources.join("libraries.txt"), &libraries)?;
    let tools = Venv::ensure(&work.join("tools"), &sources.join("tools.txt"))?;
    let archives = work.join("archives");
    tools.download_sources(&sources.join("source.txt"), &archives)?;
    let source = work.join("source");
    remove_dir(&source)?;
    fs::create_dir_all(&source)?;
    let archive = fs::read_dir(&archives)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "gz"))
        .context("pip has downloaded no source of pydantic")?;
    command::output(
        Command::new("tar")
            .args(["--strip-components=1", "-xzf"])
            .arg(archive)
            .arg("-C")
            .arg(&source),
    )?;
    command::run(
        Command::new(python.python())
            .arg(sources.join("pydantic_suite.py"))
            .arg("--source")
            .arg(&source)
            .arg("--wheels")
            .args([libraries, native::wheels()])
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )
}
