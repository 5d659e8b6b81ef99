//! The header of a snapshot: its format, and the image and the factory that it is for.

use crate::session_snapshot::{DIGEST, Digest};
use crate::snapshot_error::SnapshotError;

pub(super) const MAGIC: [u8; 8] = *b"\x89eryxss\n";

/// The version of the format that is written and read.
pub(super) const VERSION: u32 = 2;

/// The bytes before the compressed part.
pub(super) const HEADER: usize = MAGIC.len() + 4 + 2 * DIGEST;

/// Returns the header of a snapshot of a session with these digests of its image and of its
/// factory's key.
pub(super) fn encode(image: &Digest, factory: &Digest) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend(VERSION.to_le_bytes());
    header.extend(image);
    header.extend(factory);
    header
}

/// Checks that `bytes` begin as a snapshot of this format does, of a session of this factory that
/// ran this image. Returns the compressed rest.
///
/// # Errors
///
/// [`SnapshotError`].
pub(super) fn check<'a>(
    bytes: &'a [u8],
    image: &Digest,
    factory: &Digest,
) -> Result<&'a [u8], SnapshotError> {
    let (header, rest) = bytes
        .split_at_checked(HEADER)
        .filter(|(header, _)| header.starts_with(&MAGIC))
        .ok_or(SnapshotError::NotASnapshot)?;
    let (format, digests) = header[MAGIC.len()..].split_at(4);
    let format = format
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u32::from(*byte));
    if format != VERSION {
        return Err(SnapshotError::Format {
            found: format,
            expected: VERSION,
        });
    }
    let (found_image, found_factory) = digests.split_at(DIGEST);
    if found_factory != factory {
        return Err(SnapshotError::OtherFactory);
    }
    if found_image != image {
        return Err(SnapshotError::OtherImage);
    }
    Ok(rest)
}
