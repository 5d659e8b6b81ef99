//! `clients`: network libraries from the package index, in sandboxes, against real servers.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use eryx_guest_shims::Recipe;

use crate::process;
use crate::python::Venv;
use crate::wheel;

/// Build the Python package and try these clients with it, or all of them. The table is compared with the one in
/// docs/clients.md, or written there.
pub(crate) fn run(write: bool, clients: &[String]) -> Result<()> {
    let wheel = wheel::build(false)?;
    with(&wheel, write, clients)
}

/// Try the clients with a package that is built already.
pub(crate) fn with(wheel: &Path, write: bool, clients: &[String]) -> Result<()> {
    let recipe = Recipe::of_workspace();
    let root = recipe.root();
    let sources = root.join("tests/clients");
    let servers = Venv::ensure(
        &root.join("target/client-tests"),
        &sources.join("servers.txt"),
    )?;
    servers.install(wheel)?;
    let libraries = root.join("target/clients");
    let built = libraries.join("built");
    servers.download(&sources.join("libraries.txt"), &libraries)?;
    servers.build_pure(&sources.join("sources.txt"), &built)?;
    let more = root.join("target/client-servers");
    for wheel in servers.build_pure(&sources.join("server_sources.txt"), &more)? {
        servers.install(&wheel)?;
    }
    process::run(
        Command::new(servers.python())
            .arg(sources.join("matrix.py"))
            .arg(if write { "--write" } else { "--check" })
            .arg(root.join("docs/clients.md"))
            .arg("--wheels")
            .args([&libraries, &built])
            .arg("--")
            .args(clients)
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )
}
