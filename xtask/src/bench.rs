//! `bench`: what a user waits for.

use anyhow::Result;

use crate::cargo::cargo;
use crate::guest;
use crate::process;

/// Build what is missing and measure.
pub(crate) fn run() -> Result<()> {
    guest::build(false)?;
    process::run(&mut cargo(&["run", "--quiet", "--package", "eryx-bench"]))
}
