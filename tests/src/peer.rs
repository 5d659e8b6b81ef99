//! Peers that speak no whole protocol: they echo, dawdle, break off, reset or lie.

mod conversation;
mod log;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ServerConfig;
use tokio::net::TcpStream;

use crate::authority::Identity;
use crate::listening::{self, LOOPBACK, Task};
use crate::transport::{ServerTls, Transport};
pub use log::Ended;
use log::Log;

/// What a peer does with every connection. Over TLS it begins after the handshake.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Behaviour {
    /// Returns what it gets, and closes when the client has finished sending.
    Echo,
    /// Reads everything, says nothing, and closes when the client does. Over plain TCP this is
    /// also the server that never answers a handshake.
    Silent,
    /// Reads nothing, with a small receive buffer: soon no more can be written to it.
    NeverReads,
    /// Like [`Receipt`](Self::Receipt), but reads at most `piece` bytes every so often, through a
    /// small receive buffer.
    ReadsSlowly {
        /// Bytes, at least one.
        piece: usize,
        /// The pause before each piece.
        every: Duration,
    },
    /// Reads until the client has finished sending, then answers with one line, the length and
    /// the SHA-256 of what it got (`5 2cf24d…`), and closes.
    Receipt,
    /// Sends this many bytes of the [`pattern`](crate::pattern), finishes its own sending at
    /// once, and goes on reading until the client has finished too.
    FinishesFirst {
        /// Bytes to send.
        bytes: u64,
    },
    /// Sends the pattern without end and reads nothing.
    Pours,
    /// Closes without a word.
    ClosesAtOnce,
    /// Resets the connection when the first byte comes in; over plain TCP, in the middle of
    /// what the client takes for a handshake.
    ResetsAtFirstByte,
    /// Takes a request's head, answers with a head that announces a body, sends a part of it and
    /// resets the connection. Parts that do not fit the client's receive buffer may be lost.
    ResetsMidBody {
        /// The `Content-Length`.
        announced: u64,
        /// Bytes of the pattern that are sent.
        sent: u64,
    },
    /// The same, but ends in order (with close_notify over TLS), only too early.
    EndsEarly {
        /// The `Content-Length`.
        announced: u64,
        /// Bytes of the pattern that are sent.
        sent: u64,
    },
    /// The same, but ends the connection below TLS, without close_notify.
    BreaksOff {
        /// The `Content-Length`.
        announced: u64,
        /// Bytes of the pattern that are sent.
        sent: u64,
    },
    /// Takes a request's head, answers with a complete body and ends the connection below TLS,
    /// without close_notify.
    OmitsCloseNotify {
        /// Bytes of the pattern in the body.
        body: u64,
        /// Whether there is a `Content-Length`; without one only the end of the connection ends
        /// the body, and nothing tells it from a truncated one.
        announced: bool,
    },
    /// Sends these bytes when the first byte comes in, whatever it is, and closes.
    Answers(Bytes),
    /// Echoes lines until one of them is `STARTTLS`; answers that with `go ahead`, and echoes
    /// over TLS until the client's close_notify; answers that too, and echoes lines in the clear again.
    StartsTls(Arc<ServerConfig>),
}

impl Behaviour {
    /// A plain web server at a port where the client expects TLS.
    #[must_use]
    pub fn http_instead_of_tls() -> Self {
        Self::Answers(Bytes::from_static(
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ))
    }

    /// Bytes that belong to no protocol.
    #[must_use]
    pub fn noise() -> Self {
        Self::Answers(crate::pattern::bytes(512).into())
    }

    fn receive_buffer(&self) -> Option<u32> {
        matches!(self, Self::NeverReads | Self::ReadsSlowly { .. }).then_some(SMALL_BUFFER)
    }
}

/// A running peer; dropped, it and its connections are gone.
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
    address: SocketAddr,
    log: Arc<Log>,
    _task: Task,
}

impl Peer {
    /// Over plain TCP, on loopback.
    ///
    /// # Errors
    ///
    /// When no port can be listened on.
    pub async fn plain(behaviour: Behaviour) -> io::Result<Self> {
        Self::start(behaviour, Transport::plain(), LOOPBACK).await
    }

    /// Over TLS with `identity`, on loopback.
    ///
    /// # Errors
    ///
    /// When no port can be listened on or rustls does not take the identity.
    pub async fn tls(behaviour: Behaviour, identity: &Identity) -> io::Result<Self> {
        let transport = Transport::tls(ServerTls::new(identity).build()?);
        Self::start(behaviour, transport, LOOPBACK).await
    }

    /// Over `transport` on `address`; port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// When `address` cannot be listened on.
    // Async so that it cannot be called where there is no runtime to serve on.
    #[allow(clippy::unused_async)]
    pub async fn start(
        behaviour: Behaviour,
        transport: Transport,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let listener = listening::listen(address, behaviour.receive_buffer())?;
        let address = listener.local_addr()?;
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        let task = listening::accept(listener, move |socket, _| {
            serve(
                socket,
                behaviour.clone(),
                transport.clone(),
                Arc::clone(&shared),
            )
        });
        Ok(Self {
            address,
            log,
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

    /// Connections accepted so far, failed handshakes included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.log.connections()
    }

    /// Connections open now. A peer that does not read cannot see its client leave, and counts
    /// it until it is dropped.
    #[must_use]
    pub fn open(&self) -> usize {
        self.log.connections() - self.log.ended().len()
    }

    /// Bytes received so far over all connections, without TLS's own.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.log.received()
    }

    /// Waits until `count` connections have ended, and tells how all that have did.
    ///
    /// # Panics
    ///
    /// When that takes longer than ten seconds: the client under test keeps a connection open.
    pub async fn ended(&self, count: usize) -> Vec<Ended> {
        self.log.wait_for(count).await
    }
}

async fn serve(socket: TcpStream, behaviour: Behaviour, transport: Transport, log: Arc<Log>) {
    let entry = log.connected();
    match transport.open(socket).await {
        Ok(stream) => {
            let (received, outcome) = conversation::hold(stream, behaviour, &log).await;
            entry.ended(received, outcome);
        }
        Err(refusal) => {
            let (error, leave) = refusal.split();
            entry.ended(0, Err(error));
            leave.await;
        }
    }
}

/// The kernel doubles it and keeps a minimum; a few hundred kilobytes in the sender's buffer
/// still come on top.
const SMALL_BUFFER: u32 = 4096;

#[cfg(test)]
mod tests;
