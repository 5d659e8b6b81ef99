//! What several of the test programs need.
#![allow(dead_code, unreachable_pub)]

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eryx_net_host::policy::HostName;
use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{
    Answer, Connection, Event, EventKind, NetConfig, NetError, Network, Recorder, Resolve,
    ResolveError, Resolving,
};
use eryx_testkit::{Behaviour, CertificateAuthority, Leaf, Peer};

/// Far beyond what any of these tests takes: a bound that only says "did not hang".
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Fails the test instead of hanging.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it does not hang")
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address literal")
}

/// A resolver that follows a script and keeps a list of what it was asked.
#[derive(Debug, Default)]
pub struct Scripted {
    answers: Mutex<HashMap<String, Vec<Result<Answer, ResolveError>>>>,
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next answer for `name`; the last one is repeated.
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
            .expect("not poisoned")
            .entry(name.to_owned())
            .or_default()
            .push(outcome);
        self
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

impl Resolve for Scripted {
    fn resolve(&self, name: &HostName) -> Resolving {
        self.asked
            .lock()
            .expect("not poisoned")
            .push(name.to_string());
        let mut answers = self.answers.lock().expect("not poisoned");
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
pub struct Mute;

impl Resolve for Mute {
    fn resolve(&self, _: &HostName) -> Resolving {
        Box::pin(std::future::pending())
    }
}

/// A resolver that takes its time to answer 127.0.0.1.
#[derive(Debug)]
pub struct Slow(pub Duration);

impl Resolve for Slow {
    fn resolve(&self, _: &HostName) -> Resolving {
        let delay = self.0;
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            Ok(vec![ip("127.0.0.1")].into())
        })
    }
}

/// The default policy, with loopback allowed and `resolver` in charge of names.
pub fn local(resolver: &Arc<Scripted>) -> NetConfig {
    NetConfig::default()
        .allow_localhost()
        .with_resolver(Arc::clone(resolver) as Arc<dyn Resolve>)
}

pub fn recorded(config: &NetConfig) -> (Network, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::new(1000));
    let network = Network::new(config).with_observer(Arc::clone(&recorder) as _);
    (network, recorder)
}

/// Connects for good.
pub async fn connected(network: &Network, host: &str, port: u16) -> Connection {
    let mut connection = network.connect(host, port).expect("may connect");
    soon(connection.finish_connect(None))
        .await
        .expect("connects");
    connection
}

/// What connecting comes to.
pub async fn outcome(network: &Network, host: &str, port: u16) -> Result<(), NetError> {
    soon(network.connect(host, port)?.finish_connect(None)).await
}

/// Everything up to the end of the stream.
pub async fn drain(connection: &mut Connection) -> Result<Vec<u8>, NetError> {
    let mut all = Vec::new();
    loop {
        let bytes = soon(connection.read(1 << 20, None)).await?;
        if bytes.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&bytes);
    }
}

pub async fn send(connection: &mut Connection, mut data: &[u8]) {
    while !data.is_empty() {
        let taken = soon(connection.write(data, None)).await.expect("writes");
        data = &data[taken..];
    }
}

/// The names of the events in order.
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
    eryx_net_host::readiness::wait_ready(Some(timeout), |look| {
        look.is_ready(|cx| connection.poll_readable(cx))
    })
    .await
}

pub async fn writable(connection: &mut Connection, timeout: Duration) -> bool {
    eryx_net_host::readiness::wait_ready(Some(timeout), |look| {
        look.is_ready(|cx| connection.poll_writable(cx))
    })
    .await
}

/// A certificate authority, what it vouches for, and where that is.
pub struct World {
    pub authority: CertificateAuthority,
    pub identity: eryx_testkit::Identity,
    pub resolver: Arc<Scripted>,
}

impl World {
    pub fn new() -> Self {
        let authority = CertificateAuthority::new().expect("authority");
        let identity = authority
            .issue(&Leaf::server(["secure.test"]))
            .expect("identity");
        let resolver = Scripted::new()
            .answer("secure.test", &["127.0.0.1"])
            .answer("other.test", &["127.0.0.1"]);
        Self {
            authority,
            identity,
            resolver: Arc::new(resolver),
        }
    }

    pub fn config(&self) -> NetConfig {
        local(&self.resolver)
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

pub async fn secured(network: &Network, port: u16) -> Connection {
    let mut connection = connected(network, "secure.test", port).await;
    soon(connection.start_tls(&settings(), None))
        .await
        .expect("shakes hands");
    connection
}
