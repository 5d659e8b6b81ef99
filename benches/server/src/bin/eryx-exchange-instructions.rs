//! Repeats exchanges with an inspected host: `eryx-exchange-instructions exchange COUNT`.
//! `cargo xtask instructions` counts its instructions as those of `eryx-instructions`, which is a
//! program of its own so that its code is compiled in the same way whatever is added here.
#![forbid(unsafe_code)]

#[path = "../loopback_pair.rs"]
mod loopback_pair;

use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result, ensure};
use eryx_net_host::policy::{HttpRule, SecretBinding};
use eryx_net_host::{NetConfig, Network, Secret};
use tokio::runtime::Runtime;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let operation = arguments.next();
    ensure!(
        operation.as_deref() == Some("exchange"),
        "no operation: pass `exchange`"
    );
    let count = arguments
        .next()
        .context("no count: pass the number of repetitions")?
        .parse()?;
    exchange(count)
}

/// Sends requests to an inspected host, each of which gets a secret, and receives the responses.
fn exchange(count: usize) -> Result<()> {
    let runtime = runtime()?;
    let host = || "127.0.0.1".parse();
    let binding = SecretBinding::new("TOKEN", [host()?])?
        .with_plaintext_hosts([host()?])?
        .with_inject("Bearer {}")?;
    let secret = Secret::new(binding, "exchange-0123456789abcdefghijklmnopqrstuvwxyz")?;
    let config = NetConfig::permissive()
        .with_http_rule(HttpRule::new(host()?).with_paths(["/bytes/*"])?)?
        .with_secret(secret)?;
    let network = Network::new(&config);
    let (mut connection, mut peer) = loopback_pair::connect(&network, &runtime)?;
    let port = peer.local_addr()?.port();
    let request = format!(
        "GET /bytes/1024 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: identity\r\n\r\n"
    );
    let body = [b'x'; 1024];
    let mut response = b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n".to_vec();
    response.extend(body);
    let mut received = [0; 1024];
    for _ in 0..count {
        let written = runtime.block_on(connection.write(request.as_bytes(), None))?;
        ensure!(written == request.len(), "{written} bytes written");
        let length = peer.read(&mut received)?;
        ensure!(length > request.len(), "no secret was added");
        peer.write_all(&response)?;
        let mut left = response.len();
        while left > 0 {
            left -= runtime.block_on(connection.read(4096, None))?.len();
        }
    }
    Ok(())
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}
