//! Tests of quotas, rate limits and connection limits.

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

/// Returns a connection, and the peer's socket.
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

fn count_reached(recorder: &Recorder, limit: NetLimit) -> usize {
    recorder
        .events()
        .iter()
        .filter(
            |event| matches!(event.kind, EventKind::LimitReached { limit: reached } if reached == limit),
        )
        .count()
}

fn count_throttled(recorder: &Recorder, limit: NetLimit) -> usize {
    recorder
        .events()
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Throttled { limit: reached } if reached == limit))
        .count()
}

#[tokio::test]
async fn no_byte_is_sent_beyond_the_quota() {
    let config = NetConfig::permissive().with_max_sent_bytes(10);
    let (network, recorder, mut connection, mut stream) = pair(&config).await;
    assert_eq!(within_timeout(connection.write(b"1234", None)).await, Ok(4));
    assert_eq!(
        within_timeout(connection.write(b"567890abc", None)).await,
        Ok(6),
        "the rest of the quota is written"
    );
    for _ in 0..3 {
        names_limit(
            within_timeout(connection.write(b"x", None)).await,
            NetLimit::MaxSentBytes,
        );
        names_limit(connection.write(b"x", NOW).await, NetLimit::MaxSentBytes);
    }
    assert!(
        writable(&mut connection, TIMEOUT).await,
        "a write fails without waiting"
    );
    assert_eq!(within_timeout(connection.write(b"", None)).await, Ok(0));
    assert_eq!(network.report().sent, 10);
    assert_eq!(count_reached(&recorder, NetLimit::MaxSentBytes), 1);
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
async fn the_send_quota_covers_all_connections_and_reads_continue() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let config = NetConfig::permissive().with_max_sent_bytes(6);
    let network = Network::new(&config);
    let mut first = connected(&network, "127.0.0.1", peer.port()).await;
    let mut second = connected(&network, "127.0.0.1", peer.port()).await;
    assert_eq!(within_timeout(first.write(b"abcd", None)).await, Ok(4));
    assert_eq!(within_timeout(second.write(b"efgh", None)).await, Ok(2));
    names_limit(
        within_timeout(first.write(b"i", None)).await,
        NetLimit::MaxSentBytes,
    );
    assert_eq!(
        within_timeout(second.read(10, None)).await,
        Ok(b"ef".to_vec())
    );
    // Another network with the same configuration has its own quota.
    let other = Network::new(&config);
    let mut third = connected(&other, "127.0.0.1", peer.port()).await;
    assert_eq!(within_timeout(third.write(b"abcdef", None)).await, Ok(6));
}

#[tokio::test]
async fn a_stream_within_the_receive_quota_ends_and_a_longer_one_fails() {
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
            assert!(readable(&mut connection, TIMEOUT).await);
            match within_timeout(connection.read(7, None)).await {
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
                within_timeout(connection.read(100, None)).await,
                NetLimit::MaxReceivedBytes,
            );
        }
        assert_eq!(network.report().received, 10);
        assert_eq!(count_reached(&recorder, NetLimit::MaxReceivedBytes), 1);
    }
}

#[tokio::test]
async fn quotas_count_plaintext_bytes_inside_tls() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::Echo).await;
    let config = fixture
        .config()
        .with_max_sent_bytes(5)
        .with_max_received_bytes(3);
    let network = Network::new(&config);
    let mut connection = tls_connected(&network, peer.port()).await;
    assert_eq!(
        within_timeout(connection.write(b"hello!", None)).await,
        Ok(5)
    );
    names_limit(
        within_timeout(connection.write(b"!", None)).await,
        NetLimit::MaxSentBytes,
    );
    assert_eq!(
        within_timeout(connection.read(100, None)).await,
        Ok(b"hel".to_vec())
    );
    names_limit(
        within_timeout(connection.read(100, None)).await,
        NetLimit::MaxReceivedBytes,
    );
}

#[tokio::test]
async fn a_write_waits_for_the_rate_limit_within_its_timeout() {
    let config = NetConfig::permissive()
        .with_sent_bytes_per_second(20_000)
        .expect("a rate");
    let (network, recorder, mut connection, mut stream) = pair(&config).await;
    let started = Instant::now();
    let all = payload::bytes(30_000);
    let sending = async {
        assert_eq!(
            within_timeout(connection.write(&all, None)).await,
            Ok(30_000)
        );
        started.elapsed()
    };
    let receiving = async {
        let mut arrived = vec![0; 30_000];
        stream.read_exact(&mut arrived).await.expect("arrives");
        arrived
    };
    let (elapsed, arrived) = tokio::join!(sending, within_timeout(receiving));
    assert!(arrived == all);
    assert!(elapsed >= Duration::from_millis(490), "{elapsed:?}");
    assert_eq!(network.report().sent, 30_000);
    assert_eq!(count_throttled(&recorder, NetLimit::SentBytesPerSecond), 1);

    // Now the rate limit permits no byte immediately.
    assert_eq!(connection.write(&all, NOW).await, Err(NetError::WouldBlock));
    let short = Some(Duration::from_millis(100));
    let taken = within_timeout(connection.write(&all, short))
        .await
        .expect("some");
    assert!((1..30_000).contains(&taken), "{taken}");
}

#[tokio::test]
async fn a_read_waits_for_the_rate_limit_and_loses_no_bytes() {
    for tls in [false, true] {
        let fixture = TlsFixture::new();
        let behaviour = Behaviour::FinishesFirst { bytes: 30_000 };
        let peer = if tls {
            fixture.peer(behaviour).await
        } else {
            Peer::plain(behaviour).await.expect("peer")
        };
        let config = fixture
            .config()
            .with_received_bytes_per_second(20_000)
            .expect("a rate");
        let network = Network::new(&config);
        let mut connection = if tls {
            tls_connected(&network, peer.port()).await
        } else {
            connected(&network, "secure.test", peer.port()).await
        };
        let started = Instant::now();
        let all = drain(&mut connection).await.expect("all of it");
        assert!(all == payload::bytes(30_000), "tls {tls}");
        assert!(started.elapsed() >= Duration::from_millis(490), "tls {tls}");
    }
}

#[tokio::test]
async fn readiness_waits_for_the_rate_limit_without_busy_polling() {
    let config = NetConfig::permissive()
        .with_received_bytes_per_second(100)
        .and_then(|config| config.with_sent_bytes_per_second(100))
        .expect("rates");
    let (_network, _recorder, mut connection, mut stream) = pair(&config).await;
    stream.write_all(&[7; 1000]).await.expect("writes");
    assert_eq!(
        within_timeout(connection.read(100, None))
            .await
            .expect("there")
            .len(),
        100
    );
    assert_eq!(
        within_timeout(connection.write(&[7; 100], None)).await,
        Ok(100)
    );

    let mut polls = 0;
    let started = Instant::now();
    let mut rounds = 0;
    while rounds < 10 {
        let mut ready = (false, false);
        eryx_net_host::poll::wait_ready(Some(TIMEOUT), |sweep| {
            polls += 1;
            ready.0 = sweep.poll(|cx| connection.poll_readable(cx));
            ready.1 = sweep.poll(|cx| connection.poll_writable(cx));
            ready.0 || ready.1
        })
        .await;
        // An operation that was reported ready does not block.
        if ready.0 {
            let bytes = connection.read(10, NOW).await.expect("ready");
            assert!(!bytes.is_empty());
        }
        if ready.1 {
            assert!(connection.write(&[7; 10], NOW).await.expect("ready") > 0);
        }
        rounds += 1;
    }
    assert!(polls < 100, "{polls} polls in {:?}", started.elapsed());
}

#[tokio::test]
async fn connects_are_rate_limited_within_their_deadline() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let config = NetConfig::permissive()
        .with_hosts([("a.test", vec![ip("127.0.0.1")])])
        .and_then(|config| config.with_connects_per_second(4))
        .and_then(|config| config.with_connect_timeout(Duration::from_millis(600)))
        .expect("valid");
    let (network, recorder) = recorded(&config);
    let started = Instant::now();
    let mut connections: Vec<_> = [
        "127.0.0.1",
        "a.test",
        "127.0.0.1",
        "a.test",
        "127.0.0.1",
        "a.test",
    ]
    .into_iter()
    .map(|host| {
        network
            .connect(host, peer.port())
            .expect("allowed, with a delay")
    })
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
        within_timeout(connection.finish_connect(None))
            .await
            .expect("connects");
    }
    // Four connect immediately, one after a quarter of a second, one after half a second.
    assert!(started.elapsed() >= Duration::from_millis(490));
    assert_eq!(count_throttled(&recorder, NetLimit::ConnectsPerSecond), 2);
    assert_eq!(count_reached(&recorder, NetLimit::ConnectsPerSecond), 1);
}

#[tokio::test]
async fn waiting_for_the_connect_rate_counts_against_the_connect_timeout() {
    let closed = ClosedPort::new().expect("a port");
    let config = NetConfig::permissive()
        .with_connects_per_second(1)
        .expect("a rate");
    let network = Network::new(&config);
    let port = closed.address().port();
    let _first = network.connect("127.0.0.1", port).expect("goes");
    let mut second = network.connect("127.0.0.1", port).expect("waits");
    let outcome = within_timeout(second.finish_connect(Some(Duration::from_millis(50)))).await;
    assert_eq!(outcome, Err(NetError::TimedOut));
}

#[tokio::test]
async fn connections_to_one_host_are_limited() {
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
        let denied = network.connect("a.test", port);
        assert!(
            denied
                .as_ref()
                .is_err_and(|error| error.to_string().contains("`a.test`"))
        );
        names_limit(denied, limit);
    }
    assert_eq!(network.connections(), 2, "a failed connect holds no slot");
    let other = connected(&network, "b.test", port).await;
    drop(first);
    let third = connected(&network, "a.test", port).await;
    assert_eq!(count_reached(&recorder, limit), 3, "once for each attempt");
    drop((second, third, other));

    // An address from a lookup counts as the name of the lookup.
    let mut lookup = network
        .lookup("looked-up.test", None, Family::Any)
        .expect("allowed");
    assert_eq!(
        within_timeout(lookup.finish(None)).await,
        Ok(vec![ip("127.0.0.2")])
    );
    let _first = network.connect("looked-up.test", 1).expect("allowed");
    let _second = network.connect("127.0.0.2", 2).expect("allowed");
    names_limit(network.connect("127.0.0.2", 3), limit);
}

#[tokio::test]
async fn fixed_limits_emit_events() {
    let config = NetConfig::permissive()
        .with_max_connections(0)
        .with_resolver(Arc::new(NeverResolves));
    let (network, recorder) = recorded(&config);
    names_limit(network.connect("127.0.0.1", 1), NetLimit::MaxConnections);
    assert_eq!(count_reached(&recorder, NetLimit::MaxConnections), 1);
    let mut lookups = Vec::new();
    while let Ok(lookup) = network.lookup("a.test", None, Family::Any) {
        lookups.push(lookup);
        assert!(lookups.len() < 1000);
    }
    assert_eq!(count_reached(&recorder, NetLimit::LookupsInProgress), 1);
}
