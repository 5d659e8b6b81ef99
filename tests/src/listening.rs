//! Listening sockets whose tasks end with their owner.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// An ephemeral port on 127.0.0.1.
pub const LOOPBACK: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// An ephemeral port on ::1.
pub const LOOPBACK_V6: SocketAddr = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0, 0, 0));

/// Pending connections a server lets the kernel hold; more than any test opens at once.
const BACKLOG: u32 = 1024;

/// A task that is aborted when this is dropped.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens on `address`; a `receive_buffer` (in bytes) is inherited by every connection, which
/// is the only way to have one smaller than the kernel's default from the first segment on.
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

/// Runs `serve` for every connection. The connections' tasks live in the accepting task, so
/// dropping it ends them too.
pub(crate) fn accept<F, W>(listener: TcpListener, serve: F) -> Task
where
    F: Fn(TcpStream, SocketAddr) -> W + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    Task::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    // A connection that was reset while it queued is no reason to stop listening.
                    let Ok((stream, peer)) = accepted else { continue };
                    connections.spawn(serve(stream, peer));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    })
}
