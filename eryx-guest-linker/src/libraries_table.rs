//! The table of libraries that `dlopen` and `dlsym` of the image search, in memory.
//!
//! Its layout is that of the `dl` library of wit-component: each list is a count and an address,
//! each name a length and an address, and lists are sorted by name.

use std::collections::BTreeMap;

/// The functions of each library: their names, and their entries in the function table.
pub(crate) type Libraries<'a> = BTreeMap<&'a str, BTreeMap<&'a str, u32>>;

/// The encoded table.
pub(crate) struct LibrariesTable {
    pub(crate) bytes: Vec<u8>,
    /// The address of the list of libraries.
    pub(crate) root: u32,
}

impl LibrariesTable {
    /// Encodes `libraries` for memory at `base`, which is aligned to four bytes.
    pub(crate) fn encode(libraries: &Libraries<'_>, base: u32) -> Self {
        let mut bytes = Bytes {
            base,
            bytes: Vec::new(),
        };
        let mut entries = Vec::new();
        for (library, symbols) in libraries {
            let library_name = bytes.add_name(library);
            let mut list = Vec::new();
            for (symbol, slot) in symbols {
                let name = bytes.add_name(symbol);
                list.extend([symbol.len() as u32, name, *slot]);
            }
            let address = bytes.add_words(&list);
            entries.extend([
                library.len() as u32,
                library_name,
                symbols.len() as u32,
                address,
            ]);
        }
        let address = bytes.add_words(&entries);
        let root = bytes.add_words(&[libraries.len() as u32, address]);
        Self {
            bytes: bytes.bytes,
            root,
        }
    }
}

struct Bytes {
    base: u32,
    bytes: Vec<u8>,
}

impl Bytes {
    fn address(&self) -> u32 {
        self.base + self.bytes.len() as u32
    }

    /// Adds a name, padded to four bytes. Returns its address.
    fn add_name(&mut self, name: &str) -> u32 {
        let address = self.address();
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        address
    }

    fn add_words(&mut self, words: &[u32]) -> u32 {
        let address = self.address();
        self.bytes
            .extend(words.iter().flat_map(|word| word.to_le_bytes()));
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_hold_addresses() {
        let libraries = Libraries::from([
            ("/b", BTreeMap::from([("PyInit_b", 8)])),
            ("/a", BTreeMap::from([("PyInit_a", 7)])),
        ]);
        let table = LibrariesTable::encode(&libraries, 1000);
        let word = |address: u32| {
            let at = (address - 1000) as usize;
            let bytes = table.bytes[at..at + 4].try_into().expect("four bytes");
            u32::from_le_bytes(bytes)
        };
        let name = |address: u32| {
            let (length, at) = (word(address), (word(address + 4) - 1000) as usize);
            std::str::from_utf8(&table.bytes[at..at + length as usize]).expect("text")
        };
        assert_eq!(word(table.root), 2);
        let list = word(table.root + 4);
        assert_eq!([name(list), name(list + 16)], ["/a", "/b"]);
        assert_eq!(word(list + 16 + 8), 1);
        let symbols = word(list + 16 + 12);
        assert_eq!((name(symbols), word(symbols + 8)), ("PyInit_b", 8));
    }
}
