//! The program that `cargo xtask build-guest` runs to build the guest image.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Builds the guest image, unless it is up to date")]
struct Args {
    /// Build even if nothing has changed
    #[arg(long)]
    force: bool,
    /// The program componentize-py
    #[arg(long, value_name = "PROGRAM")]
    componentize_py: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match eryx_guest_build::build::build_image(&args.componentize_py, args.force) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
