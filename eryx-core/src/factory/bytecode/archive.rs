//! The file of a part in the cache: the bytecode of its modules.
//!
//! It begins with [`MAGIC`], the length of the index in eight bytes and the SHA-256 of the index.
//! The index has an entry for each module: the length of its name in four bytes, the name, the
//! length of the content in eight bytes, and its SHA-256. The contents follow in the same order.
//! All numbers are little-endian.
//!
//! The index is read when a factory is built, and a content when a program first reads it. Both are
//! compared with their digests.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use eryx_files::Source;
use sha2::{Digest as _, Sha256};

use crate::factory::bytecode::compiler::max_bytecode;
use crate::factory::bytecode::parts::Module;
use crate::factory::fields::take;
use crate::factory::stored_content::{ContentLocation, StoredContent};

/// The first bytes of the file.
const MAGIC: &[u8; 16] = b"eryx bytecode 1\n";

/// The length of a digest, in bytes.
const DIGEST: usize = 32;

/// The length of what precedes the index, in bytes.
const HEAD: usize = MAGIC.len() + 8 + DIGEST;

/// The most bytes of an index: as many as the names of 40,000 modules have.
const MAX_INDEX: u64 = 16 << 20;

/// Returns the content of the file for these modules, by the names of their bytecode.
pub(super) fn write(modules: &[(String, Bytes)]) -> Vec<u8> {
    let mut index = Vec::new();
    for (name, content) in modules {
        index.extend((name.len() as u32).to_le_bytes());
        index.extend(name.as_bytes());
        index.extend((content.len() as u64).to_le_bytes());
        index.extend(Sha256::digest(content));
    }
    let mut file = MAGIC.to_vec();
    file.extend((index.len() as u64).to_le_bytes());
    file.extend(Sha256::digest(&index));
    file.extend(index);
    for (_, content) in modules {
        file.extend_from_slice(content);
    }
    file
}

/// Returns the bytecode in a file, by name. Returns `None` if the file is damaged, or has other
/// modules than those of `part`.
pub(super) fn read(file: File, part: &[Module]) -> Option<Vec<(String, Arc<dyn Source>)>> {
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, 0).ok()?;
    let (magic, head) = head.split_first_chunk::<16>()?;
    let (index_length, digest) = head.split_first_chunk::<8>()?;
    let index_length = u64::from_le_bytes(*index_length);
    if magic != MAGIC || index_length > MAX_INDEX {
        return None;
    }
    let mut index = vec![0; usize::try_from(index_length).ok()?];
    file.read_exact_at(&mut index, HEAD as u64).ok()?;
    if Sha256::digest(&index).as_slice() != digest {
        return None;
    }
    let max_sizes: BTreeMap<String, u64> = part
        .iter()
        .map(|module| (module.bytecode(), max_bytecode(module)))
        .collect();
    let file = Arc::new(file);
    let mut offset = HEAD as u64 + index_length;
    let mut rest = index.as_slice();
    let mut found: Vec<(String, Arc<dyn Source>)> = Vec::new();
    while !rest.is_empty() {
        let name_length = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
        let (name, after) = rest.split_at_checked(name_length)?;
        rest = after;
        let name = std::str::from_utf8(name).ok()?;
        let size = u64::from_le_bytes(take(&mut rest)?);
        let digest = take(&mut rest)?;
        if size > *max_sizes.get(name)? {
            return None;
        }
        let location = ContentLocation::Part(Arc::clone(&file), offset);
        let content = StoredContent::new(location, size, digest);
        offset = offset.checked_add(size)?;
        found.push((name.to_owned(), Arc::new(content)));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;

    fn part() -> Vec<Module> {
        ["a.py", "b/c.py", "d.py"]
            .map(|source| Module {
                source: source.to_owned(),
                size: 100,
            })
            .to_vec()
    }

    fn archive() -> Vec<u8> {
        write(&[
            ("__pycache__/a.cpython-314.pyc".to_owned(), "first".into()),
            (
                "b/__pycache__/c.cpython-314.pyc".to_owned(),
                "second".into(),
            ),
        ])
    }

    fn read_bytes(bytes: &[u8]) -> Option<Vec<(String, Arc<dyn Source>)>> {
        let mut file = tempfile::tempfile().expect("made");
        file.write_all(bytes).expect("written");
        read(file, &part())
    }

    fn content(source: &dyn Source) -> io::Result<String> {
        let mut buffer = vec![0; usize::try_from(source.size()).expect("small")];
        let length = source.read_at(0, &mut buffer)?;
        assert_eq!(length, buffer.len());
        let mut tail = [0; 2];
        assert_eq!(source.read_at(source.size() - 1, &mut tail)?, 1);
        Ok(String::from_utf8(buffer).expect("text"))
    }

    #[test]
    fn an_archive_has_what_was_written_and_the_bytes_after_it_are_ignored() {
        let mut bytes = archive();
        bytes.extend([7; 32]);
        let found = read_bytes(&bytes).expect("read");
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].0, "b/__pycache__/c.cpython-314.pyc");
        assert_eq!(content(&*found[0].1).expect("read"), "first");
        assert_eq!(content(&*found[1].1).expect("read"), "second");
        assert!(read_bytes(&write(&[])).expect("read").is_empty());
    }

    #[test]
    fn an_archive_with_any_byte_changed_is_rejected_or_its_content_is() {
        let bytes = archive();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let is_detected = read_bytes(&changed)
                .is_none_or(|found| found.iter().any(|(_, source)| content(&**source).is_err()));
            assert!(is_detected, "byte {at}");
        }
        for length in 0..bytes.len() {
            let is_detected = read_bytes(&bytes[..length])
                .is_none_or(|found| found.iter().any(|(_, source)| content(&**source).is_err()));
            assert!(is_detected, "length {length}");
        }
    }

    #[test]
    fn an_archive_of_other_or_larger_modules_is_rejected() {
        let other = ("__pycache__/x.cpython-314.pyc".to_owned(), "x".into());
        assert!(read_bytes(&write(&[other])).is_none());
        let large = vec![0; 100 * 32 + (64 << 10) + 1].into();
        let large = ("__pycache__/a.cpython-314.pyc".to_owned(), large);
        assert!(read_bytes(&write(&[large])).is_none());
    }
}
