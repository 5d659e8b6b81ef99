//! Helpers that several test programs share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses only a part"
)]

pub mod http;
pub mod proxies;

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::policy::HostName;
use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{
    Answer, Connection, Event, EventKind, NetConfig, NetError, Network, Recorder, Resolve,
    ResolveError, Resolving,
};
use eryx_sync::Mutex;
use eryx_testkit::{Behaviour, CertificateAuthority, Leaf, Peer};

/// A timeout far above the duration of every test: exceeding it means a hang.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Panics if `work` takes longer than [`TIMEOUT`].
pub async fn within_timeout<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, work)
        .await
        .expect("the operation must not hang")
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address literal")
}

/// A resolver with scripted answers, which records its queries.
#[derive(Debug, Default)]
pub struct ScriptedResolver {
    answers: Mutex<HashMap<String, Vec<Result<Answer, ResolveError>>>>,
    queries: Mutex<Vec<String>>,
}

impl ScriptedResolver {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next answer for `name`. The last answer is repeated.
    pub fn answer(self, name: &str, addresses: &[&str]) -> Self {
        self.push(
            name,
            Ok(Answer::from(
                addresses.iter().map(|a| ip(a)).collect::<Vec<_>>(),
            )),
        )
    }

    pub fn alias(self, name: &str, aliases: &[&str], addresses: &[&str]) -> Self {
        let answer = Answer {
            aliases: aliases
                .iter()
                .map(|alias| HostName::parse(alias).expect("a name"))
                .collect(),
            addresses: addresses.iter().map(|a| ip(a)).collect(),
        };
        self.push(name, Ok(answer))
    }

    pub fn failure(self, name: &str, error: ResolveError) -> Self {
        self.push(name, Err(error))
    }

    fn push(self, name: &str, outcome: Result<Answer, ResolveError>) -> Self {
        self.answers
            .lock()
            .entry(name.to_owned())
            .or_default()
            .push(outcome);
        self
    }

    pub fn queries(&self) -> Vec<String> {
        self.queries.lock().clone()
    }
}

impl Resolve for ScriptedResolver {
    fn resolve(&self, name: &HostName) -> Resolving {
        self.queries.lock().push(name.to_string());
        let mut answers = self.answers.lock();
        let outcome = match answers.get_mut(name.as_str()) {
            Some(script) if script.len() > 1 => script.remove(0),
            Some(script) => script
                .first()
                .cloned()
                .unwrap_or(Err(ResolveError::NotFound)),
            None => Err(ResolveError::NotFound),
        };
        Box::pin(std::future::ready(outcome))
    }
}

/// A resolver that never answers.
#[derive(Debug)]
pub struct NeverResolves;

impl Resolve for NeverResolves {
    fn resolve(&self, _: &HostName) -> Resolving {
        Box::pin(std::future::pending())
    }
}

/// A resolver that answers 127.0.0.1 after a delay.
#[derive(Debug)]
pub struct SlowResolver(pub Duration);

impl Resolve for SlowResolver {
    fn resolve(&self, _: &HostName) -> Resolving {
        let delay = self.0;
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            Ok(vec![ip("127.0.0.1")].into())
        })
    }
}

/// Returns the default configuration with loopback allowed and with `resolver`.
pub fn loopback_config(resolver: &Arc<ScriptedResolver>) -> NetConfig {
    NetConfig::default()
        .allow_localhost()
        .with_resolver(Arc::clone(resolver) as Arc<dyn Resolve>)
}

/// Creates a network with a recorder of its events.
pub fn recorded(config: &NetConfig) -> (Network, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::new(1000));
    let network = Network::new(config).with_observer(Arc::clone(&recorder) as _);
    (network, recorder)
}

/// Connects, and waits until the connection is open.
pub async fn connected(network: &Network, host: &str, port: u16) -> Connection {
    let mut connection = network.connect(host, port).expect("allowed");
    within_timeout(connection.finish_connect(None))
        .await
        .expect("connects");
    connection
}

/// Connects, and returns the result.
pub async fn outcome(network: &Network, host: &str, port: u16) -> Result<(), NetError> {
    within_timeout(network.connect(host, port)?.finish_connect(None)).await
}

/// Reads up to the end of the stream.
pub async fn drain(connection: &mut Connection) -> Result<Vec<u8>, NetError> {
    let mut all = Vec::new();
    loop {
        let bytes = within_timeout(connection.read(1 << 20, None)).await?;
        if bytes.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&bytes);
    }
}

/// Writes all of `data`.
pub async fn send(connection: &mut Connection, mut data: &[u8]) {
    while !data.is_empty() {
        let taken = within_timeout(connection.write(data, None))
            .await
            .expect("writes");
        data = &data[taken..];
    }
}

/// Returns the kinds of the events, in order.
pub fn kinds(events: &[Event]) -> Vec<&'static str> {
    events
        .iter()
        .map(|event| match event.kind {
            EventKind::Resolved { .. } => "resolved",
            EventKind::Denied { .. } => "denied",
            EventKind::Connected { .. } => "connected",
            EventKind::Tls { .. } => "tls",
            EventKind::Closed { .. } => "closed",
            _ => "other",
        })
        .collect()
}

pub async fn readable(connection: &mut Connection, timeout: Duration) -> bool {
    eryx_net_host::poll::wait_ready(Some(timeout), |sweep| {
        sweep.poll(|cx| connection.poll_readable(cx))
    })
    .await
}

pub async fn writable(connection: &mut Connection, timeout: Duration) -> bool {
    eryx_net_host::poll::wait_ready(Some(timeout), |sweep| {
        sweep.poll(|cx| connection.poll_writable(cx))
    })
    .await
}

/// A certificate authority, a server certificate for `secure.test`, and a resolver for that name.
pub struct TlsFixture {
    pub authority: CertificateAuthority,
    pub identity: eryx_testkit::Identity,
    pub resolver: Arc<ScriptedResolver>,
}

impl TlsFixture {
    pub fn new() -> Self {
        let authority = CertificateAuthority::new().expect("authority");
        let identity = authority
            .issue(&Leaf::server(["secure.test"]))
            .expect("identity");
        let resolver = ScriptedResolver::new()
            .answer("secure.test", &["127.0.0.1"])
            .answer("other.test", &["127.0.0.1"]);
        Self {
            authority,
            identity,
            resolver: Arc::new(resolver),
        }
    }

    pub fn config(&self) -> NetConfig {
        loopback_config(&self.resolver)
            .with_root_cert(self.authority.pem().as_bytes())
            .expect("a certificate")
    }

    pub async fn peer(&self, behaviour: Behaviour) -> Peer {
        Peer::tls(behaviour, &self.identity).await.expect("peer")
    }
}

pub fn settings() -> ClientSettings {
    ClientSettings::for_name("secure.test")
}

pub async fn tls_connected(network: &Network, port: u16) -> Connection {
    let mut connection = connected(network, "secure.test", port).await;
    within_timeout(connection.start_tls(&settings(), None))
        .await
        .expect("the handshake succeeds");
    connection
}
