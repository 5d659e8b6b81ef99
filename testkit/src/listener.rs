//! Listening sockets, and the handle that every running server holds.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// An ephemeral port on 127.0.0.1.
pub const LOOPBACK: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// An ephemeral port on ::1.
pub const LOOPBACK_V6: SocketAddr = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 0));

/// The backlog of a listener, more than any test opens at a time.
const BACKLOG: u32 = 1024;

/// The address of a running server, and its tasks, which end when the handle is dropped.
#[derive(Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    tasks: JoinSet<()>,
}

impl ServerHandle {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            tasks: JoinSet::new(),
        }
    }

    /// Runs `work` until the handle is dropped.
    pub(crate) fn with_task(mut self, work: impl Future<Output = ()> + Send + 'static) -> Self {
        self.tasks.spawn(work);
        self
    }

    /// Returns the address the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the port the server listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

/// Listens on `address`. Every connection inherits `receive_buffer` (in bytes): only so can it be
/// smaller than the kernel's default from the first segment on.
pub(crate) fn listen(address: SocketAddr, receive_buffer: Option<u32>) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Runs `serve` for every connection. The tasks of the connections end when this future is dropped.
pub(crate) async fn accept<F, W>(listener: TcpListener, serve: F)
where
    F: Fn(TcpStream, SocketAddr) -> W + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that was reset in the backlog does not stop the listener.
                let Ok((stream, peer)) = accepted else { continue };
                connections.spawn(serve(stream, peer));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
