//! Tests of connecting: phases, deadlines and limits.

mod support;

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::{CloseReason, Family, KeepaliveOption, NetConfig, NetError, Network, Phase};
use eryx_testkit::{Behaviour, BlackHole, ClosedPort, Peer};
use support::*;

fn permissive() -> Network {
    Network::new(&NetConfig::permissive())
}

#[tokio::test]
async fn a_connection_passes_through_its_phases() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let resolver = Arc::new(ScriptedResolver::new().answer("peer.test", &["127.0.0.1"]));
    let network = Network::new(&loopback_config(&resolver));
    let mut connection = network.connect("peer.test", peer.port()).expect("allowed");
    assert_eq!(connection.phase(), Phase::Resolving);
    assert!(connection.peer_endpoint().is_err());
    assert!(connection.set_no_delay(true).is_err());
    assert_eq!(
        within_timeout(connection.read(1, Some(Duration::ZERO))).await,
        Err(NetError::NotConnected)
    );
    assert_eq!(
        within_timeout(connection.write(b"x", Some(Duration::ZERO))).await,
        Err(NetError::NotConnected)
    );
    within_timeout(connection.finish_connect(None))
        .await
        .expect("connects");
    within_timeout(connection.finish_connect(Some(Duration::ZERO)))
        .await
        .expect("and says so again");
    assert_eq!(connection.phase(), Phase::Open);
    assert_eq!(connection.peer_endpoint().expect("open"), peer.address());
    assert!(
        connection
            .local_endpoint()
            .expect("open")
            .ip()
            .is_loopback()
    );
    connection.set_no_delay(true).expect("open");
    connection.set_keep_alive(true).expect("open");
    for (setting, possible) in [
        (KeepaliveOption::Idle(30), true),
        (KeepaliveOption::Interval(32767), true),
        (KeepaliveOption::Count(127), true),
        (KeepaliveOption::Idle(0), false),
        (KeepaliveOption::Interval(32768), false),
        (KeepaliveOption::Count(128), false),
        (KeepaliveOption::Count(u32::MAX), false),
    ] {
        let set = connection.set_keepalive_option(setting);
        assert_eq!(set.is_ok(), possible, "{setting:?}: {set:?}");
    }
    assert!(connection.tls_info().is_none());
    assert_eq!(connection.pending(), 0);
}

#[tokio::test]
async fn a_nonblocking_connect_is_in_progress_until_writable() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let resolver = Arc::new(ScriptedResolver::new().answer("peer.test", &["127.0.0.1"]));
    let network = Network::new(&loopback_config(&resolver));
    let mut connection = network.connect("peer.test", peer.port()).expect("allowed");
    assert!(within_timeout(writable(&mut connection, TIMEOUT)).await);
    within_timeout(connection.finish_connect(Some(Duration::ZERO)))
        .await
        .expect("connected by now");
    assert!(
        !readable(&mut connection, Duration::ZERO).await,
        "nothing to read"
    );
}

#[tokio::test]
async fn nonblocking_calls_complete_a_connect() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let network = permissive();
    let mut connection = network.connect("127.0.0.1", peer.port()).expect("allowed");
    within_timeout(async {
        while connection.finish_connect(Some(Duration::ZERO)).await == Err(NetError::WouldBlock) {}
    })
    .await;
    assert_eq!(connection.phase(), Phase::Open);
}

#[tokio::test]
async fn a_refused_connect_is_writable_and_returns_its_error_again() {
    let closed = ClosedPort::new().expect("port");
    let network = permissive();
    let mut connection = network
        .connect("127.0.0.1", closed.address().port())
        .expect("allowed");
    assert!(within_timeout(writable(&mut connection, TIMEOUT)).await);
    assert!(readable(&mut connection, Duration::ZERO).await);
    for _ in 0..2 {
        assert_eq!(
            within_timeout(connection.finish_connect(None)).await,
            Err(NetError::ConnectionRefused)
        );
    }
    assert_eq!(connection.phase(), Phase::Failed);
    assert_eq!(
        within_timeout(connection.read(1, None)).await,
        Err(NetError::ConnectionRefused)
    );
    drop(connection);
    assert_eq!(
        network.report().connections[0].close_reason,
        Some(CloseReason::Error(NetError::ConnectionRefused))
    );
}

#[tokio::test]
async fn the_next_address_is_tried_when_the_first_fails() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let resolver =
        Arc::new(ScriptedResolver::new().answer("dual.test", &["127.0.0.9", "127.0.0.1"]));
    let network = Network::new(&loopback_config(&resolver));
    let connection = connected(&network, "dual.test", peer.port()).await;
    assert_eq!(connection.peer_endpoint().expect("open"), peer.address());
}

#[tokio::test]
async fn a_lookup_returns_an_address_that_refused_after_those_that_answer() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let addresses = ["127.0.0.2", "127.0.0.1"];
    let resolver = Arc::new(ScriptedResolver::new().answer("peer.test", &addresses));
    let network = Network::new(&loopback_config(&resolver));
    let (refusing, answering) = (ip("127.0.0.2"), ip("127.0.0.1"));
    let look_up = async |port| {
        let mut lookup = network
            .lookup("peer.test", Some(port), Family::Any)
            .expect("allowed");
        within_timeout(lookup.finish(None)).await.expect("found")
    };
    assert_eq!(look_up(peer.port()).await, [refusing, answering]);
    let refused = outcome(&network, "127.0.0.2", peer.port()).await;
    assert_eq!(refused, Err(NetError::ConnectionRefused));
    drop(connected(&network, "127.0.0.1", peer.port()).await);
    for _ in 0..2 {
        assert_eq!(look_up(peer.port()).await, [answering, refusing]);
    }
    assert_eq!(look_up(1).await, [refusing, answering]);
}

#[tokio::test]
async fn a_silent_address_does_not_delay_the_others() {
    let hole = BlackHole::new().await.expect("hole");
    let live = format!("127.0.0.2:{}", hole.address().port());
    let peer = Peer::start(
        Behaviour::Echo,
        eryx_testkit::Transport::plain(),
        live.parse().expect("address"),
    )
    .await
    .expect("peer");
    let resolver =
        Arc::new(ScriptedResolver::new().answer("eyes.test", &["127.0.0.1", "127.0.0.2"]));
    let network = Network::new(&loopback_config(&resolver));
    let connection = connected(&network, "eyes.test", peer.port()).await;
    assert_eq!(connection.peer_endpoint().expect("open"), peer.address());
}

#[tokio::test]
async fn the_callers_timeout_ends_a_connect_permanently() {
    let hole = BlackHole::new().await.expect("hole");
    let network = permissive();
    let mut connection = network
        .connect("127.0.0.1", hole.address().port())
        .expect("allowed");
    assert_eq!(
        within_timeout(connection.finish_connect(Some(Duration::ZERO))).await,
        Err(NetError::WouldBlock),
        "which is not the end"
    );
    assert_eq!(
        within_timeout(connection.finish_connect(Some(Duration::from_millis(50)))).await,
        Err(NetError::TimedOut)
    );
    assert_eq!(
        within_timeout(connection.finish_connect(None)).await,
        Err(NetError::TimedOut)
    );
}

#[tokio::test]
async fn one_deadline_covers_the_lookup_and_every_attempt() {
    let limit = Duration::from_millis(400);
    let hole = BlackHole::new().await.expect("hole");
    let slow = Arc::new(SlowResolver(Duration::from_millis(300)));
    let config = NetConfig::default()
        .allow_localhost()
        .with_resolver(slow)
        .with_connect_timeout(limit)
        .expect("valid");
    let network = Network::new(&config);
    // With a paused clock, waiting takes no time and is exact.
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let mut connection = network
        .connect("slow.test", hole.address().port())
        .expect("allowed");
    // The guest program may request more time than the configuration permits.
    let error = connection
        .finish_connect(Some(Duration::from_secs(3600)))
        .await;
    assert_eq!(error, Err(NetError::TimedOut));
    let spent = started.elapsed();
    assert!(
        spent >= limit && spent < limit + Duration::from_millis(50),
        "the lookup's 300 ms and the dial's 400 ms are not added up: {spent:?}"
    );
}

#[tokio::test]
async fn one_deadline_covers_a_lookup_and_the_connections_to_its_addresses() {
    let limit = Duration::from_millis(400);
    let hole = BlackHole::new().await.expect("hole");
    let config = NetConfig::default()
        .allow_localhost()
        .with_resolver(Arc::new(SlowResolver(Duration::from_millis(300))))
        .with_connect_timeout(limit)
        .expect("valid");
    let network = Network::new(&config);
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    // The calls of getaddrinfo, followed by a connect to one address after the other.
    let mut lookup = network
        .lookup("slow.test", None, Family::Any)
        .expect("allowed");
    let addresses = lookup.finish(None).await.expect("resolved");
    let port = hole.address().port();
    for _ in 0..3 {
        let mut connection = network
            .connect(&addresses[0].to_string(), port)
            .expect("allowed");
        let error = connection.finish_connect(None).await;
        assert_eq!(error, Err(NetError::TimedOut));
    }
    let spent = started.elapsed();
    assert!(
        spent >= limit && spent < limit + Duration::from_millis(50),
        "neither the lookup nor the second attempt has a timeout of its own: {spent:?}"
    );
    // A later connect has a new deadline.
    tokio::time::advance(Duration::from_secs(1)).await;
    let later = tokio::time::Instant::now();
    let mut connection = network
        .connect(&addresses[0].to_string(), port)
        .expect("allowed");
    let error = connection.finish_connect(None).await;
    assert_eq!(error, Err(NetError::TimedOut));
    assert!(later.elapsed() >= limit);
}

#[tokio::test]
async fn a_resolver_that_never_answers_ends_with_the_connect_timeout() {
    let config = NetConfig::default()
        .with_resolver(Arc::new(NeverResolves))
        .with_connect_timeout(Duration::from_millis(100))
        .expect("valid");
    let network = Network::new(&config);
    assert_eq!(
        outcome(&network, "mute.test", 80).await,
        Err(NetError::TimedOut)
    );
    let mut lookup = network
        .lookup("mute.test", None, Family::Any)
        .expect("allowed");
    assert_eq!(
        within_timeout(lookup.finish(Some(Duration::ZERO))).await,
        Err(NetError::WouldBlock)
    );
    assert_eq!(
        within_timeout(lookup.finish(None)).await,
        Err(NetError::TimedOut)
    );
}

#[tokio::test]
async fn the_connection_limit_counts_connecting_handles_until_they_are_dropped() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let config = NetConfig::permissive().with_max_connections(2);
    let network = Network::new(&config);
    let opening = network.connect("127.0.0.1", peer.port()).expect("allowed");
    let open = connected(&network, "127.0.0.1", peer.port()).await;
    let Err(NetError::LimitReached(message)) = network.connect("127.0.0.1", peer.port()) else {
        panic!("a third connection")
    };
    assert!(
        message.contains("max_connections") && message.contains('2'),
        "{message}"
    );
    assert_eq!(network.connections(), 2);
    drop(opening);
    let again = connected(&network, "127.0.0.1", peer.port()).await;
    drop((open, again));
    assert_eq!(network.connections(), 0);
    // A failed connection still counts: the limit is on handles.
    let closed = ClosedPort::new().expect("port");
    let mut failed = network
        .connect("127.0.0.1", closed.address().port())
        .expect("allowed");
    within_timeout(failed.finish_connect(None))
        .await
        .expect_err("refused");
    assert_eq!(network.connections(), 1);
}

#[tokio::test]
async fn concurrent_lookups_are_bounded() {
    let network = Network::new(&NetConfig::default().with_resolver(Arc::new(NeverResolves)));
    let mut lookups = Vec::new();
    let error = loop {
        match network.lookup("mute.test", None, Family::Any) {
            Ok(lookup) => lookups.push(lookup),
            Err(error) => break error,
        }
        assert!(lookups.len() <= 1000, "no bound");
    };
    assert!(matches!(error, NetError::LimitReached(_)));
    lookups.pop();
    assert!(network.lookup("mute.test", None, Family::Any).is_ok());
}

#[tokio::test]
async fn tls_sessions_are_bounded() {
    let network = Network::new(&NetConfig::default());
    let settings = eryx_net_host::tls::ClientSettings::for_name("example.com");
    let mut sessions = Vec::new();
    let error = loop {
        match network.tls_session(&settings) {
            Ok(session) => sessions.push(session),
            Err(error) => break error,
        }
        assert!(sessions.len() <= 1000, "no bound");
    };
    assert!(matches!(error, NetError::LimitReached(_)));
    let mut session = sessions.pop().expect("some");
    assert!(!session.take(usize::MAX).is_empty());
    drop(session);
    assert!(network.tls_session(&settings).is_ok());
}

#[tokio::test]
async fn after_an_abort_every_operation_fails() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let network = permissive();
    let mut open = connected(&network, "127.0.0.1", peer.port()).await;
    let mut opening = network.connect("127.0.0.1", peer.port()).expect("allowed");
    network.abort();
    let aborted = NetError::ConnectionAborted;
    assert_eq!(
        network.connect("127.0.0.1", 1).map(drop),
        Err(aborted.clone())
    );
    assert_eq!(
        within_timeout(open.read(1, None)).await,
        Err(aborted.clone())
    );
    assert_eq!(
        within_timeout(open.write(b"x", None)).await,
        Err(aborted.clone())
    );
    assert_eq!(
        within_timeout(opening.finish_connect(None)).await,
        Err(aborted.clone())
    );
    drop(open);
    assert_eq!(
        network.report().connections[0].close_reason,
        Some(CloseReason::Aborted)
    );
}

#[tokio::test]
async fn a_connection_dropped_in_any_state_releases_its_slot() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let network = permissive();
    for polls in 0..3 {
        let mut connection = network.connect("127.0.0.1", peer.port()).expect("allowed");
        for _ in 0..polls {
            let _ = connection.finish_connect(Some(Duration::ZERO)).await;
        }
        drop(connection);
        assert_eq!(network.connections(), 0);
    }
}
