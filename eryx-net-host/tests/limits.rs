//! Totals that end, rates that wait, and a policy that is only reported.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use eryx_net_host::{
    CloseReason, Connection, EventKind, Family, NetConfig, NetError, NetLimit, Network, Recorder,
};
use eryx_testkit::{Behaviour, ClosedPort, Peer, payload};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const NOW: Option<Duration> = Some(Duration::ZERO);

/// A connection, and the other end of it in the test's own hands.
async fn pair(config: &NetConfig) -> (Network, Arc<Recorder>, Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let (network, recorder) = recorded(config);
    let connection = connected(&network, "127.0.0.1", port).await;
    let (stream, _) = listener.accept().await.expect("accepts");
    (network, recorder, connection, stream)
}

fn names_limit<T: std::fmt::Debug>(outcome: Result<T, NetError>, limit: NetLimit) {
    match outcome {
        Err(NetError::LimitReached(text) | NetError::QuotaExceeded(text)) => {
            assert!(text.contains(limit.setting()), "{text}");
            assert!(text.contains("raise"), "no fix: {text}");
        }
        other => panic!("{other:?} is not {limit}"),
    }
}

fn reached(recorder: &Recorder, limit: NetLimit) -> usize {
    recorder
        .events()
        .iter()
        .filter(
            |event| matches!(event.kind, EventKind::LimitReached { limit: told } if told == limit),
        )
        .count()
}

fn throttled(recorder: &Recorder, limit: NetLimit) -> usize {
    recorder
        .events()
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Throttled { limit: told } if told == limit))
        .count()
}

/// The reasons of what was only reported.
fn would_deny(recorder: &Recorder) -> Vec<&'static str> {
    recorder
        .events()
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::WouldDeny { verdict } => Some(verdict.reason().as_str()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn no_byte_is_sent_beyond_the_total() {
    let config = NetConfig::permissive().with_max_sent_bytes(10);
    let (network, recorder, mut connection, mut stream) = pair(&config).await;
    assert_eq!(soon(connection.write(b"1234", None)).await, Ok(4));
    assert_eq!(
        soon(connection.write(b"567890abc", None)).await,
        Ok(6),
        "what still goes is taken"
    );
    for _ in 0..3 {
        names_limit(
            soon(connection.write(b"x", None)).await,
            NetLimit::MaxSentBytes,
        );
        names_limit(connection.write(b"x", NOW).await, NetLimit::MaxSentBytes);
    }
    assert!(
        writable(&mut connection, PATIENCE).await,
        "a write would not wait, it would fail"
    );
    assert_eq!(soon(connection.write(b"", None)).await, Ok(0));
    assert_eq!(network.report().sent, 10);
    assert_eq!(reached(&recorder, NetLimit::MaxSentBytes), 1);
    drop(connection);
    let mut arrived = Vec::new();
    stream.read_to_end(&mut arrived).await.expect("reads");
    assert_eq!(arrived, b"1234567890");
    assert!(matches!(
        network.report().connections[0].close_reason,
        Some(CloseReason::Error(NetError::QuotaExceeded(_)))
    ));
}

#[tokio::test]
async fn the_total_is_of_all_connections_together_and_the_other_direction_goes_on() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let config = NetConfig::permissive().with_max_sent_bytes(6);
    let network = Network::new(&config);
    let mut first = connected(&network, "127.0.0.1", peer.port()).await;
    let mut second = connected(&network, "127.0.0.1", peer.port()).await;
    assert_eq!(soon(first.write(b"abcd", None)).await, Ok(4));
    assert_eq!(soon(second.write(b"efgh", None)).await, Ok(2));
    names_limit(soon(first.write(b"i", None)).await, NetLimit::MaxSentBytes);
    assert_eq!(soon(second.read(10, None)).await, Ok(b"ef".to_vec()));
    // Another network under the same configuration has a total of its own.
    let other = Network::new(&config);
    let mut third = connected(&other, "127.0.0.1", peer.port()).await;
    assert_eq!(soon(third.write(b"abcdef", None)).await, Ok(6));
}

#[tokio::test]
async fn a_stream_as_long_as_the_total_ends_well_and_a_longer_one_never_looks_complete() {
    for (length, complete) in [(10, true), (11, false), (5000, false)] {
        let config = NetConfig::permissive().with_max_received_bytes(10);
        let (network, recorder, mut connection, mut stream) = pair(&config).await;
        stream
            .write_all(&payload::bytes(length))
            .await
            .expect("writes");
        drop(stream);
        let mut all = Vec::new();
        let end = loop {
            assert!(readable(&mut connection, PATIENCE).await);
            match soon(connection.read(7, None)).await {
                Ok(bytes) if bytes.is_empty() => break Ok(()),
                Ok(bytes) => all.extend(bytes),
                Err(error) => break Err(error),
            }
        };
        assert!(all == payload::bytes(10), "{length}: {all:?}");
        if complete {
            assert_eq!(end, Ok(()), "{length}");
            continue;
        }
        names_limit(end, NetLimit::MaxReceivedBytes);
        for _ in 0..20 {
            names_limit(
                soon(connection.read(100, None)).await,
                NetLimit::MaxReceivedBytes,
            );
        }
        assert_eq!(network.report().received, 10);
        assert_eq!(reached(&recorder, NetLimit::MaxReceivedBytes), 1);
    }
}

#[tokio::test]
async fn totals_count_what_is_inside_of_tls() {
    let world = World::new();
    let peer = world.peer(Behaviour::Echo).await;
    let config = world
        .config()
        .with_max_sent_bytes(5)
        .with_max_received_bytes(3);
    let network = Network::new(&config);
    let mut connection = secured(&network, peer.port()).await;
    assert_eq!(soon(connection.write(b"hello!", None)).await, Ok(5));
    names_limit(
        soon(connection.write(b"!", None)).await,
        NetLimit::MaxSentBytes,
    );
    assert_eq!(soon(connection.read(100, None)).await, Ok(b"hel".to_vec()));
    names_limit(
        soon(connection.read(100, None)).await,
        NetLimit::MaxReceivedBytes,
    );
}

#[tokio::test]
async fn a_write_waits_for_its_rate_within_its_timeout() {
    let config = NetConfig::permissive()
        .with_sent_bytes_per_second(20_000)
        .expect("a rate");
    let (network, recorder, mut connection, mut stream) = pair(&config).await;
    let begun = Instant::now();
    let all = payload::bytes(30_000);
    let sending = async {
        assert_eq!(soon(connection.write(&all, None)).await, Ok(30_000));
        begun.elapsed()
    };
    let receiving = async {
        let mut arrived = vec![0; 30_000];
        stream.read_exact(&mut arrived).await.expect("arrives");
        arrived
    };
    let (took, arrived) = tokio::join!(sending, soon(receiving));
    assert!(arrived == all);
    assert!(took >= Duration::from_millis(490), "{took:?}");
    assert_eq!(network.report().sent, 30_000);
    assert_eq!(throttled(&recorder, NetLimit::SentBytesPerSecond), 1);

    // Now there is nothing left to be had at once.
    assert_eq!(connection.write(&all, NOW).await, Err(NetError::WouldBlock));
    let short = Some(Duration::from_millis(100));
    let taken = soon(connection.write(&all, short)).await.expect("some");
    assert!((1..30_000).contains(&taken), "{taken}");
}

#[tokio::test]
async fn a_read_waits_for_its_rate_and_loses_nothing() {
    for tls in [false, true] {
        let world = World::new();
        let behaviour = Behaviour::FinishesFirst { bytes: 30_000 };
        let peer = if tls {
            world.peer(behaviour).await
        } else {
            Peer::plain(behaviour).await.expect("peer")
        };
        let config = world
            .config()
            .with_received_bytes_per_second(20_000)
            .expect("a rate");
        let network = Network::new(&config);
        let mut connection = if tls {
            secured(&network, peer.port()).await
        } else {
            connected(&network, "secure.test", peer.port()).await
        };
        let begun = Instant::now();
        let all = drain(&mut connection).await.expect("all of it");
        assert!(all == payload::bytes(30_000), "tls {tls}");
        assert!(begun.elapsed() >= Duration::from_millis(490), "tls {tls}");
    }
}

#[tokio::test]
async fn readiness_waits_for_the_rate_too_without_spinning() {
    let config = NetConfig::permissive()
        .with_received_bytes_per_second(100)
        .and_then(|config| config.with_sent_bytes_per_second(100))
        .expect("rates");
    let (_network, _recorder, mut connection, mut stream) = pair(&config).await;
    stream.write_all(&[7; 1000]).await.expect("writes");
    assert_eq!(
        soon(connection.read(100, None)).await.expect("there").len(),
        100
    );
    assert_eq!(soon(connection.write(&[7; 100], None)).await, Ok(100));

    let mut polls = 0;
    let begun = Instant::now();
    let mut rounds = 0;
    while rounds < 10 {
        let mut ready = (false, false);
        eryx_net_host::readiness::wait_ready(Some(PATIENCE), |look| {
            polls += 1;
            ready.0 = look.is_ready(|cx| connection.poll_readable(cx));
            ready.1 = look.is_ready(|cx| connection.poll_writable(cx));
            ready.0 || ready.1
        })
        .await;
        // What is ready does not then block.
        if ready.0 {
            let bytes = connection.read(10, NOW).await.expect("ready");
            assert!(!bytes.is_empty());
        }
        if ready.1 {
            assert!(connection.write(&[7; 10], NOW).await.expect("ready") > 0);
        }
        rounds += 1;
    }
    assert!(polls < 100, "{polls} polls in {:?}", begun.elapsed());
}

#[tokio::test]
async fn connections_begin_at_their_rate_and_never_later_than_their_deadline() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let config = NetConfig::permissive()
        .with_hosts([("a.test", vec![ip("127.0.0.1")])])
        .and_then(|config| config.with_connects_per_second(4))
        .and_then(|config| config.with_connect_timeout(Duration::from_millis(600)))
        .expect("valid");
    let (network, recorder) = recorded(&config);
    let begun = Instant::now();
    let mut connections: Vec<_> = [
        "127.0.0.1",
        "a.test",
        "127.0.0.1",
        "a.test",
        "127.0.0.1",
        "a.test",
    ]
    .into_iter()
    .map(|host| network.connect(host, peer.port()).expect("waits its turn"))
    .collect();
    names_limit(
        network.connect("127.0.0.1", peer.port()),
        NetLimit::ConnectsPerSecond,
    );
    assert_eq!(
        connections[5].finish_connect(NOW).await,
        Err(NetError::WouldBlock)
    );
    for connection in &mut connections {
        soon(connection.finish_connect(None))
            .await
            .expect("connects");
    }
    // Four at once, one after a quarter of a second, one after half a second.
    assert!(begun.elapsed() >= Duration::from_millis(490));
    assert_eq!(throttled(&recorder, NetLimit::ConnectsPerSecond), 2);
    assert_eq!(reached(&recorder, NetLimit::ConnectsPerSecond), 1);
}

#[tokio::test]
async fn waiting_for_a_turn_counts_against_the_connect_timeout() {
    let closed = ClosedPort::new().expect("a port");
    let config = NetConfig::permissive()
        .with_connects_per_second(1)
        .expect("a rate");
    let network = Network::new(&config);
    let port = closed.address().port();
    let _first = network.connect("127.0.0.1", port).expect("goes");
    let mut second = network.connect("127.0.0.1", port).expect("waits");
    let outcome = soon(second.finish_connect(Some(Duration::from_millis(50)))).await;
    assert_eq!(outcome, Err(NetError::TimedOut));
}

#[tokio::test]
async fn one_host_gets_only_so_many_connections() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let port = peer.port();
    let config = NetConfig::permissive()
        .with_max_connections(4)
        .with_max_connections_per_host(2)
        .with_hosts([
            ("a.test", vec![ip("127.0.0.1")]),
            ("b.test", vec![ip("127.0.0.1")]),
            ("looked-up.test", vec![ip("127.0.0.2")]),
        ])
        .expect("names");
    let (network, recorder) = recorded(&config);
    let first = connected(&network, "a.test", port).await;
    let second = connected(&network, "A.test.", port).await;
    let limit = NetLimit::MaxConnectionsPerHost;
    for _ in 0..3 {
        let refused = network.connect("a.test", port);
        assert!(
            refused
                .as_ref()
                .is_err_and(|error| error.to_string().contains("`a.test`"))
        );
        names_limit(refused, limit);
    }
    assert_eq!(network.connections(), 2, "a refusal keeps no place");
    let other = connected(&network, "b.test", port).await;
    drop(first);
    let third = connected(&network, "a.test", port).await;
    assert_eq!(reached(&recorder, limit), 3, "once for each attempt");
    drop((second, third, other));

    // An address that a lookup gave counts as the name it was looked up under.
    let mut lookup = network
        .lookup("looked-up.test", None, Family::Any)
        .expect("may");
    assert_eq!(soon(lookup.finish(None)).await, Ok(vec![ip("127.0.0.2")]));
    let _first = network.connect("looked-up.test", 1).expect("may");
    let _second = network.connect("127.0.0.2", 2).expect("may");
    names_limit(network.connect("127.0.0.2", 3), limit);
}

#[tokio::test]
async fn limits_that_were_always_there_are_told_as_events_too() {
    let config = NetConfig::permissive()
        .with_max_connections(0)
        .with_resolver(Arc::new(Mute));
    let (network, recorder) = recorded(&config);
    names_limit(network.connect("127.0.0.1", 1), NetLimit::MaxConnections);
    assert_eq!(reached(&recorder, NetLimit::MaxConnections), 1);
    let mut lookups = Vec::new();
    while let Ok(lookup) = network.lookup("a.test", None, Family::Any) {
        lookups.push(lookup);
        assert!(lookups.len() < 1000);
    }
    assert_eq!(reached(&recorder, NetLimit::LookupsInProgress), 1);
}

#[tokio::test]
async fn report_only_denies_nothing_and_tells_everything() {
    let world = World::new();
    let peer = world.peer(Behaviour::Echo).await;
    let (allowed, hidden) = ("secure.test", "other.test");
    let config = NetConfig::default()
        .with_allowed_hosts([hidden])
        .and_then(|config| config.with_root_cert(world.authority.pem().as_bytes()))
        .expect("valid")
        .with_resolver(world.resolver.clone())
        .with_report_only(true);
    let (network, recorder) = recorded(&config);
    assert!(
        config.check("127.0.0.1", 80).is_denied(),
        "the policy's own word"
    );

    // The name is not listed, its address is blocked, and so is the name of the handshake.
    let mut connection = connected(&network, allowed, peer.port()).await;
    soon(connection.start_tls(&settings(), None))
        .await
        .expect("shakes hands");
    send(&mut connection, b"hi").await;
    assert_eq!(soon(connection.read(9, None)).await, Ok(b"hi".to_vec()));
    drop(connection);
    assert_eq!(would_deny(&recorder), ["host-not-allowed"; 3]);
    assert!(!kinds(&recorder.events()).contains(&"denied"));
    let report = network.report().connections.remove(0);
    assert_eq!(report.addresses, [ip("127.0.0.1")]);
    assert!(report.verdict.expect("judged").is_denied());
    assert_eq!(report.close_reason, Some(CloseReason::LocalClose));

    // A lookup, and the address it gave.
    let mut lookup = network.lookup(allowed, None, Family::Any).expect("may");
    assert_eq!(soon(lookup.finish(None)).await, Ok(vec![ip("127.0.0.1")]));
    connected(&network, "127.0.0.1", peer.port()).await;

    // Blocked addresses behind a name that may be asked about.
    let config = NetConfig::default()
        .with_resolver(world.resolver.clone())
        .with_report_only(true);
    let (network, recorder) = recorded(&config);
    connected(&network, allowed, peer.port()).await;
    assert_eq!(would_deny(&recorder), ["address-blocked"]);
}

#[tokio::test]
async fn what_is_no_host_fails_though_the_policy_is_only_reported() {
    let world = World::new();
    let peer = world.peer(Behaviour::Echo).await;
    let config = world.config().with_report_only(true);
    let (network, recorder) = recorded(&config);
    for host in ["127.1", "0x7f000001", "a b", "", "[::1"] {
        let refused = network.connect(host, peer.port());
        assert!(matches!(refused, Err(NetError::Denied(_))), "{host}");
    }
    assert!(
        kinds(&recorder.events())
            .iter()
            .all(|kind| *kind == "denied" || *kind == "closed")
    );
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    let odd = eryx_net_host::tls::ClientSettings::for_name("127.1");
    let outcome = soon(connection.start_tls(&odd, None)).await;
    assert!(matches!(outcome, Err(NetError::Denied(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_handshake_over_the_programs_own_transport_is_told_when_its_name_is_denied() {
    let world = World::new();
    let config = world
        .config()
        .with_allowed_hosts(["other.test"])
        .expect("valid");
    let (network, recorder) = recorded(&config);
    let refused = network.tls_session(&settings());
    assert!(matches!(refused, Err(NetError::Denied(_))));
    assert_eq!(kinds(&recorder.events()), ["denied"]);
    let report = network.take_report().connections.remove(0);
    assert_eq!(report.activity.name(), "tls-session");
    assert_eq!(report.host, "secure.test");
    assert_eq!(report.close_reason, Some(CloseReason::Denied));

    let (network, recorder) = recorded(&config.with_report_only(true));
    assert!(network.tls_session(&settings()).is_ok());
    assert_eq!(would_deny(&recorder), ["host-not-allowed"]);
    assert_eq!(network.take_report().connections.len(), 1);
    assert!(network.take_report().connections.is_empty(), "it is over");
}
