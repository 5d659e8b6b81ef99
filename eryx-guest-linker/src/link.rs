//! Links libraries into an image.

use std::collections::{BTreeMap, HashMap};

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ElementSection, Elements, Function,
    FunctionSection, GlobalSection, Instruction, MemArg, TypeSection,
};
use wasmparser::{DataKind, ElementItems, ElementKind, FuncType, ValType};

use crate::compile_cost::CompileCost;
use crate::component::ImageParts;
use crate::error::{LinkError, Rejection};
use crate::image_module::{Additions, ImageModule, PAGE};
use crate::libraries_table::{Libraries, LibrariesTable};
use crate::library::{ImportedGlobal, Library, PREVIEW1};
use crate::limits;
use crate::method_tables::{MAX_PARAMETERS, Memory, ShortFunction};
use crate::sections::List;
use crate::symbols::SymbolTable;
use crate::writer::{GlobalValue, LibraryWriter};
use crate::yield_points::body::{self, BodyInputs, Padding};

/// The name of the image in errors.
const IMAGE: &str = "the image";

/// The export of a library that stores addresses in its data. `wasm-ld` makes it.
const RELOCATE: &str = "__wasm_apply_data_relocs";

/// The exports of a library that are run when it is started, in this order.
const START_FUNCTIONS: [&str; 3] = [RELOCATE, "__wasm_call_ctors", "_initialize"];

/// The padding of the frames of functions that may call themselves, in bytes: as that of CPython's
/// own functions that check the recursion depth.
const FRAME_PADDING: i32 = 96;

/// The prefix of the functions with which CPython makes a module.
const MODULE_FUNCTIONS: &str = "PyInit_";

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
    let of_image = |reason: Rejection| reason.of(IMAGE);
    let parts = ImageParts::find(image).map_err(of_image)?;
    let parsed = ImageModule::parse(parts.module(), &parts.symbols).map_err(of_image)?;
    if modules.len() > limits::MODULES {
        return Err(Rejection::too_large("modules", limits::MODULES).of(modules[0].path));
    }
    let mut linker = Linker::new(&parsed, &parts.symbols).map_err(of_image)?;
    for module in modules {
        linker
            .add(module)
            .map_err(|reason| reason.of(module.path))?;
    }
    let additions = linker.finish().map_err(of_image)?;
    let module = parsed.with(&additions).map_err(of_image)?;
    parts.with_module(&module).map_err(of_image)
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

/// A part of the start of the libraries.
enum StartStep {
    /// Calls a function.
    Call(u32),
    /// Stores an entry of the table at an address.
    Store { address: u32, slot: u32 },
}

/// The layout of a library: its memory, entries of the table, and indices in the image.
struct Layout<'l, 'a> {
    library: &'l Library<'a>,
    memory_base: u32,
    table_base: u32,
    first_function: u32,
    /// The imported globals that are constants of the same value in the whole library.
    bases: Vec<Option<u32>>,
    /// The entries of the table that have its own functions.
    slots: HashMap<u32, u32>,
    /// The functions in the entries behind those that it asks for.
    extra_slots: Vec<u32>,
    /// Functions behind its own: the index of their type, and their body.
    extra_functions: Vec<(u32, ExtraFunction)>,
    /// The functions that it imports and defines.
    redirects: HashMap<u32, u32>,
    unknown: Vec<String>,
}

/// A function that a library needs besides its own.
enum ExtraFunction {
    /// Calls a function with the first of its parameters. It is in the table in place of a function
    /// of the image, which does not decrement the counter when it is called, or of one of the
    /// library with fewer parameters than CPython passes.
    Caller { callee: u32, parameters: u32 },
    /// Traps: a weak symbol that is missing.
    Trap,
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

    /// Returns the functions of the image that a library imports.
    fn resolve_functions(&self, layout: &mut Layout<'_, '_>) -> Result<Vec<u32>, Rejection> {
        let mut functions = Vec::new();
        for (index, import) in (0..).zip(&layout.library.imported_functions) {
            let expected = layout.library.function_type(index)?;
            let symbols = if import.module == PREVIEW1 {
                &self.symbols.preview1
            } else {
                &self.symbols.functions
            };
            let own = layout.library.exported_functions.get(import.name);
            match (own, symbols.get(import.name)) {
                // A linker may let a library import a function that it defines, so that another
                // library can replace it.
                (Some(&own), _) if import.module != PREVIEW1 && layout.defines(own) => {
                    if layout.library.function_type(own)? != expected {
                        let reason = format!("{} has two types", import.name);
                        return Err(Rejection::Invalid(reason));
                    }
                    functions.push(layout.function(own));
                    layout.redirects.insert(index, own);
                }
                (_, Some(&function)) => {
                    self.check_type(import.name, expected, function)?;
                    functions.push(function);
                }
                _ if layout.library.is_weak(import.module, import.name) => {
                    let ty = layout.library.function_types[index as usize];
                    let ty = self.image.types() + self.additions.types.count + ty;
                    functions.push(layout.add_function(ty, ExtraFunction::Trap));
                }
                _ if import.module == PREVIEW1 => {
                    return Err(Rejection::Import {
                        kind: "the function",
                        module: import.module.to_owned(),
                        name: import.name.to_owned(),
                    });
                }
                _ => layout.unknown.push(import.name.to_owned()),
            }
        }
        Ok(functions)
    }

    fn check_type(&self, name: &str, expected: &FuncType, function: u32) -> Result<(), Rejection> {
        let found = self.image.function_type(function);
        if found == Some(expected) {
            return Ok(());
        }
        Err(Rejection::FunctionType {
            name: name.to_owned(),
            expected: expected.to_string(),
            found: found.map(ToString::to_string).unwrap_or_default(),
        })
    }

    /// Returns the values of the globals that a library imports.
    fn resolve_globals(
        &mut self,
        layout: &mut Layout<'_, '_>,
    ) -> Result<Vec<GlobalValue>, Rejection> {
        let library = layout.library;
        let mut values = Vec::new();
        for global in &library.imported_globals {
            let value = match *global {
                ImportedGlobal::StackPointer => {
                    values.push(GlobalValue::Global(self.symbols.stack_pointer));
                    continue;
                }
                ImportedGlobal::MemoryBase => Some(layout.memory_base),
                ImportedGlobal::TableBase => Some(layout.table_base),
                ImportedGlobal::DataAddress(name) => match layout.own_data(name)? {
                    Some(address) => Some(address),
                    None => self.symbols.data.get(name).copied(),
                },
                ImportedGlobal::FunctionAddress(name) => {
                    match (
                        library.exported_functions.get(name),
                        self.symbols.functions.get(name),
                    ) {
                        (Some(&own), _) if layout.defines(own) => Some(self.own_slot(layout, own)?),
                        (_, Some(&function)) => Some(self.image_slot(layout, function)?),
                        _ => None,
                    }
                }
            };
            match (value, *global) {
                (Some(value), _) => values.push(GlobalValue::Constant(value)),
                (
                    None,
                    ImportedGlobal::DataAddress(name) | ImportedGlobal::FunctionAddress(name),
                ) => {
                    let (mem, func) = ("GOT.mem", "GOT.func");
                    let is_weak = [mem, func, "env"]
                        .iter()
                        .any(|module| library.is_weak(module, name));
                    if !is_weak {
                        layout.unknown.push(name.to_owned());
                    }
                    values.push(GlobalValue::Constant(0));
                }
                (None, _) => {}
            }
        }
        Ok(values)
    }

    /// Takes an entry of the table.
    fn take_slot(&mut self) -> Result<u32, Rejection> {
        let slot = self.slot;
        self.slot = slot.saturating_add(1);
        self.check_sizes()?;
        Ok(slot)
    }

    /// Returns the entry of the table with a function that a library defines.
    fn own_slot(&mut self, layout: &mut Layout<'_, '_>, function: u32) -> Result<u32, Rejection> {
        if let Some(slot) = layout.slots.get(&function) {
            return Ok(*slot);
        }
        let slot = self.take_slot()?;
        layout.slots.insert(function, slot);
        layout.extra_slots.push(layout.function(function));
        Ok(slot)
    }

    /// Returns the entry of the table with a function of the image.
    fn image_slot(&mut self, layout: &mut Layout<'_, '_>, function: u32) -> Result<u32, Rejection> {
        let found = self
            .image
            .slot(function)
            .or_else(|| self.image_slots.get(&function).copied());
        if let Some(slot) = found {
            return Ok(slot);
        }
        let (Some(ty), Some(parameters)) = (
            self.image.function_type_index(function),
            self.image.function_type(function),
        ) else {
            return Err(Rejection::Invalid("a symbol is no function".to_owned()));
        };
        let caller = ExtraFunction::Caller {
            callee: function,
            parameters: parameters.params().len() as u32,
        };
        let caller = layout.add_function(ty, caller);
        let slot = self.take_slot()?;
        layout.extra_slots.push(caller);
        self.image_slots.insert(function, slot);
        Ok(slot)
    }

    /// Adds functions with all the parameters that CPython passes, in place of those in the tables
    /// of a library that have fewer. Returns what stores them.
    fn replace_short_functions(
        &mut self,
        layout: &mut Layout<'_, '_>,
        writer: &LibraryWriter,
    ) -> Result<Vec<StartStep>, Rejection> {
        let library = layout.library;
        let Some(&relocate) = library.exported_functions.get(RELOCATE) else {
            return Ok(Vec::new());
        };
        let functions = layout
            .slots
            .iter()
            .map(|(function, slot)| (*slot, *function));
        let memory = Memory::new(
            library,
            relocate,
            &writer.imported_globals,
            &layout.bases,
            functions.collect(),
        )?;
        // CPython passes parameters that no call in the image passes to no function.
        let types: Vec<_> = (0..=MAX_PARAMETERS)
            .map(|count| {
                let ty = FuncType::new(vec![ValType::I32; count], [ValType::I32]);
                self.image.type_index(&ty)
            })
            .collect();
        let mut slots = HashMap::new();
        let mut steps = Vec::new();
        for short in memory.short_functions()? {
            let ShortFunction {
                address,
                function,
                parameters,
            } = short;
            let Some(ty) = types.get(parameters).copied().flatten() else {
                continue;
            };
            let space = layout.memory_base..layout.memory_base + library.memory.memory_size;
            if !space.contains(&address) || !space.contains(&(address + 3)) {
                return Err(Rejection::OutOfBounds("the address of a function"));
            }
            self.replaced_words += 1;
            if self.replaced_words > limits::REPLACED_WORDS {
                return Err(Rejection::too_large(
                    "functions with fewer parameters than CPython passes",
                    limits::REPLACED_WORDS,
                ));
            }
            let slot = match slots.get(&(function, parameters)) {
                Some(slot) => *slot,
                None => {
                    let caller = ExtraFunction::Caller {
                        callee: layout.function(function),
                        parameters: library.function_type(function)?.params().len() as u32,
                    };
                    let caller = layout.add_function(ty, caller);
                    let slot = self.take_slot()?;
                    layout.extra_slots.push(caller);
                    slots.insert((function, parameters), slot);
                    slot
                }
            };
            steps.push(StartStep::Store { address, slot });
        }
        Ok(steps)
    }

    /// Adds the functions that make modules to the libraries that `dlopen` finds, and those that
    /// start the library. `replaced` follows the relocations.
    fn add_exports(
        &mut self,
        path: &'m str,
        layout: &mut Layout<'_, 'm>,
        writer: &LibraryWriter,
        replaced: Vec<StartStep>,
    ) -> Result<(), Rejection> {
        let exported: BTreeMap<&'m str, u32> = layout
            .library
            .exported_functions
            .iter()
            .filter(|(_, function)| layout.defines(**function))
            .map(|(name, function)| (*name, *function))
            .collect();
        // It runs under the limits of the sandbox, and not when an instance is made.
        if let Some(start) = layout.library.start {
            if !layout.defines(start) {
                return Err(Rejection::Forbidden("starts with an imported function"));
            }
            self.start.push(StartStep::Call(writer.function(start)));
        }
        let mut replaced = Some(replaced);
        for name in START_FUNCTIONS {
            let Some(&function) = exported.get(name) else {
                continue;
            };
            let ty = layout.library.function_type(function)?;
            if !ty.params().is_empty() || !ty.results().is_empty() {
                return Err(Rejection::Forbidden("has a constructor with parameters"));
            }
            self.start.push(StartStep::Call(writer.function(function)));
            if name == RELOCATE {
                self.start.extend(replaced.take().unwrap_or_default());
            }
        }
        let mut symbols = BTreeMap::new();
        for (name, function) in exported {
            if name.starts_with(MODULE_FUNCTIONS) {
                symbols.insert(name, self.own_slot(layout, function)?);
            }
        }
        self.libraries.insert(path, symbols);
        Ok(())
    }

    /// Adds the types, globals and data of a library.
    fn add_definitions(
        &mut self,
        layout: &Layout<'_, '_>,
        writer: &mut LibraryWriter,
    ) -> Result<(), Rejection> {
        let library = layout.library;
        let mut types = TypeSection::new();
        for ty in &library.types {
            let ty = writer.func_type(ty.clone()).map_err(invalid)?;
            types.ty().func_type(&ty);
        }
        let mut globals = GlobalSection::new();
        for global in &library.globals {
            writer
                .parse_global(&mut globals, global.clone())
                .map_err(invalid)?;
        }
        let mut data = DataSection::new();
        for segment in &library.data {
            let DataKind::Active { offset_expr, .. } = &segment.kind else {
                return Err(Rejection::Forbidden("has a passive data segment"));
            };
            let offset = library.evaluate(offset_expr, &layout.bases)?;
            let end = u64::from(offset) + segment.data.len() as u64;
            let space = u64::from(layout.memory_base) + u64::from(library.memory.memory_size);
            if offset < layout.memory_base || end > space {
                return Err(Rejection::OutOfBounds("a data segment"));
            }
            data.active(
                0,
                &ConstExpr::i32_const(offset.cast_signed()),
                segment.data.iter().copied(),
            );
        }
        self.additions.types.append(&List::of(&types)?);
        self.additions.globals.append(&List::of(&globals)?);
        self.additions.data.append(&List::of(&data)?);
        Ok(())
    }

    /// Adds the entries of the table.
    fn add_elements(
        &mut self,
        layout: &Layout<'_, '_>,
        writer: &LibraryWriter,
    ) -> Result<(), Rejection> {
        let mut section = ElementSection::new();
        let mut add = |first: u32, functions: Vec<u32>| {
            section.active(
                Some(self.symbols.table).filter(|table| *table != 0),
                &ConstExpr::i32_const(first.cast_signed()),
                Elements::Functions(functions.into()),
            );
        };
        for element in &layout.library.elements {
            let (first, functions) = layout.element(element)?;
            let functions = functions.iter().map(|index| writer.function(*index));
            add(first, functions.collect());
        }
        // They were taken one after another, behind those that the library asks for.
        let extra = layout.extra_slots.clone();
        add(self.slot - extra.len() as u32, extra);
        self.additions.elements.append(&List::of(&section)?);
        Ok(())
    }

    /// Adds the functions, with yield points.
    fn add_code(
        &mut self,
        layout: &Layout<'_, '_>,
        writer: &mut LibraryWriter,
    ) -> Result<(), Rejection> {
        let library = layout.library;
        let mut calls = library.calls.clone();
        calls.redirect(&layout.redirects);
        for &function in layout.slots.keys() {
            calls.add_reference(function);
        }
        let counted_entries = calls.counted_entries();
        let points = &self.symbols.yield_points;
        let imported = library.imported_functions.len() as u32;
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for (index, body) in (imported..).zip(&library.bodies) {
            let ty = library.function_types[index as usize];
            functions.function(writer.first_type + ty);
            let inputs = BodyInputs {
                points,
                parameters: library.function_type(index)?.params().len() as u32,
                counts_entry: counted_entries.contains(&index),
                yield_import: None,
                // It imports functions of the image, and none of the host.
                calls_host: &|_| false,
                padding: self.padding(library, index, counted_entries.contains(&index))?,
            };
            let instrumented = body::instrument(writer, body, &inputs).map_err(invalid)?;
            code.function(&instrumented.function);
            if !instrumented.hints.is_empty() {
                self.additions
                    .hints
                    .push((writer.function(index), instrumented.hints));
            }
        }
        let first = layout.first_function + library.bodies.len() as u32;
        for (index, (ty, extra)) in (first..).zip(&layout.extra_functions) {
            functions.function(*ty);
            let mut function = Function::new([]);
            match extra {
                ExtraFunction::Caller { callee, parameters } => {
                    let hints = body::count_entry(points, &mut function);
                    self.additions.hints.push((index, hints));
                    for parameter in 0..*parameters {
                        function.instruction(&Instruction::LocalGet(parameter));
                    }
                    function.instruction(&Instruction::Call(*callee));
                }
                ExtraFunction::Trap => {
                    function.instruction(&Instruction::Unreachable);
                }
            }
            function.instruction(&Instruction::End);
            code.function(&function);
        }
        self.additions.functions.append(&List::of(&functions)?);
        self.additions.code.append(&List::of(&code)?);
        Ok(())
    }

    /// Returns the padding of a function's frame: CPython's own check of the recursion depth has to
    /// fail before the native stack ends, also where functions of the library are between two
    /// checks.
    fn padding(
        &self,
        library: &Library<'_>,
        function: u32,
        may_recurse: bool,
    ) -> Result<Option<Padding>, Rejection> {
        let ty = library.function_type(function)?;
        let result = match ty.results() {
            [] => BlockType::Empty,
            [result] => match wasm_encoder::ValType::try_from(*result) {
                Ok(result) => BlockType::Result(result),
                Err(_) => return Ok(None),
            },
            _ => return Ok(None),
        };
        if !may_recurse || library.calls.has_tail_calls(function) {
            return Ok(None);
        }
        Ok(Some(Padding {
            stack_pointer: self.symbols.stack_pointer,
            bytes: FRAME_PADDING,
            result,
        }))
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
        self.additions.data.append(&List::of(&data)?);
        let mut start = Function::new([]);
        // The table has this function, which called none before. Its branch gets no hint.
        body::count_entry(&self.symbols.yield_points, &mut start);
        for step in &self.start {
            match step {
                StartStep::Call(function) => {
                    start.instruction(&Instruction::Call(*function));
                }
                StartStep::Store { address, slot } => {
                    start
                        .instruction(&Instruction::I32Const(address.cast_signed()))
                        .instruction(&Instruction::I32Const(slot.cast_signed()))
                        .instruction(&Instruction::I32Store(MemArg {
                            offset: 0,
                            align: 2,
                            memory_index: 0,
                        }));
                }
            }
        }
        start
            .instruction(&Instruction::I32Const(table.root.cast_signed()))
            .instruction(&Instruction::Call(self.symbols.set_libraries))
            .instruction(&Instruction::End);
        let mut code = CodeSection::new();
        code.function(&start);
        self.additions.start = List::of(&code)?.entries;
        self.additions.table_entries = self.slot;
        self.additions.memory_pages = pages;
        Ok(self.additions)
    }
}

impl Layout<'_, '_> {
    /// Returns whether the library defines a function, by its index there.
    fn defines(&self, function: u32) -> bool {
        function as usize >= self.library.imported_functions.len()
    }

    /// Returns the index in the image of a function that the library defines.
    fn function(&self, function: u32) -> u32 {
        self.first_function + function - self.library.imported_functions.len() as u32
    }

    /// Adds a function behind those of the library. Returns its index in the image.
    fn add_function(&mut self, ty: u32, function: ExtraFunction) -> u32 {
        let behind = self.library.bodies.len() + self.extra_functions.len();
        self.extra_functions.push((ty, function));
        self.first_function + behind as u32
    }

    /// Returns the address of data that the library exports.
    fn own_data(&self, name: &str) -> Result<Option<u32>, Rejection> {
        let Some(&export) = self.library.exported_globals.get(name) else {
            return Ok(None);
        };
        let imported = self.library.imported_globals.len();
        let global = (export as usize)
            .checked_sub(imported)
            .and_then(|index| self.library.globals.get(index));
        match global {
            Some(global) if !global.ty.mutable && global.ty.content_type == ValType::I32 => {
                let offset = self.library.evaluate(&global.init_expr, &self.bases)?;
                Ok(Some(self.memory_base.wrapping_add(offset)))
            }
            _ => Ok(None),
        }
    }

    /// Returns the first entry of the table that an element segment fills, and its functions.
    fn element(&self, element: &wasmparser::Element<'_>) -> Result<(u32, Vec<u32>), Rejection> {
        let (ElementKind::Active { offset_expr, .. }, ElementItems::Functions(functions)) =
            (&element.kind, element.items.clone())
        else {
            return Err(Rejection::Forbidden("has a passive element segment"));
        };
        let first = self.library.evaluate(offset_expr, &self.bases)?;
        let end = u64::from(first) + u64::from(functions.count());
        let space = u64::from(self.table_base) + u64::from(self.library.memory.table_size);
        if first < self.table_base || end > space {
            return Err(Rejection::OutOfBounds("an element segment"));
        }
        let functions = functions.into_iter().collect::<Result<_, _>>()?;
        Ok((first, functions))
    }

    /// Finds the entries of the table with functions of the library.
    fn read_slots(&mut self) -> Result<(), Rejection> {
        for element in &self.library.elements {
            let (first, functions) = self.element(element)?;
            for (slot, function) in (first..).zip(functions) {
                if self.defines(function) {
                    self.slots.entry(function).or_insert(slot);
                }
            }
        }
        Ok(())
    }
}

fn invalid(error: wasm_encoder::reencode::Error) -> Rejection {
    Rejection::Invalid(error.to_string())
}

#[cfg(test)]
mod test_image;
#[cfg(test)]
mod tests;
