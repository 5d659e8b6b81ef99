//! The servers that `cargo xtask bench` measures against: HTTP/1.1 in the clear and over TLS, a thread a connection, so
//! that what is measured waits for as little of theirs as can be.
//!
//! The ports and the certificate to trust are printed as one line of JSON. The process ends with its standard input.
#![forbid(unsafe_code)]

mod exchange;
mod server;

use std::io::Read as _;
use std::sync::Arc;

use anyhow::Result;
use eryx_testkit::{CertificateAuthority, Leaf, ServerTls};
use rustls::crypto::aws_lc_rs::Ticketer;

fn main() -> Result<()> {
    let authority = CertificateAuthority::new()?;
    let identity = authority.issue(&Leaf::server(["localhost"]))?;
    let mut tls = Arc::unwrap_or_clone(ServerTls::new(&identity).build()?);
    tls.ticketer = Ticketer::new()?;
    let plain = server::plain()?;
    let tls = server::tls(Arc::new(tls))?;
    println!(
        "{}",
        serde_json::json!({"plain": plain, "tls": tls, "authority": authority.pem()})
    );
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
