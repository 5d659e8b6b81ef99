//! Builds what Eryx needs beyond cargo, and runs its demo and its tests: `cargo xtask --help`.
#![forbid(unsafe_code)]

mod bench;
mod cargo;
mod clients;
mod conformance;
mod demo;
mod fuzz;
mod guest;
mod instructions;
mod interpreter;
mod library;
mod process;
mod python;
mod rewrite;
mod test;
mod wheel;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, shows and tests Eryx")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the guest image into target/guest, unless nothing it is made from has changed
    BuildGuest {
        /// Build even if nothing has changed
        #[arg(long)]
        force: bool,
    },
    /// Run the example scripts in sandboxes, against servers of the demo's own
    Demo,
    /// Measure sandboxes beside the host's own interpreter and beside a peer
    Bench(bench::Options),
    /// Feed hostile input to everything that reads any
    Fuzz {
        /// How long each target runs
        #[arg(long, value_name = "N", default_value_t = 10)]
        seconds: u32,
        /// One of fuzz/targets, instead of all
        target: Option<String>,
        /// Files to run it on, instead of searching for new ones
        #[arg(requires = "target")]
        inputs: Vec<PathBuf>,
    },
    /// Try network libraries from the package index in sandboxes, against real servers
    Clients {
        /// Put the table into docs/clients.md, instead of comparing it with what is there
        #[arg(long)]
        write: bool,
        /// Libraries of the table, instead of all
        #[arg(conflicts_with = "write")]
        names: Vec<String>,
    },
    /// Count the instructions of hot operations with callgrind, and fail where they have grown by more than 5 %
    Instructions {
        /// Put the counts into benches/instructions.json, instead of comparing them with what is there
        #[arg(long)]
        write: bool,
    },
    /// Run every test
    Test,
    /// Run CPython's own tests in sandboxes
    Conformance {
        /// Files of the suite instead of all; `--suite FOLDER` for the tests of another CPython, and what else
        /// `tests/conformance/run.py --help` lists
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Build the Python package into target/wheels
    Wheel {
        /// Optimise it as for a release
        #[arg(long)]
        release: bool,
    },
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::BuildGuest { force } => guest::build(force),
        Task::Bench(options) => bench::run(&options),
        Task::Clients { write, names } => clients::run(write, &names),
        Task::Conformance { args } => conformance::run(&args),
        Task::Demo => demo::run(),
        Task::Fuzz {
            seconds,
            target,
            inputs,
        } => fuzz::run(seconds, target.as_deref(), &inputs),
        Task::Instructions { write } => instructions::run(write),
        Task::Test => test::run(),
        Task::Wheel { release } => wheel::build(release).map(drop),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
