//! Bytes in the clear: reading, writing, half-closing, and readiness that keeps its word.

mod support;

use std::time::Duration;

use eryx_net_host::readiness::{self, PollSet};
use eryx_net_host::{CloseReason, MAX_READ, NetConfig, NetError, Network, Phase, Shutdown};
use eryx_testkit::{Behaviour, Peer, payload};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const NOW: Option<Duration> = Some(Duration::ZERO);

/// A connection, and the other end of it in the test's own hands.
async fn pair(config: &NetConfig) -> (Network, eryx_net_host::Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let network = Network::new(config);
    let connection = connected(&network, "127.0.0.1", port).await;
    let (stream, _) = listener.accept().await.expect("accepts");
    (network, connection, stream)
}

#[tokio::test]
async fn bytes_arrive_unchanged_both_ways_and_are_counted() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    let data = payload::bytes(300_000);
    let mut echoed = Vec::new();
    for piece in data.chunks(50_000) {
        send(&mut connection, piece).await;
        while echoed.len() < piece.len() {
            echoed.extend(soon(connection.read(1 << 16, None)).await.expect("reads"));
        }
        assert!(echoed == piece);
        echoed.clear();
    }
    connection.shutdown(Shutdown::Send).expect("open");
    assert!(drain(&mut connection).await.expect("ends").is_empty());
    drop(connection);
    let report = network.report();
    assert_eq!((report.sent, report.received), (300_000, 300_000));
    assert_eq!(report.connections[0].sent, 300_000);
    assert_eq!(
        report.connections[0].close_reason,
        Some(CloseReason::PeerClose)
    );
}

#[tokio::test]
async fn a_read_returns_what_is_there_and_never_more_than_asked() {
    let (_network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
    stream.write_all(b"hello").await.expect("writes");
    assert!(soon(readable(&mut connection, PATIENCE)).await);
    assert_eq!(soon(connection.read(2, None)).await.expect("there"), b"he");
    let rest = soon(connection.read(usize::MAX, None))
        .await
        .expect("there");
    assert_eq!(rest, b"llo");
    assert!(
        rest.capacity() < MAX_READ,
        "what is asked for does not size the buffer"
    );
    assert_eq!(
        soon(connection.read(0, None)).await.expect("nothing asked"),
        b""
    );
    assert_eq!(
        soon(connection.read(10, NOW)).await,
        Err(NetError::WouldBlock)
    );
}

#[tokio::test]
async fn a_large_read_is_clamped_and_grows_with_what_arrives() {
    let peer = Peer::plain(Behaviour::SendsForever).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    let mut check = payload::Check::new();
    let mut largest = 0;
    while check.length() < 32 << 20 {
        let bytes = soon(connection.read(u32::MAX as usize, None))
            .await
            .expect("pours");
        assert!(bytes.len() <= MAX_READ);
        largest = largest.max(bytes.len());
        check.push(&bytes).expect("unchanged");
    }
    assert!(largest > 16 * 1024, "{largest}");
}

#[tokio::test]
async fn a_silent_peer_lets_a_read_time_out_and_later_bytes_are_not_lost() {
    let config = NetConfig::permissive()
        .with_io_timeout(Duration::from_millis(50))
        .expect("valid");
    let (_network, mut connection, mut stream) = pair(&config).await;
    for timeout in [
        None,
        Some(Duration::from_secs(3600)),
        Some(Duration::from_millis(5)),
    ] {
        assert_eq!(
            soon(connection.read(10, timeout)).await,
            Err(NetError::TimedOut)
        );
    }
    stream.write_all(b"late").await.expect("writes");
    assert!(soon(readable(&mut connection, PATIENCE)).await);
    assert_eq!(
        soon(connection.read(10, None)).await.expect("there"),
        b"late"
    );
}

#[tokio::test]
async fn a_write_to_a_peer_that_does_not_read_takes_what_fits_and_then_blocks() {
    let peer = Peer::plain(Behaviour::NeverReads).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    let data = vec![7; 64 << 20];
    let taken = soon(connection.write(&data, NOW))
        .await
        .expect("some of it");
    assert!(taken > 0 && taken < data.len(), "{taken}");
    // What the kernel moves on to the peer's buffer in the meantime makes a little more room.
    soon(async { while connection.write(&data, NOW).await != Err(NetError::WouldBlock) {} }).await;
    assert!(!writable(&mut connection, Duration::from_millis(20)).await);
    // There may still be room for less than the kernel calls writable.
    let last = async {
        loop {
            match connection
                .write(&data, Some(Duration::from_millis(20)))
                .await
            {
                Ok(some) => assert!(some < data.len()),
                Err(error) => return error,
            }
        }
    };
    assert_eq!(soon(last).await, NetError::TimedOut);
}

#[tokio::test]
async fn a_write_that_may_wait_writes_everything() {
    let peer = Peer::plain(Behaviour::ReadsSlowly {
        piece: 256 * 1024,
        every: Duration::from_millis(1),
    })
    .await
    .expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    let data = payload::bytes(8 << 20);
    assert_eq!(soon(connection.write(&data, None)).await, Ok(data.len()));
    connection.shutdown(Shutdown::Send).expect("open");
    let receipt = String::from_utf8(drain(&mut connection).await.expect("answers")).expect("text");
    assert!(receipt.contains(&payload::sha256(8 << 20)), "{receipt}");
}

#[tokio::test]
async fn after_the_sending_half_is_shut_reading_goes_on_and_writing_does_not() {
    let peer = Peer::plain(Behaviour::Receipt).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    send(&mut connection, b"hello").await;
    connection.shutdown(Shutdown::Send).expect("open");
    connection.shutdown(Shutdown::Send).expect("again is fine");
    assert_eq!(connection.phase(), Phase::HalfClosed);
    assert_eq!(
        soon(connection.write(b"more", None)).await,
        Err(NetError::BrokenPipe)
    );
    assert!(
        writable(&mut connection, Duration::ZERO).await,
        "it fails at once"
    );
    let receipt = drain(&mut connection).await.expect("answers");
    assert!(receipt.starts_with(b"5 "));
    assert_eq!(connection.phase(), Phase::Closed);
}

#[tokio::test]
async fn after_the_receiving_half_is_shut_reads_return_the_end_and_writing_goes_on() {
    let (_network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
    stream.write_all(b"unwanted").await.expect("writes");
    connection.shutdown(Shutdown::Receive).expect("open");
    assert!(readable(&mut connection, Duration::ZERO).await);
    assert_eq!(soon(connection.read(10, NOW)).await.expect("the end"), b"");
    assert_eq!(connection.phase(), Phase::HalfClosed);
    send(&mut connection, b"hello").await;
    let mut got = [0; 5];
    soon(stream.read_exact(&mut got)).await.expect("reads");
    assert_eq!(&got, b"hello");
    connection.shutdown(Shutdown::Both).expect("open");
    assert_eq!(connection.phase(), Phase::Closed);
    assert_eq!(soon(stream.read(&mut got)).await.expect("the end"), 0);
}

#[tokio::test]
async fn the_peers_end_is_an_empty_read_however_often() {
    let (network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
    stream.write_all(b"bye").await.expect("writes");
    stream.shutdown().await.expect("shuts");
    assert!(soon(readable(&mut connection, PATIENCE)).await);
    assert_eq!(drain(&mut connection).await.expect("ends"), b"bye");
    for _ in 0..2 {
        assert!(readable(&mut connection, Duration::ZERO).await);
        assert_eq!(soon(connection.read(10, NOW)).await.expect("ended"), b"");
    }
    send(&mut connection, b"still open this way").await;
    drop(connection);
    assert_eq!(
        network.report().connections[0].close_reason,
        Some(CloseReason::PeerClose)
    );
}

#[tokio::test]
async fn a_reset_is_a_reset_even_when_readiness_saw_it_first() {
    for look_first in [false, true] {
        let peer = Peer::plain(Behaviour::ResetsAtFirstByte)
            .await
            .expect("peer");
        let network = Network::new(&NetConfig::permissive());
        let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
        send(&mut connection, b"x").await;
        if look_first {
            assert!(soon(readable(&mut connection, PATIENCE)).await);
            assert!(soon(readable(&mut connection, PATIENCE)).await);
        }
        assert_eq!(
            soon(connection.read(10, None)).await,
            Err(NetError::ConnectionReset),
            "look first: {look_first}"
        );
        assert_eq!(
            soon(connection.write(b"y", None)).await,
            Err(NetError::BrokenPipe)
        );
        drop(connection);
        assert_eq!(
            network.report().connections[0].close_reason,
            Some(CloseReason::Error(NetError::ConnectionReset))
        );
    }
}

#[tokio::test]
async fn bytes_that_came_before_a_failed_write_can_still_be_read() {
    let (_network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
    stream.write_all(b"413 too large").await.expect("writes");
    stream.shutdown().await.expect("shuts");
    assert!(soon(readable(&mut connection, PATIENCE)).await);
    // Closing with bytes unread makes the kernel answer the next ones with a reset.
    send(&mut connection, b"x").await;
    drop(stream);
    soon(async { while connection.write(b"x", None).await.is_ok() {} }).await;
    let bytes = soon(connection.read(100, None)).await;
    assert_eq!(bytes.expect("was there before"), b"413 too large");
}

#[tokio::test]
async fn what_is_reported_readable_does_not_block() {
    let (_network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
    for round in 0..50u8 {
        assert!(
            !readable(&mut connection, Duration::ZERO).await,
            "round {round}"
        );
        stream.write_all(&[round]).await.expect("writes");
        assert!(soon(readable(&mut connection, PATIENCE)).await);
        assert_eq!(soon(connection.read(10, NOW)).await, Ok(vec![round]));
    }
}

#[tokio::test]
async fn many_connections_are_waited_for_at_once() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(connected(&network, "127.0.0.1", peer.port()).await);
    }
    for wanted in [3, 17, 0] {
        send(&mut connections[wanted], b"ping").await;
        let mut ready = Vec::new();
        soon(eryx_net_host::readiness::wait_ready(None, |look| {
            ready.clear();
            for (index, connection) in connections.iter_mut().enumerate() {
                if look.is_ready(|cx| connection.poll_readable(cx)) {
                    ready.push(index);
                }
            }
            !ready.is_empty()
        }))
        .await;
        assert_eq!(ready, [wanted]);
        assert_eq!(drain_now(&mut connections[wanted]).await, b"ping");
    }
}

/// What the kernel says of all at once decides which are looked at.
#[tokio::test]
async fn of_many_connections_only_those_with_news_are_looked_at() {
    let network = Network::new(&NetConfig::permissive());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let mut pairs = Vec::new();
    for _ in 0..20 {
        let connection = connected(&network, "127.0.0.1", port).await;
        pairs.push((connection, listener.accept().await.expect("accepts").0));
    }
    pairs[7].1.write_all(b"news").await.expect("writes");
    let mut inquiry = PollSet::default();
    for (connection, _) in &pairs {
        inquiry.add(connection.poll_item_readable());
    }
    let told = inquiry.ask(Some(PATIENCE));
    let mut looked_at = Vec::new();
    let ready = readiness::wait_ready_after(&told, NOW, |look| {
        let mut any = false;
        for (index, (connection, _)) in pairs.iter_mut().enumerate() {
            any |= look.is_ready(|cx| {
                looked_at.push(index);
                connection.poll_readable(cx)
            });
        }
        any
    });
    assert!(soon(ready).await);
    assert_eq!(looked_at, [7]);
}

async fn drain_now(connection: &mut eryx_net_host::Connection) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < 4 {
        all.extend(soon(connection.read(10, None)).await.expect("reads"));
    }
    all
}

#[tokio::test]
async fn a_guest_that_never_waits_still_sees_its_bytes() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    send(&mut connection, b"ping").await;
    let bytes = soon(async {
        loop {
            match connection.read(10, NOW).await {
                Err(NetError::WouldBlock) => {}
                outcome => return outcome,
            }
        }
    })
    .await;
    assert_eq!(bytes.expect("reads"), b"ping");
}
