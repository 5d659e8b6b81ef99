//! The packages of the workspace's lock file, as `cargo metadata` describes them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command;

/// A package of the lock file.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The declared licence: an SPDX expression.
    pub(crate) license: Option<String>,
    /// The registry; `None` for a package of the workspace.
    pub(crate) source: Option<String>,
    pub(crate) manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// Returns all packages, with all features.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let arguments = [
        "metadata",
        "--format-version",
        "1",
        "--all-features",
        "--locked",
    ];
    let metadata = command::output(&mut command::cargo(&arguments))?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
    Ok(metadata.packages)
}
