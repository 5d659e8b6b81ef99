//! Cargo, run from the workspace.

use std::process::Command;

use eryx_guest_shims::Recipe;

/// A cargo command in the workspace's root, with the cargo that runs this program.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(Recipe::of_workspace().root());
    command
}
