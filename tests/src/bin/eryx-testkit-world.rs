//! Runs a command in a [`World`]: `eryx-testkit-world COMMAND [ARGUMENT]…`.
//!
//! The command finds the certificate of the authority in the file that `ERYX_TESTKIT_CA` names. Exits as the command
//! does, or with 77 when this machine does not permit such a world.
#![forbid(unsafe_code)]

use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, ExitCode};

use eryx_testkit::World;

/// The status by which test programs say that they were skipped.
const SKIPPED: u8 = 77;

/// Marks the run inside the namespaces.
const INSIDE: &str = "ERYX_TESTKIT_INSIDE";

fn main() -> ExitCode {
    let command: Vec<OsString> = std::env::args_os().skip(1).collect();
    let run = if std::env::var_os(INSIDE).is_some() {
        inside(&command)
    } else {
        outside(&command)
    };
    run.unwrap_or_else(|error| {
        eprintln!("eryx-testkit-world: {error}");
        ExitCode::FAILURE
    })
}

fn outside(command: &[OsString]) -> Result<ExitCode, Box<dyn Error>> {
    if command.is_empty() {
        return Err("give the command to run".into());
    }
    if let Err(reason) = World::permitted() {
        eprintln!("eryx-testkit-world: {reason}");
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

#[tokio::main]
async fn inside(command: &[OsString]) -> Result<ExitCode, Box<dyn Error>> {
    let [program, arguments @ ..] = command else {
        return Err("give the command to run".into());
    };
    let world = World::set().await?;
    let mut certificate = tempfile::NamedTempFile::new()?;
    certificate.write_all(world.authority.pem().as_bytes())?;
    let status = world
        .visitor(program)
        .args(arguments)
        .env("ERYX_TESTKIT_CA", certificate.path())
        .env_remove(INSIDE)
        .status()
        .await?;
    Ok(exit_code(status.code()))
}

/// A command that a signal ended has failed.
fn exit_code(code: Option<i32>) -> ExitCode {
    code.and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}
