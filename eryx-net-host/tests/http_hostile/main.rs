//! Hostile programs on inspected hosts that want requests past the rules, wrong bytes, or waits
//! without an end.

#![allow(
    clippy::disallowed_methods,
    reason = "a relay of a test connects without a policy"
)]

mod denials;
mod forwarding;
mod request_log;
mod response_limits;
mod server_names;
mod start_tls;
#[path = "../support/mod.rs"]
mod support;
mod tunnels;

use eryx_net_host::Network;
use tokio::net::{TcpListener, TcpStream};

use crate::support::http::PlainServer;

/// Starts a relay to `port`, as a proxy is that the program may use.
async fn relay_to(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let relay = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    relay
}

fn request(method: &str, port: u16, fields: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: secure.test:{port}\r\n{fields}\r\n")
}

/// Returns a network that records the requests to all hosts.
fn recording(server: &PlainServer) -> Network {
    Network::new(&server.config.with_inspected_host("*").expect("a pattern"))
}
