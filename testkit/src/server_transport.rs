//! The server-side transport: plain or TLS, over a socket that can be throttled or stalled.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::accepted_stream::{AcceptedStream, FailedHandshake};
use crate::ca::{CertificateAuthority, Identity};
use crate::throttled_socket::{Throttle, ThrottledSocket};

/// The transport of a server: plain TCP or TLS, optionally throttled.
///
/// ```
/// use eryx_testkit::{CertificateAuthority, Leaf, ServerTls, Transport};
/// use std::time::Duration;
///
/// let identity = CertificateAuthority::new()?.issue(&Leaf::server(["localhost"]))?;
/// let tls = ServerTls::new(&identity).alpn(["http/1.1"]).build()?;
///
/// // Sends every byte of the handshake and of the responses in a segment of its own:
/// let trickling = Transport::tls(tls.clone()).in_pieces_of(1, Duration::ZERO);
/// // Stalls after 100 bytes of the server's first flight:
/// let stalling = Transport::tls(tls).stalling_after(100);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Default)]
pub struct Transport {
    tls: Option<Arc<ServerConfig>>,
    throttle: Throttle,
}

impl Transport {
    /// Creates a plain TCP transport.
    #[must_use]
    pub fn plain() -> Self {
        Self::default()
    }

    /// Creates a transport that speaks TLS from the first byte.
    #[must_use]
    pub fn tls(config: Arc<ServerConfig>) -> Self {
        Self {
            tls: Some(config),
            ..Self::default()
        }
    }

    /// Sends at most `bytes` (at least one) at a time, and waits `every` before the next piece.
    /// The pieces are cut below TLS.
    #[must_use]
    pub fn in_pieces_of(mut self, bytes: usize, every: Duration) -> Self {
        self.throttle.piece = Some(bytes.max(1));
        self.throttle.every = every;
        self
    }

    /// Stops sending after `bytes`, counted below TLS, and leaves the connection open.
    #[must_use]
    pub fn stalling_after(mut self, bytes: u64) -> Self {
        self.throttle.stall_after = Some(bytes);
        self
    }

    /// Returns whether the server speaks TLS from the first byte.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(crate) async fn open(&self, socket: TcpStream) -> Result<AcceptedStream, FailedHandshake> {
        // Nagle's algorithm would merge the pieces. The call fails only on a connection that is
        // gone, which the first read reports better.
        let _ = socket.set_nodelay(true);
        let socket = ThrottledSocket::new(socket, self.throttle);
        match &self.tls {
            None => Ok(AcceptedStream::Plain(socket)),
            Some(config) => {
                let acceptor = TlsAcceptor::from(Arc::clone(config));
                match acceptor.accept(socket).into_fallible().await {
                    Ok(stream) => Ok(AcceptedStream::Tls(Box::new(stream))),
                    Err((error, socket)) => Err(FailedHandshake { error, socket }),
                }
            }
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("tls", &self.is_tls())
            .field("throttle", &self.throttle)
            .finish()
    }
}

/// A builder of the server-side TLS configuration. Its sessions can be resumed.
#[derive(Clone, Debug)]
pub struct ServerTls {
    identity: Identity,
    /// Certificates that are sent after the identity's chain.
    more_certificates: Vec<CertificateDer<'static>>,
    alpn: Vec<Vec<u8>>,
    client_root: Option<CertificateDer<'static>>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

impl ServerTls {
    /// Creates a builder with TLS 1.2 and 1.3, without ALPN and client authentication.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        Self {
            identity: identity.clone(),
            more_certificates: Vec::new(),
            alpn: Vec::new(),
            client_root: None,
            versions: rustls::ALL_VERSIONS.to_vec(),
        }
    }

    /// Sets the ALPN protocols, best first (RFC 7301). A client that offers only others gets the
    /// alert `no_application_protocol`.
    #[must_use]
    pub fn alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Sends `certificates` after the chain of the identity. They may be any bytes.
    #[must_use]
    pub fn append_certificates(
        mut self,
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Self {
        self.more_certificates.extend(certificates);
        self
    }

    /// Rejects clients that do not present a certificate signed by `ca`.
    #[must_use]
    pub fn require_client(mut self, ca: &CertificateAuthority) -> Self {
        self.client_root = Some(ca.root());
        self
    }

    /// Restricts the versions to some of `&rustls::version::TLS12` and `&rustls::version::TLS13`.
    #[must_use]
    pub fn versions(mut self, versions: &[&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions.to_vec();
        self
    }

    /// Builds the configuration.
    ///
    /// # Errors
    ///
    /// If rustls rejects the identity or the versions.
    pub fn build(self) -> io::Result<Arc<ServerConfig>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .map_err(io::Error::other)?;
        let builder = match self.client_root {
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
        let chain = [self.identity.chain(), &self.more_certificates].concat();
        let mut config = builder
            .with_single_cert(chain, self.identity.key())
            .map_err(io::Error::other)?;
        config.alpn_protocols = self.alpn;
        Ok(Arc::new(config))
    }
}
