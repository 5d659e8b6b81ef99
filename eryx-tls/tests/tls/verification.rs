//! Tests of the verification of server certificates.

use eryx_tls::{ClientSettings, Connector, Revocation, TlsError, TrustStore};
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, SerialNumber, date_time_ymd};
use rustls::ServerConfig;

use crate::peer::{CertificateAuthority, HOST, Leaf, handshake_error, run_handshake};

fn certificate(error: TlsError) -> (u32, String) {
    match error {
        TlsError::Certificate { code, message } => (code, message),
        other => panic!("not a certificate error: {other:?}"),
    }
}

#[tokio::test]
async fn a_bad_certificate_is_rejected_with_openssls_number_and_message() {
    let authority = CertificateAuthority::new();
    let stranger = CertificateAuthority::new();
    let self_signed = Leaf::self_signed(&[HOST], |_| {});
    let self_signed_ca = Leaf::self_signed(&[HOST], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let mut with_its_root = stranger.issue(&[HOST]);
    with_its_root.chain.push(stranger.cert.clone());

    let cases = [
        (
            authority.issue_with(&[HOST], |params| {
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
            }),
            10,
            "certificate has expired",
        ),
        (
            authority.issue_with(&[HOST], |params| {
                params.not_before = date_time_ymd(2900, 1, 1);
                params.not_after = date_time_ymd(2901, 1, 1);
            }),
            9,
            "certificate is not yet valid",
        ),
        (
            stranger.issue(&[HOST]),
            20,
            "unable to get local issuer certificate",
        ),
        (self_signed, 18, "self-signed certificate"),
        (self_signed_ca, 18, "self-signed certificate"),
        (
            with_its_root,
            19,
            "self-signed certificate in certificate chain",
        ),
        (
            authority.issue(&["other.example"]),
            62,
            "Hostname mismatch, certificate is not valid for 'server.example'.",
        ),
        (
            authority.issue_with(&[HOST], |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            26,
            "unsuitable certificate purpose",
        ),
        (
            authority.issue_with(&[HOST], |params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
            37,
            "invalid non-CA certificate (has CA markings)",
        ),
    ];
    let settings = ClientSettings::for_name(HOST);
    for (leaf, code, message) in cases {
        let error = handshake_error(&authority.connector(), &settings, leaf.server()).await;
        assert_eq!(certificate(error), (code, message.to_owned()));
    }
}

#[tokio::test]
async fn the_server_receives_an_alert_for_its_rejected_certificate() {
    let authority = CertificateAuthority::new();
    let server = CertificateAuthority::new().issue(&[HOST]).server();
    let settings = ClientSettings::for_name(HOST);
    let (_, server) = run_handshake(&authority.connector(), &settings, server, 1 << 16).await;
    let error = server.expect_err("the client disconnected").to_string();
    assert!(error.contains("UnknownCA"), "{error}");
}

#[tokio::test]
async fn names_and_addresses_are_compared_with_the_certificate() {
    let authority = CertificateAuthority::new();
    let connector = authority.connector();
    for (name, names) in [
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
        ("SERVER.example.", [HOST]),
        ("a.wild.example", ["*.wild.example"]),
    ] {
        let server = authority.issue(&names).server();
        let settings = ClientSettings::for_name(name);
        let (client, _) = run_handshake(&connector, &settings, server, 1 << 16).await;
        assert!(client.is_ok(), "{name}: {client:?}");
    }
    let settings = ClientSettings::for_name("127.0.0.2");
    let server = authority.issue(&["127.0.0.1"]).server();
    assert_eq!(
        certificate(handshake_error(&connector, &settings, server).await),
        (
            64,
            "IP address mismatch, certificate is not valid for '127.0.0.2'.".to_owned()
        )
    );
}

#[tokio::test]
async fn a_server_certificate_added_as_root_is_accepted() {
    let settings = ClientSettings::for_name(HOST);
    for is_ca in [
        IsCa::NoCa,
        IsCa::ExplicitNoCa,
        IsCa::Ca(BasicConstraints::Unconstrained),
    ] {
        let leaf = Leaf::self_signed(&[HOST], |params| params.is_ca = is_ca);
        let trust = TrustStore::empty().with_root_cert(&leaf.chain[0]).unwrap();
        let connector = Connector::new(trust, false);
        let (client, _) = run_handshake(&connector, &settings, leaf.server(), 1 << 16).await;
        assert!(client.is_ok(), "{is_ca:?}: {client:?}");

        let other = ClientSettings::for_name("other.example");
        let error = handshake_error(&connector, &other, leaf.server()).await;
        assert_eq!(certificate(error).0, 62, "{is_ca:?}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_rejected_even_as_a_root() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let leaf = Leaf::self_signed(&[HOST], |params| {
            params.is_ca = is_ca;
            params.not_after = date_time_ymd(2002, 1, 1);
        });
        let trust = TrustStore::empty().with_root_cert(&leaf.chain[0]).unwrap();
        let connector = Connector::new(trust, false);
        let error =
            handshake_error(&connector, &ClientSettings::for_name(HOST), leaf.server()).await;
        assert_eq!(certificate(error).0, 10);
    }
}

#[tokio::test]
async fn an_empty_store_trusts_no_certificate() {
    let authority = CertificateAuthority::new();
    let connector = Connector::new(TrustStore::empty(), false);
    let server = authority.issue(&[HOST]).server();
    let error = handshake_error(&connector, &ClientSettings::for_name(HOST), server).await;
    assert_eq!(certificate(error).0, 20);
}

/// Returns settings with these verifications, and with roots of the guest program.
fn settings_with(
    verify_peer: bool,
    check_hostname: bool,
    roots: &[&CertificateAuthority],
) -> ClientSettings {
    ClientSettings {
        verify_peer,
        check_hostname,
        roots: roots.iter().map(|root| root.cert.to_vec()).collect(),
        ..ClientSettings::for_name(HOST)
    }
}

#[test]
fn turning_verification_off_is_rejected_with_the_setting_that_permits_it() {
    let connector = CertificateAuthority::new().connector();
    let unnamed = ClientSettings {
        server_name: None,
        ..settings_with(true, false, &[])
    };
    for settings in [
        settings_with(false, true, &[]),
        settings_with(false, false, &[]),
        unnamed,
    ] {
        match connector.prepare(&settings) {
            Err(TlsError::Refused(message)) => {
                assert!(message.contains("allow_unverified_tls"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_name_is_verified_even_with_check_hostname_off() {
    let authority = CertificateAuthority::new();
    let connector = authority.connector();
    let settings = settings_with(true, false, &[]);
    let server = authority.issue(&["x.example"]).server();
    let error = handshake_error(&connector, &settings, server).await;
    assert_eq!(certificate(error).0, 62);
    let server = authority.issue(&[HOST]).server();
    let (client, _) = run_handshake(&connector, &settings, server, 1 << 16).await;
    assert!(client.is_ok(), "{client:?}");
}

#[tokio::test]
async fn guest_roots_never_extend_the_embedders_trust() {
    let embedder = CertificateAuthority::new();
    let guest = CertificateAuthority::new();
    let settings = settings_with(true, true, &[&guest]);
    let error = handshake_error(
        &embedder.connector(),
        &settings,
        guest.issue(&[HOST]).server(),
    )
    .await;
    assert_eq!(certificate(error).0, 20);
    let server = embedder.issue(&[HOST]).server();
    let (client, _) = run_handshake(&embedder.connector(), &settings, server, 1 << 16).await;
    assert!(client.is_ok(), "they do not restrict it either: {client:?}");
}

#[tokio::test]
async fn with_allow_unverified_the_settings_decide() {
    let embedder = CertificateAuthority::new();
    let guest = CertificateAuthority::new();
    let connector = Connector::new(embedder.trust(), true);
    let by_embedder = |name: &str| embedder.issue(&[name]).server();
    let by_guest = |name: &str| guest.issue(&[name]).server();
    let cases: [(&str, ClientSettings, ServerConfig, Option<u32>); 10] = [
        (
            "verified",
            settings_with(true, true, &[]),
            by_embedder(HOST),
            None,
        ),
        (
            "wrong name",
            settings_with(true, true, &[]),
            by_embedder("x.example"),
            Some(62),
        ),
        (
            "name ignored",
            settings_with(true, false, &[]),
            by_embedder("x.example"),
            None,
        ),
        (
            "chain still verified",
            settings_with(true, false, &[]),
            by_guest(HOST),
            Some(20),
        ),
        (
            "nothing verified",
            settings_with(false, false, &[]),
            by_guest("x.example"),
            None,
        ),
        (
            "nothing verified, named",
            settings_with(false, true, &[]),
            by_guest("x.example"),
            None,
        ),
        (
            "nothing verified, malformed roots",
            ClientSettings {
                roots: vec![b"garbage".to_vec()].into(),
                ..settings_with(false, false, &[])
            },
            by_guest("x.example"),
            None,
        ),
        (
            "guest's root",
            settings_with(true, true, &[&guest]),
            by_guest(HOST),
            None,
        ),
        (
            "guest's root, wrong name",
            settings_with(true, true, &[&guest]),
            by_guest("x.example"),
            Some(62),
        ),
        (
            "only the guest's root",
            settings_with(true, true, &[&guest]),
            by_embedder(HOST),
            Some(20),
        ),
    ];
    for (case, settings, server, code) in cases {
        let (client, _) = run_handshake(&connector, &settings, server, 1 << 16).await;
        assert_eq!(
            client.err().map(|error| certificate(error).0),
            code,
            "{case}"
        );
    }
}

#[tokio::test]
async fn a_missing_server_name_needs_check_hostname_off() {
    let authority = CertificateAuthority::new();
    let connector = Connector::new(authority.trust(), true);
    let mut settings = settings_with(true, true, &[]);
    settings.server_name = None;
    match connector.prepare(&settings) {
        Err(TlsError::Refused(message)) => assert!(message.contains("server_hostname")),
        other => panic!("{other:?}"),
    }
    settings.check_hostname = false;
    let server = authority.issue(&["x.example"]).server();
    let (client, server) = run_handshake(&connector, &settings, server, 1 << 16).await;
    assert!(client.is_ok(), "{client:?}");
    assert_eq!(server.unwrap().get_ref().1.server_name(), None);
}

#[tokio::test]
async fn a_server_must_have_its_certificates_key_even_without_verification() {
    let authority = CertificateAuthority::new();
    let mut leaf = authority.issue(&[HOST]);
    leaf.chain = authority.issue(&[HOST]).chain;
    let config = {
        // rustls's builder would detect the mismatch; a resolver is not checked.
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&leaf.key_der()).unwrap();
        let pair = rustls::sign::CertifiedKey::new(leaf.chain.clone(), key);
        let mut config = leaf_config();
        config.cert_resolver = std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(pair));
        config
    };
    let connector = Connector::new(authority.trust(), true);
    let error = handshake_error(&connector, &settings_with(false, false, &[]), config).await;
    assert_eq!(
        certificate(error),
        (7, "certificate signature failure".into())
    );
}

fn leaf_config() -> ServerConfig {
    CertificateAuthority::new().issue(&[HOST]).server()
}

#[tokio::test]
async fn strict_checks_apply_only_to_roots_of_the_settings() {
    let authority = CertificateAuthority::new();
    let connector = Connector::new(TrustStore::empty(), true);
    let strict = ClientSettings {
        strict: true,
        ..settings_with(true, true, &[&authority])
    };
    let identified = authority.issue_with(&[HOST], |params| {
        params.use_authority_key_identifier_extension = true;
    });
    let (client, _) = run_handshake(&connector, &strict, identified.server(), 1 << 16).await;
    assert!(client.is_ok(), "{client:?}");

    let unidentified = authority.issue(&[HOST]);
    let error = handshake_error(&connector, &strict, unidentified.server()).await;
    assert_eq!(
        certificate(error),
        (85, "Missing Authority Key Identifier".to_owned())
    );
    // The embedder's roots need not be as strict.
    let (client, _) = run_handshake(
        &authority.connector(),
        &strict,
        unidentified.server(),
        1 << 16,
    )
    .await;
    assert!(client.is_ok(), "{client:?}");
}

#[tokio::test]
async fn strict_checks_include_the_root() {
    let loose = CertificateAuthority::without_key_usage();
    let leaf = loose.issue_with(&[HOST], |params| {
        params.use_authority_key_identifier_extension = true;
    });
    let connector = Connector::new(TrustStore::empty(), true);
    let strict = ClientSettings {
        strict: true,
        ..settings_with(true, true, &[&loose])
    };
    let error = handshake_error(&connector, &strict, leaf.server()).await;
    assert_eq!(
        certificate(error),
        (
            92,
            "CA cert does not include key usage extension".to_owned()
        )
    );
}

#[tokio::test]
async fn a_revoked_certificate_is_rejected_with_any_trust_store() {
    let authority = CertificateAuthority::new();
    let good = authority.issue_with(&[HOST], |params| {
        params.serial_number = Some(SerialNumber::from(1));
    });
    let revoked = authority.issue_with(&[HOST], |params| {
        params.serial_number = Some(SerialNumber::from(2));
    });
    let with_lists = |lists: Vec<Vec<u8>>| ClientSettings {
        revocation: Some(Revocation::Leaf),
        revocation_lists: lists.into(),
        ..ClientSettings::for_name(HOST)
    };
    let connector = authority.connector();
    let current = authority.revocation_list(&[2], 2900);
    let settings = with_lists(vec![current.clone()]);

    let (client, _) = run_handshake(&connector, &settings, good.server(), 1 << 16).await;
    assert!(client.is_ok(), "{client:?}");
    let error = handshake_error(&connector, &settings, revoked.server()).await;
    assert_eq!(certificate(error), (23, "certificate revoked".to_owned()));

    let expired = authority.revocation_list(&[], 2001);
    let foreign = CertificateAuthority::new().revocation_list(&[], 2900);
    for (lists, code) in [
        (vec![], 3),
        (vec![foreign], 3),
        (vec![b"no list".to_vec()], 3),
        (vec![expired], 12),
    ] {
        let error = handshake_error(&connector, &with_lists(lists), good.server()).await;
        assert_eq!(certificate(error).0, code);
    }
    // Without revocation in the settings the lists are ignored.
    let unchecked = ClientSettings {
        revocation: None,
        ..with_lists(vec![current])
    };
    let (client, _) = run_handshake(&connector, &unchecked, revoked.server(), 1 << 16).await;
    assert!(client.is_ok(), "{client:?}");
}
