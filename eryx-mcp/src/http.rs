//! The transport over HTTP ("Streamable HTTP").

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::bearer_token::BearerToken;
use crate::server::Server;
use crate::session_files::MAX_WRITE;

/// The only path that is served.
const PATH: &str = "/mcp";

/// The largest body of a request, in bytes: twice the content of a file, and the rest of its
/// message. Every connection may have one in memory. Larger ones are answered with the status 413.
const MAX_BODY: usize = 2 * MAX_WRITE + (64 << 10);

/// The most connections that are served at a time. Others wait in the queue of the listener.
const MAX_CONNECTIONS: usize = 64;

/// The most sessions of the protocol that may exist at a time, one for a client of a version before
/// 2026-07-28. One that is not used for five minutes ends.
const MAX_PROTOCOL_SESSIONS: usize = 64;

/// The most time that a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The wait after an error of the listener, such as a lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type HttpService = StreamableHttpService<Server, LocalSessionManager>;
type Body = BoxBody<Bytes, Infallible>;

/// The settings of the HTTP transport: the address, the token and the host names.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    address: SocketAddr,
    token: Option<BearerToken>,
    hosts: Vec<String>,
}

/// The error for a server that cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address is not one of loopback, and there is no token.
    #[error(
        "{0} can be reached from other machines, so clients need a token: set one, or use 127.0.0.1"
    )]
    NoToken(SocketAddr),
    /// The address cannot be used.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
}

impl HttpOptions {
    /// Listens on this address. Port 0 is one that the system chooses.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            token: None,
            hosts: Vec::new(),
        }
    }

    /// Returns whether other machines may reach the address, so that a token is required.
    #[must_use]
    pub fn requires_token(&self) -> bool {
        !self.address.ip().to_canonical().is_loopback()
    }

    /// Answers only requests with this token. Required if [`requires_token`](Self::requires_token)
    /// returns true.
    #[must_use]
    pub fn with_token(mut self, token: BearerToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Answers requests to this host name too, such as that of a proxy in front of the server:
    /// `mcp.example.com`, or with a port. Without it, only requests to the address itself and to
    /// `localhost` are answered, so that no website can reach the server by DNS rebinding.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Returns the names in the `Host` headers that are answered.
    fn allowed_hosts(&self) -> Vec<String> {
        let mut hosts = self.hosts.clone();
        let address = self.address.ip();
        if !address.is_unspecified() {
            hosts.push(address.to_string());
        }
        if address.is_loopback() || address.is_unspecified() {
            hosts.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        }
        hosts
    }
}

impl Server {
    /// Starts to listen, and returns the address and the future that serves clients until the
    /// server is stopped.
    ///
    /// # Errors
    ///
    /// If other machines could reach the address and there is no token, and if the system denies
    /// the address.
    pub async fn listen(
        &self,
        options: HttpOptions,
    ) -> Result<(SocketAddr, impl Future<Output = ()> + use<>), HttpError> {
        let address = options.address;
        if options.token.is_none() && options.requires_token() {
            return Err(HttpError::NoToken(address));
        }
        let failed = |error| HttpError::Listen(address, error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        Ok((bound, self.clone().serve_http(listener, options)))
    }

    async fn serve_http(self, listener: TcpListener, options: HttpOptions) {
        let sessions = Arc::new(LocalSessionManager::default());
        let config = StreamableHttpServerConfig::default()
            .with_allowed_hosts(options.allowed_hosts())
            // No website is a client.
            .with_allowed_origins(Vec::<String>::new())
            .enforce_origin_validation()
            .with_max_request_body_bytes(MAX_BODY);
        let stop_sessions = config.cancellation_token.clone();
        let server = self.clone();
        let endpoint = Arc::new(Endpoint {
            service: HttpService::new(move || Ok(server.clone()), Arc::clone(&sessions), config),
            sessions,
            token: options.token,
        });
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = accept(&listener, &slots) => accepted,
                () = self.stopped() => break,
            };
            while connections.try_join_next().is_some() {}
            let (stream, slot) = accepted;
            let endpoint = Arc::clone(&endpoint);
            connections.spawn(async move {
                endpoint.serve(stream).await;
                drop(slot);
            });
        }
        stop_sessions.cancel();
        connections.shutdown().await;
    }
}

/// Accepts a connection once there is a slot for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, Option<tokio::sync::OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Checks requests, and passes them to the service of the protocol.
struct Endpoint {
    service: HttpService,
    sessions: Arc<LocalSessionManager>,
    token: Option<BearerToken>,
}

impl Endpoint {
    async fn serve(&self, stream: TcpStream) {
        let service =
            service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        // An error of a connection concerns its client only.
        let _ = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if let Some(token) = &self.token {
            let header = request.headers().get(AUTHORIZATION);
            if !header.is_some_and(|header| token.is_in(header.as_bytes())) {
                let text = "The token is missing or wrong: send `Authorization: Bearer TOKEN`.";
                let mut response = refusal(StatusCode::UNAUTHORIZED, text);
                let scheme = hyper::header::HeaderValue::from_static("Bearer");
                response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
                return response;
            }
        }
        if request.uri().path() != PATH {
            return refusal(StatusCode::NOT_FOUND, "The server is at /mcp.");
        }
        if !request.headers().contains_key("mcp-session-id")
            && self.sessions.sessions.read().await.len() >= MAX_PROTOCOL_SESSIONS
        {
            let text = "There are too many sessions of clients: try again in five minutes.";
            return refusal(StatusCode::SERVICE_UNAVAILABLE, text);
        }
        self.service.handle(request).await
    }
}

fn refusal(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())).boxed());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_address_and_given_ones_are_answered() {
        for (address, given, expected) in [
            (
                "127.0.0.1:1",
                None,
                &["127.0.0.1", "localhost", "127.0.0.1", "::1"][..],
            ),
            ("10.0.0.1:1", None, &["10.0.0.1"]),
            (
                "10.0.0.1:1",
                Some("mcp.example"),
                &["mcp.example", "10.0.0.1"],
            ),
            (
                "0.0.0.0:1",
                Some("a"),
                &["a", "localhost", "127.0.0.1", "::1"],
            ),
        ] {
            let mut options = HttpOptions::new(address.parse().expect("valid"));
            if let Some(given) = given {
                options = options.with_host(given);
            }
            assert_eq!(options.allowed_hosts(), expected, "{address}");
        }
    }
}
