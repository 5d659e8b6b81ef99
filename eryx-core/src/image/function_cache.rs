//! The machine code of single functions, by what they were compiled from. A snapshot of the image has other data and
//! the same functions, which then need not be compiled again.
//!
//! Kept as one deflated stream of pairs, each part after its length in four bytes, little-endian.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use wasmtime::CacheStore;

/// What is compiled, collected.
#[derive(Debug, Default)]
pub(super) struct Collected {
    functions: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Collected {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut stream = DeflateEncoder::new(Vec::new(), Compression::default());
        for part in functions.iter().flat_map(<[_; 2]>::from) {
            let length = u32::try_from(part.len()).expect("a function is not that large");
            stream
                .write_all(&length.to_le_bytes())
                .and_then(|()| stream.write_all(part))
                .expect("memory takes all that is written");
        }
        stream.finish().expect("memory takes all that is written")
    }
}

impl CacheStore for Collected {
    fn get(&self, _: &[u8]) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        self.functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.to_vec(), value);
        true
    }
}

/// What was collected before. What is compiled besides is not kept.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "embedded-image"),
    allow(dead_code, reason = "nothing is known")
)]
pub(super) struct Known {
    functions: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[cfg_attr(
    not(feature = "embedded-image"),
    allow(dead_code, reason = "nothing is known")
)]
impl Known {
    pub(super) fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        let mut stream = Vec::new();
        DeflateDecoder::new(bytes).read_to_end(&mut stream)?;
        let mut rest = stream.as_slice();
        let mut functions = BTreeMap::new();
        while !rest.is_empty() {
            let key = part(&mut rest)?;
            let value = part(&mut rest)?;
            functions.insert(key, value);
        }
        Ok(Self { functions })
    }
}

fn part(rest: &mut &[u8]) -> io::Result<Vec<u8>> {
    let (length, after) = rest
        .split_first_chunk::<4>()
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let (part, after) = after
        .split_at_checked(u32::from_le_bytes(*length) as usize)
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    *rest = after;
    Ok(part.to_vec())
}

impl CacheStore for Known {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.functions.get(key).map(|value| value.as_slice().into())
    }

    fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::image::compiled;

    /// A component with a function and data.
    fn component(data: u8, function: u8) -> Vec<u8> {
        wat::parse_str(format!(
            "(component (core module
                (memory 1) (data (i32.const 0) \"{}\")
                (func (param i32) (result i32) (i32.mul (local.get 0) (i32.const {function})))))",
            char::from(data)
        ))
        .expect("a component")
    }

    #[test]
    fn what_was_collected_is_not_compiled_again() {
        let collected = Arc::new(Collected::default());
        compiled(&component(b'a', 3), Some(Arc::clone(&collected) as _)).expect("compiled");
        let known = Known::from_bytes(&collected.to_bytes()).expect("read");
        assert!(!known.functions.is_empty());

        /// Counts what is asked for and not there.
        #[derive(Debug)]
        struct Counting(Known, Mutex<usize>);
        impl CacheStore for Counting {
            fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
                self.0.get(key)
            }
            fn insert(&self, _: &[u8], _: Vec<u8>) -> bool {
                *self.1.lock().expect("not poisoned") += 1;
                true
            }
        }
        let counting = Arc::new(Counting(known, Mutex::new(0)));
        let missed = || *counting.1.lock().expect("not poisoned");
        let again = |data, function| {
            compiled(&component(data, function), Some(Arc::clone(&counting) as _))
                .expect("compiled")
        };
        let with_other_data = again(b'b', 3);
        assert_eq!(missed(), 0);
        assert_eq!(
            with_other_data,
            compiled(&component(b'b', 3), None).expect("compiled"),
            "the same machine code as without"
        );
        again(b'a', 4);
        assert_eq!(missed(), 1);
    }

    #[test]
    fn a_stream_that_was_cut_is_an_error() {
        let collected = Collected::default();
        collected.insert(b"key", b"value".to_vec());
        let whole = collected.to_bytes();
        assert!(Known::from_bytes(&whole).is_ok());
        assert!(Known::from_bytes(&whole[..whole.len() - 1]).is_err());
    }
}
