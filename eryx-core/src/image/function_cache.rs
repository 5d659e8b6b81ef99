//! Caches of the machine code of single functions, keyed by their source. A snapshot of the image
//! has other data and the same functions, which then need not be compiled again.
//!
//! The serialized form is one deflate stream of pairs of key and value, each part after its length
//! in four bytes, little-endian.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use eryx_sync::Mutex;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use wasmtime::CacheStore;

/// A store that records every compiled function, and returns none.
#[derive(Debug, Default)]
pub(super) struct RecordingStore {
    functions: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl RecordingStore {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let functions = self.functions.lock();
        let mut stream = DeflateEncoder::new(Vec::new(), Compression::default());
        for part in functions.iter().flat_map(<[_; 2]>::from) {
            let length = u32::try_from(part.len()).expect("a function is not that large");
            stream
                .write_all(&length.to_le_bytes())
                .and_then(|()| stream.write_all(part))
                .expect("writing to memory does not fail");
        }
        stream.finish().expect("writing to memory does not fail")
    }
}

impl CacheStore for RecordingStore {
    fn get(&self, _: &[u8]) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.functions.lock().insert(key.to_vec(), value);
        true
    }
}

/// A store of recorded functions. It is read-only: further functions are not stored.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "embedded-image"),
    allow(dead_code, reason = "there are no precompiled functions")
)]
pub(super) struct PrecompiledStore {
    functions: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[cfg_attr(
    not(feature = "embedded-image"),
    allow(dead_code, reason = "there are no precompiled functions")
)]
impl PrecompiledStore {
    pub(super) fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        let mut stream = Vec::new();
        DeflateDecoder::new(bytes).read_to_end(&mut stream)?;
        let mut rest = stream.as_slice();
        let mut functions = BTreeMap::new();
        while !rest.is_empty() {
            let key = split_part(&mut rest)?;
            let value = split_part(&mut rest)?;
            functions.insert(key, value);
        }
        Ok(Self { functions })
    }
}

/// Splits the first part off `rest`.
fn split_part(rest: &mut &[u8]) -> io::Result<Vec<u8>> {
    let (length, after) = rest
        .split_first_chunk::<4>()
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let (part, after) = after
        .split_at_checked(u32::from_le_bytes(*length) as usize)
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    *rest = after;
    Ok(part.to_vec())
}

impl CacheStore for PrecompiledStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.functions.get(key).map(|value| value.as_slice().into())
    }

    fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_stream_is_an_error() {
        let recording = RecordingStore::default();
        recording.insert(b"key", b"value".to_vec());
        let bytes = recording.to_bytes();
        assert!(PrecompiledStore::from_bytes(&bytes).is_ok());
        assert!(PrecompiledStore::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
}
