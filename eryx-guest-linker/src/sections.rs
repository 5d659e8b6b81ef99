//! Sections of a module that are lists, as raw bytes: the number of their entries, and the entries.

use wasm_encoder::{Encode, Section};
use wasmparser::{BinaryReader, BinaryReaderError};

/// The content of a section, as a list of encoded entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct List {
    pub(crate) count: u32,
    pub(crate) entries: Vec<u8>,
}

impl List {
    /// Parses the content of a section.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut reader = BinaryReader::new(content, 0);
        let count = reader.read_var_u32()?;
        let at = reader.current_position();
        Ok(Self {
            count,
            entries: content[at..].to_vec(),
        })
    }

    /// Returns the list that an encoded section has.
    pub(crate) fn from_section(section: &impl Section) -> Result<Self, BinaryReaderError> {
        let mut encoded = Vec::new();
        section.encode(&mut encoded);
        let mut reader = BinaryReader::new(&encoded, 0);
        let size = reader.read_var_u32()?;
        Self::parse(reader.read_bytes(size as usize)?)
    }

    /// Adds the entries of `other`.
    pub(crate) fn append(&mut self, other: &Self) {
        self.count += other.count;
        self.entries.extend_from_slice(&other.entries);
    }

    /// Returns the content of the section.
    pub(crate) fn content(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(self.entries.len() + 5);
        self.count.encode(&mut content);
        content.extend_from_slice(&self.entries);
        content
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::FunctionSection;

    use super::*;

    #[test]
    fn entries_are_added_behind_those_that_exist() {
        let section = |types: &[u32]| {
            let mut section = FunctionSection::new();
            for &ty in types {
                section.function(ty);
            }
            List::from_section(&section).expect("a list")
        };
        let mut list = section(&[1, 2, 300]);
        list.append(&section(&[4]));
        assert_eq!(list.content(), section(&[1, 2, 300, 4]).content());
        assert_eq!(list.count, 4);
    }
}
