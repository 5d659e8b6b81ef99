//! Does one thing so often: `eryx-instructions OPERATION COUNT`. `cargo xtask instructions` counts what the processor
//! does meanwhile, twice, so that what comes before and after is taken out.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};

use anyhow::{Context as _, Result, bail, ensure};
use eryx_net_host::policy::HostName;
use eryx_net_host::{Connection, NetConfig, Network};
use tokio::runtime::Runtime;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let operation = arguments.next().context("which operation?")?;
    let count = arguments.next().context("how often?")?.parse()?;
    match operation.as_str() {
        "decision" => decide(count),
        "read" => carry(count, Direction::In),
        "write" => carry(count, Direction::Out),
        _ => bail!("there is no operation `{operation}`"),
    }
}

/// The default policy about a name and the addresses it has.
fn decide(count: usize) -> Result<()> {
    let config = NetConfig::default();
    let name: HostName = "www.example.com".parse()?;
    let addresses: [IpAddr; 2] = ["93.184.215.14".parse()?, "2606:2800:21f:cb07::1".parse()?];
    for _ in 0..count {
        let asked = config.check(black_box("www.example.com"), 443);
        black_box(&asked);
        let answered =
            config
                .policy()
                .check_resolved(black_box(&name), &[], black_box(&addresses), 443);
        ensure!(answered.is_allowed(), "{answered:?}");
    }
    Ok(())
}

enum Direction {
    In,
    Out,
}

/// Pieces of 4 KiB on a plain connection, whose other end this thread has too.
fn carry(count: usize, direction: Direction) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let network = Network::new(&NetConfig::permissive());
    let (mut connection, mut other) = pair(&network, &runtime)?;
    let mut piece = vec![b'x'; 4096];
    for _ in 0..count {
        match direction {
            Direction::In => {
                other.write_all(&piece)?;
                let read = runtime.block_on(connection.read(piece.len(), None))?;
                ensure!(read.len() == piece.len(), "{} bytes came", read.len());
            }
            Direction::Out => {
                let written = runtime.block_on(connection.write(&piece, None))?;
                ensure!(written == piece.len(), "{written} bytes went");
                other.read_exact(&mut piece)?;
            }
        }
    }
    Ok(())
}

fn pair(network: &Network, runtime: &Runtime) -> Result<(Connection, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let connection = runtime.block_on(async {
        let mut connection = network.connect("127.0.0.1", port)?;
        connection.finish_connect(None).await?;
        anyhow::Ok(connection)
    })?;
    Ok((connection, listener.accept()?.0))
}
