//! A test of the number of file descriptors of sandboxes. It is the only test here, because another
//! test in the same process would hold descriptors too.

mod support;

use std::fs::File;
use std::net::IpAddr;
use std::time::Duration;

use eryx_net_host::{Connection, Family, Lookup, NetConfig, NetError, Network};
use eryx_testkit::{Answer, BlackHole, NameServer, Script};
use rustix::process::{Resource, getrlimit, setrlimit};
use support::*;
use tokio::time::{Instant, sleep};

const SANDBOXES: usize = 10;

/// The most descriptors of a sandbox by default: ten connections, two more attempts, six DNS
/// queries.
const PER_SANDBOX: usize = 18;

fn open_descriptors() -> usize {
    // One of them is the directory itself.
    std::fs::read_dir("/proc/self/fd")
        .expect("readable")
        .count()
        - 1
}

fn limit_to(descriptors: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(descriptors);
    setrlimit(Resource::Nofile, limit).expect("may be lowered");
}

/// A sandbox with ten connections to hosts with 64 silent addresses, and 60 lookups without an
/// answer.
struct Sandbox {
    network: Network,
    connections: Vec<Connection>,
    lookups: Vec<Lookup>,
}

impl Sandbox {
    fn busy(config: &NetConfig, port: u16) -> Self {
        let network = Network::new(config);
        let connect = |n| network.connect(&format!("x{n}.test"), port);
        let look_up = |n| network.lookup(&format!("silent{n}.test"), Some(80), Family::Any);
        Self {
            connections: (0..10).map(|n| connect(n).expect("allowed")).collect(),
            lookups: (0..60).map(|n| look_up(n).expect("allowed")).collect(),
            network,
        }
    }

    async fn poll(&mut self) {
        for connection in &mut self.connections {
            let outcome = connection.finish_connect(Some(Duration::ZERO)).await;
            assert_eq!(outcome, Err(NetError::WouldBlock));
        }
        for lookup in &mut self.lookups {
            let outcome = lookup.finish(Some(Duration::ZERO)).await;
            assert_eq!(outcome, Err(NetError::WouldBlock));
        }
    }
}

#[tokio::test]
async fn sandboxes_at_their_limits_hold_a_bounded_number_of_descriptors() {
    let hole = BlackHole::at("0.0.0.0:0".parse().expect("address"))
        .await
        .expect("a black hole");
    let late = Answer::addresses(["1.1.1.1"]).expect("addresses");
    let script = Script::new()
        .answer("late.test", late.after(Duration::from_secs(2)))
        .otherwise(Answer::Silence);
    let server = NameServer::start(script).await.expect("name server");
    let addresses = |n: u8| {
        (2..66)
            .map(move |a| IpAddr::from([127, 0, 1 + n, a]))
            .collect()
    };
    let config = NetConfig::default()
        .allow_localhost()
        .with_dns_server(server.address())
        .with_hosts((0..10).map(|n| (format!("x{n}.test"), addresses(n))))
        .expect("valid");

    // Dropped lookups release their descriptors.
    let before = open_descriptors();
    let network = Network::new(&config);
    for n in 0..3000 {
        let mut lookup = network
            .lookup(&format!("d{n}.test"), None, Family::Any)
            .expect("allowed");
        let outcome = lookup.finish(Some(Duration::ZERO)).await;
        assert_eq!(outcome, Err(NetError::WouldBlock));
    }
    let started = Instant::now();
    while open_descriptors() > before {
        assert!(
            started.elapsed() < TIMEOUT,
            "{} are open",
            open_descriptors()
        );
        sleep(Duration::from_millis(10)).await;
    }

    limit_to(256);
    let mut sandboxes: Vec<_> = (0..SANDBOXES)
        .map(|_| Sandbox::busy(&config, hole.address().port()))
        .collect();
    let mut max_open = 0;
    let started = Instant::now();
    // Longer than the time after which an attempt is replaced by another.
    while started.elapsed() < Duration::from_secs(3) {
        for sandbox in &mut sandboxes {
            sandbox.poll().await;
        }
        max_open = max_open.max(open_descriptors() - before);
        sleep(Duration::from_millis(20)).await;
    }
    assert!(max_open <= SANDBOXES * PER_SANDBOX, "{max_open}");
    assert!(
        max_open >= SANDBOXES * (PER_SANDBOX - 1),
        "they are busy: {max_open}"
    );
    let files: Vec<_> = (0..16).map(|_| File::open("/proc/self/stat")).collect();
    assert!(files.iter().all(Result::is_ok), "the embedder opens files");
    drop(files);
    for sandbox in &sandboxes {
        assert_eq!(sandbox.network.connections(), 10);
    }

    // Without descriptors, the program gets an error that names them.
    let network = Network::new(&config);
    limit_to(3);
    assert_eq!(
        outcome(&network, "127.0.0.1", hole.address().port()).await,
        Err(NetError::TooManyFiles)
    );
    let mut lookup = network
        .lookup("late.test", None, Family::Any)
        .expect("allowed");
    assert_eq!(
        within_timeout(lookup.finish(None)).await,
        Err(NetError::NameTryAgain)
    );
    limit_to(256);

    drop(sandboxes);
    let started = Instant::now();
    while open_descriptors() > before {
        assert!(
            started.elapsed() < TIMEOUT,
            "{} are open",
            open_descriptors()
        );
        sleep(Duration::from_millis(10)).await;
    }
}
