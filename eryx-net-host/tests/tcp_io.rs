//! Tests of plain-text connections: reads, writes, half-close and readiness.

mod support;

use std::time::Duration;

use eryx_net_host::poll::{self, PollSet};
use eryx_net_host::{
    CloseReason, ConnectionStatus, MAX_READ, NetConfig, NetError, Network, Phase, Shutdown,
};
use eryx_testkit::{Behaviour, Peer, payload};
use socket2::SockRef;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const NOW: Option<Duration> = Some(Duration::ZERO);

/// Returns a connection, and the peer's socket.
async fn pair(config: &NetConfig) -> (Network, eryx_net_host::Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let network = Network::new(config);
    let connection = connected(&network, "127.0.0.1", port).await;
    let (stream, _) = listener.accept().await.expect("accepts");
    (network, connection, stream)
}

#[tokio::test]
async fn data_is_transferred_unchanged_both_ways_and_counted() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    let data = payload::bytes(300_000);
    let mut echoed = Vec::new();
    for piece in data.chunks(50_000) {
        send(&mut connection, piece).await;
        while echoed.len() < piece.len() {
            echoed.extend(
                within_timeout(connection.read(1 << 16, None))
                    .await
                    .expect("reads"),
            );
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
async fn a_read_returns_the_available_bytes_up_to_its_maximum() {
    let (_network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
    stream.write_all(b"hello").await.expect("writes");
    assert!(within_timeout(readable(&mut connection, TIMEOUT)).await);
    assert_eq!(
        within_timeout(connection.read(2, None))
            .await
            .expect("there"),
        b"he"
    );
    let rest = within_timeout(connection.read(usize::MAX, None))
        .await
        .expect("there");
    assert_eq!(rest, b"llo");
    assert!(
        rest.capacity() < MAX_READ,
        "the maximum does not determine the size of the buffer"
    );
    assert_eq!(
        within_timeout(connection.read(0, None))
            .await
            .expect("a read of 0 bytes"),
        b""
    );
    assert_eq!(
        within_timeout(connection.read(10, NOW)).await,
        Err(NetError::WouldBlock)
    );
}

#[tokio::test]
async fn a_first_read_returns_all_bytes_that_have_arrived_up_to_its_maximum() {
    let (_network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
    let sent = payload::bytes(50_000);
    stream.write_all(&sent).await.expect("writes");
    stream.shutdown().await.expect("open");
    // The end of the stream arrives behind all bytes.
    within_timeout(async {
        while !connection.status().read_closed {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let first = within_timeout(connection.read(40_000, NOW)).await;
    assert!(first.expect("there") == sent[..40_000]);
    let rest = within_timeout(connection.read(MAX_READ, NOW)).await;
    assert!(rest.expect("there") == sent[40_000..]);
    let end = within_timeout(connection.read(MAX_READ, NOW)).await;
    assert_eq!(end.expect("the end"), b"");
}

#[tokio::test]
async fn a_large_read_is_clamped_and_its_buffer_grows_with_the_data() {
    let peer = Peer::plain(Behaviour::SendsForever).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    let mut check = payload::Check::new();
    let mut largest = 0;
    while check.length() < 32 << 20 {
        let bytes = within_timeout(connection.read(u32::MAX as usize, None))
            .await
            .expect("pours");
        assert!(bytes.len() <= MAX_READ);
        largest = largest.max(bytes.len());
        check.push(&bytes).expect("unchanged");
    }
    assert!(largest > 16 * 1024, "{largest}");
}

#[tokio::test]
async fn a_read_times_out_and_later_bytes_are_not_lost() {
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
            within_timeout(connection.read(10, timeout)).await,
            Err(NetError::TimedOut)
        );
    }
    stream.write_all(b"late").await.expect("writes");
    assert!(within_timeout(readable(&mut connection, TIMEOUT)).await);
    assert_eq!(
        within_timeout(connection.read(10, None))
            .await
            .expect("there"),
        b"late"
    );
}

#[tokio::test]
async fn a_write_to_a_peer_that_does_not_read_blocks_when_the_buffers_are_full() {
    let peer = Peer::plain(Behaviour::NeverReads).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    let data = vec![7; 64 << 20];
    let taken = within_timeout(connection.write(&data, NOW))
        .await
        .expect("some of it");
    assert!(taken > 0 && taken < data.len(), "{taken}");
    // The kernel moves bytes into the peer's buffer meanwhile, which frees a little space.
    within_timeout(async {
        while connection.write(&data, NOW).await != Err(NetError::WouldBlock) {}
    })
    .await;
    assert!(!writable(&mut connection, Duration::from_millis(20)).await);
    // There may still be space, but less than the kernel reports as writable.
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
    assert_eq!(within_timeout(last).await, NetError::TimedOut);
}

#[tokio::test]
async fn a_blocking_write_writes_all_bytes() {
    let peer = Peer::plain(Behaviour::ReadsSlowly {
        piece: 256 * 1024,
        every: Duration::from_millis(1),
    })
    .await
    .expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    let data = payload::bytes(8 << 20);
    assert_eq!(
        within_timeout(connection.write(&data, None)).await,
        Ok(data.len())
    );
    connection.shutdown(Shutdown::Send).expect("open");
    let receipt = String::from_utf8(drain(&mut connection).await.expect("answers")).expect("text");
    assert!(receipt.contains(&payload::sha256(8 << 20)), "{receipt}");
}

#[tokio::test]
async fn after_shutdown_of_the_send_side_reads_continue_and_writes_fail() {
    let peer = Peer::plain(Behaviour::Receipt).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    send(&mut connection, b"hello").await;
    connection.shutdown(Shutdown::Send).expect("open");
    connection.shutdown(Shutdown::Send).expect("again is fine");
    assert_eq!(connection.phase(), Phase::HalfClosed);
    assert_eq!(
        within_timeout(connection.write(b"more", None)).await,
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
async fn after_shutdown_of_the_receive_side_reads_return_what_arrived_and_writes_continue() {
    let (_network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
    stream.write_all(b"arrived").await.expect("writes");
    assert!(readable(&mut connection, Duration::from_secs(5)).await);
    connection.shutdown(Shutdown::Receive).expect("open");
    for expected in [&b"arrived"[..], b"", b""] {
        assert!(readable(&mut connection, Duration::ZERO).await);
        let read = within_timeout(connection.read(10, NOW)).await;
        assert_eq!(read.expect("open"), expected);
    }
    assert!(connection.status().read_closed && !connection.status().hung_up);
    assert_eq!(connection.phase(), Phase::HalfClosed);
    send(&mut connection, b"hello").await;
    let mut got = [0; 5];
    within_timeout(stream.read_exact(&mut got))
        .await
        .expect("reads");
    assert_eq!(&got, b"hello");
    connection.shutdown(Shutdown::Both).expect("open");
    assert_eq!(connection.phase(), Phase::Closed);
    assert_eq!(
        within_timeout(stream.read(&mut got))
            .await
            .expect("the end"),
        0
    );
}

#[tokio::test]
async fn every_read_after_the_peers_end_is_empty() {
    let (network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
    stream.write_all(b"bye").await.expect("writes");
    stream.shutdown().await.expect("shuts");
    assert!(within_timeout(readable(&mut connection, TIMEOUT)).await);
    assert_eq!(drain(&mut connection).await.expect("ends"), b"bye");
    for _ in 0..2 {
        assert!(readable(&mut connection, Duration::ZERO).await);
        assert_eq!(
            within_timeout(connection.read(10, NOW))
                .await
                .expect("ended"),
            b""
        );
    }
    send(&mut connection, b"still open this way").await;
    drop(connection);
    assert_eq!(
        network.report().connections[0].close_reason,
        Some(CloseReason::PeerClose)
    );
}

#[tokio::test]
async fn a_reset_is_reported_to_the_read_after_readiness_saw_it() {
    for poll_first in [false, true] {
        let peer = Peer::plain(Behaviour::ResetsAtFirstByte)
            .await
            .expect("peer");
        let network = Network::new(&NetConfig::permissive());
        let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
        send(&mut connection, b"x").await;
        if poll_first {
            assert!(within_timeout(readable(&mut connection, TIMEOUT)).await);
            assert!(within_timeout(readable(&mut connection, TIMEOUT)).await);
        }
        assert_eq!(
            within_timeout(connection.read(10, None)).await,
            Err(NetError::ConnectionReset),
            "poll first: {poll_first}"
        );
        assert_eq!(
            within_timeout(connection.write(b"y", None)).await,
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
async fn bytes_received_before_a_failed_write_can_still_be_read() {
    let (_network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
    stream.write_all(b"413 too large").await.expect("writes");
    stream.shutdown().await.expect("shuts");
    assert!(within_timeout(readable(&mut connection, TIMEOUT)).await);
    // A socket that is closed with unread bytes answers the next bytes with a reset.
    send(&mut connection, b"x").await;
    drop(stream);
    within_timeout(async { while connection.write(b"x", None).await.is_ok() {} }).await;
    let bytes = within_timeout(connection.read(100, None)).await;
    assert_eq!(bytes.expect("was there before"), b"413 too large");
}

#[tokio::test]
async fn a_read_of_a_readable_connection_does_not_block() {
    let (_network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
    for round in 0..50u8 {
        assert!(
            !readable(&mut connection, Duration::ZERO).await,
            "round {round}"
        );
        stream.write_all(&[round]).await.expect("writes");
        assert!(within_timeout(readable(&mut connection, TIMEOUT)).await);
        assert_eq!(
            within_timeout(connection.read(10, NOW)).await,
            Ok(vec![round])
        );
    }
}

#[tokio::test]
async fn wait_ready_waits_for_many_connections() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(connected(&network, "127.0.0.1", peer.port()).await);
    }
    for expected in [3, 17, 0] {
        send(&mut connections[expected], b"ping").await;
        let mut ready = Vec::new();
        within_timeout(eryx_net_host::poll::wait_ready(None, |sweep| {
            ready.clear();
            for (index, connection) in connections.iter_mut().enumerate() {
                if sweep.poll(|cx| connection.poll_readable(cx)) {
                    ready.push(index);
                }
            }
            !ready.is_empty()
        }))
        .await;
        assert_eq!(ready, [expected]);
        assert_eq!(read_four(&mut connections[expected]).await, b"ping");
    }
}

/// One poll(2) of all connections decides which of them are polled.
#[tokio::test]
async fn only_connections_with_events_are_polled() {
    let network = Network::new(&NetConfig::permissive());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let mut pairs = Vec::new();
    for _ in 0..20 {
        let connection = connected(&network, "127.0.0.1", port).await;
        pairs.push((connection, listener.accept().await.expect("accepts").0));
    }
    pairs[7].1.write_all(b"data").await.expect("writes");
    let mut poll_set = PollSet::default();
    for (connection, _) in &pairs {
        poll_set.add(connection.poll_item_readable());
    }
    let result = poll_set.poll(Some(TIMEOUT));
    let mut polled = Vec::new();
    let ready = poll::wait_ready_after(&result, NOW, |sweep| {
        let mut any = false;
        for (index, (connection, _)) in pairs.iter_mut().enumerate() {
            any |= sweep.poll(|cx| {
                polled.push(index);
                connection.poll_readable(cx)
            });
        }
        any
    });
    assert!(within_timeout(ready).await);
    assert_eq!(polled, [7]);
}

async fn read_four(connection: &mut eryx_net_host::Connection) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < 4 {
        all.extend(
            within_timeout(connection.read(10, None))
                .await
                .expect("reads"),
        );
    }
    all
}

#[tokio::test]
async fn nonblocking_reads_receive_their_bytes_without_a_wait() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let network = Network::new(&NetConfig::permissive());
    let mut connection = connected(&network, "127.0.0.1", peer.port()).await;
    send(&mut connection, b"ping").await;
    let bytes = within_timeout(async {
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

#[tokio::test]
async fn a_reset_is_the_pending_error_and_both_directions_have_ended() {
    let (_network, mut connection, stream) = pair(&NetConfig::permissive()).await;
    assert_eq!(connection.status(), ConnectionStatus::default());
    assert_eq!(connection.take_error(), Ok(()));
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .expect("set");
    drop(stream);
    assert!(readable(&mut connection, Duration::from_secs(5)).await);
    let status = connection.status();
    assert!(
        status.read_closed && status.hung_up && status.has_error,
        "{status:?}"
    );
    assert_eq!(connection.take_error(), Err(NetError::ConnectionReset));
    assert_eq!(connection.take_error(), Ok(()));
    assert!(!connection.status().has_error && connection.status().hung_up);
    assert_eq!(connection.peer_endpoint(), Err(NetError::NotConnected));
}

#[tokio::test]
async fn after_a_reset_a_write_of_no_bytes_fails_and_so_does_every_shutdown() {
    for how in [Shutdown::Receive, Shutdown::Send, Shutdown::Both] {
        let (_network, mut connection, stream) = pair(&NetConfig::permissive()).await;
        let written = within_timeout(connection.write(b"", None)).await;
        assert_eq!(written, Ok(0), "the connection is open");
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .expect("set");
        drop(stream);
        within_timeout(async {
            while !connection.status().hung_up {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(connection.shutdown(how), Err(NetError::NotConnected));
        if how == Shutdown::Receive {
            for expected in [NetError::ConnectionReset, NetError::BrokenPipe] {
                let written = within_timeout(connection.write(b"", None)).await;
                assert_eq!(written, Err(expected));
            }
        }
        assert_eq!(connection.shutdown(how), Err(NetError::NotConnected));
    }
}

#[tokio::test]
async fn bytes_that_arrive_after_both_directions_were_shut_down_reset_the_connection() {
    let (_network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
    connection.shutdown(Shutdown::Both).expect("open");
    connection.shutdown(Shutdown::Both).expect("still open");
    let status = connection.status();
    assert!(status.hung_up && !status.has_error, "{status:?}");
    stream.write_all(b"too late").await.expect("writes");
    within_timeout(async {
        while !connection.status().has_error {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(connection.take_error(), Err(NetError::ConnectionReset));
}

#[tokio::test]
async fn a_connection_that_resets_on_close_discards_what_the_peer_has_not_read() {
    for (resets, expected) in [
        (false, None),
        (true, Some(std::io::ErrorKind::ConnectionReset)),
    ] {
        let (_network, mut connection, mut stream) = pair(&NetConfig::permissive()).await;
        connection.set_reset_on_close(resets).expect("open");
        connection.set_user_timeout(1000).expect("open");
        drop(connection);
        let read = within_timeout(stream.read(&mut [0; 1])).await;
        assert_eq!(read.err().map(|error| error.kind()), expected);
    }
}
