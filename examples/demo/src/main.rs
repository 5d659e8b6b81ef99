//! Runs the scripts of `examples/scripts` in sandboxes, against a web server with its own CA and a
//! name server, all on loopback. Prints the output of each and the verdicts of the policy, and
//! fails if any differ from the expected ones. Run it with `cargo xtask demo`.
#![forbid(unsafe_code)]

mod scripts;
mod table;

use std::process::ExitCode;

use anyhow::Result;

use scripts::DemoServers;

#[tokio::main]
async fn main() -> ExitCode {
    match run_all().await {
        Ok(0) => {
            println!("All scripts gave the expected results.");
            ExitCode::SUCCESS
        }
        Ok(failures) => {
            eprintln!("{failures} scripts did not give the expected results.");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all scripts, and returns the number of failures.
async fn run_all() -> Result<usize> {
    let servers = DemoServers::start().await?;
    let mut failures = 0;
    for script in scripts::all() {
        println!("== {} ({})", script.title, script.file);
        let outcome = servers.run(&script).await?;
        for line in outcome.output.lines() {
            println!("   {line}");
        }
        println!();
        print!("{}", table::render(&outcome.report));
        println!();
        for difference in &outcome.differences {
            eprintln!("   WRONG: {difference}");
        }
        failures += usize::from(!outcome.differences.is_empty());
    }
    Ok(failures)
}
