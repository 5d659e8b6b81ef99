//! A verifiable test payload: a pseudo-random stream whose byte at any offset can be computed
//! alone, so that a transfer of any size is verified without storing it.
//!
//! A lost, repeated or moved block is detected, which a stream of zeros or of a repeated alphabet
//! would hide.

use sha2::{Digest as _, Sha256};

use crate::digest::hex;

/// Bytes generated at a time.
const CHUNK: usize = 64 * 1024;

/// Returns the byte at `offset`.
#[must_use]
pub fn byte(offset: u64) -> u8 {
    word(offset / 8)[(offset % 8) as usize]
}

/// Fills `buffer` with the stream, from `offset` on.
pub fn fill(offset: u64, buffer: &mut [u8]) {
    let mut at = offset;
    let mut rest = buffer;
    while !rest.is_empty() {
        let word = word(at / 8);
        let from = (at % 8) as usize;
        let count = rest.len().min(word.len() - from);
        let (head, tail) = rest.split_at_mut(count);
        head.copy_from_slice(&word[from..from + count]);
        rest = tail;
        at += count as u64;
    }
}

/// Returns the first `length` bytes.
#[must_use]
pub fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fill(0, &mut bytes);
    bytes
}

/// Returns the SHA-256 of the first `length` bytes in lower-case hexadecimal, for a client in
/// another language to compare with.
#[must_use]
pub fn sha256(length: u64) -> String {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < length {
        let piece = CHUNK.min(usize::try_from(length - at).unwrap_or(CHUNK));
        fill(at, &mut buffer[..piece]);
        hash.update(&buffer[..piece]);
        at += piece as u64;
    }
    hex(&hash.finalize())
}

/// Compares a stream that arrives in pieces with the payload.
///
/// ```
/// use eryx_testkit::payload::{self, Check};
///
/// let mut check = Check::new();
/// for piece in payload::bytes(1000).chunks(7) {
///     check.push(piece).unwrap();
/// }
/// assert_eq!(check.length(), 1000);
/// assert_eq!(check.push(&[!payload::byte(1000)]).unwrap_err().offset, 1000);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Check {
    length: u64,
}

impl Check {
    /// Creates a check of a stream that starts at the first byte of the payload.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of bytes verified so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Verifies the next piece.
    ///
    /// # Errors
    ///
    /// The first byte that differs from the payload.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Mismatch> {
        let mut expected = vec![0; piece.len().min(CHUNK)];
        for part in piece.chunks(CHUNK) {
            let expected = &mut expected[..part.len()];
            fill(self.length, expected);
            if let Some(at) = part
                .iter()
                .zip(&*expected)
                .position(|(got, want)| got != want)
            {
                return Err(Mismatch {
                    offset: self.length + at as u64,
                    expected: expected[at],
                    found: part[at],
                });
            }
            self.length += part.len() as u64;
        }
        Ok(())
    }
}

/// The first byte that differs from the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset} is {found:#04x}, the payload has {expected:#04x} there")]
pub struct Mismatch {
    /// The offset from the start of the stream, in bytes.
    pub offset: u64,
    /// The byte of the payload.
    pub expected: u8,
    /// The byte received.
    pub found: u8,
}

/// Returns eight bytes of the stream: the finalizer of SplitMix64 over the index.
fn word(index: u64) -> [u8; 8] {
    let mut mixed = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest;

    proptest! {
        #[test]
        fn fill_equals_byte_at_every_offset(offset in 0_u64..1 << 40, length in 0_usize..300) {
            let mut filled = vec![0; length];
            fill(offset, &mut filled);
            let single: Vec<u8> = (0..length as u64).map(|at| byte(offset + at)).collect();
            prop_assert_eq!(filled, single);
        }

        #[test]
        fn a_flipped_bit_is_found_at_its_offset(at in 0_usize..5000, bit in 0_u32..8) {
            let mut bytes = bytes(5000);
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(Check::new().push(&bytes).unwrap_err().offset, at as u64);
        }
    }

    #[test]
    fn a_piece_longer_than_a_chunk_is_checked_to_its_end() {
        let mut bytes = bytes(2 * CHUNK + 5);
        let mut check = Check::new();
        check.push(&bytes).unwrap();
        assert_eq!(check.length(), bytes.len() as u64);
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(
            Check::new().push(&bytes).unwrap_err().offset,
            bytes.len() as u64 - 1
        );
    }

    #[test]
    fn a_moved_block_is_detected() {
        let mut bytes = bytes(4096);
        bytes.rotate_left(512);
        assert_eq!(Check::new().push(&bytes).unwrap_err().offset, 0);
    }

    #[test]
    fn the_digest_of_a_length_equals_the_digest_of_the_bytes() {
        for length in [0, 1, 7, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 11] {
            assert_eq!(
                sha256(length as u64),
                digest::sha256(&bytes(length)),
                "{length} bytes"
            );
        }
    }
}
