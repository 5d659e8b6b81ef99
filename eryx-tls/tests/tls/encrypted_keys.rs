//! Tests of encrypted keys. `tests/keys` has one key, encrypted by
//! `openssl pkcs8 -topk8 -passout pass:secret` with several schemes.

use eryx_tls::{KeyError, decrypt_key, limits};
use rustls::pki_types::pem::{PemObject, SectionKind};

/// Returns the DER of the only section in a PEM file.
fn der(pem: &str) -> Vec<u8> {
    let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes());
    sections.next().unwrap().unwrap().1
}

fn plain() -> Vec<u8> {
    der(include_str!("../keys/plain.pem"))
}

/// Returns the DER of a file whose label rustls does not recognise.
fn encrypted(pem: &str) -> Vec<u8> {
    der(&pem.replace("ENCRYPTED PRIVATE KEY", "PRIVATE KEY"))
}

#[test]
fn keys_encrypted_by_openssl_are_decrypted_only_with_the_password() {
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
fn unsupported_schemes_are_rejected_with_the_supported_one() {
    for pem in [
        include_str!("../keys/des3.pem"),
        include_str!("../keys/scrypt.pem"),
    ] {
        let error = decrypt_key(&encrypted(pem), b"secret").unwrap_err();
        assert_eq!(error, KeyError::UnknownScheme);
        assert!(error.to_string().contains("use PBES2 and AES"));
    }
}

#[test]
fn keys_over_the_limit_of_rounds_are_rejected_before_any_round() {
    let mut many = encrypted(include_str!("../keys/1000001-rounds.pem"));
    assert_eq!(
        decrypt_key(&many, b"secret"),
        Err(KeyError::TooManyRounds(1_000_001))
    );
    // The highest number that fits: so many rounds would take hours.
    let rounds = [0x02, 0x03, 0x0f, 0x42, 0x41];
    let at = many.windows(5).position(|bytes| bytes == rounds).unwrap();
    many[at + 2..at + 5].copy_from_slice(&[0x7f, 0xff, 0xff]);
    assert_eq!(
        decrypt_key(&many, b"secret"),
        Err(KeyError::TooManyRounds(0x7f_ffff))
    );
}

#[test]
fn bytes_that_are_not_an_encrypted_key_are_unreadable() {
    let whole = encrypted(include_str!("../keys/aes-256-sha256.pem"));
    for len in 0..whole.len() {
        assert_eq!(
            decrypt_key(&whole[..len], b"secret"),
            Err(KeyError::Unreadable)
        );
    }
    assert_eq!(decrypt_key(&plain(), b"secret"), Err(KeyError::Unreadable));
    let long = vec![0x30; limits::MAX_KEY_SIZE + 1];
    assert_eq!(decrypt_key(&long, b"secret"), Err(KeyError::Unreadable));
    let password = vec![b'x'; limits::MAX_PASSWORD + 1];
    assert_eq!(decrypt_key(&whole, &password), Err(KeyError::Unreadable));
}
