//! Checks a policy before the standard library connects an HTTP client.
//!
//! ```text
//! cargo run -p eryx-net-policy --example guarded_connect -- example.com
//! cargo run -p eryx-net-policy --example guarded_connect -- 169.254.169.254
//! ```

use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use eryx_net_policy::{Host, Policy, Verdict};

fn main() -> Result<(), Box<dyn Error>> {
    let host = env::args().nth(1).unwrap_or_else(|| "127.0.0.1".to_owned());
    let policy = Policy::builder()
        .block_host("*.internal.corp".parse()?)
        .build();

    let mut stream = match connect(&policy, &host, 80) {
        Ok(stream) => stream,
        Err(error) => {
            println!("{error}");
            return Ok(());
        }
    };
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut response = String::new();
    stream.take(200).read_to_string(&mut response)?;
    println!("{response}");
    Ok(())
}

/// Connects as `TcpStream::connect` does, if the policy allows it.
#[allow(
    clippy::disallowed_methods,
    reason = "the policy checks the addresses before they are used"
)]
fn connect(policy: &Policy, host: &str, port: u16) -> io::Result<TcpStream> {
    let mut verdict = policy.check(host, port);
    if let (false, Some(Host::Name(name))) = (verdict.is_denied(), verdict.host()) {
        // One lookup: the addresses that are checked below are the ones that are dialled. The
        // standard library does not return the aliases of a name; pass them on if your resolver
        // does.
        let addresses: Vec<IpAddr> = (name.as_str(), port)
            .to_socket_addrs()?
            .map(|a| a.ip())
            .collect();
        verdict = policy.check_resolved(name, &[], &addresses, port);
    }
    dial(&verdict, port)
}

fn dial(verdict: &Verdict, port: u16) -> io::Result<TcpStream> {
    let mut last_error = io::Error::new(io::ErrorKind::PermissionDenied, verdict.to_string());
    for address in verdict.dialable_addresses() {
        match TcpStream::connect_timeout(&SocketAddr::new(*address, port), Duration::from_secs(10))
        {
            Ok(stream) => return Ok(stream),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}
