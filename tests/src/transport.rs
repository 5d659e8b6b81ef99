//! What a server puts between its socket and its protocol: nothing, TLS, and a wire that is
//! slow or goes dead.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::authority::{Authority, Identity};

/// How a server speaks to whoever connects.
///
/// ```
/// use eryx_testkit::{Authority, Leaf, ServerTls, Transport};
/// use std::time::Duration;
///
/// let identity = Authority::new()?.issue(&Leaf::server(["localhost"]))?;
/// let tls = ServerTls::new(&identity).alpn(["http/1.1"]).build()?;
///
/// // Every byte of the handshake and of the answers in a segment of its own:
/// let trickling = Transport::tls(tls.clone()).in_pieces_of(1, Duration::ZERO);
/// // The server's first flight breaks off after 100 bytes:
/// let stalling = Transport::tls(tls).stalling_after(100);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Default)]
pub struct Transport {
    tls: Option<Arc<ServerConfig>>,
    pace: Pace,
}

impl Transport {
    /// Plain TCP.
    #[must_use]
    pub fn plain() -> Self {
        Self::default()
    }

    /// TLS from the first byte.
    #[must_use]
    pub fn tls(config: Arc<ServerConfig>) -> Self {
        Self {
            tls: Some(config),
            ..Self::default()
        }
    }

    /// Sends at most `bytes` (at least one) at a time, then waits `every` before the next piece.
    /// It is the bytes on the wire that are cut, below TLS.
    #[must_use]
    pub fn in_pieces_of(mut self, bytes: usize, every: Duration) -> Self {
        self.pace.piece = Some(bytes.max(1));
        self.pace.every = every;
        self
    }

    /// Sends `bytes` on the wire, below TLS, and then nothing more, with the connection open.
    #[must_use]
    pub fn stalling_after(mut self, bytes: u64) -> Self {
        self.pace.stall_after = Some(bytes);
        self
    }

    /// Whether clients have to speak TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(crate) async fn open(&self, socket: TcpStream) -> Result<Stream, Refusal> {
        // Without this, pieces would be merged again on their way. It fails only on a
        // connection that is gone, which the first read reports better.
        let _ = socket.set_nodelay(true);
        let wire = Wire::new(socket, self.pace);
        match &self.tls {
            None => Ok(Stream::Plain(wire)),
            Some(config) => {
                let acceptor = TlsAcceptor::from(Arc::clone(config));
                match acceptor.accept(wire).into_fallible().await {
                    Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
                    Err((error, wire)) => Err(Refusal { error, wire }),
                }
            }
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("tls", &self.is_tls())
            .field("pace", &self.pace)
            .finish()
    }
}

/// A server's side of TLS. Sessions can be resumed.
#[derive(Clone, Debug)]
pub struct ServerTls {
    identity: Identity,
    alpn: Vec<Vec<u8>>,
    clients: Option<rustls_pki_types::CertificateDer<'static>>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

impl ServerTls {
    /// TLS 1.2 and 1.3, no ALPN, no client certificate asked for.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        Self {
            identity: identity.clone(),
            alpn: Vec::new(),
            clients: None,
            versions: rustls::ALL_VERSIONS.to_vec(),
        }
    }

    /// The protocols to choose from, best first (RFC 7301). A client that offers only others is
    /// turned away with the alert `no_application_protocol`.
    #[must_use]
    pub fn alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Turns away clients without a certificate that `authority` has signed.
    #[must_use]
    pub fn require_client(mut self, authority: &Authority) -> Self {
        self.clients = Some(authority.root());
        self
    }

    /// Speaks only these versions: `&rustls::version::TLS12`, `&rustls::version::TLS13`.
    #[must_use]
    pub fn versions(mut self, versions: &[&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions.to_vec();
        self
    }

    /// The configuration to serve with.
    ///
    /// # Errors
    ///
    /// When rustls does not take the identity or the versions.
    pub fn build(self) -> io::Result<Arc<ServerConfig>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .map_err(io::Error::other)?;
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(root) => {
                let mut roots = RootCertStore::empty();
                roots.add(root).map_err(io::Error::other)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                    .build()
                    .map_err(io::Error::other)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(self.identity.chain().to_vec(), self.identity.key())
            .map_err(io::Error::other)?;
        config.alpn_protocols = self.alpn;
        Ok(Arc::new(config))
    }
}

/// The accepted side of a connection, as the protocol above sees it.
pub(crate) enum Stream {
    Plain(Wire),
    Tls(Box<TlsStream<Wire>>),
}

impl Stream {
    pub(crate) fn tls(&self) -> Option<&rustls::ServerConnection> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.get_ref().1),
        }
    }

    /// Below TLS: what is shut down here is not announced by close_notify.
    pub(crate) fn wire(&mut self) -> &mut Wire {
        match self {
            Self::Plain(wire) => wire,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }

    /// Ends the connection with RST; what the client has not been sent yet is lost.
    pub(crate) fn reset(mut self) -> io::Result<()> {
        self.wire().socket.set_zero_linger()
    }
}

/// A socket whose sending side keeps to a pace.
pub(crate) struct Wire {
    socket: TcpStream,
    pace: Pace,
    sent: u64,
    rest: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    fn new(socket: TcpStream, pace: Pace) -> Self {
        Self {
            socket,
            pace,
            sent: 0,
            rest: None,
        }
    }
}

/// A handshake that failed.
pub(crate) struct Refusal {
    pub(crate) error: io::Error,
    wire: Wire,
}

impl Refusal {
    /// Ends the sending side and takes in what still comes. Closing with data unread would make
    /// the kernel send a reset, which can overtake the alert that says what was wrong.
    pub(crate) async fn leave(mut self) {
        let rest = async {
            let mut scratch = [0; 4096];
            self.wire.socket.shutdown().await?;
            while self.wire.socket.read(&mut scratch).await? > 0 {}
            io::Result::Ok(())
        };
        // The client has been told; how it hangs up changes nothing.
        let _ = tokio::time::timeout(LEAVE_LIMIT, rest).await;
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    piece: Option<usize>,
    every: Duration,
    stall_after: Option<u64>,
}

impl Pace {
    fn is_set(self) -> bool {
        self.piece.is_some() || self.stall_after.is_some()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut length = data.len();
        if let Some(limit) = this.pace.stall_after {
            let left = usize::try_from(limit.saturating_sub(this.sent)).unwrap_or(usize::MAX);
            if left == 0 {
                return this.poll_abandoned(cx);
            }
            length = length.min(left);
        }
        if let Some(piece) = this.pace.piece {
            if let Some(rest) = &mut this.rest {
                ready!(rest.as_mut().poll(cx));
            }
            length = length.min(piece);
        }
        let sent = ready!(Pin::new(&mut this.socket).poll_write(cx, &data[..length]))?;
        this.sent += sent as u64;
        if !this.pace.every.is_zero() {
            let until = Instant::now() + this.pace.every;
            match &mut this.rest {
                Some(rest) => rest.as_mut().reset(until),
                None => this.rest = Some(Box::pin(tokio::time::sleep_until(until))),
            }
        }
        Poll::Ready(Ok(sent))
    }

    /// rustls gives a failing handshake one write for all that is queued: the alert, which comes
    /// last, only leaves with a write that takes several buffers.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.pace.is_set() {
            let first = buffers.iter().find(|buffer| !buffer.is_empty());
            return self.poll_write(cx, first.map_or(&[], |buffer| buffer));
        }
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        !self.pace.is_set()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl Wire {
    /// Waits for the client to give up on a stalled connection.
    fn poll_abandoned(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut one = [0];
        match ready!(self.socket.poll_peek(cx, &mut ReadBuf::new(&mut one))) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            // Unread data hides the end behind it; such a connection lasts as long as its server.
            Ok(_) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// How long a server waits for a client it has turned away to hang up.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);
