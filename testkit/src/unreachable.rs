//! Addresses that cannot be connected to: one that hangs, one that refuses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::listener::LOOPBACK;

/// An address where `connect` hangs: no SYN is answered, not even with a reset.
///
/// Loopback loses no packets, but Linux drops the SYN when the accept queue is full. So this is a
/// listener with the shortest accept queue, which is full and never accepted from.
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
    /// Creates a black hole on loopback.
    ///
    /// # Errors
    ///
    /// If no port can be listened on, or the kernel does not behave as described above.
    pub async fn new() -> io::Result<Self> {
        Self::at(LOOPBACK).await
    }

    /// Creates a black hole at `address`. Port 0 picks a free one.
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

    /// Returns the address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// An address where `connect` is refused: a socket is bound to it and does not listen. While this
/// value exists, no other server can bind the port.
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
    /// Creates a closed port on loopback.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub fn new() -> io::Result<Self> {
        Self::at(LOOPBACK)
    }

    /// Creates a closed port at `address`. Port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// If `address` cannot be bound.
    pub fn at(address: SocketAddr) -> io::Result<Self> {
        let socket = socket_for(address)?;
        socket.bind(address)?;
        Ok(Self {
            address: socket.local_addr()?,
            _socket: socket,
        })
    }

    /// Returns the address.
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

/// The time after which the accept queue counts as full. Loopback connects within microseconds; a
/// dropped SYN is sent again after 1 s.
const FILL_WAIT: Duration = Duration::from_millis(200);

/// The maximum number of connections opened to fill the queue. Linux queues one more than the
/// backlog, so two should do.
const MAX_QUEUE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::LOOPBACK_V6;

    #[tokio::test]
    async fn repeated_connects_to_a_black_hole_hang() {
        for address in [LOOPBACK, LOOPBACK_V6] {
            let hole = BlackHole::at(address).await.unwrap();
            // Longer than 1 s, so that it covers the first retransmission, which is dropped as
            // well.
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
    async fn a_dropped_black_hole_refuses_connections() {
        let hole = BlackHole::new().await.unwrap();
        let address = hole.address();
        drop(hole);
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_closed_port_refuses_connections_and_cannot_be_bound() {
        for address in [LOOPBACK, LOOPBACK_V6] {
            let closed = ClosedPort::at(address).unwrap();
            let error = TcpStream::connect(closed.address()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            assert!(TcpListener::bind(closed.address()).await.is_err());
        }
    }
}
