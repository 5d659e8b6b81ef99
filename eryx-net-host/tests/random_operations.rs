//! A hostile program calls anything, in any order, on any peer. Nothing panics, hangs or leaks.

mod support;

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{
    Connection, Family, KeepaliveOption, NetConfig, NetError, Network, Phase, Shutdown,
};
use eryx_testkit::{Behaviour, CertificateAuthority, Leaf, Peer, ServerTls};
use support::*;

/// A small generator of numbers, the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn timeout(&mut self) -> Option<Duration> {
        match self.roll(3) {
            0 => Some(Duration::from_millis(1)),
            _ => Some(Duration::ZERO),
        }
    }
}

async fn anything(dice: &mut Dice, connection: &mut Connection) -> Option<NetError> {
    let timeout = dice.timeout();
    let name = ["secure.test", "other.test", "127.0.0.1", "", "a b"][dice.roll(5) as usize];
    match dice.roll(14) {
        0 => connection.finish_connect(timeout).await.err(),
        1 | 2 => {
            let max = [0, 1, 100, 1 << 16, usize::MAX][dice.roll(5) as usize];
            match connection.read(max, timeout).await {
                Ok(bytes) => {
                    assert!(bytes.len() <= max);
                    None
                }
                Err(error) => Some(error),
            }
        }
        3 | 4 => {
            let data = vec![b'x'; [0, 1, 1000, 300_000][dice.roll(4) as usize]];
            match connection.write(&data, timeout).await {
                Ok(taken) => {
                    assert!(taken <= data.len());
                    None
                }
                Err(error) => Some(error),
            }
        }
        5 if dice.roll(4) == 0 => {
            let how = [Shutdown::Receive, Shutdown::Send, Shutdown::Both][dice.roll(3) as usize];
            connection.shutdown(how).err()
        }
        6 | 7 => {
            let settings = ClientSettings {
                verify_peer: dice.roll(4) > 0,
                ..ClientSettings::for_name(if dice.roll(2) == 0 {
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
            connection.set_no_delay(dice.roll(2) == 0).err()
        }
        12 => connection
            .set_keepalive_option(KeepaliveOption::Idle(dice.roll(3) as u32))
            .err(),
        _ => connection.set_keep_alive(dice.roll(2) == 0).err(),
    }
}

#[tokio::test]
async fn no_order_of_calls_on_any_peer_panics_hangs_or_leaks() {
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
    let resolver = Arc::new(Scripted::new().answer("secure.test", &["127.0.0.1"]));
    let config = local(&resolver)
        .with_root_cert(authority.pem().as_bytes())
        .expect("a certificate");
    let network = Network::new(&config);
    let mut phases = Vec::new();
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let port = peers[dice.roll(peers.len() as u64) as usize].port();
        let host = ["secure.test", "127.0.0.1"][dice.roll(2) as usize];
        let mut connection = network.connect(host, port).expect("allowed");
        if dice.roll(4) > 0 {
            let _ = soon(connection.finish_connect(None)).await;
        }
        if dice.roll(2) > 0 {
            let settings = ClientSettings::for_name("secure.test");
            let _ = soon(connection.start_tls(&settings, Some(Duration::from_millis(200)))).await;
        }
        for _ in 0..dice.roll(25) {
            let error = soon(anything(&mut dice, &mut connection)).await;
            if let Some(error) = error {
                assert!(!error.to_string().is_empty());
            }
            if !phases.contains(&connection.phase()) {
                phases.push(connection.phase());
            }
        }
        if matches!(connection.phase(), Phase::Failed) {
            let first = soon(connection.finish_connect(None)).await;
            assert!(first.is_err());
            assert_eq!(soon(connection.finish_connect(None)).await, first);
        }
        drop(connection);
    }
    // The dice reached everything there is.
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
    // Tails that still linger give their place back within their two seconds.
    soon(async {
        while network.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn hosts_made_of_anything_are_judged_and_nothing_else() {
    let network = Network::new(&NetConfig::default().with_resolver(Arc::new(Mute)));
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
    let mut dice = Dice(7);
    for _ in 0..20_000 {
        let text: String = (0..dice.roll(8))
            .map(|_| pieces[dice.roll(pieces.len() as u64) as usize])
            .collect();
        let port = dice.roll(65536) as u16;
        if let Err(error) = network.connect(&text, port) {
            assert!(matches!(error, NetError::Denied(_)), "{text:?}: {error:?}");
        }
        let _ = network.lookup(&text, Some(port), Family::Any);
    }
    assert_eq!(network.connections(), 0);
}
