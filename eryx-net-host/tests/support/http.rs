//! Helpers for tests of inspected hosts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use eryx_net_host::policy::{HttpRule, SecretBinding};
use eryx_net_host::{
    Connection, HttpDenials, NetConfig, NetError, Network, ProvideSecret, ProvideSecretError,
    Secret, TlsSession,
};
use eryx_sync::Mutex;
use eryx_testkit::RequestRecorder;
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{ScriptedResolver, TlsFixture, connected, loopback_config, settings, within_timeout};

pub const SECRET: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

/// Returns a rule for `host`.
pub fn rule(host: &str) -> HttpRule {
    HttpRule::new(host.parse().expect("a pattern"))
}

/// Returns a rule for `secure.test` that allows only GET.
pub fn get_only() -> HttpRule {
    let rule = rule("secure.test").with_methods(["GET"]);
    rule.expect("methods")
}

pub fn secret(host: &str) -> Secret {
    let binding = SecretBinding::new("TOKEN", [host.parse().expect("a pattern")]);
    Secret::new(binding.expect("a binding"), SECRET).expect("a value")
}

/// A TLS server for `secure.test` that echoes each request as the body of a response, and a
/// configuration that trusts it.
pub struct Origin {
    pub server: RequestRecorder,
    pub config: NetConfig,
}

impl Origin {
    pub async fn new() -> Self {
        Self::answering(|request| RequestRecorder::ok(&String::from_utf8_lossy(request))).await
    }

    pub async fn answering(respond: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let fixture = TlsFixture::new();
        Self {
            server: RequestRecorder::tls(&fixture.identity, respond)
                .await
                .expect("a server"),
            config: fixture.config(),
        }
    }

    pub fn port(&self) -> u16 {
        self.server.port()
    }

    pub fn network_with(&self, secret: Secret) -> Network {
        Network::new(&self.config.with_secret(secret).expect("a secret"))
    }

    /// Returns a network with [`SECRET`] for the server.
    pub fn network_with_secret(&self) -> Network {
        self.network_with(secret("secure.test"))
    }

    pub fn network_with_rule(&self, rule: HttpRule) -> Network {
        Network::new(&self.config.with_http_rule(rule).expect("a rule"))
    }

    /// Returns a network whose denials are responses.
    pub fn network_with_responses(&self, rule: HttpRule) -> Network {
        let config = self.config.with_http_rule(rule).expect("a rule");
        Network::new(&config.with_http_denials(HttpDenials::Response))
    }
}

pub fn placeholder(network: &Network) -> String {
    let environment = network.environment();
    let (_, placeholder) = environment.first().expect("a secret");
    placeholder.clone()
}

/// Returns the field with the first secret's placeholder as a bearer token.
pub fn authorization(network: &Network) -> String {
    format!("Authorization: Bearer {}\r\n", placeholder(network))
}

/// Reads one response with Content-Length or until the end of the stream.
pub async fn response(connection: &mut Connection) -> Result<String, NetError> {
    let mut all = Vec::new();
    loop {
        let bytes = within_timeout(connection.read(1 << 20, None)).await?;
        all.extend_from_slice(&bytes);
        let text = String::from_utf8_lossy(&all).into_owned();
        let is_complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let head = head.to_ascii_lowercase();
            match head.split("content-length: ").nth(1) {
                Some(rest) => {
                    let length = rest.lines().next().and_then(|l| l.trim().parse().ok());
                    length.is_some_and(|length: usize| body.len() >= length)
                }
                None => body.ends_with("0\r\n\r\n"),
            }
        });
        if is_complete || bytes.is_empty() {
            return Ok(text);
        }
    }
}

/// Sends a request that is allowed, and returns the response.
pub async fn exchange(connection: &mut Connection, request: &str) -> String {
    write(connection, request).await.expect("allowed");
    response(connection).await.expect("a response")
}

pub async fn write(connection: &mut Connection, data: &str) -> Result<usize, NetError> {
    within_timeout(connection.write(data.as_bytes(), None)).await
}

pub fn get(path: &str, port: u16, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: secure.test:{port}\r\n{fields}\r\n")
}

pub fn denial(result: Result<impl std::fmt::Debug, NetError>) -> String {
    match result {
        Err(NetError::Denied(message)) => message,
        other => panic!("{other:?} is not a denial"),
    }
}

/// A provider that counts its calls, and yields before it answers.
#[derive(Default)]
pub struct Provider {
    pub calls: std::sync::atomic::AtomicUsize,
    pub fails: bool,
}

impl ProvideSecret for Provider {
    fn provide(&self) -> BoxFuture<'static, Result<SecretString, ProvideSecretError>> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let fails = self.fails;
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            match fails {
                true => Err(ProvideSecretError("the vault is sealed".into())),
                false => Ok(format!("short-lived-token-number-{call:08}").into()),
            }
        })
    }
}

pub fn binding(host: &str) -> SecretBinding {
    SecretBinding::new("TOKEN", [host.parse().expect("a pattern")]).expect("a binding")
}

/// Moves ciphertext between a session and a connection until `step` is ready.
pub async fn transport<T>(
    connection: &mut Connection,
    session: &mut TlsSession,
    mut step: impl AsyncFnMut(&mut TlsSession) -> Result<Option<T>, NetError>,
) -> Result<T, NetError> {
    loop {
        let outcome = step(session).await;
        let ciphertext = session.take(usize::MAX);
        // In odd pieces, as a program may.
        for piece in ciphertext.chunks(1000) {
            within_timeout(connection.write(piece, None)).await?;
        }
        match outcome? {
            Some(value) => return Ok(value),
            None if !ciphertext.is_empty() => continue,
            None => {}
        }
        let received = within_timeout(connection.read(5000, None)).await?;
        if received.is_empty() {
            session.feed_eof();
        }
        let mut rest = &received[..];
        while !rest.is_empty() {
            let fed = session.feed(rest)?;
            rest = &rest[fed..];
            if fed == 0 {
                break;
            }
        }
    }
}

pub fn not_yet<T>(poll: std::task::Poll<Result<T, NetError>>) -> Result<Option<T>, NetError> {
    match poll {
        std::task::Poll::Ready(outcome) => outcome.map(Some),
        std::task::Poll::Pending => Ok(None),
    }
}

/// Connects to `host`, and completes a handshake of a session that the program transports.
pub async fn session_connected(
    network: &Network,
    host: &str,
    port: u16,
) -> (Connection, TlsSession) {
    let mut connection = connected(network, host, port).await;
    let mut session = network.tls_session(&settings()).expect("allowed");
    handshake(&mut connection, &mut session).await;
    (connection, session)
}

/// Completes the handshake of a session.
pub async fn handshake(connection: &mut Connection, session: &mut TlsSession) {
    transport(connection, session, async |s| not_yet(s.handshake()))
        .await
        .expect("the handshake");
}

/// Writes to a session, and sends what it produces.
pub async fn session_write(
    connection: &mut Connection,
    session: &mut TlsSession,
    request: &str,
) -> Result<usize, NetError> {
    transport(connection, session, async |s| {
        s.write(request.as_bytes()).await.map(Some)
    })
    .await
}

/// Reads from a session until it has received the echo of a request with `length` bytes.
pub async fn session_echo(
    connection: &mut Connection,
    session: &mut TlsSession,
    length: usize,
) -> String {
    let mut echoed = Vec::new();
    while !echoed.ends_with(b"\r\n\r\n") || echoed.len() < length {
        let bytes = transport(connection, session, async |s| not_yet(s.read(100))).await;
        echoed.extend(bytes.expect("a response"));
    }
    String::from_utf8(echoed).expect("text")
}

/// A provider of tokens that differ from call to call. After a call, a program knows neither which
/// token was sent nor how long it is.
pub struct Tokens(pub fn(usize) -> String, pub std::sync::atomic::AtomicUsize);

impl ProvideSecret for Tokens {
    fn provide(&self) -> BoxFuture<'static, Result<SecretString, ProvideSecretError>> {
        let token = (self.0)(self.1.fetch_add(1, Ordering::Relaxed));
        Box::pin(std::future::ready(Ok(token.into())))
    }
}

/// A provider that never answers.
pub struct NeverProvides;

impl ProvideSecret for NeverProvides {
    fn provide(&self) -> BoxFuture<'static, Result<SecretString, ProvideSecretError>> {
        Box::pin(std::future::pending())
    }
}

/// A server for `plain.test` in clear text, and a configuration that resolves the name.
pub struct PlainServer {
    pub port: u16,
    pub config: NetConfig,
    /// What the server received, over all connections.
    pub received: Arc<Mutex<Vec<u8>>>,
    task: tokio::task::JoinHandle<()>,
}

/// A connection of a [`PlainServer`].
pub struct ServerSocket {
    socket: TcpStream,
    unread: Vec<u8>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl PlainServer {
    /// Starts a server that runs `serve` for each connection, which is then closed.
    pub async fn new<F>(serve: impl Fn(ServerSocket) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let resolver = Arc::new(
            ScriptedResolver::new()
                .answer("plain.test", &["127.0.0.1"])
                .answer("other.test", &["127.0.0.1"]),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(ServerSocket {
                    socket,
                    unread: Vec::new(),
                    received: Arc::clone(&shared),
                }));
            }
        });
        Self {
            port,
            config: loopback_config(&resolver),
            received,
            task,
        }
    }

    /// Starts a server that answers each request head with `answer`, and closes the connection
    /// after it if `closes`.
    pub async fn answering(
        closes: bool,
        answer: impl Fn(&str) -> Vec<u8> + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::new(move |mut socket| {
            let answer = answer.clone();
            async move {
                while let Some(head) = socket.head().await {
                    socket.send(&answer(&head)).await;
                    if closes {
                        return;
                    }
                }
            }
        })
        .await
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.received.lock()).into_owned()
    }

    /// Waits until the server has received `count` bytes, and returns all.
    pub async fn wait_for(&self, count: usize) -> String {
        within_timeout(async {
            while self.received.lock().len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        self.text()
    }

    /// Returns a binding to the server, to which secrets go in clear text.
    pub fn binding() -> SecretBinding {
        binding("plain.test")
            .with_plaintext_hosts(["plain.test".parse().expect("a pattern")])
            .expect("a host")
    }

    /// Returns a configuration with [`SECRET`] for the server.
    pub fn config_with_secret(&self) -> NetConfig {
        let secret = Secret::new(Self::binding(), SECRET).expect("a value");
        self.config.with_secret(secret).expect("a secret")
    }

    pub fn network_with(&self, secret: Secret) -> Network {
        Network::new(&self.config.with_secret(secret).expect("a secret"))
    }

    /// Returns a network with [`SECRET`] for the server.
    pub fn network_with_secret(&self) -> Network {
        Network::new(&self.config_with_secret())
    }

    /// Returns a network with a provider of [`SECRET`] for the server.
    pub fn network_with_provider(&self) -> Network {
        let provider = Arc::new(Tokens(|_| SECRET.to_owned(), 0.into()));
        self.network_with(Secret::with_provider(Self::binding(), provider))
    }

    pub async fn connected(&self, network: &Network) -> Connection {
        connected(network, "plain.test", self.port).await
    }

    /// Sends an allowed GET request on a connection of its own, and returns the response.
    pub async fn fetch(&self, network: &Network, path: &str, fields: &str) -> String {
        let mut connection = self.connected(network).await;
        exchange(&mut connection, &self.get(path, fields)).await
    }

    pub fn get(&self, path: &str, fields: &str) -> String {
        let port = self.port;
        format!("GET {path} HTTP/1.1\r\nHost: plain.test:{port}\r\n{fields}\r\n")
    }
}

impl Drop for PlainServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ServerSocket {
    /// Reads the head of a request; `None` at the end of the stream.
    pub async fn head(&mut self) -> Option<String> {
        loop {
            let text = String::from_utf8_lossy(&self.unread).into_owned();
            if let Some(end) = text.find("\r\n\r\n") {
                self.unread.drain(..end + 4);
                return Some(text[..end + 4].to_owned());
            }
            let more = self.read().await;
            if more.is_empty() {
                return None;
            }
            self.unread.extend(more);
        }
    }

    pub async fn read(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 16 * 1024];
        let count = self.socket.read(&mut buffer).await.unwrap_or(0);
        buffer.truncate(count);
        self.received.lock().extend_from_slice(&buffer);
        buffer
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes).await;
    }
}

/// Reads until the program has received `end`, and returns everything.
pub async fn read_until(connection: &mut Connection, end: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while !all.ends_with(end) {
        let bytes = within_timeout(connection.read(1 << 20, None)).await;
        let bytes = bytes.expect("bytes");
        let text = String::from_utf8_lossy(&all);
        assert!(!bytes.is_empty(), "the stream ended after {text:?}");
        all.extend_from_slice(&bytes);
    }
    all
}
