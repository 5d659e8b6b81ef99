//! `lint-python`: lints and type-checks the Python sources, and checks their format.

use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::venv::Venv;
use crate::workspace;

/// The folders with settings for the tools, and what ruff checks by these settings.
const HOMES: [(&str, &[&str]); 3] = [
    (
        "eryx-guest-shims",
        &[
            ".",
            "../examples",
            "../tests",
            "../eryx-cli",
            "../eryx-core/python",
            "../eryx-net-host/tests",
            "../xtask/native",
        ],
    ),
    ("benches", &["."]),
    ("eryx-python", &["."]),
];

/// Checks all Python sources with ruff, and those that the settings list with mypy.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    let tools = tools()?;
    for (home, folders) in HOMES {
        for (tool, args, folders) in [
            ("ruff", &["check"][..], folders),
            ("ruff", &["format", "--check"], folders),
            ("mypy", &[], &[]),
        ] {
            command::run(
                Command::new(tools.program(tool))
                    .args(args)
                    .args(folders)
                    .current_dir(root.join(home))
                    .env("PYTHONDONTWRITEBYTECODE", "1"),
            )
            .with_context(|| format!("in {home}, by the settings of its pyproject.toml"))?;
        }
    }
    Ok(())
}

/// Returns the environment with the tools that check Python sources.
pub(crate) fn tools() -> Result<Venv> {
    let root = workspace::root();
    Venv::ensure(
        &root.join("target/python-tools"),
        &root.join("xtask/python-tools.txt"),
    )
}
