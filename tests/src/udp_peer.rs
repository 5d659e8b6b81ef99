//! A peer that speaks UDP.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::UdpSocket;

use crate::listening::Task;

/// Who sent what.
type Received = Vec<(SocketAddr, Vec<u8>)>;

/// Sends every datagram back to where it came from, until it is dropped, and keeps a list of what came.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use eryx_testkit::{LOOPBACK, UdpPeer};
///
/// let peer = UdpPeer::start(LOOPBACK).await?;
/// let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
/// client.send_to(b"hello", peer.address()).await?;
/// assert_eq!(client.recv(&mut [0; 16]).await?, 5);
/// assert_eq!(peer.received(), [(client.local_addr()?, b"hello".to_vec())]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UdpPeer {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
    _task: Task,
}

impl UdpPeer {
    /// A peer at `address`.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let address = socket.local_addr()?;
        let received = Arc::<Mutex<Received>>::default();
        let list = Arc::clone(&received);
        let task = Task::spawn(async move {
            let mut buffer = vec![0; 1 << 16];
            loop {
                // An error is about a client that has gone.
                let Ok((size, source)) = socket.recv_from(&mut buffer).await else {
                    continue;
                };
                let data = &buffer[..size];
                list.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((source, data.to_vec()));
                let _ = socket.send_to(data, source).await;
            }
        });
        Ok(Self {
            address,
            received,
            _task: task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What came so far, and from where.
    #[must_use]
    pub fn received(&self) -> Vec<(SocketAddr, Vec<u8>)> {
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
