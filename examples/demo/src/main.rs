//! Runs the scripts of `examples/scripts` in sandboxes, against a web server with its own certificate
//! authority and a name server, all on loopback. Shows what each printed and what the host decided, and
//! fails if anything differs from what it should be. Run it with `cargo xtask demo`.
#![forbid(unsafe_code)]

mod scene;
mod table;

use std::process::ExitCode;

use anyhow::Result;

use scene::Stage;

#[tokio::main]
async fn main() -> ExitCode {
    match show().await {
        Ok(0) => {
            println!("Everything is as it should be.");
            ExitCode::SUCCESS
        }
        Ok(failures) => {
            eprintln!("{failures} of the scripts did not do what they should.");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Play every scene. Returns how many went wrong.
async fn show() -> Result<usize> {
    let stage = Stage::set().await?;
    let mut failures = 0;
    for scene in scene::all() {
        println!("== {} ({})", scene.title, scene.script);
        let played = stage.play(&scene).await?;
        for line in played.output.lines() {
            println!("   {line}");
        }
        println!();
        print!("{}", table::render(&played.report));
        println!();
        for difference in &played.differences {
            eprintln!("   WRONG: {difference}");
        }
        failures += usize::from(!played.differences.is_empty());
    }
    Ok(failures)
}
