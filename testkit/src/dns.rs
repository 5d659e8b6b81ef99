//! A scripted DNS server: it answers each lookup of a name with the next answer of the script,
//! which may be an error, malformed, forged, delayed or missing.

mod reply;
mod script;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use eryx_sync::{Mutex, MutexGuard};
use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::listener::{self, LOOPBACK, ServerHandle};
pub use script::{Answer, Script};

/// A running name server, over UDP and TCP on one port. Dropping it ends it.
///
/// It answers as a recursive resolver does: it follows aliases through the script, so an answer
/// contains the whole chain.
///
/// ```
/// use eryx_testkit::{Answer, NameServer, Script};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// // The first lookup finds a public address, the next one a private address.
/// let script = Script::new()
///     .answer("rebind.test", Answer::addresses(["1.1.1.1"])?)
///     .answer("rebind.test", Answer::addresses(["10.0.0.5"])?)
///     .answer("www.test", Answer::alias("rebind.test"));
/// let server = NameServer::start(script).await?;
/// // … point the client under test at `server.address()` …
/// assert_eq!(server.queries_for("rebind.test"), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct NameServer {
    handle: ServerHandle,
    shared: Arc<Shared>,
}

impl NameServer {
    /// Serves `script` on loopback.
    ///
    /// # Errors
    ///
    /// If no port can be listened on.
    pub async fn start(script: Script) -> io::Result<Self> {
        Self::start_on(script, LOOPBACK).await
    }

    /// Serves `script` on `address`. Port 0 picks one that is free for both protocols.
    ///
    /// # Errors
    ///
    /// If `address` cannot be listened on.
    pub async fn start_on(script: Script, address: SocketAddr) -> io::Result<Self> {
        let (udp, tcp) = bind(address).await?;
        let handle = ServerHandle::new(udp.local_addr()?);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                script,
                steps: HashMap::new(),
                queries: Vec::new(),
                count: 0,
            }),
        });
        let serve_tcp = {
            let shared = Arc::clone(&shared);
            listener::accept(tcp, move |stream, _| serve_tcp(stream, Arc::clone(&shared)))
        };
        Ok(Self {
            handle: handle
                .with_task(serve_udp(udp, Arc::clone(&shared)))
                .with_task(serve_tcp),
            shared,
        })
    }

    /// Starts over with another script. The recorded queries are kept.
    pub fn replace(&self, script: Script) {
        let mut state = self.shared.state();
        state.script = script;
        state.steps.clear();
    }

    /// Returns the first 10,000 queries, oldest first.
    #[must_use]
    pub fn queries(&self) -> Vec<Query> {
        self.shared.state().queries.clone()
    }

    /// Returns the number of all queries so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.state().count
    }

    /// Returns the number of recorded queries for `name`, of any type.
    #[must_use]
    pub fn queries_for(&self, name: &str) -> usize {
        let name = script::canonical(name);
        let state = self.shared.state();
        state
            .queries
            .iter()
            .filter(|query| query.name == name)
            .count()
    }
}

impl Deref for NameServer {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.handle
    }
}

/// A received query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The name, in lower case, without the root dot.
    pub name: String,
    /// The type's mnemonic: `A`, `AAAA`, … (IANA, DNS resource record types).
    pub kind: String,
    /// Whether it was received over TCP.
    pub tcp: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    script: Script,
    /// The number of lookups of each name and type.
    steps: HashMap<(String, String), usize>,
    queries: Vec<Query>,
    count: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves the state consistent.
        self.state.lock()
    }

    /// Returns the delay and the reply to `request`, or `None` if there is none.
    fn reply(&self, request: &[u8], tcp: bool) -> Option<(Duration, Vec<u8>)> {
        let request = Message::from_vec(request).ok()?;
        let question = request.queries.first()?;
        let name = script::canonical(&question.name().to_ascii());
        let kind = question.query_type().to_string();
        let mut state = self.state();
        state.count += 1;
        if state.queries.len() < MAX_QUERIES {
            let (name, kind) = (name.clone(), kind.clone());
            state.queries.push(Query { name, kind, tcp });
        }
        let State { script, steps, .. } = &mut *state;
        let mut next = |name: &str| {
            let step = steps.entry((name.to_owned(), kind.clone())).or_default();
            let answer = script.at(name, *step);
            // A retry over TCP belongs to the same lookup.
            if tcp || !answer.truncates() {
                *step += 1;
            }
            answer.clone()
        };
        reply::to(&request, question, &name, tcp, &mut next)
    }
}

async fn bind(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = 0;
    loop {
        let udp = UdpSocket::bind(address).await?;
        match listener::listen(udp.local_addr()?, None) {
            Ok(tcp) => return Ok((udp, tcp)),
            // The port that was free for UDP may be taken for TCP.
            Err(_) if address.port() == 0 && tries < MAX_TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let socket = Arc::new(socket);
    let mut delayed = JoinSet::new();
    let mut buffer = vec![0; MAX_MESSAGE];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                // The error is an ICMP error caused by an earlier reply; no query is lost.
                let Ok((length, client)) = received else { continue };
                let Some((delay, reply)) = shared.reply(&buffer[..length], false) else { continue };
                let socket = Arc::clone(&socket);
                delayed.spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _ = socket.send_to(&reply, client).await;
                });
            }
            Some(_) = delayed.join_next() => {}
        }
    }
}

/// Serves a TCP connection: several messages, each preceded by its length (RFC 7766).
async fn serve_tcp(mut stream: TcpStream, shared: Arc<Shared>) {
    let work = async {
        loop {
            let mut request = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut request).await?;
            let Some((delay, reply)) = shared.reply(&request, true) else {
                continue;
            };
            tokio::time::sleep(delay).await;
            let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
            stream
                .write_all(&[&length.to_be_bytes(), &reply[..]].concat())
                .await?;
        }
    };
    // It ends when the client closes the connection.
    let _: io::Result<()> = work.await;
}

/// The maximum length of a message, in bytes (RFC 1035, 4.2.2).
const MAX_MESSAGE: usize = 65_535;

/// The maximum number of recorded queries.
const MAX_QUERIES: usize = 10_000;

/// The maximum number of ports tried to find one that is free for both protocols.
const MAX_TRIES: usize = 20;

#[cfg(test)]
mod tests;
