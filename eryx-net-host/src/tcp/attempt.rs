//! One attempt to connect: a direct TCP connection to one address.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;

use crate::tcp::lazy_tcp_stream::{Interest, LazyTcpStream};

/// An established connection.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) stream: LazyTcpStream,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

/// Connects to `address`, and waits until the connection is established.
pub(super) async fn connect_one(address: SocketAddr) -> io::Result<Connected> {
    let mut stream =
        LazyTcpStream::connect(address).map_err(|error| normalize_without_ipv6(address, error))?;
    // Not `address`, which may be unspecified. A peer on this machine or nearby may have answered
    // by now: a socket that has a peer is connected.
    let peer = match stream.peer_address() {
        Ok(peer) => peer,
        Err(_) => {
            if !stream.wait_inline(Interest::Writable) {
                poll_fn(|cx| stream.poll_writable(cx)).await?;
            }
            stream.take_connect_error()?;
            stream.peer_address()?
        }
    };
    let local = stream.local_address()?;
    // TCP's simultaneous open lets a socket connect to itself when its local port is the one it
    // dials. No server listens there.
    if local == peer {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(Connected {
        stream,
        peer,
        local,
    })
}

/// Converts EADDRNOTAVAIL of an IPv6 connect to ENETUNREACH: Linux returns it on a machine without
/// IPv6. For an IPv4 connect it means that all ports are in use.
fn normalize_without_ipv6(address: SocketAddr, error: io::Error) -> io::Error {
    if address.is_ipv6() && error.kind() == io::ErrorKind::AddrNotAvailable {
        return io::ErrorKind::NetworkUnreachable.into();
    }
    error
}
