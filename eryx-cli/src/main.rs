//! The `eryx` command: runs untrusted Python scripts with the network and the limits its options grant.
#![forbid(unsafe_code)]

mod quantity;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "eryx",
    version,
    about = "Runs untrusted Python with exactly the network you grant"
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a script in a sandbox
    Run(run::Options),
}

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Run(options) => run::run(options),
    }
}
