//! Thousands of sandboxes against peers that stall, reset, lie and break off. Afterwards nothing is left of them:
//! no descriptor, no task, no memory. The same for programs that make the host keep as much for them as it will. A binary
//! of its own, since it counts what the whole process holds.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eryx::net::NetConfig;
use eryx::{ResourceLimits, Sandbox};
use eryx_testkit::{
    Answer, Behaviour, CertificateAuthority, LOOPBACK, Leaf, NameServer, Peer, Script, ServerTls,
    Transport, payload,
};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// One test at a time: each counts what the process holds.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Sandboxes one after another, and at once.
const IN_TURN: usize = 2000;
const AT_ONCE: usize = 200;

/// What one sandbox does: a round trip with the honest peer, which has to succeed to the last byte, and one with
/// another, which may fail in any way a socket can, but never with a wrong byte.
const PROGRAM: &str = "
import socket, ssl

context = ssl.create_default_context()
data = bytes(range(256)) * 40

def talk(port, limit):
    got = bytearray()
    with socket.create_connection(('localhost', port), timeout=limit) as raw:
        with context.wrap_socket(raw, server_hostname='localhost') as sock:
            sock.sendall(data)
            while len(got) < len(data):
                chunk = sock.recv(65536)
                if not chunk:
                    break
                got += chunk
    return bytes(got[:len(data)])

assert talk(@honest, 20) == data
expected = @expected
try:
    got = talk(@other, 0.02)
except OSError:
    pass
else:
    assert expected.startswith(got), got[:100]
print('done')
";

/// The peers; of the others, what they say at most, as a Python expression.
struct Peers {
    honest: Peer,
    others: Vec<(Peer, String)>,
}

impl Peers {
    async fn start(authority: &CertificateAuthority) -> Self {
        let identity = authority
            .issue(&Leaf::server(["localhost"]))
            .expect("issued");
        let tls = || Transport::tls(ServerTls::new(&identity).build().expect("built"));
        let plain = Transport::plain;
        let pattern: String = payload::bytes(10_240)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let pattern = format!("bytes.fromhex('{pattern}')");
        let behaviours = [
            (Behaviour::Silent, tls(), "b''"),
            (Behaviour::Silent, plain(), "b''"),
            (Behaviour::ClosesAtOnce, tls(), "b''"),
            (Behaviour::ClosesAtOnce, plain(), "b''"),
            (Behaviour::ResetsAtFirstByte, tls(), "b''"),
            (Behaviour::ResetsAtFirstByte, plain(), "b''"),
            (Behaviour::noise(), plain(), "b''"),
            (Behaviour::http_instead_of_tls(), plain(), "b''"),
            (Behaviour::FinishesFirst { bytes: 5000 }, tls(), &pattern),
            (Behaviour::SendsForever, tls(), &pattern),
            (Behaviour::NeverReads, tls(), "b''"),
            (Behaviour::Echo, tls().stalling_after(700), "data"),
            (Behaviour::Echo, tls().stalling_after(6000), "data"),
        ];
        let mut others = Vec::new();
        for (behaviour, transport, expected) in behaviours {
            let peer = Peer::start(behaviour, transport, LOOPBACK).await;
            others.push((peer.expect("started"), expected.to_owned()));
        }
        let honest = Peer::start(Behaviour::Echo, tls(), LOOPBACK).await;
        Self {
            honest: honest.expect("started"),
            others,
        }
    }

    /// The program of the `number`th sandbox.
    fn program(&self, number: usize) -> String {
        let (other, expected) = &self.others[number % self.others.len()];
        PROGRAM
            .replace("@honest", &self.honest.port().to_string())
            .replace("@other", &other.port().to_string())
            .replace("@expected", expected)
    }
}

/// What a process holds.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    tasks: usize,
    megabytes: u64,
}

impl Held {
    fn now() -> Self {
        // A page of the image counts once, however many places of the pool have it mapped.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_sandboxes_leave_no_resources_behind() {
    let _alone = ALONE.lock().await;
    let authority = CertificateAuthority::new().expect("created");
    let network = NetConfig::default()
        .allow_localhost()
        .with_root_cert(authority.pem().as_bytes())
        .expect("a certificate");
    let sandbox = Sandbox::embedded()
        .with_network(network)
        .with_resource_limits(
            ResourceLimits::default().with_execution_timeout(Duration::from_secs(120)),
        )
        .build()
        .expect("built");

    // What is made once and kept: the image, the resolver, thread stacks, the allocator's arenas.
    play(&sandbox, &authority, 26, AT_ONCE).await;
    let before = Held::now();
    let begun = Instant::now();
    play(&sandbox, &authority, IN_TURN, AT_ONCE).await;
    let took = begun.elapsed();
    let after = Held::now();
    // Past the harness, which shows nothing of a test that passes.
    let _ = writeln!(
        std::io::stderr(),
        "\nsoak: {IN_TURN} in turn and {AT_ONCE} at once in {took:.1?}; before {before:?}, after {after:?}"
    );
    assert_eq!(after.descriptors, before.descriptors);
    assert_eq!(after.tasks, before.tasks);
    assert!(
        after.megabytes <= before.megabytes + 64,
        "{before:?} {after:?}"
    );
}

/// Run so many sandboxes in turn, then so many at once, with peers that are gone afterwards.
async fn play(sandbox: &Sandbox, authority: &CertificateAuthority, in_turn: usize, at_once: usize) {
    let peers = Arc::new(Peers::start(authority).await);
    for number in 0..in_turn {
        run(sandbox, peers.program(number)).await;
    }
    let mut running = JoinSet::new();
    for number in 0..at_once {
        let (sandbox, peers) = (sandbox.clone(), Arc::clone(&peers));
        running.spawn(async move { run(&sandbox, peers.program(number)).await });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("no panic");
    }
    drop(peers);
    // The peers' own tasks, and connections that linger for their last bytes, take a moment to end.
    tokio::time::sleep(Duration::from_secs(3)).await;
}

async fn run(sandbox: &Sandbox, program: String) {
    match sandbox.execute(&program).await {
        Ok(result) => assert_eq!(result.stdout, "done\n"),
        Err(error) => panic!("{error}\n{:?}", error.output()),
    }
}

/// Sandboxes with the worst settings, and how many of them run at once.
const GREEDY: usize = 150;
const GREEDY_AT_ONCE: usize = 8;

/// What the host may hold more after them, in MiB: the noise of its allocator.
const GREEDY_GROWTH: u64 = 32;

/// Takes what the host gives: TLS sessions of its own with revocation lists that no other has, until there is no more;
/// names whose answers are as large as DNS has them; connections to a server that sends as many tickets as it can.
const GREED: &str = "
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sandboxes_that_exhaust_host_resources_leave_no_memory_behind() {
    let _alone = ALONE.lock().await;
    let authority = CertificateAuthority::new().expect("created");
    let identity = authority
        .issue(&Leaf::server(["localhost"]))
        .expect("issued");
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
    let network = NetConfig::default()
        .allow_localhost()
        .with_dns_server(names.address())
        .with_max_connections(100)
        .with_root_cert(authority.pem().as_bytes())
        .expect("a certificate");
    let sandbox = Sandbox::embedded()
        .with_network(network)
        .with_resource_limits(
            ResourceLimits::default().with_execution_timeout(Duration::from_secs(120)),
        )
        .build()
        .expect("built");
    let program = |number: usize| {
        GREED
            .replace("@number", &number.to_string())
            .replace("@port", &peer.port().to_string())
    };
    let mut before = None;
    let mut running = JoinSet::new();
    let begun = Instant::now();
    // The first tenth fills what is made once and kept, and what a network configuration shares.
    for number in 0..GREEDY + GREEDY / 10 {
        if number == GREEDY / 10 {
            while let Some(ended) = running.join_next().await {
                ended.expect("no panic");
            }
            before = Some(Held::now());
        }
        if running.len() == GREEDY_AT_ONCE {
            running.join_next().await.expect("one").expect("no panic");
        }
        let (sandbox, program) = (sandbox.clone(), program(number));
        running.spawn(async move { run(&sandbox, program).await });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("no panic");
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, after) = (before.expect("counted"), Held::now());
    let _ = writeln!(
        std::io::stderr(),
        "\nsoak: {GREEDY} greedy in {:.1?}; before {before:?}, after {after:?}",
        begun.elapsed()
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
