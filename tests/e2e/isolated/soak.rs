//! Soak tests: thousands of sandboxes against faulty peers, and sandboxes that exhaust host
//! resources, leave no descriptors, tasks or memory behind. A binary of its own, since it counts
//! the resources of the whole process. The peers run in another process, this program started
//! again, so that what they keep does not count.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eryx::net::NetConfig;
use eryx::{ResourceLimits, Sandbox};
use eryx_testkit::{
    Answer, Behaviour, CertificateAuthority, LOOPBACK, Leaf, NameServer, Peer, Script, ServerTls,
    Transport, digest::hex, payload,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Held by the running test: each counts the resources of the process.
static ALONE: Mutex<()> = Mutex::const_new(());

/// The number of sandboxes that run one after another, unless `ERYX_SOAK_SANDBOXES` has another.
const SEQUENTIAL: usize = 2000;
/// The number of sandboxes that run concurrently.
const CONCURRENT: usize = 200;

/// The allowed growth of host memory in MiB, for the noise of the allocator.
const GROWTH: u64 = 32;

/// The program of a sandbox: a round trip with the honest peer, which has to succeed, and one with
/// a faulty peer, which may fail with any socket error but must not return a wrong byte.
const PROGRAM: &str = "
import socket, ssl

context = ssl.create_default_context()
data = bytes(range(256)) * 40

def exchange(port, timeout):
    got = bytearray()
    with socket.create_connection(('localhost', port), timeout=timeout) as raw:
        with context.wrap_socket(raw, server_hostname='localhost') as sock:
            sock.sendall(data)
            while len(got) < len(data):
                chunk = sock.recv(65536)
                if not chunk:
                    break
                got += chunk
    return bytes(got[:len(data)])

assert exchange(@honest, 20) == data
expected = @expected
try:
    got = exchange(@faulty, 0.02)
except OSError:
    pass
else:
    assert expected.startswith(got), got[:100]
print('done')
";

/// Set in the process of the peers.
const PEERS: &str = "ERYX_SOAK_PEERS";

/// The start of the line that the process of the peers prints.
const READY: &str = "peers: ";

/// The process of the peers. Dropping it ends it.
struct PeerProcess {
    child: Child,
    /// Stays open: the test harness of the other process writes to it at the end.
    _output: BufReader<ChildStdout>,
}

impl PeerProcess {
    /// Runs the test `name` of this program as the process of its peers. Returns what it announces.
    fn start<T: DeserializeOwned>(name: &str) -> (Self, T) {
        let program = env::current_exe().expect("known");
        let mut child = Command::new(program)
            .args(["--exact", name, "--nocapture"])
            .env(PEERS, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        // The test harness prints lines of its own.
        let ready = (&mut output)
            .lines()
            .map(|line| line.expect("readable"))
            .find_map(|line| line.strip_prefix(READY).map(str::to_owned))
            .expect("the peers started");
        let process = Self {
            child,
            _output: output,
        };
        (process, serde_json::from_str(&ready).expect("valid"))
    }

    /// Announces `ready` to the other process, and waits until it ends this one.
    async fn serve(ready: &impl Serialize) {
        let ready = serde_json::to_string(ready).expect("encodes");
        println!("\n{READY}{ready}");
        let ended = tokio::task::spawn_blocking(|| {
            let _ = std::io::stdin().read(&mut [0]);
        });
        ended.await.expect("no panic");
    }
}

impl Drop for PeerProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The peers of [`PROGRAM`].
#[derive(Deserialize, Serialize)]
struct Peers {
    ca: String,
    honest: u16,
    /// Their ports, each with a Python expression of the bytes that it sends at most.
    faulty: Vec<(u16, String)>,
}

impl Peers {
    /// Runs the peers until the other process ends this one.
    async fn serve() {
        let ca = CertificateAuthority::new().expect("created");
        let identity = ca.issue(&Leaf::server(["localhost"])).expect("issued");
        let tls = || Transport::tls(ServerTls::new(&identity).build().expect("built"));
        let plain = Transport::plain;
        let payload = format!("bytes.fromhex('{}')", hex(&payload::bytes(10_240)));
        let behaviours = [
            (Behaviour::Silent, tls(), "b''"),
            (Behaviour::Silent, plain(), "b''"),
            (Behaviour::ClosesAtOnce, tls(), "b''"),
            (Behaviour::ClosesAtOnce, plain(), "b''"),
            (Behaviour::ResetsAtFirstByte, tls(), "b''"),
            (Behaviour::ResetsAtFirstByte, plain(), "b''"),
            (Behaviour::noise(), plain(), "b''"),
            (Behaviour::http_instead_of_tls(), plain(), "b''"),
            (Behaviour::FinishesFirst { bytes: 5000 }, tls(), &payload),
            (Behaviour::SendsForever, tls(), &payload),
            (Behaviour::NeverReads, tls(), "b''"),
            (Behaviour::Echo, tls().stalling_after(700), "data"),
            (Behaviour::Echo, tls().stalling_after(6000), "data"),
        ];
        let mut running = Vec::new();
        let mut faulty = Vec::new();
        for (behaviour, transport, expected) in behaviours {
            let peer = Peer::start(behaviour, transport, LOOPBACK).await;
            let peer = peer.expect("started");
            faulty.push((peer.port(), expected.to_owned()));
            running.push(peer);
        }
        let honest = Peer::start(Behaviour::Echo, tls(), LOOPBACK).await;
        let honest = honest.expect("started");
        PeerProcess::serve(&Self {
            ca: ca.pem().to_owned(),
            honest: honest.port(),
            faulty,
        })
        .await;
    }

    /// Returns the program of the sandbox `number`.
    fn program(&self, number: usize) -> String {
        let (faulty, expected) = &self.faulty[number % self.faulty.len()];
        PROGRAM
            .replace("@honest", &self.honest.to_string())
            .replace("@faulty", &faulty.to_string())
            .replace("@expected", expected)
    }
}

/// The resources of this process.
#[derive(Debug)]
struct Usage {
    descriptors: usize,
    tasks: usize,
    megabytes: u64,
}

impl Usage {
    fn now() -> Self {
        // In the PSS, a page of the image counts once, even if several slots of the pool map it.
        let status = fs::read_to_string("/proc/self/smaps_rollup").expect("readable");
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"))
            .expect("exists");
        Self {
            descriptors: fs::read_dir("/proc/self/fd").expect("readable").count(),
            tasks: tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks(),
            megabytes: resident.trim().parse::<u64>().expect("a number") / 1024,
        }
    }
}

/// Returns a sandbox whose programs may take long.
fn sandbox(network: NetConfig) -> Sandbox {
    let limits = ResourceLimits::default().with_execution_timeout(Duration::from_secs(120));
    Sandbox::embedded()
        .with_network(network)
        .with_resource_limits(limits)
        .build()
        .expect("built")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_sandboxes_leave_no_resources_behind() {
    if env::var_os(PEERS).is_some() {
        return Peers::serve().await;
    }
    let _alone = ALONE.lock().await;
    let (_process, peers) =
        PeerProcess::start::<Peers>("thousands_of_sandboxes_leave_no_resources_behind");
    let network = NetConfig::default()
        .allow_localhost()
        .with_root_cert(peers.ca.as_bytes())
        .expect("a certificate");
    let sandbox = sandbox(network);

    // Create all that is retained: the image, the resolver, thread stacks, the allocator's arenas.
    let peers = Arc::new(peers);
    run_sandboxes(&sandbox, &peers, 26, CONCURRENT).await;
    let before = Usage::now();
    let start = Instant::now();
    let sequential = env::var("ERYX_SOAK_SANDBOXES");
    let sequential = sequential.map_or(SEQUENTIAL, |count| count.parse().expect("a number"));
    run_sandboxes(&sandbox, &peers, sequential, CONCURRENT).await;
    let took = start.elapsed();
    let after = Usage::now();
    // Written directly: the test harness captures the output of a passing test.
    let _ = writeln!(
        std::io::stderr(),
        "\nsoak: {sequential} sequential and {CONCURRENT} concurrent sandboxes in {took:.1?}; before {before:?}, after {after:?}"
    );
    assert_eq!(after.descriptors, before.descriptors);
    assert_eq!(after.tasks, before.tasks);
    assert!(
        after.megabytes <= before.megabytes + GROWTH,
        "{before:?} {after:?}"
    );
}

/// Runs `sequential` sandboxes one after another, then `concurrent` ones in parallel.
async fn run_sandboxes(
    sandbox: &Sandbox,
    peers: &Arc<Peers>,
    sequential: usize,
    concurrent: usize,
) {
    for number in 0..sequential {
        run(sandbox, peers.program(number)).await;
        if (number + 1) % 1000 == 0 {
            let _ = writeln!(
                std::io::stderr(),
                "\nsoak: after {}: {:?}",
                number + 1,
                Usage::now()
            );
        }
    }
    let mut running = JoinSet::new();
    for number in 0..concurrent {
        let (sandbox, peers) = (sandbox.clone(), Arc::clone(peers));
        running.spawn(async move { run(&sandbox, peers.program(number)).await });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("no panic");
    }
    // Lingering connections take a moment to end.
    tokio::time::sleep(Duration::from_secs(3)).await;
}

async fn run(sandbox: &Sandbox, program: String) {
    match sandbox.execute(&program).await {
        Ok(result) => assert_eq!(result.stdout, "done\n"),
        Err(error) => panic!("{error}\n{:?}", error.output()),
    }
}

/// The number of sandboxes that exhaust host resources.
const GREEDY: usize = 150;
/// The number of them that run concurrently.
const GREEDY_CONCURRENT: usize = 8;

/// The allowed growth of host memory in MiB, for the noise of the allocator.
const GREEDY_GROWTH: u64 = 32;

/// Exhausts host resources: TLS sessions with unique revocation lists up to the limit, lookups with
/// the largest answers that DNS permits, and connections to a server that sends many session
/// tickets.
const GREEDY_PROGRAM: &str = "
import base64, socket, ssl
from wit_world.imports import tls

body = bytearray(1 << 17)
held = []
try:
    for number in range(24):
        body[-8:-4] = int(@number).to_bytes(4, 'big')
        body[-4:] = number.to_bytes(4, 'big')
        lists = [base64.b64encode(body).decode()]
        held.append(tls.Session.client(tls.ClientConfig('localhost', [], True, True, [], False,
            tls.Revocation.LEAF, lists, None, None, None, [], [])))
except Exception as error:
    pass
assert held
for number in range(2):
    try:
        socket.getaddrinfo(f'n{number}-@number.large.test', 80)
    except OSError:
        pass
context = ssl.create_default_context()
for _ in range(2):
    try:
        with socket.create_connection(('localhost', @port), timeout=20) as raw:
            with context.wrap_socket(raw, server_hostname='localhost') as sock:
                sock.sendall(b'x')
                sock.recv(1)
    except OSError:
        pass
print('done')
";

/// The peers of [`GREEDY_PROGRAM`].
#[derive(Deserialize, Serialize)]
struct GreedyPeers {
    ca: String,
    port: u16,
    name_server: SocketAddr,
}

impl GreedyPeers {
    /// Runs the peers until the other process ends this one.
    async fn serve() {
        let ca = CertificateAuthority::new().expect("created");
        let identity = ca.issue(&Leaf::server(["localhost"])).expect("issued");
        let mut tls = (*ServerTls::new(&identity).build().expect("built")).clone();
        tls.send_tls13_tickets = 60;
        let peer = Peer::start(Behaviour::Echo, Transport::tls(Arc::new(tls)), LOOPBACK)
            .await
            .expect("started");
        let v4 = (0..4000).map(|n| IpAddr::from(Ipv4Addr::from(0x5db8_0000 + n)));
        let v6 = (0..2000).map(|n| IpAddr::from(Ipv6Addr::from((0x2606_2800 << 96) + n)));
        let large = Answer::from_ips(v4.chain(v6)).with_ttl(86_400).truncated();
        let names = NameServer::start(Script::new().otherwise(large))
            .await
            .expect("started");
        PeerProcess::serve(&Self {
            ca: ca.pem().to_owned(),
            port: peer.port(),
            name_server: names.address(),
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sandboxes_that_exhaust_host_resources_leave_no_memory_behind() {
    if env::var_os(PEERS).is_some() {
        return GreedyPeers::serve().await;
    }
    let _alone = ALONE.lock().await;
    let (_process, peers) = PeerProcess::start::<GreedyPeers>(
        "sandboxes_that_exhaust_host_resources_leave_no_memory_behind",
    );
    let network = NetConfig::default()
        .allow_localhost()
        .with_dns_server(peers.name_server)
        .with_max_connections(100)
        .with_root_cert(peers.ca.as_bytes())
        .expect("a certificate");
    let sandbox = sandbox(network);
    let program = |number: usize| {
        GREEDY_PROGRAM
            .replace("@number", &number.to_string())
            .replace("@port", &peers.port.to_string())
    };
    let mut before = None;
    let mut running = JoinSet::new();
    let start = Instant::now();
    // The first tenth fills retained memory and the caches of the network configuration.
    for number in 0..GREEDY + GREEDY / 10 {
        if number == GREEDY / 10 {
            while let Some(ended) = running.join_next().await {
                ended.expect("no panic");
            }
            before = Some(Usage::now());
        }
        if running.len() == GREEDY_CONCURRENT {
            running.join_next().await.expect("one").expect("no panic");
        }
        let (sandbox, program) = (sandbox.clone(), program(number));
        running.spawn(async move { run(&sandbox, program).await });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("no panic");
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, after) = (before.expect("counted"), Usage::now());
    let _ = writeln!(
        std::io::stderr(),
        "\nsoak: {GREEDY} greedy in {:.1?}; before {before:?}, after {after:?}",
        start.elapsed()
    );
    assert!(
        after.descriptors <= before.descriptors + 8,
        "{before:?} {after:?}"
    );
    assert!(
        after.megabytes <= before.megabytes + GREEDY_GROWTH,
        "{before:?} {after:?}"
    );
}
