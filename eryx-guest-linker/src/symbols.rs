//! The symbol table of an image: the functions and the data that modules may use, by name.
//!
//! It is a custom section of the image's core module, so that it costs a sandbox nothing. All
//! numbers are in LEB128, and a name is its length and its bytes in UTF-8.

use std::collections::BTreeMap;

use wasm_encoder::{Encode, Module, RawSection, SectionId};
use wasmparser::{BinaryReader, BinaryReaderError};

use crate::yield_points::{BulkMemory, YieldPoints};

/// The name of the custom section.
pub const SECTION: &str = "eryx.symbols";

/// The version of the format.
const VERSION: u32 = 1;

/// The symbol table of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolTable {
    /// The functions, by their names in C.
    pub functions: BTreeMap<String, u32>,
    /// The functions of WASI preview 1 that modules may import, by name.
    pub preview1: BTreeMap<String, u32>,
    /// The addresses of data, by name.
    pub data: BTreeMap<String, u32>,
    /// The global that is the C stack pointer.
    pub stack_pointer: u32,
    /// The table that C function pointers are indices of.
    pub table: u32,
    /// The function that does nothing, and starts the modules once they are linked.
    pub start: u32,
    /// The function that sets the libraries that `dlopen` finds.
    pub set_libraries: u32,
    /// What yield points use.
    pub yield_points: YieldPoints,
}

impl SymbolTable {
    /// Returns `module` with the table as a custom section.
    pub fn append_to(&self, module: &[u8]) -> Vec<u8> {
        let mut section = Vec::new();
        SECTION.encode(&mut section);
        self.encode(&mut section);
        let mut output = module.to_vec();
        let section = RawSection {
            id: SectionId::Custom.into(),
            data: &section,
        };
        let mut encoded = Module::new();
        encoded.section(&section);
        // Without the header of a module.
        output.extend_from_slice(&encoded.finish()[8..]);
        output
    }

    fn encode(&self, sink: &mut Vec<u8>) {
        let points = &self.yield_points;
        let bulk_memory = points
            .bulk_memory
            .map_or([0, 0], |bulk| [bulk.fill, bulk.copy]);
        for number in [
            VERSION,
            self.stack_pointer,
            self.table,
            self.start,
            self.set_libraries,
            points.counter_global,
            points.yield_function,
            bulk_memory[0],
            bulk_memory[1],
        ] {
            number.encode(sink);
        }
        for symbols in [&self.functions, &self.preview1, &self.data] {
            symbols.len().encode(sink);
            for (name, value) in symbols {
                name.as_str().encode(sink);
                value.encode(sink);
            }
        }
    }

    /// Parses the content of the custom section.
    ///
    /// # Errors
    ///
    /// Fails when it is malformed, or of another version.
    pub fn parse(section: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut reader = BinaryReader::new(section, 0);
        let mut number = || reader.read_var_u32();
        let version = number()?;
        let (stack_pointer, table, start, set_libraries) =
            (number()?, number()?, number()?, number()?);
        let (counter_global, yield_function) = (number()?, number()?);
        let (fill, copy) = (number()?, number()?);
        let mut symbols = || {
            let count = reader.read_var_u32()?;
            (0..count)
                .map(|_| {
                    let name = reader.read_unlimited_string()?.to_owned();
                    Ok((name, reader.read_var_u32()?))
                })
                .collect::<Result<BTreeMap<_, _>, BinaryReaderError>>()
        };
        let table = Self {
            functions: symbols()?,
            preview1: symbols()?,
            data: symbols()?,
            stack_pointer,
            table,
            start,
            set_libraries,
            yield_points: YieldPoints {
                counter_global,
                yield_function,
                bulk_memory: (fill != 0).then_some(BulkMemory { fill, copy }),
            },
        };
        if version != VERSION || !reader.eof() {
            // Reading behind the end is the only way to make an error of this type.
            return Err(BinaryReader::new(&[], 0).read_u8().expect_err("empty"));
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> SymbolTable {
        SymbolTable {
            functions: [("malloc".to_owned(), 300), ("free".to_owned(), 2)].into(),
            preview1: [("random_get".to_owned(), 7)].into(),
            data: [("PyExc_ValueError".to_owned(), 1 << 20)].into(),
            stack_pointer: 1,
            table: 0,
            start: 9,
            set_libraries: 10,
            yield_points: YieldPoints {
                counter_global: 3,
                yield_function: 11,
                bulk_memory: Some(BulkMemory { fill: 12, copy: 13 }),
            },
        }
    }

    #[test]
    fn an_encoded_table_is_parsed_to_the_same_table() {
        let mut section = Vec::new();
        table().encode(&mut section);
        assert_eq!(SymbolTable::parse(&section).expect("parsed"), table());
        for length in 0..section.len() {
            SymbolTable::parse(&section[..length]).expect_err("too short");
        }
        section[0] += 1;
        SymbolTable::parse(&section).expect_err("another version");
    }
}
