//! Tests of TLS connections: reads, writes, close, and the return to plain text.

mod support;

use std::time::Duration;

use eryx_net_host::{CloseReason, Connection, NetError, Network, Phase, Shutdown, TlsFailure};
use eryx_testkit::{Behaviour, Peer, ServerTls, Transport, payload};
use support::*;

const NOW: Option<Duration> = Some(Duration::ZERO);

#[tokio::test]
async fn eight_mebibytes_reach_a_slow_reader_unchanged() {
    let fixture = TlsFixture::new();
    let peer = fixture
        .peer(Behaviour::ReadsSlowly {
            piece: 256 * 1024,
            every: Duration::from_millis(1),
        })
        .await;
    let network = Network::new(&fixture.config());
    let mut connection = tls_connected(&network, peer.port()).await;
    let data = payload::bytes(8 << 20);
    for piece in data.chunks(200_000) {
        assert_eq!(
            within_timeout(connection.write(piece, None)).await,
            Ok(piece.len())
        );
    }
    connection.shutdown(Shutdown::Send).expect("open");
    let receipt = String::from_utf8(drain(&mut connection).await.expect("answers")).expect("text");
    assert!(receipt.contains(&payload::sha256(8 << 20)), "{receipt}");
}

#[tokio::test]
async fn waiting_ciphertext_is_sent_by_every_kind_of_wait() {
    let fixture = TlsFixture::new();
    let peer = fixture
        .peer(Behaviour::ReadsSlowly {
            piece: 256 * 1024,
            every: Duration::from_millis(1),
        })
        .await;
    let network = Network::new(&fixture.config());
    let mut connection = tls_connected(&network, peer.port()).await;
    let data = payload::bytes(8 << 20);
    let mut sent = 0;
    within_timeout(async {
        while sent < data.len() {
            match connection.write(&data[sent..], NOW).await {
                Ok(taken) => sent += taken,
                Err(NetError::WouldBlock) => {
                    assert!(within_timeout(writable(&mut connection, TIMEOUT)).await);
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    })
    .await;
    connection.shutdown(Shutdown::Send).expect("open");
    // From here on the program only waits for readability, which must send the rest.
    let mut receipt = Vec::new();
    loop {
        assert!(within_timeout(readable(&mut connection, TIMEOUT)).await);
        let bytes = within_timeout(connection.read(100, NOW))
            .await
            .expect("readable");
        if bytes.is_empty() {
            break;
        }
        receipt.extend(bytes);
    }
    let receipt = String::from_utf8(receipt).expect("text");
    assert!(receipt.contains(&payload::sha256(8 << 20)), "{receipt}");
}

#[tokio::test]
async fn a_lingering_close_sends_the_rest_and_holds_its_slot() {
    let fixture = TlsFixture::new();
    let peer = fixture
        .peer(Behaviour::ReadsSlowly {
            piece: 1 << 20,
            every: Duration::from_millis(1),
        })
        .await;
    let network = Network::new(&fixture.config());
    let mut connection = tls_connected(&network, peer.port()).await;
    let sent = fill(&mut connection).await;
    drop(connection);
    assert_eq!(network.connections(), 1, "until the rest is sent");
    assert_eq!(within_timeout(peer.ended(1)).await[0].received, sent);
    within_timeout(async {
        while network.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn unread_session_tickets_do_not_lose_the_last_bytes_to_the_peer() {
    let fixture = TlsFixture::new();
    let peer = fixture
        .peer(Behaviour::ReadsSlowly {
            piece: 4096,
            every: Duration::from_millis(1),
        })
        .await;
    let network = Network::new(&fixture.config());
    let mut connection = tls_connected(&network, peer.port()).await;
    let data = payload::bytes(600_000);
    assert_eq!(
        within_timeout(connection.write(&data[..1], None)).await,
        Ok(1)
    );
    within_timeout(async {
        while peer.received() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The server has sent its tickets, and the client has only written since the handshake.
    assert_eq!(
        within_timeout(connection.write(&data[1..], None)).await,
        Ok(data.len() - 1)
    );
    drop(connection);
    let ended = within_timeout(peer.ended(1)).await;
    assert_eq!(ended[0].received, 600_000, "{ended:?}");
}

#[tokio::test]
async fn an_abort_ends_a_lingering_close() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::NeverReads).await;
    let network = Network::new(&fixture.config());
    let mut connection = tls_connected(&network, peer.port()).await;
    fill(&mut connection).await;
    drop(connection);
    assert_eq!(network.connections(), 1);
    // With a paused clock, the timeout of two seconds cannot end the lingering close.
    tokio::time::pause();
    network.abort();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(network.connections(), 0);
    tokio::time::resume();

    // A connection that is dropped after the abort does not linger.
    let network = Network::new(&fixture.config());
    let mut connection = tls_connected(&network, peer.port()).await;
    fill(&mut connection).await;
    network.abort();
    drop(connection);
    assert_eq!(network.connections(), 0);
}

/// Writes without waiting until no more bytes are taken. Some are then still waiting in this
/// process.
async fn fill(connection: &mut Connection) -> u64 {
    let data = vec![7; 1 << 20];
    let mut sent = 0;
    while let Ok(taken) = within_timeout(connection.write(&data, NOW)).await {
        sent += taken as u64;
    }
    sent
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_error_after_the_last_byte() {
    let fixture = TlsFixture::new();
    let peer = fixture
        .peer(Behaviour::OmitsCloseNotify {
            body: 1000,
            announced: true,
        })
        .await;
    let network = Network::new(&fixture.config());
    let mut connection = tls_connected(&network, peer.port()).await;
    send(&mut connection, b"GET / HTTP/1.1\r\n\r\n").await;
    let mut body = Vec::new();
    let error = loop {
        match within_timeout(connection.read(300, None)).await {
            Ok(bytes) => {
                assert!(!bytes.is_empty(), "an empty read would be a close_notify");
                body.extend(bytes);
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error, NetError::Tls(TlsFailure::UnexpectedEof));
    assert!(body.ends_with(&payload::bytes(1000)));
    assert_eq!(
        within_timeout(connection.read(300, None)).await,
        Err(NetError::Tls(TlsFailure::UnexpectedEof))
    );
}

#[tokio::test]
async fn the_peers_close_notify_is_an_empty_read() {
    let fixture = TlsFixture::new();
    let peer = fixture
        .peer(Behaviour::FinishesFirst { bytes: 50_000 })
        .await;
    let network = Network::new(&fixture.config());
    let mut connection = tls_connected(&network, peer.port()).await;
    assert!(drain(&mut connection).await.expect("orderly") == payload::bytes(50_000));
    drop(connection);
    let entry = network.report().connections.remove(0);
    assert_eq!(entry.close_reason, Some(CloseReason::PeerClose));
    assert_eq!(entry.received, 50_000);
}

#[tokio::test]
async fn a_blocking_write_returns_when_the_kernel_has_all_bytes() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::NeverReads).await;
    let network = Network::new(&fixture.config());
    let mut connection = tls_connected(&network, peer.port()).await;
    within_timeout(connection.write(b"", None))
        .await
        .expect("no ciphertext is waiting");
    fill(&mut connection).await;
    assert_eq!(
        within_timeout(connection.write(b"", Some(Duration::from_millis(20)))).await,
        Err(NetError::TimedOut)
    );
}

#[tokio::test]
async fn end_tls_after_the_peers_close_notify_returns_to_plain_text() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::FinishesFirst { bytes: 100 }).await;
    let network = Network::new(&fixture.config());
    let mut connection = tls_connected(&network, peer.port()).await;
    drain(&mut connection).await.expect("orderly");
    assert_eq!(connection.phase(), Phase::HalfClosed);
    within_timeout(connection.end_tls(None))
        .await
        .expect("both agree");
    assert_eq!(connection.phase(), Phase::Open);
    assert_eq!(
        drain(&mut connection).await,
        Ok(Vec::new()),
        "and TCP has ended too"
    );
}

#[tokio::test]
async fn a_large_read_returns_several_records() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::SendsForever).await;
    let network = Network::new(&fixture.config());
    let mut connection = tls_connected(&network, peer.port()).await;
    let mut check = payload::Check::new();
    let mut largest = 0;
    while check.length() < 16 << 20 {
        let bytes = within_timeout(connection.read(1 << 20, None))
            .await
            .expect("pours");
        largest = largest.max(bytes.len());
        check.push(&bytes).expect("unchanged");
    }
    assert!(largest > 16 * 1024, "{largest}");
}

#[tokio::test]
async fn a_connection_is_readable_only_when_a_record_is_complete() {
    let fixture = TlsFixture::new();
    let config = ServerTls::new(&fixture.identity).build().expect("config");
    let transport = Transport::tls(config).in_pieces_of(1, Duration::ZERO);
    let peer = Peer::start(Behaviour::Echo, transport, eryx_testkit::LOOPBACK)
        .await
        .expect("peer");
    let network = Network::new(&fixture.config());
    let mut connection = tls_connected(&network, peer.port()).await;
    for _ in 0..20 {
        send(&mut connection, b"ping").await;
        assert!(within_timeout(readable(&mut connection, TIMEOUT)).await);
        assert_eq!(
            within_timeout(connection.read(10, NOW))
                .await
                .expect("whole"),
            b"ping"
        );
    }
}

#[tokio::test]
async fn tls_can_start_after_plain_text_and_return_to_it() {
    let fixture = TlsFixture::new();
    let config = ServerTls::new(&fixture.identity).build().expect("config");
    let peer = Peer::plain(Behaviour::StartsTls(config))
        .await
        .expect("peer");
    let network = Network::new(&fixture.config());
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    for round in 0..2 {
        send(&mut connection, b"plain\n").await;
        assert_eq!(line(&mut connection).await, b"plain\n", "round {round}");
        send(&mut connection, b"STARTTLS\n").await;
        assert_eq!(line(&mut connection).await, b"go ahead\n");
        within_timeout(connection.start_tls(&settings(), None))
            .await
            .expect("the handshake succeeds");
        send(&mut connection, b"secret\n").await;
        assert_eq!(line(&mut connection).await, b"secret\n");
        within_timeout(connection.end_tls(None))
            .await
            .expect("both agree");
        assert_eq!(connection.phase(), Phase::Open);
        assert!(connection.tls_info().is_none());
    }
    send(&mut connection, b"plain again\n").await;
    assert_eq!(line(&mut connection).await, b"plain again\n");
}

async fn line(connection: &mut Connection) -> Vec<u8> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        line.extend(
            within_timeout(connection.read(1, None))
                .await
                .expect("a line"),
        );
    }
    line
}
