//! Runs a command beside a [`FakeInternet`]: `eryx-testkit-netns COMMAND [ARGUMENT]…`.
//!
//! The environment variable `ERYX_TESTKIT_CA` of the command names a file with the certificate of
//! the CA. The exit status is the command's, or 77 if this machine does not permit network
//! namespaces.
#![forbid(unsafe_code)]

use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, ExitCode};

use eryx_testkit::FakeInternet;

/// The exit status of a skipped test program.
const SKIPPED: u8 = 77;

/// Set in the process that runs inside the namespaces.
const INSIDE: &str = "ERYX_TESTKIT_INSIDE";

fn main() -> ExitCode {
    let command: Vec<OsString> = std::env::args_os().skip(1).collect();
    let result = if std::env::var_os(INSIDE).is_some() {
        run_inside(&command)
    } else {
        run_outside(&command)
    };
    result.unwrap_or_else(|error| {
        eprintln!("eryx-testkit-netns: {error}");
        ExitCode::FAILURE
    })
}

/// Runs this program again in namespaces of its own.
fn run_outside(command: &[OsString]) -> Result<ExitCode, Box<dyn Error>> {
    if command.is_empty() {
        return Err("no command: pass the command to run".into());
    }
    if let Err(reason) = FakeInternet::check_permitted() {
        eprintln!("eryx-testkit-netns: {reason}");
        return Ok(ExitCode::from(SKIPPED));
    }
    let status = Command::new("unshare")
        .args(["-Urnm", "--"])
        .arg(std::env::current_exe()?)
        .args(command)
        .env(INSIDE, "1")
        .status()?;
    Ok(exit_code(status.code()))
}

/// Starts the servers, and runs the command beside them.
#[tokio::main]
async fn run_inside(command: &[OsString]) -> Result<ExitCode, Box<dyn Error>> {
    let [program, arguments @ ..] = command else {
        return Err("no command: pass the command to run".into());
    };
    let internet = FakeInternet::start().await?;
    let mut certificate = tempfile::NamedTempFile::new()?;
    certificate.write_all(internet.ca.pem().as_bytes())?;
    let status = internet
        .client_command(program)
        .args(arguments)
        .env("ERYX_TESTKIT_CA", certificate.path())
        .env_remove(INSIDE)
        .status()
        .await?;
    Ok(exit_code(status.code()))
}

/// Returns the exit code of a command. One that a signal ended has failed.
fn exit_code(code: Option<i32>) -> ExitCode {
    code.and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}
