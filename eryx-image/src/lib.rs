#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use lzma_rust2::XzReader;
use sha2::{Digest, Sha256};

/// An unpacked image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackedImage {
    /// The WebAssembly component.
    pub wasm: Vec<u8>,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// A file of the crates cannot be read, or is no xz stream. In a checkout they do not exist.
    #[error("the packed guest image {} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The image is not the one that was packed.
    #[error(
        "the packed guest image is damaged: its SHA-256 is {found}, and {expected} is expected"
    )]
    Damaged {
        /// The SHA-256 of the unpacked bytes.
        found: String,
        /// The SHA-256 of the image that was packed.
        expected: String,
    },
}

/// The most bytes that an image may have: a damaged stream cannot fill the memory.
const MAX_SIZE: u64 = 512 << 20;

/// Unpacks the image, and checks its digest. This takes some seconds in a program that is not
/// optimised.
///
/// # Errors
///
/// When the files of the two crates are missing or damaged.
pub fn unpack() -> Result<UnpackedImage, UnpackError> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    unpack_files(
        &data.join("image.xz.1"),
        &eryx_image_data::path(),
        &data.join("image.sha256"),
    )
}

fn unpack_files(first: &Path, second: &Path, digest: &Path) -> Result<UnpackedImage, UnpackError> {
    let unreadable = |path: &Path| {
        let path = path.to_path_buf();
        move |source| UnpackError::Unreadable { path, source }
    };
    let open = |path: &Path| File::open(path).map_err(unreadable(path));
    let expected = fs::read_to_string(digest).map_err(unreadable(digest))?;
    let expected = expected.trim();
    let stream = io::BufReader::new(open(first)?.chain(open(second)?));
    let mut wasm = Vec::new();
    XzReader::new(stream, false)
        .take(MAX_SIZE)
        .read_to_end(&mut wasm)
        .map_err(unreadable(first))?;
    let sha256 = hex(&Sha256::digest(&wasm));
    if sha256 != expected {
        return Err(UnpackError::Damaged {
            found: sha256,
            expected: expected.to_owned(),
        });
    }
    Ok(UnpackedImage { wasm, sha256 })
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lzma_rust2::{XzOptions, XzWriter};

    use super::*;

    /// Writes `image` as two halves and a digest to a new folder, and returns the folder.
    fn packed(name: &str, image: &[u8]) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("eryx-image-{name}-{}", std::process::id()));
        let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).expect("made");
        writer.write_all(image).expect("compressed");
        let stream = writer.finish().expect("compressed");
        let (first, second) = stream.split_at(stream.len() / 2);
        fs::create_dir_all(&dir).expect("made");
        for (name, content) in [
            ("1", first),
            ("2", second),
            (
                "digest",
                format!("{}\n", hex(&Sha256::digest(image))).as_bytes(),
            ),
        ] {
            fs::write(dir.join(name), content).expect("written");
        }
        dir
    }

    fn unpack_from(dir: &Path) -> Result<UnpackedImage, UnpackError> {
        unpack_files(&dir.join("1"), &dir.join("2"), &dir.join("digest"))
    }

    #[test]
    fn two_halves_are_unpacked_to_the_image() {
        let image: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let dir = packed("whole", &image);
        let unpacked = unpack_from(&dir).expect("unpacked");
        assert_eq!(unpacked.wasm, image);
        assert_eq!(unpacked.sha256, hex(&Sha256::digest(&image)));
        fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn a_missing_a_truncated_and_another_image_are_refused() {
        let dir = packed("damaged", b"an image");
        let other = packed("other", b"another image");
        fs::copy(other.join("digest"), dir.join("digest")).expect("copied");
        let error = unpack_from(&dir).expect_err("another image");
        assert!(matches!(error, UnpackError::Damaged { .. }), "{error}");
        fs::write(dir.join("2"), b"").expect("written");
        let error = unpack_from(&dir).expect_err("truncated");
        assert!(matches!(error, UnpackError::Unreadable { .. }), "{error}");
        fs::remove_file(dir.join("2")).expect("removed");
        let error = unpack_from(&dir).expect_err("missing");
        assert!(error.to_string().contains("cannot be read"), "{error}");
        for dir in [dir, other] {
            fs::remove_dir_all(dir).expect("removed");
        }
    }
}
