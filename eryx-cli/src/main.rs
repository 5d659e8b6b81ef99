//! The command `eryx`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(eryx_cli::main(std::env::args_os()))
}
