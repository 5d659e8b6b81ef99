//! A name server that follows a script: it answers each lookup of a name with the script's next
//! answer, and can fail, lie, dawdle or keep silent.

pub mod notation;
mod reply;
mod script;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::listening::{self, LOOPBACK, Task};
pub use script::{Answer, Script};

/// A running name server, on UDP and TCP at one port; dropped, it is gone.
///
/// It answers as a recursive server would: aliases are followed through the script, so an
/// answer holds the whole chain.
///
/// ```
/// use eryx_testkit::{Answer, NameServer, Script};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// // First a public address, then, when asked again, a private one.
/// let script = Script::new()
///     .answer("rebind.test", Answer::addresses(["1.1.1.1"])?)
///     .answer("rebind.test", Answer::addresses(["10.0.0.5"])?)
///     .answer("www.test", Answer::alias("rebind.test"));
/// let server = NameServer::start(script).await?;
/// // … have the client under test use `server.address()` …
/// assert_eq!(server.asked("rebind.test"), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _udp: Task,
    _tcp: Task,
}

impl NameServer {
    /// Serves `script` on loopback.
    ///
    /// # Errors
    ///
    /// When no port can be listened on.
    pub async fn start(script: Script) -> io::Result<Self> {
        Self::start_on(script, LOOPBACK).await
    }

    /// Serves `script` on `address`; port 0 picks one that is free for both protocols.
    ///
    /// # Errors
    ///
    /// When `address` cannot be listened on.
    pub async fn start_on(script: Script, address: SocketAddr) -> io::Result<Self> {
        let (udp, tcp) = bind(address).await?;
        let address = udp.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                script,
                steps: HashMap::new(),
                queries: Vec::new(),
                count: 0,
            }),
        });
        let over_udp = Task::spawn(serve_udp(udp, Arc::clone(&shared)));
        let over_tcp = {
            let shared = Arc::clone(&shared);
            listening::accept(tcp, move |stream, _| serve_tcp(stream, Arc::clone(&shared)))
        };
        Ok(Self {
            address,
            shared,
            _udp: over_udp,
            _tcp: over_tcp,
        })
    }

    /// Where it listens, over UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts over with another script. Queries stay counted.
    pub fn replace(&self, script: Script) {
        let mut state = self.shared.state();
        state.script = script;
        state.steps.clear();
    }

    /// The queries so far, oldest first; the first 10,000 are kept.
    #[must_use]
    pub fn queries(&self) -> Vec<Query> {
        self.shared.state().queries.clone()
    }

    /// How many queries there have been for anything.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.state().count
    }

    /// How many of the kept queries were for `name`, of whatever type.
    #[must_use]
    pub fn asked(&self, name: &str) -> usize {
        let name = script::canonical(name);
        let state = self.shared.state();
        state
            .queries
            .iter()
            .filter(|query| query.name == name)
            .count()
    }
}

/// A query as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The name, in lower case, without the root dot.
    pub name: String,
    /// The type's mnemonic: `A`, `AAAA`, … (IANA, DNS resource record types).
    pub kind: String,
    /// Whether it came over TCP.
    pub tcp: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    script: Script,
    /// How often each name was looked up, by type: A and AAAA of one lookup are one step each.
    steps: HashMap<(String, String), usize>,
    queries: Vec<Query>,
    count: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // What a panicking holder leaves behind is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to send back, and after how long; `None` is silence.
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
            // Asked again over TCP, a client is still in the same lookup.
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
        match listening::listen(udp.local_addr()?, None) {
            Ok(tcp) => return Ok((udp, tcp)),
            // The port that was free for UDP need not be for TCP.
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
                // An ICMP error of an earlier reply is reported here and concerns nobody.
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

/// RFC 7766: each message is preceded by its length, and a connection takes several.
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
    // It ends when the client hangs up.
    let _: io::Result<()> = work.await;
}

/// The largest message (RFC 1035, 4.2.2).
const MAX_MESSAGE: usize = 65_535;

/// Queries kept.
const MAX_QUERIES: usize = 10_000;

/// Ports to try for one that is free for both protocols.
const MAX_TRIES: usize = 20;

#[cfg(test)]
mod tests;
