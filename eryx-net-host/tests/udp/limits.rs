//! Limits on UDP sockets, their timeouts, and the end of their network.

use std::time::Duration;

use eryx_net_host::{
    CloseReason, EventKind, Family, MAX_DATAGRAM, NetConfig, NetError, NetLimit, Network,
};
use eryx_testkit::LOOPBACK;

use crate::support::{TIMEOUT, kinds, recorded, within_timeout};
use crate::{NOW, allowing, is_readable, is_writable, peer, received, send, socket};

#[tokio::test]
async fn a_datagram_over_the_maximum_length_is_rejected() {
    let near = peer().await;
    let network = Network::new(&allowing(&[near.address()]));
    let mut socket = socket(&network);
    assert_eq!(
        send(&mut socket, &vec![0; MAX_DATAGRAM + 1], near.address()).await,
        Err(NetError::MessageTooLong)
    );
    assert_eq!(network.report().sent, 0);
    send(&mut socket, &vec![7; MAX_DATAGRAM], near.address())
        .await
        .expect("sent");
    let answer = within_timeout(socket.receive(usize::MAX, None))
        .await
        .expect("echo");
    assert_eq!(
        (answer.data.len(), answer.size),
        (MAX_DATAGRAM, MAX_DATAGRAM)
    );
}

#[tokio::test]
async fn udp_sockets_count_against_the_connection_limits() {
    let (near, other) = (peer().await, peer().await);
    let config = allowing(&[near.address(), other.address()])
        .with_max_connections(1)
        .with_max_connections_per_host(1);
    let (network, recorder) = recorded(&config);
    let mut first = socket(&network);
    let mut second = socket(&network);
    send(&mut first, b"x", near.address()).await.expect("sent");
    for outcome in [
        send(&mut second, b"x", other.address()).await,
        second.bind().map(drop),
        send(&mut first, b"x", other.address()).await,
    ] {
        assert!(
            matches!(outcome, Err(NetError::LimitReached(_))),
            "{outcome:?}"
        );
    }
    assert!(network.connect("127.0.0.1", near.port()).is_err());
    drop(first);
    send(&mut second, b"x", other.address())
        .await
        .expect("sent");
    assert!(other.received().len() <= 1);
    let limits: Vec<_> = recorder
        .events()
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::LimitReached { limit } => Some(limit),
            _ => None,
        })
        .collect();
    assert_eq!(limits[1], NetLimit::MaxConnections);
    assert_eq!(limits[0], NetLimit::MaxConnectionsPerHost);
}

#[tokio::test]
async fn quotas_count_whole_datagrams_in_both_directions() {
    let near = peer().await;
    let config = allowing(&[near.address()])
        .with_max_sent_bytes(10)
        .with_max_received_bytes(8);
    let network = Network::new(&config);
    let mut socket = socket(&network);
    send(&mut socket, b"sevenby", near.address())
        .await
        .expect("sent");
    let outcome = send(&mut socket, b"four", near.address()).await;
    assert!(
        matches!(&outcome, Err(NetError::QuotaExceeded(text)) if text.contains("max_sent_bytes"))
    );
    for _ in 0..3 {
        // An empty datagram counts, too.
        send(&mut socket, b"", near.address()).await.expect("sent");
    }
    let outcome = send(&mut socket, b"", near.address()).await;
    assert!(matches!(outcome, Err(NetError::QuotaExceeded(_))));
    assert_eq!(received(&mut socket).await.expect("echo"), b"sevenby");
    assert_eq!(received(&mut socket).await.expect("echo"), b"");
    let outcome = received(&mut socket).await;
    assert!(
        matches!(&outcome, Err(NetError::QuotaExceeded(text)) if text.contains("max_received_bytes"))
    );
    let report = network.report();
    assert_eq!((report.sent, report.received), (7, 7));
}

#[tokio::test]
async fn rate_limits_delay_datagrams_and_emit_an_event() {
    let near = peer().await;
    let config = allowing(&[near.address()])
        .with_sent_bytes_per_second(1000)
        .expect("a rate");
    let (network, recorder) = recorded(&config);
    let mut socket = socket(&network);
    // A datagram larger than one second's quota is sent whole, and delays the next.
    send(&mut socket, &[0; 1400], near.address())
        .await
        .expect("sent");
    assert_eq!(
        within_timeout(socket.send_to(b"x", "127.0.0.1", near.port(), NOW)).await,
        Err(NetError::WouldBlock)
    );
    assert!(!is_writable(&mut socket, Duration::ZERO).await);
    assert!(is_writable(&mut socket, TIMEOUT).await);
    within_timeout(socket.send_to(b"x", "127.0.0.1", near.port(), NOW))
        .await
        .expect("it was ready");
    assert!(recorder.events().iter().any(|event| matches!(
        event.kind,
        EventKind::Throttled {
            limit: NetLimit::SentBytesPerSecond
        }
    )));
}

#[tokio::test]
async fn new_destinations_wait_for_the_connect_rate() {
    let peers = [peer().await, peer().await, peer().await];
    let addresses: Vec<_> = peers.iter().map(|peer| peer.address()).collect();
    let config = allowing(&addresses)
        .with_connects_per_second(2)
        .expect("a rate");
    let network = Network::new(&config);
    let mut socket = socket(&network);
    for peer in &addresses[..2] {
        within_timeout(socket.send_to(b"x", "127.0.0.1", peer.port(), NOW))
            .await
            .expect("sent");
    }
    let port = addresses[2].port();
    assert_eq!(
        within_timeout(socket.send_to(b"x", "127.0.0.1", port, NOW)).await,
        Err(NetError::WouldBlock)
    );
    assert!(is_writable(&mut socket, TIMEOUT).await);
    within_timeout(socket.send_to(b"x", "127.0.0.1", port, NOW))
        .await
        .expect("it was ready");
}

#[tokio::test]
async fn a_socket_stores_a_bounded_number_of_destinations() {
    let near = peer().await;
    let config = NetConfig::default()
        .allow_localhost()
        .allow_udp("127.0.0.0/8:1-65535")
        .expect("a pattern");
    let (network, recorder) = recorded(&config);
    let mut socket = socket(&network);
    socket.connect("127.0.0.1", near.port()).expect("connected");
    for last in 0..100 {
        let host = format!("127.0.1.{last}");
        within_timeout(socket.send_to(b"x", &host, 9, None))
            .await
            .expect("sent");
    }
    let closed = kinds(&recorder.events())
        .iter()
        .filter(|kind| **kind == "closed")
        .count();
    assert_eq!(closed, 101 - 64);
    within_timeout(socket.send(b"y", None))
        .await
        .expect("still the peer");
    assert_eq!(received(&mut socket).await.expect("echo"), b"y");
}

#[tokio::test]
async fn an_aborted_network_sends_and_receives_no_datagrams() {
    let near = peer().await;
    let network = Network::new(&allowing(&[near.address()]));
    let mut socket = socket(&network);
    send(&mut socket, b"x", near.address()).await.expect("sent");
    network.abort();
    assert_eq!(
        send(&mut socket, b"y", near.address()).await,
        Err(NetError::ConnectionAborted)
    );
    assert_eq!(
        received(&mut socket).await,
        Err(NetError::ConnectionAborted)
    );
    assert_eq!(socket.bind(), Err(NetError::ConnectionAborted));
    assert!(is_readable(&mut socket, Duration::ZERO).await);
    drop(socket);
    assert_eq!(
        network.report().connections[0].close_reason,
        Some(CloseReason::Aborted)
    );
    assert!(network.udp_socket(Family::Ipv4).is_err());
}

#[tokio::test]
async fn a_receive_ends_with_its_timeout_or_the_io_timeout() {
    let near = peer().await;
    let silent = tokio::net::UdpSocket::bind(LOOPBACK).await.expect("bound");
    let silent = silent.local_addr().expect("address");
    let config = allowing(&[near.address(), silent])
        .with_io_timeout(Duration::from_millis(30))
        .expect("a timeout");
    let network = Network::new(&config);
    let mut socket = socket(&network);
    for timeout in [Some(Duration::from_millis(1)), None] {
        assert_eq!(
            within_timeout(socket.receive(1, timeout)).await,
            Err(NetError::TimedOut),
            "unbound"
        );
    }
    send(&mut socket, b"x", silent).await.expect("sent");
    for timeout in [Some(Duration::from_millis(1)), None] {
        assert_eq!(
            within_timeout(socket.receive(1, timeout)).await,
            Err(NetError::TimedOut)
        );
    }
}
