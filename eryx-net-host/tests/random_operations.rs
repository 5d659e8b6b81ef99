//! Randomised operation sequences on faulty peers: no panic, no hang, no leak.

mod support;

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{
    Connection, Family, KeepaliveOption, NetConfig, NetError, Network, Phase, Shutdown,
};
use eryx_testkit::{Behaviour, CertificateAuthority, Leaf, Peer, ServerTls};
use support::*;

/// A linear congruential generator: the same numbers in every run.
struct Rng(u64);

impl Rng {
    fn next_below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn timeout(&mut self) -> Option<Duration> {
        match self.next_below(3) {
            0 => Some(Duration::from_millis(1)),
            _ => Some(Duration::ZERO),
        }
    }
}

async fn random_operation(rng: &mut Rng, connection: &mut Connection) -> Option<NetError> {
    let timeout = rng.timeout();
    let name = ["secure.test", "other.test", "127.0.0.1", "", "a b"][rng.next_below(5) as usize];
    match rng.next_below(14) {
        0 => connection.finish_connect(timeout).await.err(),
        1 | 2 => {
            let max = [0, 1, 100, 1 << 16, usize::MAX][rng.next_below(5) as usize];
            match connection.read(max, timeout).await {
                Ok(bytes) => {
                    assert!(bytes.len() <= max);
                    None
                }
                Err(error) => Some(error),
            }
        }
        3 | 4 => {
            let data = vec![b'x'; [0, 1, 1000, 300_000][rng.next_below(4) as usize]];
            match connection.write(&data, timeout).await {
                Ok(taken) => {
                    assert!(taken <= data.len());
                    None
                }
                Err(error) => Some(error),
            }
        }
        5 if rng.next_below(4) == 0 => {
            let how =
                [Shutdown::Receive, Shutdown::Send, Shutdown::Both][rng.next_below(3) as usize];
            connection.shutdown(how).err()
        }
        6 | 7 => {
            let settings = ClientSettings {
                verify_peer: rng.next_below(4) > 0,
                ..ClientSettings::for_name(if rng.next_below(2) == 0 {
                    name
                } else {
                    "secure.test"
                })
            };
            connection.start_tls(&settings, timeout).await.err()
        }
        8 => connection.end_tls(timeout).await.err(),
        9 => {
            readable(connection, timeout.unwrap_or_default()).await;
            None
        }
        10 => {
            writable(connection, timeout.unwrap_or_default()).await;
            None
        }
        11 => {
            let _ = (connection.local_endpoint(), connection.peer_endpoint());
            let _ = (connection.tls_info(), connection.pending());
            connection.set_no_delay(rng.next_below(2) == 0).err()
        }
        12 => connection
            .set_keepalive_option(KeepaliveOption::Idle(rng.next_below(3) as u32))
            .err(),
        _ => connection.set_keep_alive(rng.next_below(2) == 0).err(),
    }
}

#[tokio::test]
async fn random_operations_on_faulty_peers_never_panic_hang_or_leak() {
    let authority = CertificateAuthority::new().expect("authority");
    let identity = authority
        .issue(&Leaf::server(["secure.test"]))
        .expect("identity");
    let server = ServerTls::new(&identity).build().expect("config");
    let behaviours = [
        Behaviour::Echo,
        Behaviour::Silent,
        Behaviour::NeverReads,
        Behaviour::Receipt,
        Behaviour::SendsForever,
        Behaviour::ClosesAtOnce,
        Behaviour::ResetsAtFirstByte,
        Behaviour::FinishesFirst { bytes: 5000 },
        Behaviour::StartsTls(server),
        Behaviour::noise(),
    ];
    let mut peers = Vec::new();
    for behaviour in behaviours {
        peers.push(Peer::plain(behaviour.clone()).await.expect("peer"));
        peers.push(Peer::tls(behaviour, &identity).await.expect("peer"));
    }
    let resolver = Arc::new(ScriptedResolver::new().answer("secure.test", &["127.0.0.1"]));
    let config = loopback_config(&resolver)
        .with_root_cert(authority.pem().as_bytes())
        .expect("a certificate");
    let network = Network::new(&config);
    let mut phases = Vec::new();
    for seed in 0..400 {
        let mut rng = Rng(seed);
        let port = peers[rng.next_below(peers.len() as u64) as usize].port();
        let host = ["secure.test", "127.0.0.1"][rng.next_below(2) as usize];
        let mut connection = network.connect(host, port).expect("allowed");
        if rng.next_below(4) > 0 {
            let _ = within_timeout(connection.finish_connect(None)).await;
        }
        if rng.next_below(2) > 0 {
            let settings = ClientSettings::for_name("secure.test");
            let _ =
                within_timeout(connection.start_tls(&settings, Some(Duration::from_millis(200))))
                    .await;
        }
        for _ in 0..rng.next_below(25) {
            let error = within_timeout(random_operation(&mut rng, &mut connection)).await;
            if let Some(error) = error {
                assert!(!error.to_string().is_empty());
            }
            if !phases.contains(&connection.phase()) {
                phases.push(connection.phase());
            }
        }
        if matches!(connection.phase(), Phase::Failed) {
            let first = within_timeout(connection.finish_connect(None)).await;
            assert!(first.is_err());
            assert_eq!(within_timeout(connection.finish_connect(None)).await, first);
        }
        drop(connection);
    }
    // The operations have reached every phase.
    for phase in [
        Phase::Resolving,
        Phase::Open,
        Phase::Handshaking,
        Phase::Tls,
        Phase::HalfClosed,
        Phase::Closed,
        Phase::Failed,
    ] {
        assert!(
            phases.contains(&phase),
            "{phase:?} was never seen: {phases:?}"
        );
    }
    // Lingering closes release their slots within two seconds.
    within_timeout(async {
        while network.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn random_host_texts_are_denied_or_accepted_without_other_errors() {
    let network = Network::new(&NetConfig::default().with_resolver(Arc::new(NeverResolves)));
    let pieces = [
        "a",
        ".",
        "..",
        "-",
        "*",
        "[",
        "]",
        ":",
        "::",
        "%",
        "/",
        "@",
        "0x7f",
        "127",
        "\0",
        " ",
        "\u{3002}",
        "\u{ff11}",
        "xn--",
        "\u{202e}",
        "localhost",
        "\r\n",
        "1e3",
        "é",
        "\u{0}",
    ];
    let mut rng = Rng(7);
    for _ in 0..20_000 {
        let text: String = (0..rng.next_below(8))
            .map(|_| pieces[rng.next_below(pieces.len() as u64) as usize])
            .collect();
        let port = rng.next_below(65536) as u16;
        if let Err(error) = network.connect(&text, port) {
            assert!(matches!(error, NetError::Denied(_)), "{text:?}: {error:?}");
        }
        let _ = network.lookup(&text, Some(port), Family::Any);
    }
    assert_eq!(network.connections(), 0);
}
