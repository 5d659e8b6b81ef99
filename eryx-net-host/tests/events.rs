//! Tests of events and reports, and of their bounds.

mod support;

use std::sync::Arc;

use eryx_net_host::policy::Reason;
use eryx_net_host::{
    Activity, CloseReason, EventKind, Family, NetConfig, NetError, Network, Recorder,
};
use eryx_testkit::{Behaviour, ClosedPort, Peer};
use support::*;

#[tokio::test]
async fn a_connection_emits_its_events_in_order_with_one_id() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let resolver =
        Arc::new(ScriptedResolver::new().alias("peer.test", &["real.test"], &["127.0.0.1"]));
    let (network, recorder) = recorded(&loopback_config(&resolver));
    let mut connection = connected(&network, "Peer.Test", peer.port()).await;
    send(&mut connection, b"hello").await;
    within_timeout(connection.read(3, None))
        .await
        .expect("echo");
    drop(connection);

    let events = recorder.events();
    assert_eq!(kinds(&events), ["resolved", "connected", "closed"]);
    for event in &events {
        assert_eq!(event.id, 1);
        assert_eq!(&*event.host, "Peer.Test", "as the program wrote it");
        assert_eq!(event.port, Some(peer.port()));
    }
    let [resolved, opened, closed] = &events[..] else {
        panic!("three events")
    };
    assert!(
        matches!(&resolved.kind, EventKind::Resolved { aliases, addresses, .. }
            if *aliases == ["real.test"] && *addresses == [ip("127.0.0.1")])
    );
    assert!(
        matches!(&opened.kind, EventKind::Connected { address, verdict, .. }
        if *address == peer.address() && verdict.is_allowed())
    );
    assert!(matches!(
        &closed.kind,
        EventKind::Closed {
            sent: 5,
            received: 3,
            close_reason: CloseReason::LocalClose,
            ..
        }
    ));
    assert!(closed.to_string().contains("5 bytes sent, 3 received"));

    let report = network.report();
    let entry = &report.connections[0];
    assert_eq!((report.sent, report.received, report.dropped), (5, 3, 0));
    assert_eq!(entry.activity, Activity::Connection);
    assert_eq!(entry.address, Some(peer.address()));
    assert_eq!(entry.addresses, [ip("127.0.0.1")]);
    let verdict = entry.verdict.as_ref().expect("checked");
    assert_eq!(verdict.host().expect("a host").to_string(), "peer.test");
}

#[tokio::test]
async fn a_denial_emits_one_event_with_its_verdict() {
    let (network, recorder) = recorded(&NetConfig::default());
    network.connect("10.1.2.3", 80).expect_err("private");
    network.connect("127.1", 80).expect_err("malformed");
    let events = recorder.events();
    assert_eq!(kinds(&events), ["denied", "denied"]);
    let reasons: Vec<_> = events
        .iter()
        .map(|event| match &event.kind {
            EventKind::Denied { verdict } => verdict.reason(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(reasons, [Reason::AddressBlocked, Reason::MalformedHost]);
    assert!(events[0].to_string().contains("10.1.2.3"));
    for entry in network.report().connections {
        assert_eq!(entry.close_reason, Some(CloseReason::Denied));
        assert!(entry.verdict.is_some());
    }
}

#[tokio::test]
async fn failures_and_limits_emit_events() {
    let closed = ClosedPort::new().expect("port");
    let config = NetConfig::permissive().with_max_connections(1);
    let (network, recorder) = recorded(&config);
    let mut connection = network
        .connect("127.0.0.1", closed.address().port())
        .expect("allowed");
    network.connect("127.0.0.1", 1).expect_err("the limit");
    within_timeout(connection.finish_connect(None))
        .await
        .expect_err("refused");
    drop(connection);
    let ends: Vec<_> = recorder
        .events()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Closed { close_reason, .. } => Some((event.id, close_reason)),
            _ => None,
        })
        .collect();
    assert!(matches!(
        ends[0],
        (2, CloseReason::Error(NetError::LimitReached(_)))
    ));
    assert_eq!(
        ends[1],
        (1, CloseReason::Error(NetError::ConnectionRefused))
    );
}

#[tokio::test]
async fn the_report_lists_lookups_as_lookups() {
    let resolver = Arc::new(ScriptedResolver::new().answer("a.test", &["127.0.0.1"]));
    let network = Network::new(&loopback_config(&resolver));
    let mut lookup = network
        .lookup("a.test", None, Family::Any)
        .expect("allowed");
    within_timeout(lookup.finish(None)).await.expect("resolved");
    drop(lookup);
    let entry = network.report().connections.remove(0);
    assert_eq!(entry.activity, Activity::Lookup);
    assert_eq!(
        (entry.port, entry.close_reason),
        (None, Some(CloseReason::LocalClose))
    );
}

#[tokio::test]
async fn a_report_is_bounded_and_counts_dropped_entries() {
    let network = Network::new(&NetConfig::default());
    for _ in 0..3000 {
        network.connect("10.0.0.1", 80).expect_err("denied");
    }
    let report = network.report();
    assert!(report.connections.len() <= 1024);
    assert_eq!(report.connections.len() as u64 + report.dropped, 3000);
}

#[tokio::test]
async fn take_report_starts_a_new_report_and_keeps_open_connections() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut lasting = connected(&network, "127.0.0.1", peer.port()).await;
    drop(connected(&network, "127.0.0.1", peer.port()).await);
    send(&mut lasting, b"one").await;
    let first = network.take_report();
    assert_eq!((first.connections.len(), first.sent), (2, 3));
    send(&mut lasting, b"two!").await;
    let second = network.take_report();
    assert_eq!((second.connections.len(), second.sent), (1, 4));
    assert_eq!(second.connections[0].sent, 7, "over its whole life");
    assert_eq!(second.connections[0].close_reason, None);
    drop(lasting);
    assert_eq!(network.take_report().connections.len(), 1);
    assert_eq!(network.take_report().connections.len(), 0);
}

#[tokio::test]
async fn a_recorder_stores_the_first_events_and_counts_the_rest() {
    let recorder = Arc::new(Recorder::new(2));
    let network = Network::new(&NetConfig::default()).with_observer(Arc::clone(&recorder) as _);
    for _ in 0..5 {
        network.connect("10.0.0.1", 80).expect_err("denied");
    }
    assert_eq!(recorder.events().len(), 2);
    assert_eq!(recorder.dropped(), 3);
}

#[tokio::test]
async fn with_networking_off_attempts_emit_events() {
    let recorder = Arc::new(Recorder::new(10));
    let network = Network::off().with_observer(Arc::clone(&recorder) as _);
    network.connect("example.com", 80).expect_err("off");
    assert!(matches!(
        recorder.events()[0].kind,
        EventKind::Closed {
            close_reason: CloseReason::Denied,
            ..
        }
    ));
}
