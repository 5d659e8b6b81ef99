//! A UDP echo server.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use eryx_sync::Mutex;
use tokio::net::UdpSocket;

use crate::listener::ServerHandle;

/// The received datagrams, each with its source.
type Received = Vec<(SocketAddr, Vec<u8>)>;

/// A UDP peer that sends every datagram back to its source and records it. Dropping it ends it.
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
    handle: ServerHandle,
    received: Arc<Mutex<Received>>,
}

impl UdpPeer {
    /// Starts a peer on `address`. Port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// If `address` cannot be bound.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let handle = ServerHandle::new(socket.local_addr()?);
        let received = Arc::<Mutex<Received>>::default();
        let list = Arc::clone(&received);
        let echo = async move {
            let mut buffer = vec![0; 1 << 16];
            loop {
                // The error is an ICMP error from a client that is gone.
                let Ok((size, source)) = socket.recv_from(&mut buffer).await else {
                    continue;
                };
                let data = &buffer[..size];
                list.lock().push((source, data.to_vec()));
                let _ = socket.send_to(data, source).await;
            }
        };
        Ok(Self {
            handle: handle.with_task(echo),
            received,
        })
    }

    /// Returns the datagrams received so far, each with its source.
    #[must_use]
    pub fn received(&self) -> Vec<(SocketAddr, Vec<u8>)> {
        self.received.lock().clone()
    }
}

impl Deref for UdpPeer {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.handle
    }
}
