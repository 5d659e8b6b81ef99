//! The tasks of this workspace that cargo alone cannot run: `cargo xtask --help` lists them.
#![forbid(unsafe_code)]

mod bench;
mod build_guest;
mod cargo_metadata;
mod client_matrix;
mod command;
mod conformance;
mod demo;
mod differential;
mod find_python;
mod fuzz;
mod image_crate;
mod instructions;
mod licence_texts;
mod licences;
mod lint_python;
mod native;
mod package;
mod packages;
mod progress;
mod public_api;
mod published;
mod release;
mod sbom;
mod selections;
mod test;
mod venv;
mod wheel;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, demonstrates and tests Eryx")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the guest image into target/guest, unless its sources are unchanged
    BuildGuest {
        /// Build even if nothing has changed
        #[arg(long)]
        force: bool,
    },
    /// Run the example scripts in sandboxes, against the demo's own servers
    Demo,
    /// Measure sandboxes against this machine's own interpreter and against pyeryx
    Bench(bench::Options),
    /// Run the fuzz targets: hostile input for parsers and state machines
    Fuzz {
        /// How long each target runs
        #[arg(long, value_name = "N", default_value_t = 10)]
        seconds: u32,
        /// One of fuzz/targets, instead of all
        target: Option<String>,
        /// Inputs to run the target on, instead of searching for new ones
        #[arg(requires = "target")]
        inputs: Vec<PathBuf>,
    },
    /// Run network libraries from the package index in sandboxes, against real servers
    ClientMatrix {
        /// Write the table to docs/library-compatibility.md, instead of comparing the two
        #[arg(long)]
        write: bool,
        /// Libraries of the table, instead of all
        #[arg(conflicts_with = "write")]
        names: Vec<String>,
    },
    /// Run generated programs on sockets, TLS and asyncio natively and in sandboxes, and compare
    /// what they see
    Differential {
        /// The number of programs
        #[arg(long, value_name = "N", default_value_t = 1000)]
        seeds: u32,
        /// The seed of the first program
        #[arg(long, value_name = "SEED", default_value_t = 60)]
        first: u32,
    },
    /// Count the instructions of hot operations with callgrind, and fail where they have grown by
    /// more than 5 %
    Instructions {
        /// Write the counts to benches/instructions.json, instead of comparing the two
        #[arg(long)]
        write: bool,
    },
    /// Compile packages with extension modules in C or Rust for sandboxes, into
    /// target/native/wheels
    Native {
        /// The folder of CPython 3.14's headers, instead of Debian's
        #[arg(long, value_name = "FOLDER")]
        headers: Option<PathBuf>,
        /// Use all packages that are built in sandboxes, too
        #[arg(long)]
        check: bool,
        /// Let factories know the wheels: write their digests to
        /// eryx-core/src/factory/native_wheels.txt
        #[arg(long)]
        write: bool,
        /// Packages that xtask/native pins, instead of all
        names: Vec<String>,
    },
    /// Pack the crates for the registry into target/package, with the guest image
    Package {
        /// Build and run a program from the packed crates, in a folder outside the workspace
        #[arg(long)]
        check: bool,
    },
    /// Import popular packages of the package index in sandboxes, and use ten of them
    Packages {
        /// Write the table to docs/popular-packages.md, instead of comparing the two
        #[arg(long)]
        write: bool,
        /// Every second package, as `cargo xtask test` does, and those with a program
        #[arg(long, conflicts_with = "write")]
        half: bool,
        /// Packages of the table, instead of all
        #[arg(conflicts_with_all = ["write", "half"])]
        names: Vec<String>,
    },
    /// Check the licences and sources of all dependencies against deny.toml
    Licences,
    /// Lint and type-check all Python sources, and check their format
    LintPython,
    /// Compare the public items of the libraries with the lists in docs/api
    PublicApi {
        /// Write the lists, instead of comparing them with the code
        #[arg(long)]
        write: bool,
    },
    /// Build and check everything that a release publishes, into target/release-assets
    Release {
        /// Publish nothing: the release workflow does that
        #[arg(long, required = true)]
        dry_run: bool,
        /// Leave out the wheel, whose build takes longest
        #[arg(long)]
        without_wheel: bool,
    },
    /// Run every test
    Test,
    /// Run CPython's own tests in sandboxes
    Conformance {
        /// Files of the suite, instead of all; `--suite FOLDER` for the tests of another CPython;
        /// other options of `tests/conformance/run.py --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Build the Python package into target/wheels
    Wheel {
        /// Build with the release profile
        #[arg(long)]
        release: bool,
        /// Build for every Linux with glibc 2.17 or newer (manylinux2014), with Zig
        #[arg(long)]
        manylinux: bool,
    },
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::BuildGuest { force } => build_guest::run(force),
        Task::Bench(options) => bench::run(&options),
        Task::ClientMatrix { write, names } => client_matrix::run(write, &names),
        Task::Conformance { args } => conformance::run(&args),
        Task::Differential { seeds, first } => differential::run(seeds, first),
        Task::Demo => demo::run(),
        Task::Fuzz {
            seconds,
            target,
            inputs,
        } => fuzz::run(seconds, target.as_deref(), &inputs),
        Task::Instructions { write } => instructions::run(write),
        Task::Licences => licences::run(),
        Task::LintPython => lint_python::run(),
        Task::Native {
            headers,
            check,
            write,
            names,
        } => {
            let headers = headers.as_deref();
            let options = native::Options {
                headers,
                check,
                write,
            };
            native::run(options, &names)
        }
        Task::Package { check } => package::run(check),
        Task::Packages { write, half, names } => packages::run(write, half, &names),
        Task::PublicApi { write } => public_api::run(write),
        Task::Release { without_wheel, .. } => release::dry_run(without_wheel),
        Task::Test => test::run(),
        Task::Wheel { release, manylinux } => {
            wheel::run(wheel::Options { release, manylinux }).map(drop)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
