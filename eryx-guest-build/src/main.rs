//! The program that `cargo xtask build-guest` runs to build the guest image.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use eryx_guest_build::componentize::Tools;

#[derive(Parser)]
#[command(about = "Builds the guest image, unless it is up to date")]
struct Args {
    /// Build even if nothing has changed
    #[arg(long)]
    force: bool,
    /// The program componentize-py
    #[arg(long, value_name = "PROGRAM")]
    componentize_py: PathBuf,
    /// The program zig
    #[arg(long, value_name = "PROGRAM")]
    zig: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let tools = Tools {
        componentize_py: &args.componentize_py,
        zig: &args.zig,
    };
    match eryx_guest_build::build::build_image(tools, args.force) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
