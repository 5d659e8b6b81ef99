//! Tests of trust stores.

use eryx_tls::{TrustError, TrustStore};

use crate::peer::{CertificateAuthority, HOST};

#[test]
fn root_certificates_are_accepted_as_pem_der_and_bundle() {
    let first = CertificateAuthority::new();
    let second = CertificateAuthority::new();
    let bundle = format!(
        "# internal\n{}\r\n# other\n{}trailing words\n",
        first.pem, second.pem
    );
    let crlf = first.pem.replace('\n', "\r\n");
    let marked = format!("\u{feff}{}", first.pem);
    let cases: [(&str, &[u8], usize); 6] = [
        ("PEM", first.pem.as_bytes(), 1),
        ("DER", &first.cert, 1),
        ("PEM with CRLF", crlf.as_bytes(), 1),
        ("PEM with a byte order mark", marked.as_bytes(), 1),
        ("a bundle with text around", bundle.as_bytes(), 2),
        (
            "PEM without a final newline",
            first.pem.trim_end().as_bytes(),
            1,
        ),
    ];
    for (case, bytes, count) in cases {
        let store = TrustStore::empty().with_root_cert(bytes);
        assert_eq!(store.map(|store| store.len()), Ok(count), "{case}");
    }
}

#[test]
fn bytes_without_a_certificate_are_rejected_with_their_description() {
    let authority = CertificateAuthority::new();
    let leaf = authority.issue(&[HOST]);
    let key_pem = leaf.key_pem();
    let key_der = leaf.key_der();
    let with_key = format!("{}{}", authority.pem, key_pem);
    let crl = "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n";
    let cut = &authority.pem[..authority.pem.len() / 2];
    let damaged = authority.pem.replacen('M', "!", 3);
    let hollow = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    let not_x509 = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let second_bad = format!("{}{not_x509}", authority.pem);
    let cut_der = &authority.cert[..authority.cert.len() - 1];
    let mut long_der = authority.cert.to_vec();
    long_der.push(0);

    let cases: [(&str, &[u8], &str); 14] = [
        ("nothing", b"", "empty"),
        ("blank lines", b" \n\r\n", "empty"),
        ("text", b"not a certificate", "certificate 1 is not"),
        ("zeroes", &[0; 64], "certificate 1 is not"),
        ("a key in PEM", key_pem.as_bytes(), "private key"),
        ("a key in DER", key_der.secret_der(), "private key"),
        ("a bundle with a key", with_key.as_bytes(), "private key"),
        ("a CRL", crl.as_bytes(), "only X509 CRL"),
        ("half a PEM", cut.as_bytes(), "no -----END line"),
        ("damaged base64", damaged.as_bytes(), "not base64"),
        (
            "an empty section",
            hollow.as_bytes(),
            "certificate 1 is not",
        ),
        (
            "a good one, then a bad one",
            second_bad.as_bytes(),
            "certificate 2 is not",
        ),
        ("DER without its last byte", cut_der, "certificate 1 is not"),
        (
            "DER with a byte too many",
            &long_der,
            "certificate 1 is not",
        ),
    ];
    for (case, bytes, description) in cases {
        let error = TrustStore::empty()
            .with_root_cert(bytes)
            .expect_err(case)
            .to_string();
        assert!(error.contains(description), "{case}: {error}");
    }
}

#[test]
fn a_rejected_bundle_adds_no_root() {
    let store = TrustStore::empty();
    assert_eq!(store.with_root_cert(b""), Err(TrustError::Empty));
    assert!(store.is_empty());
}

#[test]
fn adding_a_root_does_not_change_the_original_store() {
    let before = TrustStore::webpki();
    let count = before.len();
    let after = before
        .with_root_cert(&CertificateAuthority::new().cert)
        .unwrap();
    assert_eq!(before.len(), count);
    assert_eq!(after.len(), count + 1);
    assert_ne!(before, after);
}

#[test]
fn stores_with_the_same_roots_are_equal_in_any_order() {
    let (a, b) = (CertificateAuthority::new(), CertificateAuthority::new());
    let store = |first: &CertificateAuthority, second: &CertificateAuthority| {
        let store = TrustStore::empty().with_root_cert(&first.cert).unwrap();
        store.with_root_cert(second.pem.as_bytes()).unwrap()
    };
    assert_eq!(store(&a, &b), store(&b, &a));
    assert_eq!(store(&a, &a), a.trust());
    assert_ne!(a.trust(), b.trust());
    assert_ne!(TrustStore::webpki(), TrustStore::empty());
    assert_eq!(TrustStore::default(), TrustStore::webpki());
}

#[test]
fn debug_output_of_a_store_shows_the_number_of_extra_roots() {
    let text = format!("{:?}", CertificateAuthority::new().trust());
    assert!(
        text.contains("extra_roots: 1") && text.contains("public_roots: false"),
        "{text}"
    );
}
