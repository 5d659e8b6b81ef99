//! Tests of the handshake: parameters, errors and polling.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use eryx_tls::{ClientSettings, TlsError, Version};
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, HandshakeKind, NamedGroup, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::peer::{
    CertificateAuthority, HOST, Leaf, handshake_error, run_handshake, within_timeout,
};

#[tokio::test]
async fn info_reports_the_negotiated_parameters_of_both_versions() {
    let authority = CertificateAuthority::new();
    let leaf = authority.issue(&[HOST]);
    let cases: [(&'static SupportedProtocolVersion, Version, &str); 2] = [
        (&TLS12, Version::Tls12, "ECDHE-ECDSA-AES256-GCM-SHA384"),
        (&TLS13, Version::Tls13, "TLS_AES_256_GCM_SHA384"),
    ];
    for (offered, version, cipher) in cases {
        let settings = ClientSettings {
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            ..ClientSettings::for_name(HOST)
        };
        let mut server = leaf.server_with(&[offered]);
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (client, server) =
            run_handshake(&authority.connector(), &settings, server, 1 << 16).await;
        let info = client.unwrap().info().clone();
        let server = server.unwrap();
        assert_eq!(info.version, version);
        assert_eq!((info.cipher, info.cipher_bits), (cipher, 256));
        assert_eq!(info.alpn.as_deref(), Some(&b"http/1.1"[..]));
        assert_eq!(info.peer_chain, [leaf.chain[0].to_vec()]);
        assert!(!info.resumed);
        assert_eq!(server.get_ref().1.server_name(), Some(HOST));
        assert_eq!(
            server.get_ref().1.handshake_kind(),
            Some(HandshakeKind::Full)
        );
    }
}

#[tokio::test]
async fn without_a_common_alpn_protocol_the_handshake_fails_or_has_none() {
    let authority = CertificateAuthority::new();
    let leaf = authority.issue(&[HOST]);
    let (client, _) = run_handshake(
        &authority.connector(),
        &ClientSettings::for_name(HOST),
        leaf.server(),
        1 << 16,
    )
    .await;
    assert_eq!(client.unwrap().info().alpn, None);

    let settings = ClientSettings {
        alpn: vec![b"smtp".to_vec()],
        ..ClientSettings::for_name(HOST)
    };
    let mut server = leaf.server();
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    match handshake_error(&authority.connector(), &settings, server).await {
        TlsError::Alert(name) => assert_eq!(name, "no_application_protocol"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn version_bounds_are_enforced_and_a_mismatch_is_the_peers_alert() {
    let authority = CertificateAuthority::new();
    let leaf = authority.issue(&[HOST]);
    let at_most = |max_version| ClientSettings {
        max_version: Some(max_version),
        ..ClientSettings::for_name(HOST)
    };
    let at_least = |min_version| ClientSettings {
        min_version: Some(min_version),
        ..ClientSettings::for_name(HOST)
    };
    let connector = authority.connector();

    let settings = at_most(Version::Tls12);
    let (client, _) = run_handshake(&connector, &settings, leaf.server(), 1 << 16).await;
    assert_eq!(client.unwrap().info().version, Version::Tls12);

    for (settings, server) in [
        (at_most(Version::Tls12), &TLS13),
        (at_least(Version::Tls13), &TLS12),
    ] {
        match handshake_error(&connector, &settings, leaf.server_with(&[server])).await {
            TlsError::Alert(name) => assert_eq!(name, "protocol_version"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_sent_to_a_server_that_requests_one() {
    let authority = CertificateAuthority::new();
    let leaf = authority.issue(&[HOST]);
    let identity = authority.issue(&["client.example"]).identity();
    for version in [&TLS12, &TLS13] {
        let server = leaf.server_with_client_auth(&authority, &[version]);
        let settings = ClientSettings {
            identity: Some(identity.clone().into()),
            ..ClientSettings::for_name(HOST)
        };
        let (client, server) =
            run_handshake(&authority.connector(), &settings, server, 1 << 16).await;
        assert!(client.is_ok(), "{client:?}");
        let server = server.unwrap();
        let seen = server.get_ref().1.peer_certificates().unwrap();
        assert_eq!(seen[0].to_vec(), identity.chain[0]);
    }
}

#[tokio::test]
async fn a_missing_client_certificate_is_the_servers_alert() {
    let authority = CertificateAuthority::new();
    let leaf = authority.issue(&[HOST]);
    let settings = ClientSettings::for_name(HOST);

    let server = leaf.server_with_client_auth(&authority, &[&TLS12]);
    match handshake_error(&authority.connector(), &settings, server).await {
        TlsError::Alert(name) => assert_eq!(name, "certificate_required"),
        other => panic!("{other:?}"),
    }

    // In TLS 1.3 the client completes before the server verifies; the alert arrives with the first
    // read.
    let server = leaf.server_with_client_auth(&authority, &[&TLS13]);
    let (client, _) = run_handshake(&authority.connector(), &settings, server, 1 << 16).await;
    let mut client = client.unwrap();
    let outcome = within_timeout(poll_fn(|cx| client.poll_read(cx, &mut [0; 16]))).await;
    match outcome {
        Err(TlsError::Alert(name)) => assert_eq!(name, "certificate_required"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_plain_text_peer_is_a_protocol_error_and_not_a_certificate_error() {
    for greeting in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "220 mail ready\r\n",
        "SSH-2.0-x\r\n",
    ] {
        let authority = CertificateAuthority::new();
        let (near, mut far) = tokio::io::duplex(4096);
        far.write_all(greeting.as_bytes()).await.unwrap();
        let settings = ClientSettings::for_name(HOST);
        let handshake = authority.connector().upgrade(&settings, near).unwrap();
        match within_timeout(handshake).await {
            Err(TlsError::Protocol(text)) => {
                assert!(text.starts_with("wrong version number: "), "{text}");
            }
            other => panic!("{greeting}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_peer_that_disconnects_during_the_handshake_is_an_unexpected_eof() {
    for sent in [&b""[..], b"\x16\x03\x03", b"\x16\x03\x03\x00\x40half"] {
        let (near, mut far) = tokio::io::duplex(4096);
        far.write_all(sent).await.unwrap();
        let settings = ClientSettings::for_name(HOST);
        let handshake = CertificateAuthority::new()
            .connector()
            .upgrade(&settings, near);
        let peer = async {
            let mut hello = [0; 64];
            let _ = far.read(&mut hello).await;
            let _ = far.shutdown().await;
            far
        };
        let (outcome, _far) =
            within_timeout(async { tokio::join!(handshake.unwrap(), peer) }).await;
        assert!(
            matches!(outcome, Err(TlsError::UnexpectedEof)),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn an_alert_is_read_even_when_sending_to_the_peer_fails() {
    let (near, mut far) = tokio::io::duplex(4096);
    far.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).await.unwrap();
    drop(far);
    let settings = ClientSettings::for_name(HOST);
    let handshake = CertificateAuthority::new()
        .connector()
        .upgrade(&settings, near);
    match within_timeout(handshake.unwrap()).await {
        Err(TlsError::Alert(name)) => assert_eq!(name, "handshake_failure"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_closed_transport_without_an_alert_is_the_transports_error() {
    let (near, far) = tokio::io::duplex(4096);
    drop(far);
    let settings = ClientSettings::for_name(HOST);
    let handshake = CertificateAuthority::new()
        .connector()
        .upgrade(&settings, near);
    match within_timeout(handshake.unwrap()).await {
        Err(TlsError::Io(error)) => assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_handshake_rejects_an_endless_message() {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    // A ServerHello that claims 16 MiB, in records of 16 KiB.
    let mut record = vec![0x16, 3, 3, 0x40, 0, 2, 0xff, 0xff, 0xff];
    record.resize(5 + 0x4000, 0);
    far.write_all(&record).await.unwrap();
    let settings = ClientSettings::for_name(HOST);
    let handshake = CertificateAuthority::new()
        .connector()
        .upgrade(&settings, near);
    match within_timeout(handshake.unwrap()).await {
        Err(TlsError::Protocol(text)) => {
            assert!(text.starts_with("excessive message size: "), "{text}");
        }
        other => panic!("{other:?}"),
    }

    // A message of a valid size, with one byte in each record.
    let (near, mut far) = tokio::io::duplex(1 << 20);
    far.write_all(&[0x16, 3, 3, 0, 4, 2, 0, 0xf0, 0])
        .await
        .unwrap();
    far.write_all(&[0x16, 3, 3, 0, 1, 0].repeat(30_000))
        .await
        .unwrap();
    let handshake = CertificateAuthority::new()
        .connector()
        .upgrade(&settings, near);
    match within_timeout(handshake.unwrap()).await {
        Err(TlsError::Protocol(text)) => {
            assert!(text.starts_with("excessive message size: "), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reset_is_reported_as_a_reset_during_and_after_the_handshake() {
    let authority = CertificateAuthority::new();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(authority.issue(&[HOST]).server()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = ClientSettings::for_name(HOST);
    let connector = authority.connector();

    let is_reset = |error: &TlsError| match error {
        TlsError::Io(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        _ => false,
    };

    let handshake = connector
        .upgrade(&settings, TcpStream::connect(address).await.unwrap())
        .unwrap();
    let reset = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.read_exact(&mut [0; 8]).await.unwrap();
        tcp.set_zero_linger().unwrap();
    };
    let (outcome, ()) = within_timeout(async { tokio::join!(handshake, reset) }).await;
    assert!(outcome.as_ref().is_err_and(is_reset), "{outcome:?}");

    let handshake = connector
        .upgrade(&settings, TcpStream::connect(address).await.unwrap())
        .unwrap();
    let reset = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut tls = acceptor.accept(tcp).await.unwrap();
        tls.read_exact(&mut [0; 1]).await.unwrap();
        tls.get_ref().0.set_zero_linger().unwrap();
    };
    let client = async {
        let mut client = handshake.await.unwrap();
        client.write_all(b"never read").await.unwrap();
        poll_fn(|cx| client.poll_read(cx, &mut [0; 16])).await
    };
    let (outcome, ()) = within_timeout(async { tokio::join!(client, reset) }).await;
    assert!(outcome.as_ref().is_err_and(is_reset), "{outcome:?}");
}

#[tokio::test]
async fn a_handshake_can_be_polled_without_waiting_and_resumed() {
    let authority = CertificateAuthority::new();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(authority.issue(&[HOST]).server()));
    let (near, far) = tokio::io::duplex(1 << 16);
    let settings = ClientSettings::for_name(HOST);
    let mut handshake = authority.connector().upgrade(&settings, near).unwrap();
    let mut accept = pin!(acceptor.accept(far));

    let mut cx = Context::from_waker(Waker::noop());
    let mut server = None;
    for _ in 0..10 {
        if let Poll::Ready(done) = handshake.poll_handshake(&mut cx) {
            assert!(done.is_ok(), "{done:?}");
            assert!(handshake.get_ref().is_none());
            return;
        }
        assert!(handshake.get_ref().is_some());
        if server.is_none()
            && let Poll::Ready(done) = accept.as_mut().poll(&mut cx)
        {
            server = Some(done.unwrap());
        }
    }
    panic!("ten polls are enough for a handshake in memory");
}

#[tokio::test]
async fn a_handshake_sends_nothing_before_the_first_poll() {
    let (near, mut far) = tokio::io::duplex(4096);
    let settings = ClientSettings::for_name(HOST);
    drop(
        CertificateAuthority::new()
            .connector()
            .upgrade(&settings, near)
            .unwrap(),
    );
    let mut seen = Vec::new();
    assert_eq!(far.read_to_end(&mut seen).await.unwrap(), 0);
}

#[tokio::test]
async fn a_handshake_completes_through_a_pipe_of_one_byte() {
    let authority = CertificateAuthority::new();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(authority.issue(&[HOST]).server()));
    let (near, far) = tokio::io::duplex(1);
    let settings = ClientSettings::for_name(HOST);
    let handshake = authority.connector().upgrade(&settings, near).unwrap();
    let client = async {
        let mut client = handshake.await.unwrap();
        // The server can only send its tickets while the client reads.
        client.read_u8().await.unwrap()
    };
    let server = async {
        let mut server = acceptor.accept(far).await.unwrap();
        server.write_u8(42).await.unwrap();
        server.flush().await.unwrap();
    };
    assert_eq!(
        within_timeout(async { tokio::join!(client, server) })
            .await
            .0,
        42
    );
}

/// Returns a server with only these cipher suites and groups.
fn server_with_suites(leaf: &Leaf, suites: &[CipherSuite], groups: &[NamedGroup]) -> ServerConfig {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suites.contains(&suite.suite()));
    provider
        .kx_groups
        .retain(|group| groups.contains(&group.name()));
    ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS12, &TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(leaf.chain.clone(), leaf.key_der())
        .unwrap()
}

#[tokio::test]
async fn only_the_selected_cipher_suites_are_offered() {
    const AES256: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;
    const CHACHA: CipherSuite = CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
    let authority = CertificateAuthority::new();
    let leaf = authority.issue(&[HOST]);
    let settings = ClientSettings {
        ciphers: vec![u16::from(CHACHA), 0x0005],
        max_version: Some(Version::Tls12),
        ..ClientSettings::for_name(HOST)
    };
    let server = |suites: &[CipherSuite]| server_with_suites(&leaf, suites, &[NamedGroup::X25519]);

    let both = server(&[AES256, CHACHA]);
    let (client, _) = run_handshake(&authority.connector(), &settings, both, 1 << 16).await;
    assert_eq!(
        client.unwrap().info().cipher,
        "ECDHE-ECDSA-CHACHA20-POLY1305"
    );
    match handshake_error(&authority.connector(), &settings, server(&[AES256])).await {
        TlsError::Alert(name) => assert_eq!(name, "handshake_failure"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_the_selected_groups_are_offered() {
    let authority = CertificateAuthority::new();
    let leaf = authority.issue(&[HOST]);
    let all = [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ];
    for (selected, supported, succeeds) in [
        (NamedGroup::secp384r1, NamedGroup::secp384r1, true),
        (NamedGroup::secp384r1, NamedGroup::secp256r1, false),
        (NamedGroup::X25519MLKEM768, NamedGroup::X25519MLKEM768, true),
        (NamedGroup::X25519MLKEM768, NamedGroup::X25519, false),
    ] {
        let settings = ClientSettings {
            groups: vec![u16::from(selected)],
            ..ClientSettings::for_name(HOST)
        };
        let server = server_with_suites(&leaf, &all, &[supported]);
        let (client, _) = run_handshake(&authority.connector(), &settings, server, 1 << 16).await;
        assert_eq!(
            client.is_ok(),
            succeeds,
            "{selected:?} {supported:?}: {client:?}"
        );
    }
}
