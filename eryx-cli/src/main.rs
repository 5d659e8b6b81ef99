//! The `eryx` command: runs untrusted Python scripts with the network and the limits its options grant.
#![forbid(unsafe_code)]

mod net_log;
mod network_options;
mod policy;
mod printer;
mod quantity;
mod run;
mod target;

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
    Run(Box<run::Options>),
    /// Say what a network policy means, without touching the network
    #[command(subcommand)]
    Policy(Box<policy::Command>),
}

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Run(options) => run::run(*options),
        Command::Policy(command) => policy::run(&command),
    }
}
