//! Tests of the network of a fork: what it shares with that of its session, and what it does not.

mod support;

use std::sync::Arc;

use eryx_net_host::{Family, NetConfig, NetError, NetLimit, Network, Recorder};
use eryx_testkit::{Behaviour, Peer};
use support::*;

async fn echo() -> Peer {
    Peer::plain(Behaviour::Echo).await.expect("a peer")
}

#[tokio::test]
async fn a_fork_and_its_network_use_up_one_quota_of_bytes() {
    let peer = echo().await;
    let config = NetConfig::permissive()
        .with_max_sent_bytes(10)
        .with_max_received_bytes(8);
    let network = Network::new(&config);
    let mut parent = connected(&network, "127.0.0.1", peer.port()).await;
    send(&mut parent, b"abcd").await;
    let fork = network.fork(None);
    let mut child = connected(&fork, "127.0.0.1", peer.port()).await;
    let mut grandchild = connected(&fork.fork(None), "127.0.0.1", peer.port()).await;
    assert_eq!(within_timeout(child.write(b"efgh", None)).await, Ok(4));
    assert_eq!(within_timeout(grandchild.write(b"ijkl", None)).await, Ok(2));
    for connection in [&mut parent, &mut child, &mut grandchild] {
        let error = within_timeout(connection.write(b"x", None)).await;
        let limit = NetLimit::MaxSentBytes.setting();
        assert!(
            matches!(&error, Err(NetError::QuotaExceeded(text)) if text.contains(limit)),
            "{error:?}"
        );
    }
    for (connection, expected) in [(&mut parent, b"abcd"), (&mut child, b"efgh")] {
        let received = within_timeout(connection.read(10, None)).await;
        assert_eq!(received, Ok(expected.to_vec()));
    }
    let error = within_timeout(grandchild.read(10, None)).await;
    assert!(
        matches!(error, Err(NetError::QuotaExceeded(_))),
        "{error:?}"
    );
    // Another network with the same settings has its own quota.
    let mut other = connected(&Network::new(&config), "127.0.0.1", peer.port()).await;
    assert_eq!(
        within_timeout(other.write(b"abcdefghij", None)).await,
        Ok(10)
    );
}

#[tokio::test]
async fn a_fork_has_connections_a_report_and_an_observer_of_its_own() {
    let peer = echo().await;
    let config = NetConfig::permissive().with_max_connections(1);
    let (network, events) = recorded(&config);
    let mut parent = connected(&network, "127.0.0.1", peer.port()).await;
    send(&mut parent, b"from the session").await;
    let own_events = Arc::new(Recorder::new(100));
    let fork = network.fork(Some(Arc::clone(&own_events) as _));
    assert!(fork.is_on());
    assert_eq!(fork.report().connections.len(), 0);
    // The connection of the session counts against its limit, and not against that of the fork.
    let mut child = connected(&fork, "127.0.0.1", peer.port()).await;
    let error = outcome(&fork, "127.0.0.1", peer.port()).await;
    assert!(matches!(error, Err(NetError::LimitReached(_))), "{error:?}");
    send(&mut child, b"from").await;
    assert_eq!((network.report().sent, fork.report().sent), (16, 4));
    assert_eq!(kinds(&events.events()), ["connected"]);
    assert_eq!(kinds(&own_events.events())[0], "connected");
    // The end of one is not the end of the other.
    network.abort();
    drop(network);
    assert_eq!(
        within_timeout(child.read(10, None)).await,
        Ok(b"from".to_vec())
    );
}

#[tokio::test]
async fn a_fork_without_a_network_has_none() {
    let fork = Network::off().fork(None);
    assert!(!fork.is_on());
    let error = outcome(&fork, "127.0.0.1", 80).await;
    assert!(matches!(error, Err(NetError::Denied(_))), "{error:?}");
}

#[tokio::test]
async fn an_address_counts_as_the_name_that_was_looked_up_before_the_fork() {
    let peer = echo().await;
    let resolver = ScriptedResolver::new()
        .answer("first.test", &["127.0.0.1"])
        .answer("second.test", &["127.0.0.2"]);
    let config = loopback_config(&Arc::new(resolver))
        .with_allowed_hosts(["first.test", "second.test"])
        .expect("names");
    let network = Network::new(&config);
    let look_up = async |network: &Network, name| {
        let mut lookup = network
            .lookup(name, Some(peer.port()), Family::Any)
            .expect("allowed");
        within_timeout(lookup.finish(None)).await.expect("resolved");
    };
    let connects = async |network: &Network, address| {
        match outcome(network, address, peer.port()).await {
            // Nothing listens at 127.0.0.2.
            Ok(()) | Err(NetError::ConnectionRefused) => true,
            Err(NetError::Denied(_)) => false,
            other => panic!("{other:?}"),
        }
    };
    let before = network.fork(None);
    look_up(&network, "first.test").await;
    let after = network.fork(None);
    look_up(&after, "second.test").await;
    for (network, expected) in [
        (&network, [true, false]),
        (&before, [false, false]),
        (&after, [true, true]),
    ] {
        let addresses = [
            connects(network, "127.0.0.1").await,
            connects(network, "127.0.0.2").await,
        ];
        assert_eq!(addresses, expected);
    }
}
