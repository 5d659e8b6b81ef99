//! Tests of session resumption.

use std::future::poll_fn;
use std::sync::Arc;

use eryx_tls::{ClientSettings, Connector};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncWriteExt;

use crate::peer::{CertificateAuthority, HOST, run_handshake, within_timeout};

/// Connects once, and receives the tickets. Returns whether the connection resumed a session, and
/// the peer's chain.
async fn connect(
    connector: &Connector,
    settings: &ClientSettings,
    server: &Arc<ServerConfig>,
) -> (bool, Vec<Vec<u8>>) {
    let (client, server) = run_handshake(connector, settings, Arc::clone(server), 1 << 16).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    server.write_all(b"x").await.unwrap();
    server.flush().await.unwrap();
    let read = within_timeout(poll_fn(|cx| client.poll_read(cx, &mut [0; 8]))).await;
    assert_eq!(read.unwrap(), 1);
    (client.info().resumed, client.info().peer_chain.clone())
}

#[tokio::test]
async fn equal_settings_resume_each_others_sessions_with_the_peer_chain() {
    let authority = CertificateAuthority::new();
    for version in [&TLS12, &TLS13] {
        let server = Arc::new(authority.issue(&[HOST]).server_with(&[version]));
        let connector = authority.connector();
        let settings = ClientSettings::for_name(HOST);
        let (resumed, first) = connect(&connector, &settings, &server).await;
        assert!(!resumed);
        let (resumed, second) = connect(&connector.clone(), &settings.clone(), &server).await;
        assert!(resumed);
        assert_eq!(first, second);
    }
}

#[tokio::test]
async fn roots_without_effect_do_not_prevent_resumption() {
    let authority = CertificateAuthority::new();
    let server = Arc::new(authority.issue(&[HOST]).server());
    let connector = authority.connector();
    let settings = ClientSettings::for_name(HOST);
    connect(&connector, &settings, &server).await;
    let settings = ClientSettings {
        roots: vec![b"ignored".to_vec()].into(),
        ..settings
    };
    assert!(connect(&connector, &settings, &server).await.0);
}

#[tokio::test]
async fn a_session_is_never_resumed_with_other_settings() {
    let authority = CertificateAuthority::new();
    let server = Arc::new(authority.issue(&[HOST, "second.example"]).server());
    let connector = Connector::new(authority.trust(), true);
    let plain = ClientSettings::for_name(HOST);
    let unverified = ClientSettings {
        verify_peer: false,
        ..plain.clone()
    };
    let unchecked = ClientSettings {
        check_hostname: false,
        ..plain.clone()
    };
    let identified = ClientSettings {
        identity: Some(authority.issue(&["client.example"]).identity().into()),
        ..plain.clone()
    };
    let rooted = ClientSettings {
        roots: vec![authority.cert.to_vec()].into(),
        ..plain.clone()
    };
    let elsewhere = ClientSettings::for_name("second.example");
    for settings in [
        &unverified,
        &unchecked,
        &identified,
        &rooted,
        &plain,
        &elsewhere,
    ] {
        let (resumed, _) = connect(&connector, settings, &server).await;
        assert!(!resumed, "{settings:?}");
    }
    assert!(connect(&connector, &plain, &server).await.0);
}

#[tokio::test]
async fn handshakes_without_a_server_name_never_resume() {
    let authority = CertificateAuthority::new();
    let server = Arc::new(authority.issue(&[HOST]).server());
    let connector = Connector::new(authority.trust(), true);
    let settings = ClientSettings {
        server_name: None,
        check_hostname: false,
        ..ClientSettings::default()
    };
    for _ in 0..2 {
        assert!(!connect(&connector, &settings, &server).await.0);
    }
}
