//! What a server puts between its socket and its protocol: nothing, TLS, and a wire that is
//! slow or goes dead.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::authority::{Authority, Identity};
use crate::stream::{Refusal, Stream};
use crate::wire::{Pace, Wire};

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
