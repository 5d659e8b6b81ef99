#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cache;
mod check_target;
mod file_size_limit;
mod files_args;
mod har_file;
mod host_port;
mod interrupt;
mod limit_message;
mod mcp;
mod net_log;
mod network_args;
mod output_writer;
mod policy;
mod repl;
mod run;
mod sandbox_args;
mod secret_option;
mod snapshot_file;
mod value_parsers;

use std::ffi::OsString;
use std::io::Write as _;

pub use sandbox_args::set_python;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

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
    /// Let a model run Python in sandboxes: a server of the Model Context Protocol
    Mcp(Box<mcp::Options>),
    /// Show what a network policy allows, without using the network
    #[command(subcommand)]
    Policy(Box<policy::Command>),
    /// Show or clear the cache: compiled packages and downloads
    #[command(subcommand)]
    Cache(cache::Command),
    /// Print the completions of this command for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Exit status for bad usage, the same as clap's.
const EXIT_USAGE: u8 = 2;
/// Exit status when something other than the script failed.
const EXIT_FAILED: u8 = 125;
/// Exit status after Ctrl-C, the same as a shell's.
const EXIT_INTERRUPTED: u8 = 130;

/// Runs the command with these arguments, the name of the program first, and returns its exit
/// status. It uses standard input, output and error of the process.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // The message is lost if it cannot be written.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE);
        }
    };
    match args.command {
        Command::Run(options) => run::run(&options),
        Command::Mcp(options) => mcp::run(&options),
        Command::Policy(command) => policy::run(&command),
        Command::Cache(command) => cache::run(&command),
        Command::Completions { shell } => print_completions(shell),
    }
}

/// Prints the completions for `shell`, and returns the exit status.
fn print_completions(shell: Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "eryx", &mut script);
    match std::io::stdout().write_all(&script) {
        Ok(()) => 0,
        Err(error) => exit_with(
            EXIT_FAILED,
            &format!("the completions cannot be written: {error}"),
        ),
    }
}

/// Prints why the command ends, and returns `status`.
fn exit_with(status: u8, text: &str) -> u8 {
    eprintln!("eryx: {text}");
    status
}
