use eryx_tls::{TrustError, TrustStore};

use crate::peer::{Authority, HOST};

#[test]
fn a_certificate_is_taken_as_pem_as_der_and_in_a_bundle() {
    let one = Authority::new();
    let two = Authority::new();
    let bundle = format!(
        "# internal\n{}\r\n# other\n{}trailing words\n",
        one.pem, two.pem
    );
    let crlf = one.pem.replace('\n', "\r\n");
    let marked = format!("\u{feff}{}", one.pem);
    let cases: [(&str, &[u8], usize); 6] = [
        ("PEM", one.pem.as_bytes(), 1),
        ("DER", &one.cert, 1),
        ("PEM with CRLF", crlf.as_bytes(), 1),
        ("PEM with a byte order mark", marked.as_bytes(), 1),
        ("a bundle with text around", bundle.as_bytes(), 2),
        (
            "PEM without a final newline",
            one.pem.trim_end().as_bytes(),
            1,
        ),
    ];
    for (what, bytes, count) in cases {
        let store = TrustStore::empty().with_root_cert(bytes);
        assert_eq!(store.map(|store| store.len()), Ok(count), "{what}");
    }
}

#[test]
fn what_is_not_a_certificate_is_refused_with_what_was_seen() {
    let authority = Authority::new();
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
    for (what, bytes, seen) in cases {
        let error = TrustStore::empty()
            .with_root_cert(bytes)
            .expect_err(what)
            .to_string();
        assert!(error.contains(seen), "{what}: {error}");
    }
}

#[test]
fn a_refused_bundle_leaves_nothing_behind() {
    let store = TrustStore::empty();
    assert_eq!(store.with_root_cert(b""), Err(TrustError::Empty));
    assert!(store.is_empty());
}

#[test]
fn adding_a_root_leaves_the_original_alone() {
    let before = TrustStore::webpki();
    let count = before.len();
    let after = before.with_root_cert(&Authority::new().cert).unwrap();
    assert_eq!(before.len(), count);
    assert_eq!(after.len(), count + 1);
    assert_ne!(before, after);
}

#[test]
fn stores_are_equal_when_they_trust_the_same_whatever_the_order() {
    let (a, b) = (Authority::new(), Authority::new());
    let store = |first: &Authority, second: &Authority| {
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
fn debug_output_tells_stores_apart() {
    let text = format!("{:?}", Authority::new().trust());
    assert!(
        text.contains("added: 1") && text.contains("public_roots: false"),
        "{text}"
    );
}
