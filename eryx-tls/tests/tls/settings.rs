//! Tests of the validation of settings.

use std::sync::Arc;

use eryx_tls::{ClientSettings, Connector, Identity, TlsError, TrustStore, Version, limits};

use crate::peer::{CertificateAuthority, HOST};

fn rejection(settings: &ClientSettings) -> String {
    let connector = Connector::new(TrustStore::empty(), true);
    match connector.prepare(settings) {
        Err(TlsError::Refused(message)) => message,
        other => panic!("{settings:?}: {other:?}"),
    }
}

fn named() -> ClientSettings {
    ClientSettings::for_name(HOST)
}

#[test]
fn settings_at_their_limits_are_accepted() {
    let authority = CertificateAuthority::new();
    let settings = ClientSettings {
        alpn: vec![vec![b'a'; 255]; limits::MAX_ALPN_PROTOCOLS],
        roots: vec![authority.cert.to_vec(); limits::MAX_ROOTS].into(),
        identity: Some(authority.issue(&["client.example"]).identity().into()),
        min_version: Some(Version::Tls13),
        max_version: Some(Version::Tls13),
        ..named()
    };
    let connector = Connector::new(TrustStore::empty(), true);
    assert!(connector.prepare(&settings).is_ok());
}

#[test]
fn settings_over_a_limit_are_rejected_with_its_name() {
    let identity = |count: usize, size: usize, key: usize| {
        Some(Arc::new(Identity {
            chain: vec![vec![0; size]; count],
            key: vec![0; key],
        }))
    };
    let cases = [
        (
            ClientSettings::for_name("a".repeat(limits::MAX_SERVER_NAME + 1)),
            "server name",
        ),
        (
            ClientSettings {
                alpn: vec![b"x".to_vec(); limits::MAX_ALPN_PROTOCOLS + 1],
                ..named()
            },
            "number of ALPN protocols",
        ),
        (
            ClientSettings {
                ciphers: vec![0x1301; limits::MAX_CIPHERS + 1],
                ..named()
            },
            "number of cipher suites",
        ),
        (
            ClientSettings {
                groups: vec![29; limits::MAX_GROUPS + 1],
                ..named()
            },
            "number of groups",
        ),
        (
            ClientSettings {
                revocation_lists: vec![Vec::new(); limits::MAX_REVOCATION_LISTS + 1].into(),
                ..named()
            },
            "number of revocation lists",
        ),
        (
            ClientSettings {
                revocation_lists: vec![vec![0; limits::MAX_REVOCATION_LISTS_SIZE + 1]].into(),
                ..named()
            },
            "size of the revocation lists",
        ),
        (
            ClientSettings {
                alpn: vec![vec![b'x'; 256]],
                ..named()
            },
            "length of an ALPN protocol",
        ),
        (
            ClientSettings {
                alpn: vec![Vec::new()],
                ..named()
            },
            "ALPN protocol is empty",
        ),
        (
            ClientSettings {
                roots: vec![Vec::new(); limits::MAX_ROOTS + 1].into(),
                ..named()
            },
            "number of roots",
        ),
        (
            ClientSettings {
                roots: vec![vec![0; limits::MAX_ROOTS_SIZE + 1]].into(),
                ..named()
            },
            "size of the roots",
        ),
        (
            ClientSettings {
                identity: identity(limits::MAX_CHAIN + 1, 1, 1),
                ..named()
            },
            "certificates in the client's chain",
        ),
        (
            ClientSettings {
                identity: identity(1, limits::MAX_CHAIN_SIZE + 1, 1),
                ..named()
            },
            "size of the client's chain",
        ),
        (
            ClientSettings {
                identity: identity(1, 1, limits::MAX_KEY_SIZE + 1),
                ..named()
            },
            "client's key",
        ),
    ];
    for (settings, words) in cases {
        let message = rejection(&settings);
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn contradictory_settings_are_rejected_with_the_reason() {
    let authority = CertificateAuthority::new();
    let (first, second) = (
        authority.issue(&["a.example"]),
        authority.issue(&["b.example"]),
    );
    let with_identity = |identity: Identity| ClientSettings {
        identity: Some(identity.into()),
        ..named()
    };
    let cases = [
        (
            ClientSettings {
                min_version: Some(Version::Tls13),
                max_version: Some(Version::Tls12),
                ..named()
            },
            "the minimum is TLSv1.3, the maximum TLSv1.2",
        ),
        (
            with_identity(Identity {
                chain: Vec::new(),
                key: vec![1],
            }),
            "no certificate",
        ),
        (
            with_identity(Identity {
                chain: first.identity().chain.clone(),
                key: b"garbage".to_vec(),
            }),
            "not a key in DER",
        ),
        (
            with_identity(Identity {
                chain: first.identity().chain.clone(),
                key: second.identity().key.clone(),
            }),
            "does not belong to the client certificate",
        ),
        (
            with_identity(Identity {
                chain: vec![b"garbage".to_vec()],
                key: first.identity().key.clone(),
            }),
            "the client's certificate and key cannot be used",
        ),
        (
            ClientSettings {
                roots: vec![authority.cert.to_vec(), b"garbage".to_vec()].into(),
                ..named()
            },
            "certificate 2 is not",
        ),
    ];
    for (settings, words) in cases {
        let message = rejection(&settings);
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_server_name_that_cannot_be_verified_is_rejected() {
    for name in [
        "",
        ".",
        "a..b",
        "exa mple.com",
        "bücher.example",
        "a\0b",
        "-x-.example-",
        "host:443",
        "[::1]",
        "fe80::1%eth0",
        "*.example.com",
        "1.2.3",
        "a..",
    ] {
        let message = rejection(&ClientSettings::for_name(name));
        assert!(
            message.contains("is not a server name"),
            "{name:?}: {message}"
        );
    }
}

#[test]
fn debug_output_of_settings_contains_no_key() {
    let identity = CertificateAuthority::new()
        .issue(&["client.example"])
        .identity();
    let settings = ClientSettings {
        identity: Some(identity.clone().into()),
        ..named()
    };
    let shown = format!("{settings:?}");
    assert!(shown.contains("certificates: 1"), "{shown}");
    assert!(
        !shown.contains(&format!("{}", identity.key[0])) || !shown.contains("key"),
        "{shown}"
    );
}

#[test]
fn a_selection_that_leaves_no_suite_or_group_is_rejected() {
    let no_cipher = ClientSettings {
        ciphers: vec![0x0005],
        ..named()
    };
    assert!(rejection(&no_cipher).contains("no cipher suite"));
    let none_of_the_version = ClientSettings {
        ciphers: vec![0x1301],
        max_version: Some(Version::Tls12),
        ..named()
    };
    assert!(rejection(&none_of_the_version).contains("no cipher suite"));
    let no_group = ClientSettings {
        groups: vec![25],
        ..named()
    };
    assert!(rejection(&no_group).contains("no key exchange"));
}
