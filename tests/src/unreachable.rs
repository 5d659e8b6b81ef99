//! Addresses where no connection comes about.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::listening::LOOPBACK;

/// An address where `connect` hangs: nothing answers, not even with a refusal.
///
/// On loopback there is no packet to lose. But Linux drops the first packet of a connection when
/// the queue of connections that wait for `accept` is full, so this is a listener that never
/// accepts, with the shortest queue there is, filled.
///
/// ```
/// use eryx_testkit::BlackHole;
/// use std::time::Duration;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let hole = BlackHole::new().await?;
/// let attempt = tokio::net::TcpStream::connect(hole.address());
/// assert!(tokio::time::timeout(Duration::from_millis(50), attempt).await.is_err());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    /// A black hole on loopback.
    ///
    /// # Errors
    ///
    /// When no port can be listened on, or the kernel does not behave as described above.
    pub async fn new() -> io::Result<Self> {
        Self::at(LOOPBACK).await
    }

    /// A black hole at `address`; port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub async fn at(address: SocketAddr) -> io::Result<Self> {
        let socket = socket_for(address)?;
        socket.bind(address)?;
        let listener = socket.listen(0)?;
        let address = listener.local_addr()?;
        let mut queued = Vec::new();
        while queued.len() < MAX_QUEUE {
            match tokio::time::timeout(FILL_WAIT, TcpStream::connect(address)).await {
                Ok(connected) => queued.push(connected?),
                Err(_) => {
                    return Ok(Self {
                        address,
                        _listener: listener,
                        _queued: queued,
                    });
                }
            }
        }
        Err(io::Error::other(format!(
            "{MAX_QUEUE} connections to a listener with the shortest queue were all established, \
             so on this kernel there is no way to make connect() hang"
        )))
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// An address where `connect` is refused, for as long as this is kept: the port is taken, so
/// that no other test's server can get it, but nobody listens.
///
/// ```
/// use eryx_testkit::ClosedPort;
///
/// let closed = ClosedPort::new()?;
/// let refused = std::net::TcpStream::connect(closed.address()).unwrap_err();
/// assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct ClosedPort {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl ClosedPort {
    /// A closed port on loopback.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub fn new() -> io::Result<Self> {
        Self::at(LOOPBACK)
    }

    /// A closed port at `address`; port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// When `address` cannot be taken.
    pub fn at(address: SocketAddr) -> io::Result<Self> {
        let socket = socket_for(address)?;
        socket.bind(address)?;
        Ok(Self {
            address: socket.local_addr()?,
            _socket: socket,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn socket_for(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }
}

/// Loopback connects within microseconds; a first packet that is dropped is sent again after one
/// second.
const FILL_WAIT: Duration = Duration::from_millis(200);

/// Linux lets one connection more than asked for into the queue, so that two would do.
const MAX_QUEUE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listening::LOOPBACK_V6;

    #[tokio::test]
    async fn connecting_to_a_black_hole_hangs_however_often() {
        for address in [LOOPBACK, LOOPBACK_V6] {
            let hole = BlackHole::at(address).await.unwrap();
            // Longer than the first retransmission, which is dropped as well.
            let attempt = || {
                tokio::time::timeout(
                    Duration::from_millis(1300),
                    TcpStream::connect(hole.address()),
                )
            };
            let attempts = tokio::join!(attempt(), attempt(), attempt());
            assert!(attempts.0.is_err() && attempts.1.is_err() && attempts.2.is_err());
        }
    }

    #[tokio::test]
    async fn a_dropped_black_hole_refuses() {
        let hole = BlackHole::new().await.unwrap();
        let address = hole.address();
        drop(hole);
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_closed_port_refuses_and_is_nobody_elses() {
        for address in [LOOPBACK, LOOPBACK_V6] {
            let closed = ClosedPort::at(address).unwrap();
            let error = TcpStream::connect(closed.address()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            assert!(TcpListener::bind(closed.address()).await.is_err());
        }
    }
}
