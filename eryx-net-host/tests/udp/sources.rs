//! The sources that a socket receives datagrams from.

use std::net::SocketAddr;
use std::time::Duration;

use eryx_net_host::{NetError, Network};
use eryx_testkit::LOOPBACK;

use crate::support::{TIMEOUT, within_timeout};
use crate::{NOW, allowing, is_readable, peer, received, send, socket};

#[tokio::test]
async fn datagrams_from_unknown_sources_are_dropped_and_never_ready() {
    let near = peer().await;
    let network = Network::new(&allowing(&[near.address()]));
    let mut socket = socket(&network);
    let own = socket.bind().expect("bound");
    let own = SocketAddr::new(LOOPBACK.ip(), own.port());
    let unknown = tokio::net::UdpSocket::bind(LOOPBACK).await.expect("bound");
    for _ in 0..200 {
        unknown.send_to(b"unsolicited", own).await.expect("sent");
    }
    assert!(!is_readable(&mut socket, Duration::from_millis(50)).await);
    assert_eq!(
        within_timeout(socket.receive(100, NOW)).await,
        Err(NetError::WouldBlock)
    );
    for _ in 0..200 {
        unknown.send_to(b"unsolicited", own).await.expect("sent");
    }
    send(&mut socket, b"solicited", near.address())
        .await
        .expect("sent");
    assert!(is_readable(&mut socket, TIMEOUT).await);
    let answer = within_timeout(socket.receive(100, NOW))
        .await
        .expect("it was ready");
    assert_eq!(
        (answer.data, answer.source),
        (b"solicited".to_vec(), near.address())
    );
    assert_eq!(network.report().received, 9, "dropped bytes do not count");
}

#[tokio::test]
async fn a_connected_socket_receives_only_from_its_peer_and_can_be_reconnected() {
    let (first, second) = (peer().await, peer().await);
    let network = Network::new(&allowing(&[first.address(), second.address()]));
    let mut socket = socket(&network);
    assert_eq!(
        within_timeout(socket.send(b"x", None)).await,
        Err(NetError::NotConnected)
    );
    assert_eq!(socket.local_endpoint(), Err(NetError::NotConnected));
    socket
        .connect("127.0.0.1", first.port())
        .expect("connected");
    assert_eq!(socket.peer_endpoint(), Ok(first.address()));
    assert_eq!(
        socket.local_endpoint().expect("bound").ip(),
        first.address().ip()
    );
    // The kernel drops the answer of the second peer on a socket that is connected to the first.
    send(&mut socket, b"to second", second.address())
        .await
        .expect("sent");
    within_timeout(socket.send(b"to first", None))
        .await
        .expect("sent");
    assert_eq!(received(&mut socket).await.expect("echo"), b"to first");
    socket
        .connect("127.0.0.1", second.port())
        .expect("connected again");
    within_timeout(socket.send(b"again", None))
        .await
        .expect("sent");
    assert_eq!(received(&mut socket).await.expect("echo"), b"again");
}

#[tokio::test]
async fn a_closed_port_is_connection_refused_on_a_connected_socket() {
    let closed = std::net::UdpSocket::bind(LOOPBACK).expect("bound");
    let address = closed.local_addr().expect("address");
    drop(closed);
    let network = Network::new(&allowing(&[address]));
    let mut socket = socket(&network);
    socket
        .connect("127.0.0.1", address.port())
        .expect("nothing is sent");
    within_timeout(socket.send(b"x", None)).await.expect("sent");
    assert!(is_readable(&mut socket, TIMEOUT).await);
    assert_eq!(
        within_timeout(socket.receive(1, None)).await,
        Err(NetError::ConnectionRefused)
    );
    assert_eq!(
        within_timeout(socket.receive(1, NOW)).await,
        Err(NetError::WouldBlock)
    );
}
