//! Decryption of private keys that are encrypted with a password.

use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::{Decode, Reader, SliceReader};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{self, Kdf};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use thiserror::Error;

use crate::settings::limits;

/// Decrypts an `EncryptedPrivateKeyInfo` ([RFC 5958,
/// 3](https://www.rfc-editor.org/rfc/rfc5958#section-3)), and returns the private key in DER
/// (PKCS#8).
///
/// The key must be encrypted with a password by PBES2
/// ([RFC 8018](https://www.rfc-editor.org/rfc/rfc8018)): PBKDF2, and AES in CBC mode.
///
/// Both arguments may come from untrusted code. Sizes and the number of rounds are checked against
/// [`limits`] first, so that a call takes at most about a second. Call it from a thread that may
/// block.
///
/// # Errors
///
/// [`KeyError`]. A wrong password and damaged contents are the same error.
pub fn decrypt_key(encrypted: &[u8], password: &[u8]) -> Result<Vec<u8>, KeyError> {
    if encrypted.len() > limits::MAX_KEY_SIZE || password.len() > limits::MAX_PASSWORD {
        return Err(KeyError::Unreadable);
    }
    let Ok(info) = EncryptedPrivateKeyInfoRef::from_der(encrypted) else {
        return Err(if is_well_formed(encrypted) {
            KeyError::UnknownScheme
        } else {
            KeyError::Unreadable
        });
    };
    check_cost(&info.encryption_algorithm)?;
    let key = info.decrypt(password).map_err(|_| KeyError::Unreadable)?;
    // The padding alone is valid for one wrong password in 256.
    PrivateKeyInfoRef::from_der(key.as_bytes()).map_err(|_| KeyError::Unreadable)?;
    Ok(key.as_bytes().to_vec())
}

/// The error of a private key that could not be decrypted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The password is wrong, or the bytes are not an encrypted key.
    #[error("the password is wrong, or this is no encrypted private key in DER")]
    Unreadable,
    /// The key is encrypted with another scheme.
    #[error(
        "this kind of encrypted private key cannot be read in a sandbox: use PBES2 and AES, as \
         `openssl pkcs8 -topk8` does"
    )]
    UnknownScheme,
    /// The key has more rounds of PBKDF2 than [`MAX_ROUNDS`](limits::MAX_ROUNDS).
    #[error(
        "the private key is encrypted with {0} rounds of PBKDF2, and {max} is the most: encrypt it anew, as \
         `openssl pkcs8 -topk8` does",
        max = limits::MAX_ROUNDS
    )]
    TooManyRounds(u32),
}

/// Rejects schemes that are not supported, and those that would take much time or memory.
fn check_cost(scheme: &EncryptionScheme) -> Result<(), KeyError> {
    let EncryptionScheme::Pbes2(pbes2::Parameters {
        kdf: Kdf::Pbkdf2(derivation),
        encryption:
            pbes2::EncryptionScheme::Aes128Cbc { .. }
            | pbes2::EncryptionScheme::Aes192Cbc { .. }
            | pbes2::EncryptionScheme::Aes256Cbc { .. },
    }) = scheme
    else {
        return Err(KeyError::UnknownScheme);
    };
    if derivation.iteration_count > limits::MAX_ROUNDS {
        return Err(KeyError::TooManyRounds(derivation.iteration_count));
    }
    Ok(())
}

/// Returns whether the bytes have the structure of an encrypted key, with any scheme.
fn is_well_formed(encrypted: &[u8]) -> bool {
    let outline = SliceReader::new(encrypted).and_then(|mut reader| {
        reader.sequence(|inner| {
            AlgorithmIdentifierRef::decode(inner)?;
            <&OctetStringRef>::decode(inner).map(drop)
        })
    });
    outline.is_ok()
}
