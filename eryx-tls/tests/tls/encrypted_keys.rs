//! `tests/keys` holds one key for these tests alone, as `openssl pkcs8 -topk8 -passout pass:secret` encrypts it.

use eryx_tls::{KeyError, decrypt_key, limits};
use rustls::pki_types::pem::{PemObject, SectionKind};

/// The one section of a PEM file.
fn der(pem: &str) -> Vec<u8> {
    let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes());
    sections.next().unwrap().unwrap().1
}

fn plain() -> Vec<u8> {
    der(include_str!("../keys/plain.pem"))
}

/// A file of `openssl`'s whose label is not one that rustls knows.
fn encrypted(pem: &str) -> Vec<u8> {
    der(&pem.replace("ENCRYPTED PRIVATE KEY", "PRIVATE KEY"))
}

#[test]
fn what_openssl_encrypted_is_read_with_the_password_alone() {
    for pem in [
        include_str!("../keys/aes-128-sha1.pem"),
        include_str!("../keys/aes-192-sha512.pem"),
        include_str!("../keys/aes-256-sha256.pem"),
    ] {
        let encrypted = encrypted(pem);
        assert_eq!(decrypt_key(&encrypted, b"secret"), Ok(plain()));
        for wrong in [b"Secret".as_slice(), b""] {
            assert_eq!(decrypt_key(&encrypted, wrong), Err(KeyError::Unreadable));
        }
    }
}

#[test]
fn other_schemes_are_refused_with_what_to_use() {
    for pem in [
        include_str!("../keys/des3.pem"),
        include_str!("../keys/scrypt.pem"),
    ] {
        let refused = decrypt_key(&encrypted(pem), b"secret").unwrap_err();
        assert_eq!(refused, KeyError::UnknownScheme);
        assert!(refused.to_string().contains("use PBES2 and AES"));
    }
}

#[test]
fn more_rounds_than_the_limit_are_refused_before_one_is_done() {
    let mut many = encrypted(include_str!("../keys/1000001-rounds.pem"));
    assert_eq!(
        decrypt_key(&many, b"secret"),
        Err(KeyError::TooManyRounds(1_000_001))
    );
    // As many as there is room for: doing them would take hours.
    let rounds = [0x02, 0x03, 0x0f, 0x42, 0x41];
    let at = many.windows(5).position(|found| found == rounds).unwrap();
    many[at + 2..at + 5].copy_from_slice(&[0x7f, 0xff, 0xff]);
    assert_eq!(
        decrypt_key(&many, b"secret"),
        Err(KeyError::TooManyRounds(0x7f_ffff))
    );
}

#[test]
fn what_is_no_encrypted_key_is_unreadable() {
    let whole = encrypted(include_str!("../keys/aes-256-sha256.pem"));
    for len in 0..whole.len() {
        assert_eq!(
            decrypt_key(&whole[..len], b"secret"),
            Err(KeyError::Unreadable)
        );
    }
    assert_eq!(decrypt_key(&plain(), b"secret"), Err(KeyError::Unreadable));
    let long = vec![0x30; limits::KEY_SIZE + 1];
    assert_eq!(decrypt_key(&long, b"secret"), Err(KeyError::Unreadable));
    let password = vec![b'x'; limits::PASSWORD + 1];
    assert_eq!(decrypt_key(&whole, &password), Err(KeyError::Unreadable));
}
