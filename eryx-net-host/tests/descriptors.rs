//! How many file descriptors sandboxes hold. One test: others in the same process would count too.

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

/// What a sandbox holds at most by default: ten connections, two more attempts, six questions.
const EACH: usize = 18;

fn open_now() -> usize {
    // One is the folder's own.
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

/// Ten connections, to hosts with 64 addresses where nothing answers, and 60 lookups of names that nobody answers for.
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
            connections: (0..10).map(|n| connect(n).expect("may connect")).collect(),
            lookups: (0..60).map(|n| look_up(n).expect("may ask")).collect(),
            network,
        }
    }

    async fn go_on(&mut self) {
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
async fn sandboxes_at_their_limits_leave_descriptors_to_their_embedder() {
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

    // Lookups that are dropped half way leave nothing behind.
    let before = open_now();
    let network = Network::new(&config);
    for n in 0..3000 {
        let mut lookup = network
            .lookup(&format!("d{n}.test"), None, Family::Any)
            .expect("may ask");
        let outcome = lookup.finish(Some(Duration::ZERO)).await;
        assert_eq!(outcome, Err(NetError::WouldBlock));
    }
    let begun = Instant::now();
    while open_now() > before {
        assert!(begun.elapsed() < PATIENCE, "{} are open", open_now());
        sleep(Duration::from_millis(10)).await;
    }

    limit_to(256);
    let mut sandboxes: Vec<_> = (0..SANDBOXES)
        .map(|_| Sandbox::busy(&config, hole.address().port()))
        .collect();
    let mut most = 0;
    let begun = Instant::now();
    // Longer than an attempt needs to be ended for another.
    while begun.elapsed() < Duration::from_secs(3) {
        for sandbox in &mut sandboxes {
            sandbox.go_on().await;
        }
        most = most.max(open_now() - before);
        sleep(Duration::from_millis(20)).await;
    }
    assert!(most <= SANDBOXES * EACH, "{most}");
    assert!(most >= SANDBOXES * (EACH - 1), "they are busy: {most}");
    let files: Vec<_> = (0..16).map(|_| File::open("/proc/self/stat")).collect();
    assert!(files.iter().all(Result::is_ok), "the embedder opens files");
    drop(files);
    for sandbox in &sandboxes {
        assert_eq!(sandbox.network.connections(), 10);
    }

    // Without any, the program is told what is missing.
    let network = Network::new(&config);
    limit_to(3);
    assert_eq!(
        outcome(&network, "127.0.0.1", hole.address().port()).await,
        Err(NetError::TooManyFiles)
    );
    let mut lookup = network
        .lookup("late.test", None, Family::Any)
        .expect("may ask");
    assert_eq!(soon(lookup.finish(None)).await, Err(NetError::NameTryAgain));
    limit_to(256);

    drop(sandboxes);
    let begun = Instant::now();
    while open_now() > before {
        assert!(begun.elapsed() < PATIENCE, "{} are open", open_now());
        sleep(Duration::from_millis(10)).await;
    }
}
