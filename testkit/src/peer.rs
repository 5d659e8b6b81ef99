//! Fault-injecting TCP peers: echo, stall, disconnect, reset, protocol violations.

mod log;
mod session;

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ServerConfig;
use tokio::net::TcpStream;

use crate::ca::Identity;
use crate::listener::{self, LOOPBACK, ServerHandle};
use crate::server_transport::{ServerTls, Transport};
pub use log::Ended;
use log::Log;

/// The behaviour of a peer on each connection. Over TLS it begins after the handshake.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Behaviour {
    /// Sends back all it receives, and closes when the client has finished sending.
    Echo,
    /// Reads everything, sends nothing, and closes when the client does. Over plain TCP it is
    /// also a server that never answers a handshake.
    Silent,
    /// Reads nothing, and has a small receive buffer: the client's writes soon block. Ends when the
    /// client closes.
    NeverReads,
    /// Acts as [`Receipt`](Self::Receipt), but reads slowly through a small receive buffer.
    ReadsSlowly {
        /// Bytes of one read at most; 0 counts as 1.
        piece: usize,
        /// The delay before each read.
        every: Duration,
    },
    /// Reads until the client has finished sending, sends one line with the length and the SHA-256
    /// of the received bytes (`5 2cf24d…`), and closes.
    Receipt,
    /// Sends the first `bytes` of the [`payload`](crate::payload), half-closes at once, and reads
    /// until the client has finished too.
    FinishesFirst {
        /// Bytes to send.
        bytes: u64,
    },
    /// Sends the payload without end, and reads nothing.
    SendsForever,
    /// Closes without sending anything.
    ClosesAtOnce,
    /// Resets the connection at the first byte. Over plain TCP, that is in the middle of the
    /// client's TLS handshake.
    ResetsAtFirstByte,
    /// Reads the head of a request, sends the head of a response and a part of its body, and resets
    /// the connection. Bytes that do not fit the client's receive buffer may be lost.
    ResetsMidBody {
        /// The `Content-Length`.
        announced: u64,
        /// Bytes of the payload in the truncated body.
        sent: u64,
    },
    /// Acts as [`ResetsMidBody`](Self::ResetsMidBody), but closes in order (over TLS, with
    /// close_notify).
    EndsEarly {
        /// The `Content-Length`.
        announced: u64,
        /// Bytes of the payload in the truncated body.
        sent: u64,
    },
    /// Acts as [`ResetsMidBody`](Self::ResetsMidBody), but closes below TLS, without close_notify.
    BreaksOff {
        /// The `Content-Length`.
        announced: u64,
        /// Bytes of the payload in the truncated body.
        sent: u64,
    },
    /// Reads the head of a request, sends a complete response, and closes below TLS, without
    /// close_notify.
    OmitsCloseNotify {
        /// Bytes of the payload in the body.
        body: u64,
        /// Whether the response has a `Content-Length`. Without one, the end of the connection ends
        /// the body, which cannot be distinguished from a truncated one.
        announced: bool,
    },
    /// Sends these bytes at the first byte it receives, and closes.
    Answers(Bytes),
    /// Sends these bytes at the first byte it receives, and closes below TLS, without close_notify.
    AnswersWithoutCloseNotify(Bytes),
    /// Echoes lines until one of them is `STARTTLS`, sends `go ahead`, and echoes over TLS until
    /// the client's close_notify. Answers it with its own, and echoes plaintext lines again.
    StartsTls(Arc<ServerConfig>),
}

impl Behaviour {
    /// A plain HTTP server on a port where the client expects TLS.
    #[must_use]
    pub fn http_instead_of_tls() -> Self {
        Self::Answers(Bytes::from_static(
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ))
    }

    /// Random bytes, which belong to no protocol.
    #[must_use]
    pub fn noise() -> Self {
        Self::Answers(crate::payload::bytes(512).into())
    }

    fn receive_buffer(&self) -> Option<u32> {
        matches!(self, Self::NeverReads | Self::ReadsSlowly { .. }).then_some(SMALL_BUFFER)
    }
}

/// A running peer. Dropping it ends it and its connections.
///
/// ```
/// use eryx_testkit::{Behaviour, Peer};
/// use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
/// use tokio::net::TcpStream;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let peer = Peer::plain(Behaviour::Receipt).await?;
/// let mut client = TcpStream::connect(peer.address()).await?;
/// client.write_all(b"hello").await?;
/// client.shutdown().await?;
/// let mut receipt = String::new();
/// client.read_to_string(&mut receipt).await?;
/// assert!(receipt.starts_with("5 2cf24dba5fb0a30e"));
/// assert_eq!(peer.ended(1).await[0].received, 5);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Peer {
    handle: ServerHandle,
    log: Arc<Log>,
}

impl Peer {
    /// Starts a plain TCP peer on loopback.
    ///
    /// # Errors
    ///
    /// If no port can be listened on.
    pub async fn plain(behaviour: Behaviour) -> io::Result<Self> {
        Self::start(behaviour, Transport::plain(), LOOPBACK).await
    }

    /// Starts a TLS peer with `identity` on loopback.
    ///
    /// # Errors
    ///
    /// If no port can be listened on, or rustls rejects the identity.
    pub async fn tls(behaviour: Behaviour, identity: &Identity) -> io::Result<Self> {
        let transport = Transport::tls(ServerTls::new(identity).build()?);
        Self::start(behaviour, transport, LOOPBACK).await
    }

    /// Starts a peer on `address` over `transport`. Port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// If `address` cannot be listened on.
    // Async, so that it cannot be called outside a runtime.
    #[allow(clippy::unused_async)]
    pub async fn start(
        behaviour: Behaviour,
        transport: Transport,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let listener = listener::listen(address, behaviour.receive_buffer())?;
        let handle = ServerHandle::new(listener.local_addr()?);
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        let accept = listener::accept(listener, move |socket, _| {
            serve(
                socket,
                behaviour.clone(),
                transport.clone(),
                Arc::clone(&shared),
            )
        });
        Ok(Self {
            handle: handle.with_task(accept),
            log,
        })
    }

    /// Returns the number of connections accepted so far, failed handshakes included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.log.connections()
    }

    /// Returns the number of open connections. A peer that does not read cannot notice that its
    /// client has closed, and counts the connection until the peer is dropped.
    #[must_use]
    pub fn open(&self) -> usize {
        self.log.connections() - self.log.ended().len()
    }

    /// Returns the number of application bytes received so far over all connections.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.log.received()
    }

    /// Waits until `count` connections have ended, and returns all that have.
    ///
    /// # Panics
    ///
    /// After 10 s: the client under test keeps a connection open.
    pub async fn ended(&self, count: usize) -> Vec<Ended> {
        self.log.wait_for(count).await
    }
}

impl Deref for Peer {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.handle
    }
}

async fn serve(socket: TcpStream, behaviour: Behaviour, transport: Transport, log: Arc<Log>) {
    let entry = log.connected();
    match transport.open(socket).await {
        Ok(stream) => {
            let (received, outcome) = session::serve(stream, behaviour, &log).await;
            entry.ended(received, outcome);
        }
        Err(failed) => {
            let (error, close) = failed.split();
            entry.ended(0, Err(error));
            close.await;
        }
    }
}

/// The receive buffer of peers that read slowly or not at all, in bytes. The kernel doubles it and
/// has a minimum, and the sender's buffer adds a few hundred kilobytes.
const SMALL_BUFFER: u32 = 4096;

#[cfg(test)]
mod tests;
