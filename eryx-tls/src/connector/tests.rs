//! Tests of the caches: what scopes share, and the bounds.

use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::PrivateKeyDer;

use crate::config_cache::{Config, SHARED_CONFIGS};
use crate::connector::Connector;
use crate::crl::Revocation;
use crate::digest::SettingsDigest;
use crate::session_cache::{MAX_TICKETS, SessionCache};
use crate::settings::{ClientSettings, Identity};
use crate::trust::TrustStore;

fn config(connector: &Connector, settings: &ClientSettings) -> Arc<Config> {
    let effective = connector.shared.builder.effective_settings(settings);
    let effective = effective.expect("valid settings");
    let config = connector.config(&effective, SettingsDigest::new(&effective));
    Arc::clone(config.expect("valid settings").shared())
}

fn with_alpn(protocol: usize) -> ClientSettings {
    ClientSettings {
        alpn: vec![protocol.to_string().into_bytes()],
        ..ClientSettings::for_name("a.example")
    }
}

fn with_revocation_list(list: Vec<u8>) -> ClientSettings {
    ClientSettings {
        revocation: Some(Revocation::Leaf),
        revocation_lists: vec![list].into(),
        ..ClientSettings::for_name("a.example")
    }
}

#[test]
fn equal_settings_share_one_configuration_for_all_server_names() {
    let connector = Connector::new(TrustStore::webpki(), false);
    let first = config(&connector, &ClientSettings::for_name("a.example"));
    let second = config(&connector.clone(), &ClientSettings::for_name("b.example"));
    assert!(Arc::ptr_eq(&first, &second));
    assert!(!Arc::ptr_eq(&first, &config(&connector, &with_alpn(0))));
}

#[test]
fn the_shared_cache_evicts_the_least_recently_used_configuration() {
    let connector = Connector::new(TrustStore::empty(), false);
    let cached = config(&connector, &with_alpn(0));
    for protocol in 1..SHARED_CONFIGS * 3 {
        config(&connector, &with_alpn(protocol));
        assert!(Arc::ptr_eq(&cached, &config(&connector, &with_alpn(0))));
    }
    assert_eq!(connector.shared.configs.len(), SHARED_CONFIGS);
}

#[test]
fn the_shared_cache_is_bounded_in_bytes_and_holds_no_private_key() {
    let connector = Connector::new(TrustStore::empty(), false);
    let before = connector.shared.configs.size();
    for number in 0..20 {
        // Each configuration has its own scope, so that only the shared cache keeps it.
        let scope = connector.scoped(SessionCache::new());
        config(&scope, &with_revocation_list(vec![number; 100_000]));
        assert!(connector.shared.configs.size() <= 1 << 20);
    }
    assert!(connector.shared.configs.size() > before);

    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["a.example".into()]).expect("a name");
    let identity = Identity {
        chain: vec![params.self_signed(&key).expect("signed").der().to_vec()],
        key: key.serialize_der(),
    };
    let cached = connector.shared.configs.len();
    let settings = ClientSettings {
        identity: Some(identity.into()),
        ..ClientSettings::for_name("a.example")
    };
    let scope = connector.scoped(SessionCache::new());
    let config = Arc::downgrade(&config(&scope, &settings));
    assert_eq!(connector.shared.configs.len(), cached);
    assert!(config.upgrade().is_some(), "the scope keeps it");
    drop(scope);
    assert!(config.upgrade().is_none());
}

#[test]
fn a_scope_holds_a_bounded_number_of_bytes_and_releases_them() {
    let connector = Connector::new(TrustStore::empty(), false);
    let settings = |number| with_revocation_list(vec![number; 1 << 20]);
    let scope = connector.scoped(SessionCache::new());
    let mut sessions = Vec::new();
    let error = (0..100).find_map(|number| match scope.session(&settings(number)) {
        Ok(session) => {
            sessions.push(session);
            None
        }
        Err(error) => Some(error.to_string()),
    });
    let error = error.expect("a limit");
    assert!(error.contains("use one SSLContext"), "{error}");
    assert_eq!(sessions.len(), 5);
    assert!(scope.settings_size() <= 6 << 20);
    // Equal settings count once.
    for _ in 0..20 {
        sessions.push(scope.session(&settings(0)).expect("the same settings"));
    }
    sessions.clear();
    assert!(
        scope.session(&settings(100)).is_ok(),
        "unused settings are evicted"
    );
    drop(scope);
    let other = connector.scoped(SessionCache::new());
    assert_eq!(other.settings_size(), 0);
}

#[test]
fn a_server_that_sends_many_tickets_has_at_most_four_in_the_cache() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["a.example".into()]).expect("a name");
    let cert = params.self_signed(&key).expect("a certificate");
    let trust = TrustStore::empty()
        .with_root_cert(cert.der())
        .expect("a root");
    let connector = Connector::new(trust, false);
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = connector.shared.builder.provider().clone();
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|server| {
            let server = server.with_no_client_auth();
            server.with_single_cert(vec![cert.der().clone()], key)
        })
        .expect("a server");
    server.send_tls13_tickets = 50;
    let mut server = ServerConnection::new(Arc::new(server)).expect("a connection");
    let settings = ClientSettings::for_name("a.example");
    let mut session = connector.session(&settings).expect("a session");
    for _ in 0..3 {
        let mut ciphertext = Vec::new();
        while server.wants_write() {
            server
                .write_tls(&mut ciphertext)
                .expect("a write to memory");
        }
        assert_eq!(session.feed(&ciphertext).ok(), Some(ciphertext.len()));
        let outgoing = session.take(usize::MAX);
        server
            .read_tls(&mut outgoing.as_slice())
            .expect("a read from memory");
        server.process_new_packets().expect("valid TLS");
    }
    assert!(session.handshake().is_ready());
    assert_eq!(connector.sessions().tickets(), MAX_TICKETS);
}

#[test]
fn separate_connectors_share_no_configuration() {
    let first = Connector::new(TrustStore::empty(), false);
    let second = Connector::new(TrustStore::empty(), false);
    let (first, second) = (
        config(&first, &with_alpn(0)),
        config(&second, &with_alpn(0)),
    );
    assert!(!Arc::ptr_eq(&first, &second));
}
