//! Attacks on the time of others: short scripts run beside each of them, and the attacks end by
//! their time limit. A binary of its own, so that nothing else competes for the processor.
//!
//! The feature `watchdog` fails the test if an attack occupies a thread for long at a time.

#[path = "../support.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod support;

use std::any::Any;
use std::io::Write;
use std::time::{Duration, Instant};

use eryx::net::NetConfig;
use eryx::{Error, Limit, ResourceLimits, Sandbox};
use eryx_testkit::sealer::{Sealer, ticket};
use eryx_testkit::{
    Behaviour, CertificateAuthority, FloodingServer, Leaf, Peer, ServerTls, digest::hex, forged,
};
use rustls::ContentType;
use rustls::pki_types::CertificateDer;
use tokio::sync::Mutex;

use support::{error_details, expect_stdout, loopback, sandbox};

/// Held by the running test: the attacks of another one would compete for the processor.
static ALONE: Mutex<()> = Mutex::const_new(());

/// How long each attack lasts in seconds, unless `ERYX_ATTACK_SECONDS` has another number.
const SECONDS: u64 = 1;

/// The fewest short scripts that have to run beside an attack in each second. One takes a
/// millisecond, and waits for at most two time slices of 5 ms.
const SCRIPTS_PER_SECOND: usize = 10;

/// The time that each call of the slow embedder takes.
const SLOW_CALL: Duration = Duration::from_millis(5);

/// How a program attacks.
enum Course {
    /// Until its time limit ends it.
    Endless,
    /// Over and over, each time until its future is dropped while it waits.
    Dropped,
}

struct Attack {
    name: &'static str,
    network: Option<NetConfig>,
    program: String,
    course: Course,
    /// Whether each write to standard output takes [`SLOW_CALL`].
    is_embedder_slow: bool,
    _server: Box<dyn Any + Send>,
}

impl Attack {
    fn new(name: &'static str, program: &str) -> Self {
        Self {
            name,
            network: None,
            program: program.to_owned(),
            course: Course::Endless,
            is_embedder_slow: false,
            _server: Box::new(()),
        }
    }

    /// An attack together with a server that floods the connections of the program.
    fn flood(
        name: &'static str,
        more_certificates: usize,
        flood: impl FnMut(&mut Sealer) -> Vec<u8> + Send + 'static,
        program: &str,
    ) -> Self {
        let ca = CertificateAuthority::new().expect("created");
        let identity = ca.issue(&Leaf::server(["localhost"])).expect("issued");
        let more = (0..more_certificates).map(|_| CertificateDer::from(vec![0]));
        let tls = ServerTls::new(&identity)
            .append_certificates(more)
            .build()
            .expect("built");
        let server = FloodingServer::start(&tls, flood).expect("started");
        let network = loopback().with_root_cert(ca.pem().as_bytes());
        Self {
            network: Some(network.expect("a certificate")),
            ..Self::new(name, &connecting(server.port(), program))
        }
        .with_server(server)
    }

    fn with_server(mut self, server: impl Any + Send) -> Self {
        self._server = Box::new(server);
        self
    }

    fn with_course(mut self, course: Course) -> Self {
        self.course = course;
        self
    }

    fn sandbox(&self, limit: Duration) -> Sandbox {
        let limits = ResourceLimits::default()
            .with_execution_timeout(limit)
            .with_max_output(32 << 20);
        let mut builder = Sandbox::embedded().with_resource_limits(limits);
        if let Some(network) = &self.network {
            builder = builder.with_network(network.clone());
        }
        if self.is_embedder_slow {
            builder = builder.on_stdout(|_| {
                let start = Instant::now();
                while start.elapsed() < SLOW_CALL {
                    std::hint::spin_loop();
                }
            });
        }
        builder.build().expect("valid settings")
    }
}

/// Begins the programs that connect to a flooding server.
const CONNECT: &str = "
import socket, ssl, time
context = ssl.create_default_context()
def connect():
    raw = socket.create_connection(('localhost', @port), 5)
    return context.wrap_socket(raw, server_hostname='localhost')
";

/// Returns a program that connects to `port`.
fn connecting(port: u16, program: &str) -> String {
    CONNECT.replace("@port", &port.to_string()) + program
}

/// Reads until the connection fails.
const READ: &str = "
while True:
    try:
        with connect() as sock:
            while sock.recv(1): pass
    except OSError:
        pass
";

/// Closes connections while much of a flood waits in the buffers of the kernel.
const CLOSE: &str = "
while True:
    try:
        sock = connect()
        sock.recv(1)
        time.sleep(0.005)
        sock.close()
    except OSError:
        pass
";

/// As [`CLOSE`], but the connection is closed because nothing refers to it.
const DROP: &str = "
while True:
    try:
        sock = connect()
        sock.recv(1)
        time.sleep(0.005)
        del sock
    except OSError:
        pass
";

/// Waits with flooded connections until the program ends.
const WAIT: &str = "
socks = [connect()]
socks[0].recv(1)
time.sleep(60)
";

/// Begins the programs that give the host a flight of hand-made certificates.
const FEED: &str = "
from wit_world.imports import tls
bomb = bytes.fromhex('@bomb')
def session():
    return tls.Session.client(tls.ClientConfig(
        'example.com', [], True, True, [], False, None, [], None, None, None, [], []))
while True:
    with session() as fed:
        fed.take(1 << 20)
        try:
            fed.feed(bomb)
            fed.handshake()
        except Exception:
            pass
";

/// Makes host calls that each take as long as a program can make them.
const LONG_CALLS: &str = "
import base64
from wit_world.imports import poll, tls
lists = [base64.b64encode(bytes(1 << 20)).decode()]
def session(revocation, lists):
    return tls.Session.client(tls.ClientConfig(
        'localhost', [], True, True, [], False, revocation, lists, None, None, None, [], []))
while True:
    for revocation, given in (tls.Revocation.LEAF, lists), (None, []):
        try:
            with session(revocation, given) as fed:
                for _ in range(4):
                    fed.feed(bytes(96_000))
        except Exception:
            pass
    poll.poll([], [], [], [], [], [], 0)
";

/// A leaf, nine authorities of one name, and empty certificates: every authority may have issued
/// every other.
fn bomb() -> Vec<u8> {
    let mut chain = vec![forged::certificate(0, false)];
    chain.extend((1..=9).map(|key| forged::certificate(key, true)));
    chain.extend(std::iter::repeat_n(Vec::new(), 19_000));
    forged::flight(&chain)
}

fn small_tickets(sealer: &mut Sealer) -> Vec<u8> {
    let tickets = std::iter::repeat_n(ticket(1), 800).flatten();
    sealer.record(ContentType::Handshake, &tickets.collect::<Vec<_>>())
}

fn large_tickets(sealer: &mut Sealer) -> Vec<u8> {
    sealer.handshake(&ticket(60_000), 1000)
}

/// One byte of data in each record of 16 KiB.
fn padding(sealer: &mut Sealer) -> Vec<u8> {
    sealer.padded(b"x", 16_000)
}

async fn attacks() -> Vec<Attack> {
    let answer = Behaviour::Answers(bomb().into());
    let peer = Peer::plain(answer).await.expect("started");
    let of_peer = connecting(peer.port(), READ);
    let mut slow = Attack::new(
        "slow calls of the embedder",
        "import os\nwhile True: os.write(1, b'x')",
    );
    slow.is_embedder_slow = true;
    let mut bomb_of_peer = Attack::new("bomb of a peer", &of_peer).with_server(peer);
    bomb_of_peer.network = Some(loopback());
    let mut fed = Attack::new("bomb that is fed", &FEED.replace("@bomb", &hex(&bomb())));
    fed.network = Some(loopback());
    let mut long = Attack::new("long host calls", LONG_CALLS);
    long.network = Some(loopback());
    vec![
        Attack::flood("small tickets, read", 0, small_tickets, READ),
        Attack::flood("large tickets, read", 0, large_tickets, READ),
        Attack::flood(
            "tickets behind 9,000 certificates",
            9_000,
            small_tickets,
            READ,
        ),
        Attack::flood("padding, read", 0, padding, READ),
        Attack::flood("padding, in close", 0, padding, CLOSE),
        Attack::flood("padding, in drop", 0, padding, DROP),
        Attack::flood("padding, at the end", 0, padding, WAIT).with_course(Course::Dropped),
        fed,
        bomb_of_peer,
        slow,
        long,
    ]
}

/// Runs an attack for `seconds`, and returns how long it took.
async fn run(attack: Attack, seconds: Duration) -> Duration {
    let sandbox = match attack.course {
        Course::Endless => attack.sandbox(seconds),
        Course::Dropped => attack.sandbox(Duration::from_secs(600)),
    };
    let start = Instant::now();
    match attack.course {
        Course::Endless => match sandbox.execute(&attack.program).await {
            Err(Error::Limit {
                limit: Limit::ExecutionTime(limit),
                ..
            }) => assert_eq!(limit, seconds),
            Err(error) => panic!("{}: {}", attack.name, error_details(&error)),
            Ok(result) => panic!("{} ended by itself: {result:?}", attack.name),
        },
        Course::Dropped => {
            while start.elapsed() < seconds {
                let execution = sandbox.execute(&attack.program);
                let ended = tokio::time::timeout(Duration::from_millis(100), execution).await;
                assert!(ended.is_err(), "{} ended by itself: {ended:?}", attack.name);
            }
        }
    }
    start.elapsed()
}

/// Runs short scripts one after another beside each attack.
async fn run_scripts_beside_attacks(runtime: &str) {
    let _alone = ALONE.lock().await;
    let seconds = std::env::var("ERYX_ATTACK_SECONDS");
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("a number"));
    let quiet = sandbox(None);
    expect_stdout(quiet.execute("print(1)").await);
    for attack in attacks().await {
        let name = attack.name;
        let running = tokio::spawn(run(attack, Duration::from_secs(seconds)));
        let mut times = Vec::new();
        while !running.is_finished() {
            let (quiet, start) = (quiet.clone(), Instant::now());
            // A task of its own, so that it waits for its turn behind the attack.
            let script = async move { quiet.execute("print(sum(range(1000)))").await };
            let printed = tokio::spawn(script).await.expect("no panic");
            times.push(start.elapsed());
            assert_eq!(expect_stdout(printed), "499500\n");
        }
        let took = running.await.expect("no panic");
        times.sort();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        // Written directly: the test harness captures the output of a passing test.
        let _ = writeln!(
            std::io::stderr(),
            "\nattack ({runtime}) {name}: ended after {took:.3?}; {} scripts, median {:.1?}, p99 {:.1?}, longest {:.1?}",
            times.len(),
            at(50),
            at(99),
            at(100),
        );
        let least = SCRIPTS_PER_SECOND * usize::try_from(seconds).expect("small");
        assert!(times.len() >= least, "{name}: {} scripts", times.len());
    }
}

#[tokio::test(flavor = "current_thread")]
async fn short_scripts_run_beside_every_attack_on_one_thread() {
    run_scripts_beside_attacks("one thread").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_scripts_run_beside_every_attack_on_two_threads() {
    run_scripts_beside_attacks("two threads").await;
}
