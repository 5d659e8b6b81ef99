//! A check in front of an HTTP client: the standard library connects, and only to where the policy allows.
//!
//! ```text
//! cargo run -p eryx-net-policy --example guarded_connect -- example.com
//! cargo run -p eryx-net-policy --example guarded_connect -- 169.254.169.254
//! ```

use std::{
    env,
    error::Error,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

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

/// Like `TcpStream::connect`, under a policy.
fn connect(policy: &Policy, host: &str, port: u16) -> io::Result<TcpStream> {
    let mut verdict = policy.check(host, port);
    if let (false, Some(Host::Name(name))) = (verdict.is_denied(), verdict.host()) {
        // Looked up once: what is judged below is what is dialled. The standard library does not tell the
        // aliases of a name; a resolver that does should pass them on.
        let addresses: Vec<IpAddr> = (name.as_str(), port)
            .to_socket_addrs()?
            .map(|a| a.ip())
            .collect();
        verdict = policy.check_resolved(name, &[], &addresses, port);
    }
    dial(&verdict, port)
}

fn dial(verdict: &Verdict, port: u16) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::PermissionDenied, verdict.to_string());
    for address in verdict.dialable_addresses() {
        match TcpStream::connect_timeout(&SocketAddr::new(*address, port), Duration::from_secs(10))
        {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
