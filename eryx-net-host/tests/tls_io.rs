//! Bytes inside TLS, the last ones included, and the way back to plain ones.

mod support;

use std::time::Duration;

use eryx_net_host::{CloseReason, Connection, NetError, Network, Phase, Shutdown, TlsFailure};
use eryx_testkit::{Behaviour, Peer, ServerTls, Transport, payload};
use support::*;

const NOW: Option<Duration> = Some(Duration::ZERO);

#[tokio::test]
async fn eight_mebibytes_reach_a_slow_reader_complete() {
    let world = World::new();
    let peer = world
        .peer(Behaviour::ReadsSlowly {
            piece: 256 * 1024,
            every: Duration::from_millis(1),
        })
        .await;
    let network = Network::new(&world.config());
    let mut connection = secured(&network, peer.port()).await;
    let data = payload::bytes(8 << 20);
    for piece in data.chunks(200_000) {
        assert_eq!(soon(connection.write(piece, None)).await, Ok(piece.len()));
    }
    connection.shutdown(Shutdown::Send).expect("open");
    let receipt = String::from_utf8(drain(&mut connection).await.expect("answers")).expect("text");
    assert!(receipt.contains(&payload::sha256(8 << 20)), "{receipt}");
}

#[tokio::test]
async fn a_tail_that_met_a_full_kernel_buffer_is_pushed_by_whatever_is_waited_for() {
    let world = World::new();
    let peer = world
        .peer(Behaviour::ReadsSlowly {
            piece: 256 * 1024,
            every: Duration::from_millis(1),
        })
        .await;
    let network = Network::new(&world.config());
    let mut connection = secured(&network, peer.port()).await;
    let data = payload::bytes(8 << 20);
    let mut sent = 0;
    soon(async {
        while sent < data.len() {
            match connection.write(&data[sent..], NOW).await {
                Ok(taken) => sent += taken,
                Err(NetError::WouldBlock) => {
                    assert!(soon(writable(&mut connection, PATIENCE)).await);
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    })
    .await;
    connection.shutdown(Shutdown::Send).expect("open");
    // From here on the program only waits to read; nothing but that pushes the tail.
    let mut receipt = Vec::new();
    loop {
        assert!(soon(readable(&mut connection, PATIENCE)).await);
        let bytes = soon(connection.read(100, NOW)).await.expect("readable");
        if bytes.is_empty() {
            break;
        }
        receipt.extend(bytes);
    }
    let receipt = String::from_utf8(receipt).expect("text");
    assert!(receipt.contains(&payload::sha256(8 << 20)), "{receipt}");
}

#[tokio::test]
async fn a_tail_outlives_its_connection_for_a_while_and_holds_its_place() {
    let world = World::new();
    let peer = world
        .peer(Behaviour::ReadsSlowly {
            piece: 1 << 20,
            every: Duration::from_millis(1),
        })
        .await;
    let network = Network::new(&world.config());
    let mut connection = secured(&network, peer.port()).await;
    let sent = fill(&mut connection).await;
    drop(connection);
    assert_eq!(network.connections(), 1, "until the tail is sent");
    assert_eq!(soon(peer.ended(1)).await[0].received, sent);
    soon(async {
        while network.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn session_tickets_nobody_read_do_not_cost_the_peer_the_last_bytes() {
    let world = World::new();
    let peer = world
        .peer(Behaviour::ReadsSlowly {
            piece: 4096,
            every: Duration::from_millis(1),
        })
        .await;
    let network = Network::new(&world.config());
    let mut connection = secured(&network, peer.port()).await;
    let data = payload::bytes(600_000);
    assert_eq!(soon(connection.write(&data[..1], None)).await, Ok(1));
    soon(async {
        while peer.received() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The server has sent its tickets by now, and this side has only written since the handshake.
    assert_eq!(
        soon(connection.write(&data[1..], None)).await,
        Ok(data.len() - 1)
    );
    drop(connection);
    let ended = soon(peer.ended(1)).await;
    assert_eq!(ended[0].received, 600_000, "{ended:?}");
}

#[tokio::test]
async fn an_abort_stops_a_lingering_tail() {
    let world = World::new();
    let peer = world.peer(Behaviour::NeverReads).await;
    let network = Network::new(&world.config());
    let mut connection = secured(&network, peer.port()).await;
    fill(&mut connection).await;
    drop(connection);
    assert_eq!(network.connections(), 1);
    // With the clock stopped, the two seconds of a tail cannot be what ends it.
    tokio::time::pause();
    network.abort();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(network.connections(), 0);
    tokio::time::resume();

    // And a connection dropped after the abort leaves no tail at all.
    let network = Network::new(&world.config());
    let mut connection = secured(&network, peer.port()).await;
    fill(&mut connection).await;
    network.abort();
    drop(connection);
    assert_eq!(network.connections(), 0);
}

/// Writes without waiting until nothing more is taken; some of it is then still on this side.
async fn fill(connection: &mut Connection) -> u64 {
    let data = vec![7; 1 << 20];
    let mut sent = 0;
    while let Ok(taken) = soon(connection.write(&data, NOW)).await {
        sent += taken as u64;
    }
    sent
}

#[tokio::test]
async fn the_end_without_close_notify_is_told_after_the_last_byte() {
    let world = World::new();
    let peer = world
        .peer(Behaviour::OmitsCloseNotify {
            body: 1000,
            announced: true,
        })
        .await;
    let network = Network::new(&world.config());
    let mut connection = secured(&network, peer.port()).await;
    send(&mut connection, b"GET / HTTP/1.1\r\n\r\n").await;
    let mut body = Vec::new();
    let error = loop {
        match soon(connection.read(300, None)).await {
            Ok(bytes) => {
                assert!(!bytes.is_empty(), "that would be an orderly end");
                body.extend(bytes);
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error, NetError::Tls(TlsFailure::UnexpectedEof));
    assert!(body.ends_with(&payload::bytes(1000)));
    assert_eq!(
        soon(connection.read(300, None)).await,
        Err(NetError::Tls(TlsFailure::UnexpectedEof))
    );
}

#[tokio::test]
async fn an_orderly_end_is_an_empty_read() {
    let world = World::new();
    let peer = world.peer(Behaviour::FinishesFirst { bytes: 50_000 }).await;
    let network = Network::new(&world.config());
    let mut connection = secured(&network, peer.port()).await;
    assert!(drain(&mut connection).await.expect("orderly") == payload::bytes(50_000));
    drop(connection);
    let entry = network.report().connections.remove(0);
    assert_eq!(entry.close_reason, Some(CloseReason::PeerClose));
    assert_eq!(entry.received, 50_000);
}

#[tokio::test]
async fn a_waiting_write_returns_only_when_everything_is_with_the_kernel() {
    let world = World::new();
    let peer = world.peer(Behaviour::NeverReads).await;
    let network = Network::new(&world.config());
    let mut connection = secured(&network, peer.port()).await;
    soon(connection.write(b"", None))
        .await
        .expect("nothing waits");
    fill(&mut connection).await;
    assert_eq!(
        soon(connection.write(b"", Some(Duration::from_millis(20)))).await,
        Err(NetError::TimedOut)
    );
}

#[tokio::test]
async fn after_the_peers_close_notify_the_connection_can_go_back_to_plain() {
    let world = World::new();
    let peer = world.peer(Behaviour::FinishesFirst { bytes: 100 }).await;
    let network = Network::new(&world.config());
    let mut connection = secured(&network, peer.port()).await;
    drain(&mut connection).await.expect("orderly");
    assert_eq!(connection.phase(), Phase::HalfClosed);
    soon(connection.end_tls(None)).await.expect("both agree");
    assert_eq!(connection.phase(), Phase::Open);
    assert_eq!(
        drain(&mut connection).await,
        Ok(Vec::new()),
        "and TCP has ended too"
    );
}

#[tokio::test]
async fn large_reads_come_in_more_than_one_record() {
    let world = World::new();
    let peer = world.peer(Behaviour::SendsForever).await;
    let network = Network::new(&world.config());
    let mut connection = secured(&network, peer.port()).await;
    let mut check = payload::Check::new();
    let mut largest = 0;
    while check.length() < 16 << 20 {
        let bytes = soon(connection.read(1 << 20, None)).await.expect("pours");
        largest = largest.max(bytes.len());
        check.push(&bytes).expect("unchanged");
    }
    assert!(largest > 16 * 1024, "{largest}");
}

#[tokio::test]
async fn a_peer_that_dribbles_its_records_is_readable_only_when_one_is_whole() {
    let world = World::new();
    let config = ServerTls::new(&world.identity).build().expect("config");
    let transport = Transport::tls(config).in_pieces_of(1, Duration::ZERO);
    let peer = Peer::start(Behaviour::Echo, transport, eryx_testkit::LOOPBACK)
        .await
        .expect("peer");
    let network = Network::new(&world.config());
    let mut connection = secured(&network, peer.port()).await;
    for _ in 0..20 {
        send(&mut connection, b"ping").await;
        assert!(soon(readable(&mut connection, PATIENCE)).await);
        assert_eq!(
            soon(connection.read(10, NOW)).await.expect("whole"),
            b"ping"
        );
    }
}

#[tokio::test]
async fn tls_begins_after_plain_bytes_and_ends_into_plain_bytes() {
    let world = World::new();
    let config = ServerTls::new(&world.identity).build().expect("config");
    let peer = Peer::plain(Behaviour::StartsTls(config))
        .await
        .expect("peer");
    let network = Network::new(&world.config());
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    for round in 0..2 {
        send(&mut connection, b"plain\n").await;
        assert_eq!(line(&mut connection).await, b"plain\n", "round {round}");
        send(&mut connection, b"STARTTLS\n").await;
        assert_eq!(line(&mut connection).await, b"go ahead\n");
        soon(connection.start_tls(&settings(), None))
            .await
            .expect("shakes hands");
        send(&mut connection, b"secret\n").await;
        assert_eq!(line(&mut connection).await, b"secret\n");
        soon(connection.end_tls(None)).await.expect("both agree");
        assert_eq!(connection.phase(), Phase::Open);
        assert!(connection.tls_info().is_none());
    }
    send(&mut connection, b"plain again\n").await;
    assert_eq!(line(&mut connection).await, b"plain again\n");
}

async fn line(connection: &mut Connection) -> Vec<u8> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        line.extend(soon(connection.read(1, None)).await.expect("a line"));
    }
    line
}
