//! Tests of TLS handshakes: server names, certificates and timeouts.

mod support;

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::tls::{ClientSettings, Version};
use eryx_net_host::{EventKind, NetError, Network, Phase, TlsFailure};
use eryx_testkit::{Behaviour, CertificateAuthority, Leaf, Peer, ServerTls, Transport};
use support::*;

const NOW: Option<Duration> = Some(Duration::ZERO);

#[tokio::test]
async fn start_tls_upgrades_an_open_connection() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::Echo).await;
    let (network, recorder) = recorded(&fixture.config());
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    assert_eq!(
        within_timeout(connection.end_tls(None))
            .await
            .map_err(|e| matches!(e, NetError::InvalidArgument(_))),
        Err(true)
    );
    within_timeout(connection.start_tls(&settings(), None))
        .await
        .expect("the handshake succeeds");
    assert_eq!(connection.phase(), Phase::Tls);
    let info = connection.tls_info().expect("encrypted");
    assert_eq!(info.version, Version::Tls13);
    assert_eq!(info.peer_chain[0], fixture.identity.chain()[0].as_ref());
    assert!(matches!(
        within_timeout(connection.start_tls(&settings(), None)).await,
        Err(NetError::InvalidArgument(_))
    ));
    send(&mut connection, b"hello").await;
    assert!(within_timeout(readable(&mut connection, TIMEOUT)).await);
    assert_eq!(connection.pending(), 5);
    assert_eq!(
        within_timeout(connection.read(2, NOW))
            .await
            .expect("there"),
        b"he"
    );
    assert_eq!(connection.pending(), 3);
    assert_eq!(
        within_timeout(connection.read(10, NOW))
            .await
            .expect("there"),
        b"llo"
    );
    assert!(!readable(&mut connection, Duration::ZERO).await);
    drop(connection);
    let ended = peer.ended(1).await;
    assert_eq!(ended[0].received, 5);
    let events = recorder.events();
    assert_eq!(kinds(&events), ["resolved", "connected", "tls", "closed"]);
    assert!(
        matches!(&events[2].kind, EventKind::Tls { version: "TLSv1.3", server_name: Some(name), .. } if name == "secure.test")
    );
    let entry = network.report().connections.remove(0);
    assert_eq!(entry.tls, Some("TLSv1.3"));
    assert_eq!((entry.sent, entry.received), (5, 5));
}

#[tokio::test]
async fn waiting_for_readiness_completes_a_handshake() {
    let fixture = TlsFixture::new();
    // Byte by byte, so that the handshake cannot be complete before the first wait.
    let config = ServerTls::new(&fixture.identity).build().expect("config");
    let transport = Transport::tls(config).in_pieces_of(1, Duration::ZERO);
    let peer = Peer::start(Behaviour::Echo, transport, eryx_testkit::LOOPBACK)
        .await
        .expect("peer");
    let network = Network::new(&fixture.config());
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    assert_eq!(
        within_timeout(connection.start_tls(&settings(), NOW)).await,
        Err(NetError::WouldBlock)
    );
    assert_eq!(connection.phase(), Phase::Handshaking);
    assert!(matches!(
        within_timeout(connection.read(1, NOW)).await,
        Err(NetError::InvalidArgument(_))
    ));
    assert!(matches!(
        within_timeout(connection.start_tls(&ClientSettings::for_name("other.test"), NOW)).await,
        Err(NetError::InvalidArgument(_))
    ));
    assert!(
        within_timeout(readable(&mut connection, TIMEOUT)).await,
        "the handshake is complete"
    );
    assert!(writable(&mut connection, Duration::ZERO).await);
    within_timeout(connection.start_tls(&settings(), NOW))
        .await
        .expect("complete");
    assert!(
        !readable(&mut connection, Duration::from_millis(1)).await,
        "reported once"
    );
    send(&mut connection, b"hello").await;
    assert_eq!(
        within_timeout(connection.read(10, None))
            .await
            .expect("echo"),
        b"hello"
    );
}

#[tokio::test]
async fn nonblocking_calls_complete_a_handshake() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::Echo).await;
    let network = Network::new(&fixture.config());
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    within_timeout(async {
        while connection.start_tls(&settings(), NOW).await == Err(NetError::WouldBlock) {}
    })
    .await;
    assert_eq!(connection.phase(), Phase::Tls);
}

#[tokio::test]
async fn a_denied_server_name_sends_no_byte_of_a_handshake() {
    let fixture = TlsFixture::new();
    // The peer does not speak TLS, and so counts every byte of a handshake.
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let config = fixture
        .config()
        .allow_host("secure.test")
        .and_then(|config| config.allow_host("third.test:1"))
        .expect("valid");
    let (network, recorder) = recorded(&config);
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    for name in [
        "other.test",
        "third.test",
        "127.0.0.1",
        "a b",
        "",
        "SECURE.test.evil.example",
    ] {
        let outcome =
            within_timeout(connection.start_tls(&ClientSettings::for_name(name), None)).await;
        assert!(
            matches!(outcome, Err(NetError::Denied(_))),
            "{name}: {outcome:?}"
        );
        assert_eq!(connection.phase(), Phase::Open);
        assert!(
            network
                .tls_session(&ClientSettings::for_name(name))
                .is_err()
                || name == "third.test",
            "as a session without a transport: {name}"
        );
    }
    assert!(kinds(&recorder.events()).contains(&"denied"));
    // Bytes arrive in order, so an earlier byte would be counted first.
    send(&mut connection, b"x").await;
    within_timeout(async {
        while peer.received() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(peer.received(), 1);
}

#[tokio::test]
async fn a_server_name_is_sent_and_verified_in_canonical_form() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::Echo).await;
    let config = fixture.config().allow_host("secure.test").expect("valid");
    let network = Network::new(&config);
    for name in ["SECURE.Test", "secure.test.", "\u{ff33}ecure\u{3002}test"] {
        let mut connection = connected(&network, "secure.test", peer.port()).await;
        within_timeout(connection.start_tls(&ClientSettings::for_name(name), None))
            .await
            .expect(name);
    }
}

#[tokio::test]
async fn with_only_networks_allowed_the_server_name_is_allowed_by_the_address() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::Echo).await;
    let config = fixture.config().allow_host("127.0.0.0/8").expect("valid");
    let network = Network::new(&config);
    tls_connected(&network, peer.port()).await;
    let blocked = config.block_host("secure.test").expect("valid");
    let network = Network::new(&blocked);
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    assert!(matches!(
        within_timeout(connection.start_tls(&settings(), None)).await,
        Err(NetError::Denied(_))
    ));
}

#[tokio::test]
async fn rejected_certificates_have_openssls_error_number() {
    let fixture = TlsFixture::new();
    let stranger = CertificateAuthority::new().expect("authority");
    let leaf = Leaf::server(["secure.test"]);
    let table = [
        (fixture.authority.issue(&leaf.clone().expired()), 10),
        (fixture.authority.issue(&leaf.clone().not_yet_valid()), 9),
        (fixture.authority.issue(&Leaf::server(["wrong.test"])), 62),
        (stranger.issue(&leaf), 20),
        (leaf.self_signed(), 18),
    ];
    for (identity, expected) in table {
        let peer = Peer::tls(Behaviour::Echo, &identity.expect("identity"))
            .await
            .expect("peer");
        let network = Network::new(&fixture.config());
        let mut connection = connected(&network, "secure.test", peer.port()).await;
        let error = within_timeout(connection.start_tls(&settings(), None))
            .await
            .expect_err("not accepted");
        assert!(
            matches!(error, NetError::Tls(TlsFailure::Certificate { code, .. }) if code == expected),
            "{expected}: {error:?}"
        );
        assert_eq!(connection.phase(), Phase::Failed);
        assert_eq!(within_timeout(connection.read(1, None)).await, Err(error));
    }
}

#[tokio::test]
async fn settings_that_are_not_permitted_fail_and_leave_the_connection_open() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::Echo).await;
    let unverified = ClientSettings {
        verify_peer: false,
        check_hostname: false,
        ..settings()
    };
    let network = Network::new(&loopback_config(&fixture.resolver));
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    let outcome = within_timeout(connection.start_tls(&unverified, None)).await;
    let Err(NetError::Tls(TlsFailure::Refused(message))) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(message.contains("allow_unverified_tls"), "{message}");
    assert_eq!(connection.phase(), Phase::Open);

    let network = Network::new(&loopback_config(&fixture.resolver).allow_unverified_tls(true));
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    within_timeout(connection.start_tls(&unverified, None))
        .await
        .expect("permitted");
}

#[tokio::test]
async fn transport_failures_in_a_handshake_are_reported_as_such() {
    let fixture = TlsFixture::new();
    let limit = Duration::from_millis(300);
    let config = fixture.config().with_connect_timeout(limit).expect("valid");
    let silent = Peer::plain(Behaviour::Silent).await.expect("peer");
    let resets = Peer::plain(Behaviour::ResetsAtFirstByte)
        .await
        .expect("peer");
    let plain = Peer::plain(Behaviour::http_instead_of_tls())
        .await
        .expect("peer");
    let closes = Peer::plain(Behaviour::ClosesAtOnce).await.expect("peer");
    let outcome = async |port: u16| {
        let network = Network::new(&config);
        let mut connection = connected(&network, "secure.test", port).await;
        within_timeout(connection.start_tls(&settings(), None))
            .await
            .expect_err("no handshake")
    };
    assert_eq!(outcome(silent.port()).await, NetError::TimedOut);
    assert_eq!(outcome(resets.port()).await, NetError::ConnectionReset);
    assert!(matches!(
        outcome(plain.port()).await,
        NetError::Tls(TlsFailure::Protocol(_))
    ));
    assert!(matches!(
        outcome(closes.port()).await,
        NetError::Tls(TlsFailure::UnexpectedEof) | NetError::ConnectionReset | NetError::BrokenPipe
    ));
}

#[tokio::test]
async fn a_handshake_has_the_rest_of_the_connect_timeout() {
    let fixture = TlsFixture::new();
    let silent = Peer::plain(Behaviour::Silent).await.expect("peer");
    let limit = Duration::from_secs(10);
    let config = fixture.config().with_connect_timeout(limit).expect("valid");
    let network = Network::new(&config);
    let mut connection = connected(&network, "secure.test", silent.port()).await;
    // The clock is paused and only advances while waiting, so ten seconds take no time.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(
        within_paused_timeout(connection.start_tls(&settings(), Some(Duration::from_secs(1))))
            .await,
        Err(NetError::TimedOut),
        "the caller's own timeout"
    );
    assert_eq!(
        connection.phase(),
        Phase::Handshaking,
        "the handshake continues"
    );
    let before = tokio::time::Instant::now();
    assert_eq!(
        within_paused_timeout(connection.start_tls(&settings(), None)).await,
        Err(NetError::TimedOut)
    );
    let elapsed = before.elapsed();
    assert!(
        elapsed > Duration::from_secs(8) && elapsed <= Duration::from_secs(9),
        "{elapsed:?}"
    );
    assert_eq!(connection.phase(), Phase::Failed);
}

#[tokio::test]
async fn the_time_of_the_lookup_counts_against_the_handshake() {
    let fixture = TlsFixture::new();
    let silent = Peer::plain(Behaviour::Silent).await.expect("peer");
    let (lookup, limit) = (Duration::from_millis(2500), Duration::from_secs(3));
    let config = fixture
        .config()
        .with_resolver(Arc::new(SlowResolver(lookup)))
        .with_connect_timeout(limit)
        .expect("valid");
    let network = Network::new(&config);
    let started = std::time::Instant::now();
    let mut connection = connected(&network, "secure.test", silent.port()).await;
    assert_eq!(
        within_timeout(connection.start_tls(&settings(), None)).await,
        Err(NetError::TimedOut)
    );
    let elapsed = started.elapsed();
    assert!(
        elapsed >= limit && elapsed < limit + lookup - Duration::from_millis(500),
        "{elapsed:?}"
    );
}

async fn within_paused_timeout<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(86_400), work)
        .await
        .expect("the operation must not hang")
}

#[tokio::test]
async fn networks_with_shared_caches_resume_each_others_sessions() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::Echo).await;
    let config = fixture.config().with_shared_caches(true);
    let mut resumed = Vec::new();
    for _ in 0..2 {
        let network = Network::new(&config.clone().with_max_connections(3));
        let mut connection = tls_connected(&network, peer.port()).await;
        resumed.push(connection.tls_info().expect("encrypted").resumed);
        // TLS 1.3 tickets arrive with the first bytes.
        send(&mut connection, b"x").await;
        within_timeout(connection.read(1, None))
            .await
            .expect("echo");
    }
    assert_eq!(resumed, [false, true]);
}
