//! Repeats one operation: `eryx-instructions OPERATION COUNT`. `cargo xtask instructions` counts
//! the instructions of two runs with different counts: their difference excludes start and exit.
#![forbid(unsafe_code)]

#[path = "../loopback_pair.rs"]
mod loopback_pair;

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::IpAddr;

use anyhow::{Context as _, Result, bail, ensure};
use eryx_net_host::policy::HostName;
use eryx_net_host::{NetConfig, Network};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let operation = arguments
        .next()
        .context("no operation: pass `decision`, `read` or `write`")?;
    let count = arguments
        .next()
        .context("no count: pass the number of repetitions")?
        .parse()?;
    match operation.as_str() {
        "decision" => check_policy(count),
        "read" => transfer(count, Direction::In),
        "write" => transfer(count, Direction::Out),
        _ => bail!("unknown operation `{operation}`"),
    }
}

/// Checks a name and its addresses against the default policy.
fn check_policy(count: usize) -> Result<()> {
    let config = NetConfig::default();
    let name: HostName = "www.example.com".parse()?;
    let addresses: [IpAddr; 2] = ["93.184.215.14".parse()?, "2606:2800:21f:cb07::1".parse()?];
    for _ in 0..count {
        let name_verdict = config.check(black_box("www.example.com"), 443);
        black_box(&name_verdict);
        let verdict =
            config
                .policy()
                .check_resolved(black_box(&name), &[], black_box(&addresses), 443);
        ensure!(verdict.is_allowed(), "{verdict:?}");
    }
    Ok(())
}

/// The direction of a transfer, from Eryx's side.
enum Direction {
    In,
    Out,
}

/// Transfers chunks of 4 KiB over a plaintext connection, with both ends in this thread.
fn transfer(count: usize, direction: Direction) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let network = Network::new(&NetConfig::permissive());
    let (mut connection, mut peer) = loopback_pair::connect(&network, &runtime)?;
    let mut chunk = vec![b'x'; 4096];
    // One `block_on` for all chunks: what it costs is tokio's, not Eryx's.
    runtime.block_on(async {
        for _ in 0..count {
            match direction {
                Direction::In => {
                    peer.write_all(&chunk)?;
                    let read = connection.read(chunk.len(), None).await?;
                    ensure!(read.len() == chunk.len(), "{} bytes received", read.len());
                }
                Direction::Out => {
                    let written = connection.write(&chunk, None).await?;
                    ensure!(written == chunk.len(), "{written} bytes written");
                    peer.read_exact(&mut chunk)?;
                }
            }
        }
        Ok(())
    })
}
