//! The core module of the image that modules are linked to.

use std::collections::HashMap;
use std::ops::Range;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    BranchHint, CustomSection, DataCountSection, Encode, MemorySection, MemoryType, Module,
    RawSection, TableSection, TableType,
};
use wasmparser::{
    ElementItems, ElementKind, FuncType, KnownCustom, Operator, Parser, Payload, TypeRef,
};

use crate::error::Rejection;
use crate::sections::List;
use crate::symbols::SymbolTable;

/// The bytes of a page of memory.
pub(crate) const PAGE: u32 = 1 << 16;

/// The sections that linking extends, besides the code: types, functions, globals, elements, data.
const EXTENDED_SECTIONS: usize = 5;

/// The parsed module of an image.
pub(crate) struct ImageModule<'a> {
    bytes: &'a [u8],
    symbols: &'a SymbolTable,
    types: Vec<FuncType>,
    /// The type of each function, imported ones first.
    function_types: Vec<u32>,
    imported_functions: u32,
    pub(crate) globals: u32,
    pub(crate) elements: u32,
    pub(crate) data: u32,
    /// The tables, and the memory.
    tables: Vec<wasmparser::TableType>,
    memory: wasmparser::MemoryType,
    /// The first entry of the table that has each function.
    slots: HashMap<u32, u32>,
    /// Where the body of the function that starts the modules lies, with its size.
    start_body: Range<usize>,
}

/// What is added to an image.
#[derive(Default)]
pub(crate) struct Additions {
    pub(crate) types: List,
    pub(crate) functions: List,
    pub(crate) globals: List,
    pub(crate) elements: List,
    pub(crate) code: List,
    pub(crate) data: List,
    pub(crate) hints: Vec<(u32, Vec<BranchHint>)>,
    /// The entries that the table has in the end.
    pub(crate) table_entries: u32,
    /// The pages that the memory has at the start.
    pub(crate) memory_pages: u32,
    /// The body of the function that starts the modules, encoded with its size.
    pub(crate) start: Vec<u8>,
}

impl<'a> ImageModule<'a> {
    pub(crate) fn parse(bytes: &'a [u8], symbols: &'a SymbolTable) -> Result<Self, Rejection> {
        let mut image = Self {
            bytes,
            symbols,
            types: Vec::new(),
            function_types: Vec::new(),
            imported_functions: 0,
            globals: 0,
            elements: 0,
            data: 0,
            tables: Vec::new(),
            memory: wasmparser::MemoryType {
                memory64: false,
                shared: false,
                initial: 0,
                maximum: None,
                page_size_log2: None,
            },
            slots: HashMap::new(),
            start_body: 0..0,
        };
        let mut function = 0;
        let mut previous_end = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::CodeSectionStart { range, .. } => {
                    function = image.imported_functions;
                    let content = bytes.get(range.clone()).unwrap_or_default();
                    let list = List::parse(content)?;
                    previous_end = range.end - list.entries.len();
                }
                Payload::CodeSectionEntry(body) => {
                    let end = body.range().end;
                    if function == symbols.start {
                        image.start_body = previous_end..end;
                    }
                    previous_end = end;
                    function += 1;
                }
                payload => image.read(payload)?,
            }
        }
        let ty = image.function_type(symbols.start);
        if image.start_body.is_empty()
            || ty.is_none_or(|ty| !ty.params().is_empty() || !ty.results().is_empty())
        {
            return Err(Rejection::Invalid(
                "it has no function that starts modules".to_owned(),
            ));
        }
        Ok(image)
    }

    fn read(&mut self, payload: Payload<'_>) -> Result<(), Rejection> {
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let TypeRef::Func(ty) = import?.ty else {
                        return Err(Rejection::Forbidden("imports more than functions"));
                    };
                    self.function_types.push(ty);
                    self.imported_functions += 1;
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.function_types.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    self.tables.push(table?.ty);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memory = memory?;
                }
            }
            Payload::GlobalSection(section) => self.globals = section.count(),
            Payload::ElementSection(section) => {
                self.elements = section.count();
                for element in section {
                    self.read_element(element?)?;
                }
            }
            Payload::DataSection(section) => self.data = section.count(),
            _ => {}
        }
        Ok(())
    }

    fn read_element(&mut self, element: wasmparser::Element<'_>) -> Result<(), Rejection> {
        let ElementKind::Active {
            table_index,
            offset_expr,
        } = element.kind
        else {
            return Ok(());
        };
        if table_index.unwrap_or(0) != self.symbols.table {
            return Ok(());
        }
        let Operator::I32Const { value: first } = offset_expr.get_operators_reader().read()? else {
            return Err(Rejection::Forbidden("computes an index of its table"));
        };
        if let ElementItems::Functions(functions) = element.items {
            for (slot, function) in (first.cast_unsigned()..).zip(functions) {
                self.slots.entry(function?).or_insert(slot);
            }
        }
        Ok(())
    }

    pub(crate) fn types(&self) -> u32 {
        self.types.len() as u32
    }

    pub(crate) fn functions(&self) -> u32 {
        self.function_types.len() as u32
    }

    /// Returns the type of a function, by its index.
    pub(crate) fn function_type(&self, function: u32) -> Option<&FuncType> {
        self.types
            .get(*self.function_types.get(function as usize)? as usize)
    }

    /// Returns the index of the type of a function.
    pub(crate) fn function_type_index(&self, function: u32) -> Option<u32> {
        self.function_types.get(function as usize).copied()
    }

    /// Returns the index of a type.
    pub(crate) fn type_index(&self, wanted: &FuncType) -> Option<u32> {
        let index = self.types.iter().position(|ty| ty == wanted)?;
        u32::try_from(index).ok()
    }

    /// Returns the entry of the table that has a function.
    pub(crate) fn slot(&self, function: u32) -> Option<u32> {
        self.slots.get(&function).copied()
    }

    /// Returns how many entries the table has.
    pub(crate) fn table_entries(&self) -> u32 {
        let table = self.tables.get(self.symbols.table as usize);
        table.map_or(0, |table| u32::try_from(table.initial).unwrap_or(u32::MAX))
    }

    /// Returns the bytes of the memory at the start.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory.initial.saturating_mul(u64::from(PAGE))
    }

    /// Encodes the module with `additions`.
    pub(crate) fn encode_with(&self, additions: &Additions) -> Result<Vec<u8>, Rejection> {
        let mut output = Module::new();
        let mut sections = 0;
        for payload in Parser::new(0).parse_all(self.bytes) {
            let payload = payload?;
            let Some((id, range)) = payload.as_section() else {
                continue;
            };
            let content = self.bytes.get(range.clone()).unwrap_or_default();
            let mut extend = |added: &List| -> Result<(), Rejection> {
                let mut list = List::parse(content)?;
                list.append(added);
                sections += 1;
                output.section(&RawSection {
                    id,
                    data: &list.content(),
                });
                Ok(())
            };
            match payload {
                Payload::TypeSection(_) => extend(&additions.types)?,
                Payload::FunctionSection(_) => extend(&additions.functions)?,
                Payload::GlobalSection(_) => extend(&additions.globals)?,
                Payload::ElementSection(_) => extend(&additions.elements)?,
                Payload::DataSection(_) => extend(&additions.data)?,
                Payload::CodeSectionStart { .. } => {
                    let list = self.code(range, additions)?;
                    output.section(&RawSection {
                        id,
                        data: &list.content(),
                    });
                }
                Payload::TableSection(_) => {
                    output.section(&self.tables(additions)?);
                }
                Payload::MemorySection(_) => {
                    output.section(&self.memory(additions));
                }
                Payload::DataCountSection { count, .. } => {
                    let count = count + additions.data.count;
                    output.section(&DataCountSection { count });
                }
                Payload::CustomSection(section) => match section.as_known() {
                    KnownCustom::BranchHints(_) => {
                        output.section(&CustomSection {
                            name: section.name().into(),
                            data: hints(section.data(), additions)?.content().into(),
                        });
                    }
                    // The table has the functions before linking, which stay where they are.
                    _ => {
                        output.section(&RawSection { id, data: content });
                    }
                },
                _ => {
                    output.section(&RawSection { id, data: content });
                }
            }
        }
        if sections != EXTENDED_SECTIONS {
            let reason = "it lacks a section that every image has";
            return Err(Rejection::Invalid(reason.to_owned()));
        }
        Ok(output.finish())
    }

    /// Returns the bodies, with another one in place of that of the function that starts modules.
    fn code(&self, range: Range<usize>, additions: &Additions) -> Result<List, Rejection> {
        let content = self.bytes.get(range.clone()).unwrap_or_default();
        let parsed = List::parse(content)?;
        let first = range.end - parsed.entries.len();
        let mut list = List {
            count: parsed.count,
            entries: Vec::with_capacity(
                parsed.entries.len() + additions.start.len() + additions.code.entries.len(),
            ),
        };
        list.entries
            .extend_from_slice(&self.bytes[first..self.start_body.start]);
        list.entries.extend_from_slice(&additions.start);
        list.entries
            .extend_from_slice(&self.bytes[self.start_body.end..range.end]);
        list.append(&additions.code);
        Ok(list)
    }

    fn tables(&self, additions: &Additions) -> Result<TableSection, Rejection> {
        let mut section = TableSection::new();
        for (index, table) in (0..).zip(&self.tables) {
            let mut ty: TableType = RoundtripReencoder
                .table_type(*table)
                .map_err(|error| Rejection::Invalid(error.to_string()))?;
            if index == self.symbols.table {
                ty.minimum = u64::from(additions.table_entries);
                ty.maximum = ty.maximum.map(|maximum| maximum.max(ty.minimum));
            }
            section.table(ty);
        }
        Ok(section)
    }

    fn memory(&self, additions: &Additions) -> MemorySection {
        let mut section = MemorySection::new();
        let minimum = u64::from(additions.memory_pages);
        section.memory(MemoryType {
            minimum,
            maximum: self.memory.maximum.map(|maximum| maximum.max(minimum)),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        section
    }
}

/// Returns the branch hints of a section together with those of `additions`.
fn hints(section: &[u8], additions: &Additions) -> Result<List, Rejection> {
    let mut list = List::parse(section)?;
    for (function, hints) in &additions.hints {
        list.count += 1;
        function.encode(&mut list.entries);
        hints.len().encode(&mut list.entries);
        for hint in hints {
            hint.branch_func_offset.encode(&mut list.entries);
            // The bytes of the value.
            1_u32.encode(&mut list.entries);
            hint.branch_hint_value.encode(&mut list.entries);
        }
    }
    Ok(list)
}
