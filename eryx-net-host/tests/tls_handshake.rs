//! The way into TLS: names, certificates, time.

mod support;

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::tls::{ClientSettings, Version};
use eryx_net_host::{EventKind, NetError, Network, Phase, TlsFailure};
use eryx_testkit::{Behaviour, CertificateAuthority, Leaf, Peer, ServerTls, Transport};
use support::*;

const NOW: Option<Duration> = Some(Duration::ZERO);

#[tokio::test]
async fn a_connection_turns_into_tls_in_place() {
    let world = World::new();
    let peer = world.peer(Behaviour::Echo).await;
    let (network, recorder) = recorded(&world.config());
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    assert_eq!(
        soon(connection.end_tls(None))
            .await
            .map_err(|e| matches!(e, NetError::InvalidArgument(_))),
        Err(true)
    );
    soon(connection.start_tls(&settings(), None))
        .await
        .expect("shakes hands");
    assert_eq!(connection.phase(), Phase::Tls);
    let info = connection.tls_info().expect("encrypted");
    assert_eq!(info.version, Version::Tls13);
    assert_eq!(info.peer_chain[0], world.identity.chain()[0].as_ref());
    assert!(matches!(
        soon(connection.start_tls(&settings(), None)).await,
        Err(NetError::InvalidArgument(_))
    ));
    send(&mut connection, b"hello").await;
    assert!(soon(readable(&mut connection, PATIENCE)).await);
    assert_eq!(connection.pending(), 5);
    assert_eq!(soon(connection.read(2, NOW)).await.expect("there"), b"he");
    assert_eq!(connection.pending(), 3);
    assert_eq!(soon(connection.read(10, NOW)).await.expect("there"), b"llo");
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
async fn a_handshake_can_be_driven_by_readiness_alone() {
    let world = World::new();
    // Byte by byte, so that it cannot be complete before anyone waited.
    let config = ServerTls::new(&world.identity).build().expect("config");
    let transport = Transport::tls(config).in_pieces_of(1, Duration::ZERO);
    let peer = Peer::start(Behaviour::Echo, transport, eryx_testkit::LOOPBACK)
        .await
        .expect("peer");
    let network = Network::new(&world.config());
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    assert_eq!(
        soon(connection.start_tls(&settings(), NOW)).await,
        Err(NetError::WouldBlock)
    );
    assert_eq!(connection.phase(), Phase::Handshaking);
    assert!(matches!(
        soon(connection.read(1, NOW)).await,
        Err(NetError::InvalidArgument(_))
    ));
    assert!(matches!(
        soon(connection.start_tls(&ClientSettings::for_name("other.test"), NOW)).await,
        Err(NetError::InvalidArgument(_))
    ));
    assert!(
        soon(readable(&mut connection, PATIENCE)).await,
        "the handshake has come to its end"
    );
    assert!(writable(&mut connection, Duration::ZERO).await);
    soon(connection.start_tls(&settings(), NOW))
        .await
        .expect("complete");
    assert!(
        !readable(&mut connection, Duration::from_millis(1)).await,
        "told once"
    );
    send(&mut connection, b"hello").await;
    assert_eq!(
        soon(connection.read(10, None)).await.expect("echo"),
        b"hello"
    );
}

#[tokio::test]
async fn a_handshake_that_only_polls_gets_there() {
    let world = World::new();
    let peer = world.peer(Behaviour::Echo).await;
    let network = Network::new(&world.config());
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    soon(async {
        while connection.start_tls(&settings(), NOW).await == Err(NetError::WouldBlock) {}
    })
    .await;
    assert_eq!(connection.phase(), Phase::Tls);
}

#[tokio::test]
async fn a_forbidden_server_name_is_refused_before_a_byte_of_it_leaves() {
    let world = World::new();
    // It speaks no TLS, and so counts every byte of one.
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let config = world
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
        let refused = soon(connection.start_tls(&ClientSettings::for_name(name), None)).await;
        assert!(
            matches!(refused, Err(NetError::Denied(_))),
            "{name}: {refused:?}"
        );
        assert_eq!(connection.phase(), Phase::Open);
        assert!(
            network
                .tls_session(&ClientSettings::for_name(name))
                .is_err()
                || name == "third.test",
            "over the program's own transport: {name}"
        );
    }
    assert!(kinds(&recorder.events()).contains(&"denied"));
    // Bytes arrive in order: what the peer gets first is what was sent first.
    send(&mut connection, b"x").await;
    soon(async {
        while peer.received() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(peer.received(), 1);
}

#[tokio::test]
async fn a_server_name_is_sent_and_verified_in_the_form_it_was_judged_in() {
    let world = World::new();
    let peer = world.peer(Behaviour::Echo).await;
    let config = world.config().allow_host("secure.test").expect("valid");
    let network = Network::new(&config);
    for name in ["SECURE.Test", "secure.test.", "\u{ff33}ecure\u{3002}test"] {
        let mut connection = connected(&network, "secure.test", peer.port()).await;
        soon(connection.start_tls(&ClientSettings::for_name(name), None))
            .await
            .expect(name);
    }
}

#[tokio::test]
async fn where_only_networks_are_allowed_the_server_name_goes_with_the_address() {
    let world = World::new();
    let peer = world.peer(Behaviour::Echo).await;
    let config = world.config().allow_host("127.0.0.0/8").expect("valid");
    let network = Network::new(&config);
    secured(&network, peer.port()).await;
    let blocked = config.block_host("secure.test").expect("valid");
    let network = Network::new(&blocked);
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    assert!(matches!(
        soon(connection.start_tls(&settings(), None)).await,
        Err(NetError::Denied(_))
    ));
}

#[tokio::test]
async fn certificates_that_are_not_accepted_carry_openssls_number() {
    let world = World::new();
    let stranger = CertificateAuthority::new().expect("authority");
    let leaf = Leaf::server(["secure.test"]);
    let table = [
        (world.authority.issue(&leaf.clone().expired()), 10),
        (world.authority.issue(&leaf.clone().not_yet_valid()), 9),
        (world.authority.issue(&Leaf::server(["wrong.test"])), 62),
        (stranger.issue(&leaf), 20),
        (leaf.self_signed(), 18),
    ];
    for (identity, expected) in table {
        let peer = Peer::tls(Behaviour::Echo, &identity.expect("identity"))
            .await
            .expect("peer");
        let network = Network::new(&world.config());
        let mut connection = connected(&network, "secure.test", peer.port()).await;
        let error = soon(connection.start_tls(&settings(), None))
            .await
            .expect_err("not accepted");
        assert!(
            matches!(error, NetError::Tls(TlsFailure::Certificate { code, .. }) if code == expected),
            "{expected}: {error:?}"
        );
        assert_eq!(connection.phase(), Phase::Failed);
        assert_eq!(soon(connection.read(1, None)).await, Err(error));
    }
}

#[tokio::test]
async fn settings_the_embedder_does_not_permit_are_refused_and_leave_the_connection_alone() {
    let world = World::new();
    let peer = world.peer(Behaviour::Echo).await;
    let unverified = ClientSettings {
        verify_peer: false,
        check_hostname: false,
        ..settings()
    };
    let network = Network::new(&local(&world.resolver));
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    let refused = soon(connection.start_tls(&unverified, None)).await;
    let Err(NetError::Tls(TlsFailure::Refused(sentence))) = refused else {
        panic!("{refused:?}")
    };
    assert!(sentence.contains("allow_unverified_tls"), "{sentence}");
    assert_eq!(connection.phase(), Phase::Open);

    let network = Network::new(&local(&world.resolver).allow_unverified_tls(true));
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    soon(connection.start_tls(&unverified, None))
        .await
        .expect("permitted");
}

#[tokio::test]
async fn transport_failures_in_a_handshake_stay_transport_failures() {
    let world = World::new();
    let limit = Duration::from_millis(300);
    let config = world.config().with_connect_timeout(limit).expect("valid");
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
        soon(connection.start_tls(&settings(), None))
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
async fn a_handshake_gets_what_establishing_has_left_of_the_connect_timeout() {
    let world = World::new();
    let silent = Peer::plain(Behaviour::Silent).await.expect("peer");
    let limit = Duration::from_secs(10);
    let config = world.config().with_connect_timeout(limit).expect("valid");
    let network = Network::new(&config);
    let mut connection = connected(&network, "secure.test", silent.port()).await;
    // The clock stands still but for waiting, so a test of ten seconds takes none.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(
        soon_paused(connection.start_tls(&settings(), Some(Duration::from_secs(1)))).await,
        Err(NetError::TimedOut),
        "the caller's own timeout"
    );
    assert_eq!(connection.phase(), Phase::Handshaking, "is not the end");
    let before = tokio::time::Instant::now();
    assert_eq!(
        soon_paused(connection.start_tls(&settings(), None)).await,
        Err(NetError::TimedOut)
    );
    let spent = before.elapsed();
    assert!(
        spent > Duration::from_secs(8) && spent <= Duration::from_secs(9),
        "{spent:?}"
    );
    assert_eq!(connection.phase(), Phase::Failed);
}

#[tokio::test]
async fn time_spent_on_the_lookup_is_not_given_to_the_handshake_again() {
    let world = World::new();
    let silent = Peer::plain(Behaviour::Silent).await.expect("peer");
    let (lookup, limit) = (Duration::from_millis(2500), Duration::from_secs(3));
    let config = world
        .config()
        .with_resolver(Arc::new(Slow(lookup)))
        .with_connect_timeout(limit)
        .expect("valid");
    let network = Network::new(&config);
    let started = std::time::Instant::now();
    let mut connection = connected(&network, "secure.test", silent.port()).await;
    assert_eq!(
        soon(connection.start_tls(&settings(), None)).await,
        Err(NetError::TimedOut)
    );
    let spent = started.elapsed();
    assert!(
        spent >= limit && spent < limit + lookup - Duration::from_millis(500),
        "{spent:?}"
    );
}

async fn soon_paused<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(86_400), work)
        .await
        .expect("it does not hang")
}

#[tokio::test]
async fn sandboxes_of_one_configuration_with_shared_caches_resume_each_others_sessions() {
    let world = World::new();
    let peer = world.peer(Behaviour::Echo).await;
    let config = world.config().with_shared_caches(true);
    let mut resumed = Vec::new();
    for _ in 0..2 {
        let network = Network::new(&config.clone().with_max_connections(3));
        let mut connection = secured(&network, peer.port()).await;
        resumed.push(connection.tls_info().expect("encrypted").resumed);
        // TLS 1.3 tickets come with the first bytes.
        send(&mut connection, b"x").await;
        soon(connection.read(1, None)).await.expect("echo");
    }
    assert_eq!(resumed, [false, true]);
}
