//! Randomised operation sequences on faulty peers: no panic, no hang, no leak.

mod support;

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{
    Connection, Family, HttpDenials, KeepaliveOption, NetConfig, NetError, Network, Phase, Secret,
    Shutdown,
};
use eryx_testkit::{Behaviour, CertificateAuthority, Leaf, Peer, RequestRecorder, ServerTls};
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

/// Does one operation. `texts` are written besides bytes without a meaning.
async fn random_operation(
    rng: &mut Rng,
    connection: &mut Connection,
    texts: &[Vec<u8>],
) -> Option<NetError> {
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
            let mut data = vec![b'x'; [0, 1, 1000, 300_000][rng.next_below(4) as usize]];
            if !texts.is_empty() && rng.next_below(8) > 0 {
                data.clone_from(&texts[rng.next_below(texts.len() as u64) as usize]);
            }
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
    let answer = |_: &[u8]| RequestRecorder::ok("an answer");
    let servers = [
        RequestRecorder::plain(answer).await.expect("a server"),
        RequestRecorder::tls(&identity, answer)
            .await
            .expect("a server"),
    ];
    let ports = peers.iter().map(|peer| peer.port());
    let ports: Vec<u16> = ports
        .chain(servers.iter().map(|server| server.port()))
        .collect();
    let resolver = Arc::new(ScriptedResolver::new().answer("secure.test", &["127.0.0.1"]));
    let config = loopback_config(&resolver)
        .with_root_cert(authority.pem().as_bytes())
        .expect("a certificate");
    let network = Network::new(&config);
    run_operations(&network, &ports, &[], 400).await;
    for (report_only, denials) in [
        (false, HttpDenials::Error),
        (false, HttpDenials::Response),
        (true, HttpDenials::Error),
    ] {
        let binding = http::binding("secure.test").with_body(true);
        let provider = Arc::new(http::Provider::default());
        let config = config
            .with_http_rule(http::rule("secure.test").with_upgrade(true))
            .expect("a rule")
            .with_secret(Secret::with_provider(binding, provider))
            .expect("a secret")
            .with_inspected_host("*")
            .expect("a pattern")
            .with_http_denials(denials)
            .with_report_only(report_only);
        let network = Network::new(&config);
        let texts = http_texts(&ports, &http::placeholder(&network));
        run_operations(&network, &ports, &texts, 100).await;
    }
}

/// Returns requests, parts of requests, and what is none.
fn http_texts(ports: &[u16], placeholder: &str) -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for port in ports {
        for host in ["secure.test", "127.0.0.1"] {
            let host = format!("Host: {host}:{port}\r\n");
            let json = "Content-Type: application/json\r\n";
            let chunked = "Transfer-Encoding: chunked\r\n";
            for text in [
                format!("GET / HTTP/1.1\r\n{host}\r\n"),
                format!("GET / HTTP/1.1\r\n{host}Authorization: {placeholder}\r\n\r\n"),
                format!("GET / HTTP/1.1\r\n{host}Upgrade: x\r\nConnection: upgrade\r\n\r\n"),
                format!("GET / HTTP/1.1\r\n{host}Cookie: {placeholder}\r\n\r\n"),
                format!("POST / HTTP/1.1\r\n{host}{json}{chunked}\r\n3\r\nabc\r\n0\r\n\r\n"),
                format!("POST / HTTP/1.1\r\n{host}{chunked}\r\n3\r\nabc\r\n"),
                format!("POST / HTTP/1.1\r\n{host}{json}Content-Length: 40\r\n\r\n"),
            ] {
                texts.push(text.into_bytes());
            }
        }
    }
    for text in [
        placeholder,
        "GET ",
        "\r\n",
        "0\r\n\r\n",
        "\x16\x03\x01\0\x02hi",
        "1\r\na\r\n",
    ] {
        texts.push(text.into());
    }
    texts
}

async fn run_operations(network: &Network, ports: &[u16], texts: &[Vec<u8>], runs: u64) {
    let mut phases = Vec::new();
    for seed in 0..runs {
        let mut rng = Rng(seed);
        let port = ports[rng.next_below(ports.len() as u64) as usize];
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
            let error = within_timeout(random_operation(&mut rng, &mut connection, texts)).await;
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
