use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::{Decode, Reader, SliceReader};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{self, Kdf};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use thiserror::Error;

use crate::limits;

/// The private key in DER (PKCS#8) inside an `EncryptedPrivateKeyInfo`
/// ([RFC 5958, 3](https://www.rfc-editor.org/rfc/rfc5958#section-3)), encrypted with a password as
/// [RFC 8018](https://www.rfc-editor.org/rfc/rfc8018)'s PBES2 has it: PBKDF2, and AES in CBC mode.
///
/// All of it may come from untrusted code. Sizes and the number of rounds are held to [`limits`] before any work is
/// done, so that a call takes about a second at most. That is long for a thread that has others to serve: call it from
/// one that may block.
///
/// # Errors
///
/// [`KeyError`]. A wrong password cannot be told from damaged contents.
pub fn decrypt_key(encrypted: &[u8], password: &[u8]) -> Result<Vec<u8>, KeyError> {
    if encrypted.len() > limits::KEY_SIZE || password.len() > limits::PASSWORD {
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
    // Padding alone looks right for one wrong password in 256.
    PrivateKeyInfoRef::from_der(key.as_bytes()).map_err(|_| KeyError::Unreadable)?;
    Ok(key.as_bytes().to_vec())
}

/// Why a private key could not be decrypted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The password is wrong, or these are not the bytes of an encrypted key.
    #[error("the password is wrong, or this is no encrypted private key in DER")]
    Unreadable,
    /// Encrypted in another way.
    #[error(
        "this kind of encrypted private key cannot be read in a sandbox: use PBES2 and AES, as \
         `openssl pkcs8 -topk8` does"
    )]
    UnknownScheme,
    /// More rounds than [`ROUNDS`](limits::ROUNDS).
    #[error(
        "the private key is encrypted with {0} rounds of PBKDF2, and {max} is the most: encrypt it anew, as \
         `openssl pkcs8 -topk8` does",
        max = limits::ROUNDS
    )]
    TooManyRounds(u32),
}

/// Refuses what would take long, or memory, to try.
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
    if derivation.iteration_count > limits::ROUNDS {
        return Err(KeyError::TooManyRounds(derivation.iteration_count));
    }
    Ok(())
}

/// Whether this has the outline of an encrypted key, whatever the scheme.
fn is_well_formed(encrypted: &[u8]) -> bool {
    let outline = SliceReader::new(encrypted).and_then(|mut reader| {
        reader.sequence(|inner| {
            AlgorithmIdentifierRef::decode(inner)?;
            <&OctetStringRef>::decode(inner).map(drop)
        })
    });
    outline.is_ok()
}
