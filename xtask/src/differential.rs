//! `differential`: compares generated programs in sandboxes with this machine's own interpreter.

use anyhow::Result;

use crate::command::{self, cargo};
use crate::selections::WORKSPACE;

/// Runs `seeds` programs from the seed `first` on.
pub(crate) fn run(seeds: u32, first: u32) -> Result<()> {
    let arguments = ["--test", "network_differential", "--", "--nocapture"];
    command::run(
        cargo(&["test"])
            .args(WORKSPACE)
            .args(arguments)
            .env("ERYX_DIFFERENTIAL_SEEDS", seeds.to_string())
            .env("ERYX_DIFFERENTIAL_FIRST", first.to_string()),
    )
}
