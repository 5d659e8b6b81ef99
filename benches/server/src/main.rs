//! The servers of `cargo xtask bench`: HTTP/1.1 in plaintext and over TLS, with a thread for each
//! connection, so that the servers contribute as little as possible to the measured time.
//!
//! The program prints the ports, the CA certificate, and the certificate and key of the servers as
//! one line of JSON, and ends when its standard input does.
#![forbid(unsafe_code)]

mod http;
mod server;

use std::io::Read as _;
use std::sync::Arc;

use anyhow::Result;
use eryx_testkit::{CertificateAuthority, Leaf, ServerTls};
use rustls::crypto::aws_lc_rs::Ticketer;

fn main() -> Result<()> {
    let ca = CertificateAuthority::new()?;
    let identity = ca.issue(&Leaf::server(["localhost"]))?;
    let mut tls = Arc::unwrap_or_clone(ServerTls::new(&identity).build()?);
    tls.ticketer = Ticketer::new()?;
    let plain = server::start_plain()?;
    let tls = server::start_tls(Arc::new(tls))?;
    println!(
        "{}",
        serde_json::json!({
            "plain": plain,
            "tls": tls,
            "ca": ca.pem(),
            "certificate": identity.chain_pem(),
            "key": identity.key_pem(),
        })
    );
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
