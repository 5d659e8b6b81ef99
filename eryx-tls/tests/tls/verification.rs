use eryx_tls::{ClientSettings, Connector, Revocation, TlsError, TrustStore};
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, SerialNumber, date_time_ymd};
use rustls::ServerConfig;

use crate::peer::{Authority, HOST, Leaf, failure, meet};

fn certificate(error: TlsError) -> (u32, String) {
    match error {
        TlsError::Certificate { code, message } => (code, message),
        other => panic!("not about the certificate: {other:?}"),
    }
}

#[tokio::test]
async fn a_bad_certificate_is_refused_with_the_number_and_words_of_openssl() {
    let authority = Authority::new();
    let stranger = Authority::new();
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
        let error = failure(&authority.connector(), &settings, leaf.server()).await;
        assert_eq!(certificate(error), (code, message.to_owned()));
    }
}

#[tokio::test]
async fn the_server_is_told_why_its_certificate_was_refused() {
    let authority = Authority::new();
    let server = Authority::new().issue(&[HOST]).server();
    let settings = ClientSettings::for_name(HOST);
    let (_, server) = meet(&authority.connector(), &settings, server, 1 << 16).await;
    let error = server.expect_err("the client hung up").to_string();
    assert!(error.contains("UnknownCA"), "{error}");
}

#[tokio::test]
async fn an_address_is_verified_against_the_addresses_in_the_certificate() {
    let authority = Authority::new();
    let connector = authority.connector();
    for (name, names) in [
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
        ("SERVER.example.", [HOST]),
        ("a.wild.example", ["*.wild.example"]),
    ] {
        let server = authority.issue(&names).server();
        let settings = ClientSettings::for_name(name);
        let (client, _) = meet(&connector, &settings, server, 1 << 16).await;
        assert!(client.is_ok(), "{name}: {client:?}");
    }
    let settings = ClientSettings::for_name("127.0.0.2");
    let server = authority.issue(&["127.0.0.1"]).server();
    assert_eq!(
        certificate(failure(&connector, &settings, server).await),
        (
            64,
            "IP address mismatch, certificate is not valid for '127.0.0.2'.".to_owned()
        )
    );
}

#[tokio::test]
async fn a_certificate_given_as_root_vouches_for_the_server_that_presents_it() {
    let settings = ClientSettings::for_name(HOST);
    for is_ca in [
        IsCa::NoCa,
        IsCa::ExplicitNoCa,
        IsCa::Ca(BasicConstraints::Unconstrained),
    ] {
        let leaf = Leaf::self_signed(&[HOST], |params| params.is_ca = is_ca);
        let trust = TrustStore::empty().with_root_cert(&leaf.chain[0]).unwrap();
        let connector = Connector::new(trust, false);
        let (client, _) = meet(&connector, &settings, leaf.server(), 1 << 16).await;
        assert!(client.is_ok(), "{is_ca:?}: {client:?}");

        let other = ClientSettings::for_name("other.example");
        let error = failure(&connector, &other, leaf.server()).await;
        assert_eq!(certificate(error).0, 62, "{is_ca:?}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_refused_even_when_it_is_a_root() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let leaf = Leaf::self_signed(&[HOST], |params| {
            params.is_ca = is_ca;
            params.not_after = date_time_ymd(2002, 1, 1);
        });
        let trust = TrustStore::empty().with_root_cert(&leaf.chain[0]).unwrap();
        let connector = Connector::new(trust, false);
        let error = failure(&connector, &ClientSettings::for_name(HOST), leaf.server()).await;
        assert_eq!(certificate(error).0, 10);
    }
}

#[tokio::test]
async fn an_empty_store_trusts_nobody() {
    let authority = Authority::new();
    let connector = Connector::new(TrustStore::empty(), false);
    let server = authority.issue(&[HOST]).server();
    let error = failure(&connector, &ClientSettings::for_name(HOST), server).await;
    assert_eq!(certificate(error).0, 20);
}

/// Settings with verification turned off in part or whole, and roots of the guest's.
fn lax(verify_peer: bool, check_hostname: bool, roots: &[&Authority]) -> ClientSettings {
    ClientSettings {
        verify_peer,
        check_hostname,
        roots: roots.iter().map(|root| root.cert.to_vec()).collect(),
        ..ClientSettings::for_name(HOST)
    }
}

#[test]
fn turning_verification_off_is_refused_with_the_switch_that_would_permit_it() {
    let connector = Authority::new().connector();
    let unnamed = ClientSettings {
        server_name: None,
        ..lax(true, false, &[])
    };
    for settings in [lax(false, true, &[]), lax(false, false, &[]), unnamed] {
        match connector.prepare(&settings) {
            Err(TlsError::Refused(sentence)) => {
                assert!(sentence.contains("allow_unverified_tls"), "{sentence}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_name_is_compared_though_the_settings_leave_that_to_the_program() {
    let authority = Authority::new();
    let connector = authority.connector();
    let settings = lax(true, false, &[]);
    let server = authority.issue(&["x.example"]).server();
    let error = failure(&connector, &settings, server).await;
    assert_eq!(certificate(error).0, 62);
    let server = authority.issue(&[HOST]).server();
    let (client, _) = meet(&connector, &settings, server, 1 << 16).await;
    assert!(client.is_ok(), "{client:?}");
}

#[tokio::test]
async fn roots_of_the_guest_never_widen_the_hosts_trust() {
    let host = Authority::new();
    let guest = Authority::new();
    let settings = lax(true, true, &[&guest]);
    let error = failure(&host.connector(), &settings, guest.issue(&[HOST]).server()).await;
    assert_eq!(certificate(error).0, 20);
    let server = host.issue(&[HOST]).server();
    let (client, _) = meet(&host.connector(), &settings, server, 1 << 16).await;
    assert!(client.is_ok(), "nor do they narrow it: {client:?}");
}

#[tokio::test]
async fn with_the_switch_the_settings_decide_faithfully() {
    let host = Authority::new();
    let guest = Authority::new();
    let connector = Connector::new(host.trust(), true);
    let by_host = |name: &str| host.issue(&[name]).server();
    let by_guest = |name: &str| guest.issue(&[name]).server();
    let cases: [(&str, ClientSettings, ServerConfig, Option<u32>); 10] = [
        ("verified", lax(true, true, &[]), by_host(HOST), None),
        (
            "wrong name",
            lax(true, true, &[]),
            by_host("x.example"),
            Some(62),
        ),
        (
            "name ignored",
            lax(true, false, &[]),
            by_host("x.example"),
            None,
        ),
        (
            "chain still verified",
            lax(true, false, &[]),
            by_guest(HOST),
            Some(20),
        ),
        (
            "nothing verified",
            lax(false, false, &[]),
            by_guest("x.example"),
            None,
        ),
        (
            "nothing verified, named",
            lax(false, true, &[]),
            by_guest("x.example"),
            None,
        ),
        (
            "nothing verified, whatever the roots",
            ClientSettings {
                roots: vec![b"garbage".to_vec()].into(),
                ..lax(false, false, &[])
            },
            by_guest("x.example"),
            None,
        ),
        (
            "guest's root",
            lax(true, true, &[&guest]),
            by_guest(HOST),
            None,
        ),
        (
            "guest's root, wrong name",
            lax(true, true, &[&guest]),
            by_guest("x.example"),
            Some(62),
        ),
        (
            "guest's root alone",
            lax(true, true, &[&guest]),
            by_host(HOST),
            Some(20),
        ),
    ];
    for (what, settings, server, code) in cases {
        let (client, _) = meet(&connector, &settings, server, 1 << 16).await;
        assert_eq!(
            client.err().map(|error| certificate(error).0),
            code,
            "{what}"
        );
    }
}

#[tokio::test]
async fn an_unnamed_peer_is_possible_only_without_its_name_being_checked() {
    let authority = Authority::new();
    let connector = Connector::new(authority.trust(), true);
    let mut settings = lax(true, true, &[]);
    settings.server_name = None;
    match connector.prepare(&settings) {
        Err(TlsError::Refused(sentence)) => assert!(sentence.contains("server_hostname")),
        other => panic!("{other:?}"),
    }
    settings.check_hostname = false;
    let server = authority.issue(&["x.example"]).server();
    let (client, server) = meet(&connector, &settings, server, 1 << 16).await;
    assert!(client.is_ok(), "{client:?}");
    assert_eq!(server.unwrap().get_ref().1.server_name(), None);
}

#[tokio::test]
async fn a_server_must_hold_its_certificates_key_even_when_nothing_is_verified() {
    let authority = Authority::new();
    let mut leaf = authority.issue(&[HOST]);
    leaf.chain = authority.issue(&[HOST]).chain;
    let config = {
        // rustls' builder would notice the mismatch; a resolver is not asked.
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&leaf.key_der()).unwrap();
        let pair = rustls::sign::CertifiedKey::new(leaf.chain.clone(), key);
        let mut config = leaf_config();
        config.cert_resolver = std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(pair));
        config
    };
    let connector = Connector::new(authority.trust(), true);
    let error = failure(&connector, &lax(false, false, &[]), config).await;
    assert_eq!(
        certificate(error),
        (7, "certificate signature failure".into())
    );
}

fn leaf_config() -> ServerConfig {
    Authority::new().issue(&[HOST]).server()
}

#[tokio::test]
async fn a_strict_chain_is_asked_for_where_the_settings_bring_the_roots() {
    let authority = Authority::new();
    let connector = Connector::new(TrustStore::empty(), true);
    let strict = ClientSettings {
        strict: true,
        ..lax(true, true, &[&authority])
    };
    let identified = authority.issue_with(&[HOST], |params| {
        params.use_authority_key_identifier_extension = true;
    });
    let (client, _) = meet(&connector, &strict, identified.server(), 1 << 16).await;
    assert!(client.is_ok(), "{client:?}");

    let unidentified = authority.issue(&[HOST]);
    let error = failure(&connector, &strict, unidentified.server()).await;
    assert_eq!(
        certificate(error),
        (85, "Missing Authority Key Identifier".to_owned())
    );
    // Roots of the host's need not be as strict.
    let (client, _) = meet(
        &authority.connector(),
        &strict,
        unidentified.server(),
        1 << 16,
    )
    .await;
    assert!(client.is_ok(), "{client:?}");
}

#[tokio::test]
async fn a_strict_chain_ends_in_a_strict_root() {
    let loose = Authority::without_key_usage();
    let leaf = loose.issue_with(&[HOST], |params| {
        params.use_authority_key_identifier_extension = true;
    });
    let connector = Connector::new(TrustStore::empty(), true);
    let strict = ClientSettings {
        strict: true,
        ..lax(true, true, &[&loose])
    };
    let error = failure(&connector, &strict, leaf.server()).await;
    assert_eq!(
        certificate(error),
        (
            92,
            "CA cert does not include key usage extension".to_owned()
        )
    );
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_whoever_decides_on_trust() {
    let authority = Authority::new();
    let good = authority.issue_with(&[HOST], |params| {
        params.serial_number = Some(SerialNumber::from(1));
    });
    let revoked = authority.issue_with(&[HOST], |params| {
        params.serial_number = Some(SerialNumber::from(2));
    });
    let looked_up = |lists: Vec<Vec<u8>>| ClientSettings {
        revocation: Some(Revocation::Leaf),
        revocation_lists: lists.into(),
        ..ClientSettings::for_name(HOST)
    };
    let connector = authority.connector();
    let current = authority.revocation_list(&[2], 2900);
    let settings = looked_up(vec![current.clone()]);

    let (client, _) = meet(&connector, &settings, good.server(), 1 << 16).await;
    assert!(client.is_ok(), "{client:?}");
    let error = failure(&connector, &settings, revoked.server()).await;
    assert_eq!(certificate(error), (23, "certificate revoked".to_owned()));

    let expired = authority.revocation_list(&[], 2001);
    let foreign = Authority::new().revocation_list(&[], 2900);
    for (lists, code) in [
        (vec![], 3),
        (vec![foreign], 3),
        (vec![b"no list".to_vec()], 3),
        (vec![expired], 12),
    ] {
        let error = failure(&connector, &looked_up(lists), good.server()).await;
        assert_eq!(certificate(error).0, code);
    }
    // Without being asked to, nobody looks.
    let unasked = ClientSettings {
        revocation: None,
        ..looked_up(vec![current])
    };
    let (client, _) = meet(&connector, &unasked, revoked.server(), 1 << 16).await;
    assert!(client.is_ok(), "{client:?}");
}
