//! Tests of TLS servers that send messages without plaintext for as long as the client reads.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{Connection, NetConfig, NetError, Network, TlsFailure};
use eryx_testkit::sealer::{Sealer, ticket};
use eryx_testkit::{CertificateAuthority, FloodingServer, Leaf, ServerTls, forged};
use rustls::ContentType;
use support::*;

/// A flooding server, and a configuration that trusts it.
struct Server {
    inner: FloodingServer,
    config: NetConfig,
}

impl Server {
    fn flooding(flood: impl FnMut(&mut Sealer) -> Vec<u8> + Send + 'static) -> Self {
        let authority = CertificateAuthority::new().expect("an authority");
        let identity = authority
            .issue(&Leaf::server(["localhost"]))
            .expect("a certificate");
        let tls = ServerTls::new(&identity).build().expect("a configuration");
        let config = NetConfig::permissive()
            .with_root_cert(authority.pem().as_bytes())
            .expect("a root");
        let inner = FloodingServer::start(&tls, flood).expect("a server");
        Self { inner, config }
    }

    async fn tls_connected(&self, network: &Network) -> Connection {
        let mut connection = network
            .connect("localhost", self.inner.port())
            .expect("allowed");
        within_timeout(connection.finish_connect(None))
            .await
            .expect("a peer");
        within_timeout(connection.start_tls(&ClientSettings::for_name("localhost"), None))
            .await
            .expect("trusted");
        connection
    }
}

#[tokio::test]
async fn a_flood_of_tickets_fails_a_read() {
    let server = Server::flooding(|sealer| {
        let tickets = std::iter::repeat_n(ticket(1), 800).flatten();
        sealer.record(ContentType::Handshake, &tickets.collect::<Vec<_>>())
    });
    let network = Network::new(&server.config);
    let mut connection = server.tls_connected(&network).await;
    match within_timeout(connection.read(1, None)).await {
        Err(NetError::Tls(TlsFailure::Protocol(text))) => {
            assert!(text.contains("session tickets"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_nonblocking_read_would_block_during_a_flood_without_plaintext() {
    // Tickets of 60 KB in fragments: their limit is reached after several megabytes.
    let server = Server::flooding(|sealer| sealer.handshake(&ticket(60_000), 1000));
    let network = Network::new(&server.config);
    let mut connection = server.tls_connected(&network).await;
    within_timeout(async {
        while server.inner.sent() < 1 << 20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let outcome = within_timeout(connection.read(1, Some(Duration::ZERO))).await;
    assert_eq!(outcome, Err(NetError::WouldBlock));
}

/// The runtime has one thread, so other tasks run only when an operation yields.
#[tokio::test]
async fn other_tasks_run_while_a_read_processes_a_flood() {
    let server = Server::flooding(|sealer| sealer.handshake(&ticket(60_000), 1000));
    let network = Network::new(&server.config);
    let mut connection = server.tls_connected(&network).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let outcome = within_timeout(connection.read(1, None)).await;
    other.abort();
    assert!(matches!(outcome, Err(NetError::Tls(_))), "{outcome:?}");
    // 64 tickets of 60 KB are 3.8 MB, which take 15 polls of 256 KiB.
    let runs = runs.load(Ordering::Relaxed);
    assert!(runs >= 15, "{runs}");
}

#[tokio::test]
async fn a_dropped_connection_reads_a_bounded_part_of_a_flood() {
    // One byte of plaintext in each record of 16 KiB, so that the stream never ends.
    let server = Server::flooding(|sealer| sealer.padded(b"x", 16_000));
    let network = Network::new(&server.config);
    let mut connection = server.tls_connected(&network).await;
    assert_eq!(
        within_timeout(connection.read(1, None)).await,
        Ok(b"x".to_vec())
    );
    // The drop is synchronous: the test passes if it returns.
    drop(connection);
    assert_eq!(network.connections(), 0);
}

#[tokio::test]
async fn mutually_issuing_certificates_fail_a_handshake_with_chain_too_long() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        let mut hello = [0; 5];
        socket.read_exact(&mut hello).expect("a record");
        let mut chain = vec![forged::certificate(0, false)];
        chain.extend((1..=9).map(|key| forged::certificate(key, true)));
        chain.extend(std::iter::repeat_n(Vec::new(), 19_000));
        let _ = socket.write_all(&forged::flight(&chain));
        let _ = std::io::copy(&mut socket, &mut std::io::sink());
    });
    let network = Network::new(&NetConfig::permissive());
    let mut connection = network.connect("localhost", port).expect("allowed");
    within_timeout(connection.finish_connect(None))
        .await
        .expect("a peer");
    let settings = ClientSettings::for_name("localhost");
    match within_timeout(connection.start_tls(&settings, None)).await {
        Err(NetError::Tls(TlsFailure::Certificate { code, message })) => {
            assert_eq!((code, message.as_str()), (22, "certificate chain too long"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn sessions_are_resumed_across_networks_only_with_shared_caches() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(eryx_testkit::Behaviour::Echo).await;
    for shared in [false, true] {
        let config = fixture.config().with_shared_caches(shared);
        let first = Network::new(&config);
        let resumed = async |network: &Network| {
            let mut connection = tls_connected(network, peer.port()).await;
            send(&mut connection, b"x").await;
            assert_eq!(
                within_timeout(connection.read(1, None)).await,
                Ok(b"x".to_vec())
            );
            connection.tls_info().expect("encrypted").resumed
        };
        assert!(!resumed(&first).await);
        assert!(resumed(&first).await, "its own");
        assert_eq!(resumed(&Network::new(&config)).await, shared);
    }
}
