//! `build-guest`: builds the guest image with the program of the package `eryx-guest-build`.

use anyhow::Result;
use eryx_guest_shims::BuildInputs;

use crate::command::{self, cargo};
use crate::progress::Progress;
use crate::selections::GUEST_BUILD;
use crate::venv::Venv;

/// The number of steps that [`build`] announces.
pub(crate) const STEPS: usize = 2;

/// Runs the task.
pub(crate) fn run(force: bool) -> Result<()> {
    let mut progress = Progress::new(STEPS);
    build(&mut progress, force)?;
    progress.done();
    Ok(())
}

/// Builds the guest image, unless the existing one has the same inputs and the same engine.
pub(crate) fn build(progress: &mut Progress, force: bool) -> Result<()> {
    progress.step("compiling the builder of the guest image (minutes if nothing is compiled yet)");
    command::run(cargo(&["build"]).args(GUEST_BUILD))?;
    progress.step("building the guest image (minutes if its sources have changed)");
    let inputs = BuildInputs::of_workspace();
    let tools = Venv::ensure(&inputs.image_dir().join("tools"), &inputs.requirements())?;
    let mut builder = cargo(&["run", "--quiet"]);
    builder
        .args(GUEST_BUILD)
        .args(["--", "--componentize-py"])
        .arg(tools.program("componentize-py"))
        .arg("--zig")
        .arg(tools.program("python-zig"));
    if force {
        builder.arg("--force");
    }
    command::run(&mut builder)
}
