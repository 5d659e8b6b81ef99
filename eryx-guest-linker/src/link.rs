//! Links libraries into an image.

mod code;
mod definitions;
mod imports;
mod layout;
mod short_functions;
mod start;
mod table_slots;
#[cfg(test)]
mod test_image;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use wasm_encoder::{CodeSection, ConstExpr, DataSection};
use wasmparser::ValType;

use self::layout::Layout;
use self::start::StartStep;
use crate::compile_cost::CompileCost;
use crate::component::ImageParts;
use crate::error::{LinkError, Rejection};
use crate::image_module::{Additions, ImageModule, PAGE};
use crate::libraries_table::{Libraries, LibrariesTable};
use crate::library::{ImportedGlobal, Library};
use crate::limits;
use crate::sections::List;
use crate::symbols::SymbolTable;
use crate::writer::LibraryWriter;

/// The name of the image in errors.
const IMAGE: &str = "the image";

/// An extension module of CPython in WebAssembly.
#[derive(Debug, Clone, Copy)]
pub struct NativeModule<'a> {
    /// The path of its file in the sandbox, by which `dlopen` finds it.
    pub path: &'a str,
    /// The content of the file.
    pub content: &'a [u8],
}

/// Returns the component `image` with `modules`. Equal inputs give equal bytes.
///
/// # Errors
///
/// Fails when a module is not valid, uses what sandboxes do not have, or exceeds a limit. The error
/// names the module.
pub fn link(image: &[u8], modules: &[NativeModule<'_>]) -> Result<Vec<u8>, LinkError> {
    let in_image = |reason: Rejection| reason.in_module(IMAGE);
    let parts = ImageParts::find(image).map_err(in_image)?;
    let parsed = ImageModule::parse(parts.module(), &parts.symbols).map_err(in_image)?;
    if modules.len() > limits::MODULES {
        return Err(Rejection::too_large("modules", limits::MODULES).in_module(modules[0].path));
    }
    let mut linker = Linker::new(&parsed, &parts.symbols).map_err(in_image)?;
    for module in modules {
        linker
            .add(module)
            .map_err(|reason| reason.in_module(module.path))?;
    }
    let additions = linker.finish().map_err(in_image)?;
    let module = parsed.encode_with(&additions).map_err(in_image)?;
    parts.with_module(&module).map_err(in_image)
}

/// The image, and what the libraries so far add to it.
struct Linker<'i, 'm> {
    image: &'i ImageModule<'i>,
    symbols: &'i SymbolTable,
    additions: Additions,
    /// The next free address.
    address: u64,
    /// The next free entry of the table.
    slot: u32,
    /// The entries of the table with functions of the image that had none.
    image_slots: HashMap<u32, u32>,
    libraries: Libraries<'m>,
    /// What starts the libraries.
    start: Vec<StartStep>,
    /// The words that `start` replaces.
    replaced_words: usize,
    /// The work of the compiler on all functions.
    compile_cost: CompileCost,
}

impl<'i, 'm> Linker<'i, 'm> {
    fn new(image: &'i ImageModule<'i>, symbols: &'i SymbolTable) -> Result<Self, Rejection> {
        let is_setter = image
            .function_type(symbols.set_libraries)
            .is_some_and(|ty| ty.params() == [ValType::I32] && ty.results().is_empty());
        if !is_setter {
            let reason = "it has no function that sets the libraries";
            return Err(Rejection::Invalid(reason.to_owned()));
        }
        Ok(Self {
            image,
            symbols,
            additions: Additions::default(),
            address: image.memory_bytes(),
            slot: image.table_entries(),
            image_slots: HashMap::new(),
            libraries: Libraries::new(),
            start: Vec::new(),
            replaced_words: 0,
            compile_cost: CompileCost::default(),
        })
    }

    fn add(&mut self, module: &NativeModule<'m>) -> Result<(), Rejection> {
        let library = Library::parse(module.content)?;
        self.compile_cost.add(library.compile_cost)?;
        if library.calls.uses_bulk_memory() && self.symbols.yield_points.bulk_memory.is_none() {
            return Err(Rejection::Forbidden("fills or copies memory"));
        }
        if library.calls.references_import() {
            return Err(Rejection::Forbidden(
                "puts imported functions into its table",
            ));
        }
        let mut layout = self.layout(&library)?;
        let functions = self.resolve_functions(&mut layout)?;
        let globals = self.resolve_globals(&mut layout)?;
        if !layout.unknown.is_empty() {
            return Err(Rejection::UnknownSymbols(layout.unknown));
        }
        let mut writer = LibraryWriter {
            first_type: self.image.types() + self.additions.types.count,
            functions,
            first_function: layout.first_function,
            imported_globals: globals,
            first_global: self.image.globals + self.additions.globals.count,
            first_element: self.image.elements + self.additions.elements.count,
            first_data: self.image.data + self.additions.data.count,
            table: self.symbols.table,
        };
        let replaced = self.replace_short_functions(&mut layout, &writer)?;
        self.add_exports(module.path, &mut layout, &writer, replaced)?;
        self.add_definitions(&layout, &mut writer)?;
        self.add_elements(&layout, &writer)?;
        self.add_code(&layout, &mut writer)?;
        self.check_sizes()
    }

    /// Takes the memory, the entries of the table and the indices that a library needs.
    fn layout<'l, 'a>(&mut self, library: &'l Library<'a>) -> Result<Layout<'l, 'a>, Rejection> {
        let too_large = Rejection::too_large("memory of the data in bytes", limits::MEMORY_BYTES);
        let alignment = 1_u64 << library.memory.memory_alignment.clamp(4, limits::ALIGNMENT);
        let base = self.address.next_multiple_of(alignment);
        self.address = base + u64::from(library.memory.memory_size);
        if self.address - self.image.memory_bytes() > u64::from(limits::MEMORY_BYTES) {
            return Err(too_large);
        }
        let memory_base = u32::try_from(base).map_err(|_| too_large)?;
        let table_base = self
            .slot
            .next_multiple_of(1 << library.memory.table_alignment.min(limits::ALIGNMENT));
        self.slot = table_base.saturating_add(library.memory.table_size);
        self.check_sizes()?;
        let bases: Vec<_> = library
            .imported_globals
            .iter()
            .map(|global| match global {
                ImportedGlobal::MemoryBase => Some(memory_base),
                ImportedGlobal::TableBase => Some(table_base),
                _ => None,
            })
            .collect();
        let mut layout = Layout {
            library,
            memory_base,
            table_base,
            first_function: self.image.functions() + self.additions.functions.count,
            bases,
            slots: HashMap::new(),
            extra_slots: Vec::new(),
            extra_functions: Vec::new(),
            redirects: HashMap::new(),
            unknown: Vec::new(),
        };
        layout.read_slots()?;
        Ok(layout)
    }

    fn check_sizes(&self) -> Result<(), Rejection> {
        let additions = &self.additions;
        if additions.functions.count > limits::FUNCTIONS {
            return Err(Rejection::too_large("functions", limits::FUNCTIONS));
        }
        if self.slot.saturating_sub(self.image.table_entries()) > limits::TABLE_ENTRIES {
            return Err(Rejection::too_large(
                "entries of the function table",
                limits::TABLE_ENTRIES,
            ));
        }
        let lists = [
            &additions.types,
            &additions.globals,
            &additions.elements,
            &additions.data,
        ];
        if lists.iter().any(|list| list.count > limits::ENTRIES) {
            return Err(Rejection::too_large(
                "entries of a section",
                limits::ENTRIES,
            ));
        }
        Ok(())
    }

    /// Returns all additions, with the table of the libraries and the function that starts them.
    fn finish(mut self) -> Result<Additions, Rejection> {
        let too_large = || Rejection::too_large("memory in bytes", u32::MAX);
        let base = u32::try_from(self.address.next_multiple_of(16)).map_err(|_| too_large())?;
        let table = LibrariesTable::encode(&self.libraries, base);
        let end = u64::from(base) + table.bytes.len() as u64;
        let pages = u32::try_from(end.div_ceil(u64::from(PAGE))).map_err(|_| too_large())?;
        let mut data = DataSection::new();
        data.active(0, &ConstExpr::i32_const(base.cast_signed()), table.bytes);
        self.additions.data.append(&List::from_section(&data)?);
        let mut code = CodeSection::new();
        code.function(&self.start_function(table.root));
        self.additions.start = List::from_section(&code)?.entries;
        self.additions.table_entries = self.slot;
        self.additions.memory_pages = pages;
        Ok(self.additions)
    }
}

fn invalid(error: wasm_encoder::reencode::Error) -> Rejection {
    Rejection::Invalid(error.to_string())
}
