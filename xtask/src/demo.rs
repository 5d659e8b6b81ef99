//! `demo`: runs the example scripts in sandboxes, against the demo's own servers.

use anyhow::Result;

use crate::build_guest;
use crate::command::{self, cargo};
use crate::progress::Progress;
use crate::selections::DEMO;

/// Builds everything that is missing and runs the demo.
pub(crate) fn run() -> Result<()> {
    let mut progress = Progress::new(build_guest::STEPS + 2);
    build_guest::build(&mut progress, false)?;
    progress.step("compiling the demo");
    command::run(cargo(&["build"]).args(DEMO))?;
    progress.step("running the demo");
    command::run(cargo(&["run", "--quiet"]).args(DEMO))?;
    progress.done();
    Ok(())
}
