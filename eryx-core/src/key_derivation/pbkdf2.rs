//! PBKDF2 with HMAC (RFC 8018, 5.2).

use hmac::{Hmac, KeyInit, Mac};

use super::yield_point::YieldPoint;

/// The hash functions that programs choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512T224,
    Sha512T256,
}

/// How many rounds a piece of work has: about 100 µs with SHA-512.
const ROUNDS: u32 = 128;

/// How many bytes of salt a piece of work hashes.
const SALT: usize = 64 << 10;

/// Returns a key of `size` bytes after `rounds` rounds for every block.
pub(crate) async fn derive(
    yield_point: &mut impl YieldPoint,
    hash: Hash,
    password: &[u8],
    salt: &[u8],
    rounds: u32,
    size: usize,
) -> Vec<u8> {
    match hash {
        Hash::Md5 => blocks::<Hmac<md5::Md5>>(yield_point, password, salt, rounds, size).await,
        Hash::Sha1 => blocks::<Hmac<sha1::Sha1>>(yield_point, password, salt, rounds, size).await,
        Hash::Sha224 => {
            blocks::<Hmac<sha2::Sha224>>(yield_point, password, salt, rounds, size).await
        }
        Hash::Sha256 => {
            blocks::<Hmac<sha2::Sha256>>(yield_point, password, salt, rounds, size).await
        }
        Hash::Sha384 => {
            blocks::<Hmac<sha2::Sha384>>(yield_point, password, salt, rounds, size).await
        }
        Hash::Sha512 => {
            blocks::<Hmac<sha2::Sha512>>(yield_point, password, salt, rounds, size).await
        }
        Hash::Sha512T224 => {
            blocks::<Hmac<sha2::Sha512_224>>(yield_point, password, salt, rounds, size).await
        }
        Hash::Sha512T256 => {
            blocks::<Hmac<sha2::Sha512_256>>(yield_point, password, salt, rounds, size).await
        }
    }
}

async fn blocks<M: Mac + KeyInit + Clone + Send>(
    yield_point: &mut impl YieldPoint,
    password: &[u8],
    salt: &[u8],
    rounds: u32,
    size: usize,
) -> Vec<u8> {
    let keyed = <M as KeyInit>::new_from_slice(password).expect("HMAC takes a key of any length");
    // The salt is the beginning of the first message of every block, and hashed only once.
    let mut salted = keyed.clone();
    for part in salt.chunks(SALT) {
        salted.update(part);
        yield_point.yield_if_due().await;
    }
    let mut key = vec![0; size];
    for (block, number) in key.chunks_mut(M::output_size()).zip(1_u32..) {
        let mut first = salted.clone();
        first.update(&number.to_be_bytes());
        let mut message = first.finalize().into_bytes();
        let mut sum = message.clone();
        let mut left = rounds - 1;
        loop {
            let piece = left.min(ROUNDS);
            for _ in 0..piece {
                let mut mac = keyed.clone();
                mac.update(&message);
                message = mac.finalize().into_bytes();
                for (sum, byte) in sum.iter_mut().zip(&message) {
                    *sum ^= byte;
                }
            }
            left -= piece;
            yield_point.yield_if_due().await;
            if left == 0 {
                break;
            }
        }
        block.copy_from_slice(&sum[..block.len()]);
    }
    key
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::super::yield_point::tests::{Count, block_on};
    use super::*;

    /// The results of `hashlib.pbkdf2_hmac` with OpenSSL, for the password "password", the
    /// salt "salt" and 300 rounds.
    const KEYS: [(Hash, &str); 8] = [
        (Hash::Md5, "1e6322ba8deb66f54f6e80ad5fc3e27863"),
        (Hash::Sha1, "1b0cb4bb1d10fa65ec5ca7a34d8ca6d699"),
        (Hash::Sha224, "94073af223d0f0586134f01b5dfc71d5a8"),
        (Hash::Sha256, "bac6cf0eb54376c80163ca7bcd4a7549ed"),
        (Hash::Sha384, "147cf7c7339f90d9add0d2a6a16ce023cd"),
        (Hash::Sha512, "2239f4890deb435d3d9e3aae2f96c0231f"),
        (Hash::Sha512T224, "6c2d8b3232dec6d804af622d8ce21a94e8"),
        (Hash::Sha512T256, "12192d53ef708679d0b66ed19547cf93e6"),
    ];

    #[test]
    fn keys_are_those_of_openssl() {
        let check = |hash, password: &[u8], salt: &[u8], rounds, expected: &str| {
            let mut yields = Count::default();
            let size = expected.len() / 2;
            let key = block_on(derive(&mut yields, hash, password, salt, rounds, size));
            assert_eq!(HEXLOWER.encode(&key), expected, "{hash:?}");
        };
        for (hash, expected) in KEYS {
            check(hash, b"password", b"salt", 300, expected);
        }
        let expected = "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038";
        check(
            Hash::Sha1,
            b"passwordPASSWORDpassword",
            b"saltSALTsaltSALTsaltSALTsaltSALTsalt",
            4096,
            expected,
        );
        let expected =
            "f7ce0b653d2d72a4108cf5abe912ffdd777616dbbb27a70e8204f3ae2d0f6fad89f68f4811d1e87b";
        check(Hash::Sha256, b"", b"", 1, expected);
    }

    #[test]
    fn a_piece_of_work_has_a_bounded_number_of_rounds() {
        let mut yields = Count::default();
        block_on(derive(&mut yields, Hash::Sha1, b"", b"salt", 1281, 40));
        // One piece for the salt, and ten for each block.
        assert_eq!(yields.0, 21);
        let mut yields = Count::default();
        block_on(derive(
            &mut yields,
            Hash::Md5,
            b"",
            &[0; 1 << 20],
            1,
            1 << 20,
        ));
        assert_eq!(yields.0, 16 + 65536);
    }
}
