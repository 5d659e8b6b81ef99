//! Proxies: HTTP `CONNECT`, over TLS or not, and SOCKS version 5.

mod http;
mod socks5;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use eryx_sync::Mutex;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::accepted_stream::AcceptedStream;
use crate::ca::Identity;
use crate::listener::{self, LOOPBACK, ServerHandle};
use crate::server_transport::{ServerTls, Transport};

/// A request to a [`Proxy`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRequest {
    /// The target as the client wrote it, `host:port`.
    pub target: String,
    /// The credentials as `user:password`.
    pub credentials: Option<String>,
}

/// A running proxy. Dropping it ends it and its tunnels.
///
/// It connects only where a route leads, and so never leaves the machine.
///
/// ```
/// use eryx_testkit::{Behaviour, Peer, Proxy};
/// use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let peer = Peer::plain(Behaviour::Echo).await?;
/// let proxy = Proxy::http().route("example.com:80", peer.address()).start().await?;
/// let mut client = tokio::net::TcpStream::connect(proxy.address()).await?;
/// client.write_all(b"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n").await?;
/// let mut answer = [0; 12];
/// client.read_exact(&mut answer).await?;
/// assert_eq!(&answer, b"HTTP/1.1 200");
/// assert_eq!(proxy.requests()[0].target, "example.com:80");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Proxy {
    handle: ServerHandle,
    requests: Arc<Mutex<Vec<ProxyRequest>>>,
}

/// A builder of a [`Proxy`].
#[derive(Clone, Debug)]
pub struct ProxyBuilder {
    protocol: Protocol,
    transport: Transport,
    address: SocketAddr,
    rules: Rules,
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http,
    Socks5,
}

/// What a proxy demands, and where it connects.
#[derive(Clone, Debug, Default)]
struct Rules {
    /// `user:password`.
    credentials: Option<String>,
    routes: HashMap<String, SocketAddr>,
    /// The HTTP status, or the SOCKS reply, for a target without a route.
    refusal: u16,
}

impl Proxy {
    /// Returns a builder of an HTTP proxy. It answers 502 for a target without a route.
    #[must_use]
    pub fn http() -> ProxyBuilder {
        ProxyBuilder::new(Protocol::Http, 502)
    }

    /// Returns a builder of a SOCKS proxy. It replies 4, "host unreachable", for a target without a
    /// route.
    #[must_use]
    pub fn socks5() -> ProxyBuilder {
        ProxyBuilder::new(Protocol::Socks5, 4)
    }

    /// Returns the requests so far, those without valid credentials included.
    #[must_use]
    pub fn requests(&self) -> Vec<ProxyRequest> {
        self.requests.lock().clone()
    }

    /// Returns the targets of the requests so far.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        let requests = self.requests.lock();
        requests.iter().map(|r| r.target.clone()).collect()
    }
}

impl ProxyBuilder {
    fn new(protocol: Protocol, refusal: u16) -> Self {
        Self {
            protocol,
            transport: Transport::plain(),
            address: LOOPBACK,
            rules: Rules {
                refusal,
                ..Rules::default()
            },
        }
    }

    /// Demands these credentials, `user:password`.
    #[must_use]
    pub fn credentials(mut self, credentials: &str) -> Self {
        self.rules.credentials = Some(credentials.to_owned());
        self
    }

    /// Connects to `address` for the target `host:port`.
    #[must_use]
    pub fn route(mut self, target: &str, address: SocketAddr) -> Self {
        self.rules.routes.insert(target.to_owned(), address);
        self
    }

    /// Answers a target without a route with this HTTP status or SOCKS reply.
    #[must_use]
    pub fn refusing_with(mut self, code: u16) -> Self {
        self.rules.refusal = code;
        self
    }

    /// Speaks TLS with `identity` from the first byte.
    ///
    /// # Errors
    ///
    /// If rustls rejects the identity.
    pub fn tls(mut self, identity: &Identity) -> io::Result<Self> {
        self.transport = Transport::tls(ServerTls::new(identity).alpn(["http/1.1"]).build()?);
        Ok(self)
    }

    /// Uses this transport to its clients.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Listens on `address` in place of a free port of 127.0.0.1.
    #[must_use]
    pub fn listening_on(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Starts the proxy.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on.
    // Async, so that it cannot be called outside a runtime.
    #[allow(clippy::unused_async)]
    pub async fn start(self) -> io::Result<Proxy> {
        let listener = listener::listen(self.address, None)?;
        let handle = ServerHandle::new(listener.local_addr()?);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let (rules, transport, protocol) = (Arc::new(self.rules), self.transport, self.protocol);
        let accept = listener::accept(listener, move |socket, _| {
            let (rules, log, transport) = (Arc::clone(&rules), Arc::clone(&log), transport.clone());
            async move {
                // A client that closes early is not an error of the proxy.
                let _ = serve(socket, &transport, protocol, &rules, &log).await;
            }
        });
        Ok(Proxy {
            handle: handle.with_task(accept),
            requests,
        })
    }
}

impl Deref for Proxy {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.handle
    }
}

async fn serve(
    socket: TcpStream,
    transport: &Transport,
    protocol: Protocol,
    rules: &Rules,
    log: &Mutex<Vec<ProxyRequest>>,
) -> io::Result<()> {
    let mut stream = match transport.open(socket).await {
        Ok(stream) => stream,
        Err(failed) => {
            let (error, close) = failed.split();
            close.await;
            return Err(error);
        }
    };
    let target = match protocol {
        Protocol::Http => http::accept(&mut stream, rules, log).await?,
        Protocol::Socks5 => socks5::accept(&mut stream, rules, log).await?,
    };
    match target {
        Some(mut target) => {
            tokio::io::copy_bidirectional(&mut stream, &mut target).await?;
            Ok(())
        }
        None => close(&mut stream).await,
    }
}

/// Closes in order, so that the client gets the answer and not a reset.
async fn close(stream: &mut AcceptedStream) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(stream, &mut tokio::io::sink()).await?;
    Ok(())
}

impl Rules {
    /// Connects to a target. `None` without a route.
    async fn connect(&self, target: &str) -> io::Result<Option<TcpStream>> {
        match self.routes.get(target) {
            Some(address) => TcpStream::connect(address).await.map(Some),
            None => Ok(None),
        }
    }

    fn accepts(&self, credentials: Option<&str>) -> bool {
        self.credentials.is_none() || self.credentials.as_deref() == credentials
    }
}

#[cfg(test)]
mod tests;
