//! An HTTP server with a route for every kind of response.
//!
//! | Route | Response |
//! |---|---|
//! | `/` | a small page that says "Example Domain" |
//! | `/bytes/N` | the first N bytes of the [`payload`](crate::payload), length announced |
//! | `/chunked/N` | the same, chunked |
//! | `/gzip`, `/gzip/N` | the page, or N bytes of the payload, gzip-encoded |
//! | `/drip?n=N&ms=T` | N bytes of the payload, one at a time, T milliseconds before each |
//! | `/upload` | `{"length": …, "sha256": …}` of the request body, which is not stored |
//! | `/echo` | the request body, as it arrives |
//! | `/wait/T` | `ok` after T milliseconds |
//! | `/together/N` | `ok` once N such requests wait at the same time; 504 after 10 s |
//! | `/redirect/N` | N redirects (302), then the page |
//! | `/status/N` | status N |
//! | `/json`, `/data` | a small JSON document |
//! | `/authorization` | the SHA-256 of the header `Authorization`, in hexadecimal; 401 without it |
//! | `/headers` | the request's headers as a JSON object, names in lower case |
//! | `/connection` | the properties of the connection, as JSON (see [`HttpServer::https`]) |
//! | `/close` | the page, and closes the connection |
//!
//! Every route accepts every method. Connections are kept alive.

mod body;
mod routes;
mod stats;

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::accepted_stream::AcceptedStream;
use crate::ca::Identity;
use crate::listener::{self, LOOPBACK, ServerHandle};
use crate::server_transport::{ServerTls, Transport};
use routes::{Connection, TlsConnection};
use stats::Stats;

/// A running HTTP server. Dropping it ends it and its connections.
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
    handle: ServerHandle,
    tls: bool,
    stats: Arc<Stats>,
}

impl HttpServer {
    /// Serves HTTP on loopback.
    ///
    /// # Errors
    ///
    /// If no port can be listened on.
    pub async fn http() -> io::Result<Self> {
        Self::start(Transport::plain(), LOOPBACK).await
    }

    /// Serves HTTPS on loopback with `identity` and the ALPN protocol `http/1.1`.
    ///
    /// `/connection` then has a member `tls` with `version`, `cipher`, `alpn`, `sni`, `resumed`
    /// and `client`, the SHA-256 of the client's certificate. Absent ones are null.
    ///
    /// # Errors
    ///
    /// If no port can be listened on, or rustls rejects the identity.
    pub async fn https(identity: &Identity) -> io::Result<Self> {
        let tls = ServerTls::new(identity).alpn(["http/1.1"]).build()?;
        Self::start(Transport::tls(tls), LOOPBACK).await
    }

    /// Serves over `transport` on `address`. Port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// If `address` cannot be listened on.
    // Async, so that it cannot be called outside a runtime.
    #[allow(clippy::unused_async)]
    pub async fn start(transport: Transport, address: SocketAddr) -> io::Result<Self> {
        let listener = listener::listen(address, None)?;
        let handle = ServerHandle::new(listener.local_addr()?);
        let tls = transport.is_tls();
        let stats = Arc::new(Stats::default());
        let shared = Arc::clone(&stats);
        let accept = listener::accept(listener, move |socket, peer| {
            serve(socket, peer, transport.clone(), Arc::clone(&shared))
        });
        Ok(Self {
            handle: handle.with_task(accept),
            tls,
            stats,
        })
    }

    /// Returns the URL of `path` with the host `host`.
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

    /// Returns the number of connections accepted so far, failed handshakes included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.stats.connections()
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn open(&self) -> usize {
        self.stats.open()
    }

    /// Returns the number of requests received so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.stats.requests()
    }

    /// Returns the maximum number of concurrent requests so far. A request counts until the headers
    /// of its response are ready.
    #[must_use]
    pub fn max_concurrent(&self) -> usize {
        self.stats.max_concurrent()
    }

    /// Returns the number of handshakes that resumed a session.
    #[must_use]
    pub fn resumed(&self) -> usize {
        self.stats.resumed()
    }

    /// Returns the server's errors of the first 100 failed handshakes.
    #[must_use]
    pub fn handshake_failures(&self) -> Vec<String> {
        self.stats.handshake_failures()
    }
}

impl Deref for HttpServer {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.handle
    }
}

async fn serve(socket: TcpStream, peer: SocketAddr, transport: Transport, stats: Arc<Stats>) {
    let (number, _open) = stats.connected();
    let stream = match transport.open(socket).await {
        Ok(stream) => stream,
        Err(failed) => {
            let (error, close) = failed.split();
            stats.handshake_failed(error.to_string());
            return close.await;
        }
    };
    let tls = TlsConnection::from_stream(&stream);
    if tls.as_ref().is_some_and(TlsConnection::resumed) {
        stats.handshake_resumed();
    }
    let connection = Arc::new(Connection { number, peer, tls });
    serve_requests(stream, connection, stats).await;
}

async fn serve_requests(stream: AcceptedStream, connection: Arc<Connection>, stats: Arc<Stats>) {
    let service = service_fn(move |request| {
        let connection = Arc::clone(&connection);
        let stats = Arc::clone(&stats);
        async move {
            let _in_flight = stats.request();
            routes::respond(request, &connection, &stats).await
        }
    });
    // How the client closes the connection is ignored: tests check what it received.
    let _ = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

#[cfg(test)]
mod tests;
