//! A web server with a route for every shape an HTTP exchange can take.
//!
//! | Route | Answers |
//! |---|---|
//! | `/` | a small page that says "Example Domain" |
//! | `/bytes/N` | the first N bytes of the [`pattern`](crate::pattern), length announced |
//! | `/chunked/N` | the same, chunked |
//! | `/gzip`, `/gzip/N` | the page, or N bytes of the pattern, gzip-encoded |
//! | `/drip?n=N&ms=T` | N bytes of the pattern, one at a time, T milliseconds before each |
//! | `/upload` | `{"length": …, "sha256": …}` of the request's body, which is not kept |
//! | `/echo` | the request's body, as it comes in |
//! | `/wait/T` | `ok` after T milliseconds |
//! | `/together/N` | `ok` once N such requests are waiting at once; 504 if they never are |
//! | `/redirect/N` | N redirects (302), then the page |
//! | `/status/N` | status N |
//! | `/json`, `/data` | a small JSON document |
//! | `/headers` | the request's headers as a JSON object, names in lower case |
//! | `/connection` | what the server knows of the connection, as JSON (see [`HttpServer::https`]) |
//! | `/close` | the page, and closes the connection |
//!
//! Every route takes every method. Connections are kept alive.

mod body;
mod routes;
mod stats;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::authority::Identity;
use crate::listening::{self, LOOPBACK, Task};
use crate::stream::Stream;
use crate::transport::{ServerTls, Transport};
use routes::{Connection, TlsConnection};
use stats::Stats;

/// A running web server; dropped, it and its connections are gone.
///
/// ```
/// use eryx_testkit::HttpServer;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let server = HttpServer::http().await?;
/// assert_eq!(server.url("localhost", "/json"), format!("http://localhost:{}/json", server.port()));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    tls: bool,
    stats: Arc<Stats>,
    _task: Task,
}

impl HttpServer {
    /// HTTP on loopback.
    ///
    /// # Errors
    ///
    /// When no port can be listened on.
    pub async fn http() -> io::Result<Self> {
        Self::start(Transport::plain(), LOOPBACK).await
    }

    /// HTTPS on loopback with `identity`, ALPN `http/1.1`.
    ///
    /// `/connection` then has a member `tls` with `version`, `cipher`, `alpn`, `sni`, `resumed`
    /// and `client`, the SHA-256 of the client's certificate; absent ones are null.
    ///
    /// # Errors
    ///
    /// When no port can be listened on or rustls does not take the identity.
    pub async fn https(identity: &Identity) -> io::Result<Self> {
        let tls = ServerTls::new(identity).alpn(["http/1.1"]).build()?;
        Self::start(Transport::tls(tls), LOOPBACK).await
    }

    /// Serves over `transport` on `address`; port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// When `address` cannot be listened on.
    // Async so that it cannot be called where there is no runtime to serve on.
    #[allow(clippy::unused_async)]
    pub async fn start(transport: Transport, address: SocketAddr) -> io::Result<Self> {
        let listener = listening::listen(address, None)?;
        let address = listener.local_addr()?;
        let tls = transport.is_tls();
        let stats = Arc::new(Stats::default());
        let shared = Arc::clone(&stats);
        let task = listening::accept(listener, move |socket, peer| {
            serve(socket, peer, transport.clone(), Arc::clone(&shared))
        });
        Ok(Self {
            address,
            tls,
            stats,
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

    /// The URL of `path` for a client that knows the server as `host`.
    #[must_use]
    pub fn url(&self, host: &str, path: &str) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        format!("{scheme}://{host}:{}{path}", self.port())
    }

    /// Connections accepted so far, failed handshakes included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.stats.connections()
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.stats.open()
    }

    /// Requests received so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.stats.requests()
    }

    /// The most requests that were ever being answered at once. A request counts until its
    /// answer's headers are ready.
    #[must_use]
    pub fn max_concurrent(&self) -> usize {
        self.stats.max_concurrent()
    }

    /// Handshakes that resumed an earlier session.
    #[must_use]
    pub fn resumed(&self) -> usize {
        self.stats.resumed()
    }

    /// Why handshakes failed, as the server saw it: the first 100.
    #[must_use]
    pub fn handshake_failures(&self) -> Vec<String> {
        self.stats.handshake_failures()
    }
}

async fn serve(socket: TcpStream, peer: SocketAddr, transport: Transport, stats: Arc<Stats>) {
    let (number, _open) = stats.connected();
    let stream = match transport.open(socket).await {
        Ok(stream) => stream,
        Err(refusal) => {
            let (error, leave) = refusal.split();
            stats.handshake_failed(error.to_string());
            return leave.await;
        }
    };
    let tls = TlsConnection::of(&stream);
    if tls.as_ref().is_some_and(TlsConnection::resumed) {
        stats.handshake_resumed();
    }
    let connection = Arc::new(Connection { number, peer, tls });
    serve_requests(stream, connection, stats).await;
}

async fn serve_requests(stream: Stream, connection: Arc<Connection>, stats: Arc<Stats>) {
    let service = service_fn(move |request| {
        let connection = Arc::clone(&connection);
        let stats = Arc::clone(&stats);
        async move {
            let _in_flight = stats.request();
            routes::answer(request, &connection, &stats).await
        }
    });
    // How a client takes its leave is its own affair: tests look at what it got.
    let _ = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

#[cfg(test)]
mod tests;
