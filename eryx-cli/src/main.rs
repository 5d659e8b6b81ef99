//! The command `eryx`: runs untrusted Python scripts with the network and the limits that its
//! options grant.
#![forbid(unsafe_code)]

mod check_target;
mod har_file;
mod host_port;
mod net_log;
mod network_args;
mod output_writer;
mod policy;
mod run;
mod secret_option;
mod value_parsers;

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
    /// Show what a network policy allows, without using the network
    #[command(subcommand)]
    Policy(Box<policy::Command>),
}

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Run(options) => run::run(*options),
        Command::Policy(command) => policy::run(&command),
    }
}
