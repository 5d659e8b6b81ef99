//! Caches of the machine code of single functions, keyed by their source. A snapshot of the image
//! has other data and the same functions, which then need not be compiled again.
//!
//! The serialized form is one deflate stream of pairs of key and value, each part after its length
//! in four bytes, little-endian.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::sync::Arc;

use eryx_sync::Mutex;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use wasmtime::CacheStore;

/// A store that records every compiled function, and returns none.
#[derive(Debug, Default)]
pub(super) struct FunctionRecorder {
    functions: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl FunctionRecorder {
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

impl CacheStore for FunctionRecorder {
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
pub(super) struct PrecompiledFunctions {
    functions: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl PrecompiledFunctions {
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

impl CacheStore for PrecompiledFunctions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.functions.get(key).map(|value| value.as_slice().into())
    }

    fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
        true
    }
}

/// A store of precompiled functions, and of those that are compiled meanwhile.
#[derive(Debug)]
pub(super) struct LayeredStore {
    precompiled: Option<Arc<dyn CacheStore>>,
    compiled: Mutex<HashMap<Vec<u8>, Arc<[u8]>>>,
}

impl LayeredStore {
    pub(super) fn new(precompiled: Option<Arc<dyn CacheStore>>) -> Self {
        Self {
            precompiled,
            compiled: Mutex::new(HashMap::new()),
        }
    }
}

impl CacheStore for LayeredStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let precompiled = self.precompiled.as_ref();
        if let Some(found) = precompiled.and_then(|precompiled| precompiled.get(key)) {
            return Some(found);
        }
        let found = self.compiled.lock().get(key).cloned()?;
        Some(found.to_vec().into())
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.compiled.lock().insert(key.to_vec(), value.into());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layered_store_has_precompiled_and_new_functions() {
        let recording = FunctionRecorder::default();
        recording.insert(b"old", b"1".to_vec());
        let precompiled = PrecompiledFunctions::from_bytes(&recording.to_bytes()).expect("read");
        let layered = LayeredStore::new(Some(Arc::new(precompiled)));
        assert!(layered.get(b"new").is_none());
        layered.insert(b"new", b"2".to_vec());
        assert_eq!(layered.get(b"old").as_deref(), Some(&b"1"[..]));
        assert_eq!(layered.get(b"new").as_deref(), Some(&b"2"[..]));
    }

    #[test]
    fn a_truncated_stream_is_an_error() {
        let recording = FunctionRecorder::default();
        recording.insert(b"key", b"value".to_vec());
        let bytes = recording.to_bytes();
        assert!(PrecompiledFunctions::from_bytes(&bytes).is_ok());
        assert!(PrecompiledFunctions::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
}
