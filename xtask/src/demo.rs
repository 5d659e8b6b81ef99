//! `demo`: everything at work, against servers of its own.

use anyhow::Result;

use crate::cargo::cargo;
use crate::guest;
use crate::process;

/// Build what is missing and run the demo.
pub(crate) fn run() -> Result<()> {
    guest::build(false)?;
    process::run(&mut cargo(&["run", "--quiet", "--package", "eryx-demo"]))
}
