//! `client-matrix`: runs network libraries from the package index in sandboxes, against real
//! servers.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::native;
use crate::venv::Venv;
use crate::wheel;
use crate::workspace;

/// Builds the Python package and runs the clients in `names`, or all, with it.
///
/// The resulting tables are compared with those in docs/library-compatibility.md, or written there.
pub(crate) fn run(write: bool, names: &[String]) -> Result<()> {
    let wheel = wheel::run(wheel::Options::default())?;
    run_with_wheel(&wheel, write, names)
}

/// Runs the clients with a wheel that exists.
pub(crate) fn run_with_wheel(wheel: &Path, write: bool, names: &[String]) -> Result<()> {
    let mut command = command_with_wheel(wheel, write)?;
    command::run(command.arg("--").args(names))
}

/// Runs the clients that need packages of `cargo xtask native`, with a wheel that exists.
pub(crate) fn run_native(wheel: &Path) -> Result<()> {
    let mut command = command_with_wheel(wheel, false)?;
    command::run(command.arg("--only-native"))
}

fn command_with_wheel(wheel: &Path, write: bool) -> Result<Command> {
    let root = workspace::root();
    let sources = root.join("tests/clients");
    let servers = servers(wheel)?;
    let libraries = root.join("target/clients");
    let native_libraries = root.join("target/client-native");
    let built = libraries.join("built");
    servers.download(&sources.join("libraries.txt"), &libraries)?;
    servers.build_pure(&sources.join("sources.txt"), &built)?;
    servers.download(&sources.join("native_libraries.txt"), &native_libraries)?;
    let built_servers = root.join("target/client-servers");
    for wheel in servers.build_pure(&sources.join("server_sources.txt"), &built_servers)? {
        servers.install(&wheel)?;
    }
    let mut command = Command::new(servers.python());
    command
        .arg(sources.join("matrix.py"))
        .arg(if write { "--write" } else { "--check" })
        .arg(root.join("docs/library-compatibility.md"))
        .arg("--wheels")
        .args([&libraries, &built])
        .arg("--native")
        .args([&native_libraries, &native::wheels()])
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// Returns an environment with the servers of `servers.txt` and the wheel.
pub(crate) fn servers(wheel: &Path) -> Result<Venv> {
    let root = workspace::root();
    let servers = Venv::ensure(
        &root.join("target/client-tests"),
        &root.join("tests/clients/servers.txt"),
    )?;
    servers.install(wheel)?;
    Ok(servers)
}
