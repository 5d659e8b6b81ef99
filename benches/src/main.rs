//! What a user waits for: a table of medians, each over interleaved rounds in one process. Run it with
//! `cargo xtask bench`. The servers are the testkit's, in the same process, so absolute figures hold them too.
#![forbid(unsafe_code)]

mod measure;
mod scenes;

use anyhow::Result;

use measure::Table;

#[tokio::main]
async fn main() -> Result<()> {
    let scenes = scenes::Scenes::set().await?;
    let mut table = Table::default();
    for round in 0..scenes::ROUNDS {
        eprintln!("round {} of {}", round + 1, scenes::ROUNDS);
        scenes.round(&mut table).await?;
    }
    print!("{table}");
    Ok(())
}
