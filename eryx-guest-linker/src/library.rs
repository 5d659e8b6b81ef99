//! A shared library in WebAssembly: the format of `wasm-ld -shared` (WebAssembly tool conventions,
//! "Dynamic Linking").

use std::collections::{HashMap, HashSet};

use wasmparser::{
    ConstExpr, Data, DataKind, Dylink0Subsection, Element, ElementItems, ElementKind, ExternalKind,
    FuncType, FunctionBody, Global, KnownCustom, MemInfo, Operator, Parser, Payload, SymbolFlags,
    TypeRef, ValType, Validator, WasmFeatures,
};

use crate::compile_cost::CompileCost;
use crate::error::Rejection;
use crate::limits;
use crate::yield_points::call_graph::CallGraph;

/// The proposals that a module may use: those of WebAssembly 2.0, constants that are computed, and
/// tail calls.
const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::TAIL_CALL);

/// Returns whether a file is WebAssembly.
pub fn is_webassembly(content: &[u8]) -> bool {
    content.starts_with(b"\0asm")
}

/// A valid library. Everything in it refers to its own index spaces.
pub(crate) struct Library<'a> {
    pub(crate) memory: MemInfo,
    pub(crate) types: Vec<FuncType>,
    /// The type of each function, imported ones first.
    pub(crate) function_types: Vec<u32>,
    pub(crate) imported_functions: Vec<Import<'a>>,
    /// The imported globals.
    pub(crate) imported_globals: Vec<ImportedGlobal<'a>>,
    pub(crate) globals: Vec<Global<'a>>,
    pub(crate) exported_functions: HashMap<&'a str, u32>,
    pub(crate) exported_globals: HashMap<&'a str, u32>,
    /// The start function: linkers make one that fills memory with zeros.
    pub(crate) start: Option<u32>,
    pub(crate) elements: Vec<Element<'a>>,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    pub(crate) data: Vec<Data<'a>>,
    pub(crate) calls: CallGraph,
    /// The work of the compiler on all functions.
    pub(crate) compile_cost: CompileCost,
    /// The symbols that may be missing.
    weak: HashSet<(&'a str, &'a str)>,
}

/// A function that a library imports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Import<'a> {
    pub(crate) module: &'a str,
    pub(crate) name: &'a str,
}

/// A global that a library imports.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ImportedGlobal<'a> {
    StackPointer,
    MemoryBase,
    TableBase,
    /// The address of data.
    DataAddress(&'a str),
    /// The entry of the table that has a function.
    FunctionAddress(&'a str),
}

impl<'a> Library<'a> {
    /// Parses and validates a library.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Rejection> {
        if bytes.len() > limits::MODULE_BYTES {
            return Err(Rejection::too_large(
                "the size of a module in bytes",
                limits::MODULE_BYTES,
            ));
        }
        let mut library = Self {
            memory: MemInfo {
                memory_size: 0,
                memory_alignment: 0,
                table_size: 0,
                table_alignment: 0,
            },
            types: Vec::new(),
            function_types: Vec::new(),
            imported_functions: Vec::new(),
            imported_globals: Vec::new(),
            globals: Vec::new(),
            exported_functions: HashMap::new(),
            exported_globals: HashMap::new(),
            start: None,
            elements: Vec::new(),
            bodies: Vec::new(),
            data: Vec::new(),
            calls: CallGraph::default(),
            compile_cost: CompileCost::default(),
            weak: HashSet::new(),
        };
        library.check_shape(bytes)?;
        Validator::new_with_features(FEATURES).validate_all(bytes)?;
        let mut is_library = false;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::CustomSection(section) => {
                    if let KnownCustom::Dylink0(dylink) = section.as_known() {
                        is_library = true;
                        for subsection in dylink {
                            library.read_dylink(subsection?)?;
                        }
                    }
                }
                payload => library.read(payload)?,
            }
        }
        if !is_library {
            return Err(Rejection::NotALibrary);
        }
        Ok(library)
    }

    /// Checks what would take long to validate, and what is valid and forbidden.
    fn check_shape(&mut self, bytes: &[u8]) -> Result<(), Rejection> {
        let mut sizes = [0_u32; 6];
        let mut names = 0_usize;
        let mut name_bytes = |name: &str| {
            names += name.len();
            if names > limits::NAME_BYTES {
                let limit = limits::NAME_BYTES;
                return Err(Rejection::too_large(
                    "the size of all names in bytes",
                    limit,
                ));
            }
            Ok(())
        };
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version {
                    encoding: wasmparser::Encoding::Component,
                    ..
                } => return Err(Rejection::Forbidden("is a component")),
                Payload::TypeSection(section) => {
                    sizes[0] = section.count();
                    for ty in section.into_iter_err_on_gc_types() {
                        check_type(&ty?)?;
                    }
                }
                Payload::ImportSection(section) => {
                    sizes[1] = section.count();
                    for import in section.into_imports() {
                        let import = import?;
                        name_bytes(import.module)?;
                        name_bytes(import.name)?;
                    }
                }
                Payload::ExportSection(section) => {
                    sizes[2] = section.count();
                    for export in section {
                        name_bytes(export?.name)?;
                    }
                }
                Payload::GlobalSection(section) => {
                    sizes[3] = section.count();
                    for global in section {
                        check_expression(&global?.init_expr)?;
                    }
                }
                Payload::ElementSection(section) => {
                    sizes[4] = section.count();
                    for element in section {
                        if let ElementKind::Active { offset_expr, .. } = element?.kind {
                            check_expression(&offset_expr)?;
                        }
                    }
                }
                Payload::DataSection(section) => {
                    sizes[5] = section.count();
                    for data in section {
                        if let DataKind::Active { offset_expr, .. } = data?.kind {
                            check_expression(&offset_expr)?;
                        }
                    }
                }
                Payload::FunctionSection(section) if section.count() > limits::FUNCTIONS => {
                    return Err(Rejection::too_large("functions", limits::FUNCTIONS));
                }
                Payload::TagSection(_) => {
                    return Err(Rejection::Forbidden("throws exceptions of WebAssembly"));
                }
                Payload::TableSection(section) if section.count() > 0 => {
                    return Err(Rejection::Forbidden("has a table of its own"));
                }
                Payload::MemorySection(section) if section.count() > 0 => {
                    return Err(Rejection::Forbidden("has a memory of its own"));
                }
                Payload::CodeSectionEntry(body) => {
                    let size = body.range().len();
                    if size > limits::FUNCTION_BYTES {
                        return Err(Rejection::too_large(
                            "the size of a function in bytes",
                            limits::FUNCTION_BYTES,
                        ));
                    }
                    self.compile_cost.add_function(&body)?;
                }
                _ => {}
            }
        }
        if sizes.iter().any(|size| *size > limits::ENTRIES) {
            return Err(Rejection::too_large(
                "entries of a section",
                limits::ENTRIES,
            ));
        }
        Ok(())
    }

    fn read_dylink(&mut self, subsection: Dylink0Subsection<'a>) -> Result<(), Rejection> {
        match subsection {
            Dylink0Subsection::MemInfo(memory) => {
                if memory.memory_alignment > limits::ALIGNMENT
                    || memory.table_alignment > limits::ALIGNMENT
                {
                    return Err(Rejection::too_large(
                        "an alignment as a power of two",
                        limits::ALIGNMENT,
                    ));
                }
                self.memory = memory;
            }
            Dylink0Subsection::ImportInfo(imports) => {
                for import in imports {
                    if import.flags.contains(SymbolFlags::BINDING_WEAK) {
                        self.weak.insert((import.module, import.field));
                    }
                }
            }
            // Libraries that it needs are those of the image, or its symbols are unknown.
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, payload: Payload<'a>) -> Result<(), Rejection> {
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.read_import(import?)?;
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.function_types.push(ty?);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global?;
                    // The reset of an instance, its fork and its snapshot cover the memory alone:
                    // a program could leave something for the next one in a global.
                    if global.ty.mutable {
                        return Err(Rejection::Forbidden("has a mutable global"));
                    }
                    for operator in global.init_expr.get_operators_reader() {
                        if let Operator::RefFunc { function_index } = operator? {
                            self.calls.add_reference(function_index);
                        }
                    }
                    self.globals.push(global);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    match export.kind {
                        ExternalKind::Func => {
                            self.exported_functions.insert(export.name, export.index);
                        }
                        ExternalKind::Global => {
                            self.exported_globals.insert(export.name, export.index);
                        }
                        _ => {}
                    }
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    self.read_element(element?)?;
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::CodeSectionEntry(body) => {
                self.check_globals(&body)?;
                let added = self.calls.add_body(&body);
                added
                    .map_err(|_| Rejection::Forbidden("changes a table, or calls by reference"))?;
                self.bodies.push(body);
            }
            Payload::DataSection(section) => {
                for data in section {
                    let data = data?;
                    if matches!(data.kind, DataKind::Passive) {
                        return Err(Rejection::Forbidden("has a passive data segment"));
                    }
                    self.data.push(data);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn read_import(&mut self, import: wasmparser::Import<'a>) -> Result<(), Rejection> {
        let rejected = |kind| {
            Err(Rejection::Import {
                kind,
                module: import.module.to_owned(),
                name: import.name.to_owned(),
            })
        };
        match (import.ty, import.module, import.name) {
            (TypeRef::Func(ty), "env" | PREVIEW1, _) => {
                self.function_types.push(ty);
                self.calls.add_import();
                self.imported_functions.push(Import {
                    module: import.module,
                    name: import.name,
                });
            }
            (TypeRef::Func(_), ..) => return rejected("the function"),
            (TypeRef::Memory(_), "env", "memory") => {}
            (TypeRef::Memory(_), ..) => return rejected("the memory"),
            (TypeRef::Table(table), "env", "__indirect_function_table")
                if table.element_type == wasmparser::RefType::FUNCREF => {}
            (TypeRef::Table(_), ..) => return rejected("the table"),
            (TypeRef::Global(ty), module, name) => {
                let global = match (module, name, ty.mutable) {
                    ("env", "__stack_pointer", true) => ImportedGlobal::StackPointer,
                    ("env", "__memory_base", false) => ImportedGlobal::MemoryBase,
                    ("env", "__table_base", false) => ImportedGlobal::TableBase,
                    ("GOT.mem", name, true) => ImportedGlobal::DataAddress(name),
                    ("GOT.func", name, true) => ImportedGlobal::FunctionAddress(name),
                    _ => return rejected("the global"),
                };
                if ty.content_type != ValType::I32 {
                    return rejected("the global");
                }
                self.imported_globals.push(global);
            }
            (TypeRef::Tag(_) | TypeRef::FuncExact(_), ..) => return rejected("the exception"),
        }
        Ok(())
    }

    fn read_element(&mut self, element: Element<'a>) -> Result<(), Rejection> {
        if !matches!(element.kind, ElementKind::Active { .. }) {
            return Err(Rejection::Forbidden("has a passive element segment"));
        }
        let ElementItems::Functions(functions) = element.items.clone() else {
            return Err(Rejection::Forbidden("has elements that are not functions"));
        };
        for function in functions {
            self.calls.add_reference(function?);
        }
        self.elements.push(element);
        Ok(())
    }

    /// Checks that a function sets no global that has an address.
    fn check_globals(&self, body: &FunctionBody<'_>) -> Result<(), Rejection> {
        for operator in body.get_operators_reader()? {
            if let Operator::GlobalSet { global_index } = operator?
                && let Some(global) = self.imported_globals.get(global_index as usize)
                && !matches!(global, ImportedGlobal::StackPointer)
            {
                return Err(Rejection::Forbidden("changes the address of a symbol"));
            }
        }
        Ok(())
    }

    /// Returns whether a symbol may be missing.
    pub(crate) fn is_weak(&self, module: &str, name: &str) -> bool {
        self.weak.contains(&(module, name))
    }

    /// Returns the type of a function, by its index.
    pub(crate) fn function_type(&self, function: u32) -> Result<&FuncType, Rejection> {
        self.function_types
            .get(function as usize)
            .and_then(|ty| self.types.get(*ty as usize))
            .ok_or_else(|| Rejection::Invalid(format!("there is no function {function}")))
    }

    /// Returns the value of an expression of type `i32`. `imported` has the values of the imported
    /// globals that are constants.
    pub(crate) fn evaluate(
        &self,
        expression: &ConstExpr<'_>,
        imported: &[Option<u32>],
    ) -> Result<u32, Rejection> {
        const UNKNOWN: Rejection = Rejection::Forbidden("computes an address while it starts");
        let mut stack = Vec::new();
        for operator in expression.get_operators_reader() {
            let value = match operator? {
                Operator::I32Const { value } => value.cast_unsigned(),
                Operator::GlobalGet { global_index } => imported
                    .get(global_index as usize)
                    .copied()
                    .flatten()
                    .ok_or(UNKNOWN)?,
                Operator::End => break,
                operator => {
                    let (Some(right), Some(left)): (Option<u32>, Option<u32>) =
                        (stack.pop(), stack.pop())
                    else {
                        return Err(UNKNOWN);
                    };
                    match operator {
                        Operator::I32Add => left.wrapping_add(right),
                        Operator::I32Sub => left.wrapping_sub(right),
                        Operator::I32Mul => left.wrapping_mul(right),
                        _ => return Err(UNKNOWN),
                    }
                }
            };
            stack.push(value);
        }
        stack.pop().ok_or(UNKNOWN)
    }
}

/// Checks the numbers of parameters and results of a function or a block.
fn check_type(ty: &FuncType) -> Result<(), Rejection> {
    if ty.params().len() > limits::PARAMETERS {
        let what = "parameters of a function";
        return Err(Rejection::too_large(what, limits::PARAMETERS));
    }
    if ty.results().len() > limits::RESULTS {
        let what = "results of a function";
        return Err(Rejection::too_large(what, limits::RESULTS));
    }
    Ok(())
}

/// Checks the size of an expression.
fn check_expression(expression: &ConstExpr<'_>) -> Result<(), Rejection> {
    if expression.get_binary_reader().bytes_remaining() > limits::EXPRESSION_BYTES {
        return Err(Rejection::too_large(
            "the size of a constant expression in bytes",
            limits::EXPRESSION_BYTES,
        ));
    }
    Ok(())
}

/// The module of the functions of WASI preview 1.
pub(crate) const PREVIEW1: &str = "wasi_snapshot_preview1";
