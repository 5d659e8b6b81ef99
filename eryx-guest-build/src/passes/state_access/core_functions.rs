//! The core part: functions of the merged module.

use anyhow::{Context, Result, ensure};
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, MemArg, Module, TypeSection, ValType,
};
use wasmparser::{
    CodeSectionReader, ExportSectionReader, FunctionSectionReader, GlobalSectionReader, Parser,
    Payload, TypeRef, TypeSectionReader,
};

use super::{EXPORTED, MEMORY, REALLOC, REALLOC_PARTS};

/// Where `memory-view` writes its result: at the end of the C stack, which is unused meanwhile.
const VIEW_RESULT: i32 = 16;

/// Where the list of `memory-place-all` is placed, up to the end of the page.
const PARTS: i32 = 32;

/// The bytes of an entry of that list: the address, and the address and the length of the content.
const PART: i32 = 12;

/// Returns `module` with the core functions.
///
/// `drops` are the imported functions that drop a handle, `stack_pointer` the global of that name,
/// and `yield_import` is the imported function that yields to the host.
///
/// # Errors
///
/// Fails when the module is malformed, or lacks a section that every interpreter has.
pub(in crate::passes) fn add_functions(
    module: &[u8],
    drops: &[u32],
    stack_pointer: u32,
    yield_import: Option<u32>,
) -> Result<Vec<u8>> {
    let counts = CoreCounts::of(module)?;
    let mut writer = CoreWriter {
        drops,
        stack_pointer,
        yield_import,
        counts,
    };
    let mut output = Module::new();
    writer
        .parse_core_module(&mut output, Parser::new(0), module)
        .map_err(anyhow::Error::from)?;
    Ok(output.finish())
}

/// The numbers of entries of a core module.
struct CoreCounts {
    types: u32,
    functions: u32,
    globals: u32,
}

impl CoreCounts {
    fn of(module: &[u8]) -> Result<Self> {
        let (mut types, mut functions, mut globals) = (None, 0, None);
        let (mut has_code, mut has_exports) = (false, false);
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => types = Some(section.count()),
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import?.ty {
                            TypeRef::Func(_) => functions += 1,
                            other => anyhow::bail!("the merged module imports {other:?}"),
                        }
                    }
                }
                Payload::FunctionSection(section) => functions += section.count(),
                Payload::GlobalSection(section) => globals = Some(section.count()),
                Payload::ExportSection(_) => has_exports = true,
                Payload::CodeSectionStart { .. } => has_code = true,
                _ => {}
            }
        }
        ensure!(
            has_code && has_exports,
            "the merged module has no functions"
        );
        Ok(Self {
            types: types.context("the merged module has no types")?,
            functions,
            globals: globals.context("the merged module has no globals")?,
        })
    }
}

struct CoreWriter<'a> {
    drops: &'a [u32],
    stack_pointer: u32,
    yield_import: Option<u32>,
    counts: CoreCounts,
}

/// The types that are added, by their position after those of the module.
#[derive(Clone, Copy)]
enum CoreType {
    ToNumber,
    FromNumber,
    FromBytes,
    NumberToNumber,
    Realloc,
}

const CORE_TYPES: [CoreType; 5] = [
    CoreType::ToNumber,
    CoreType::FromNumber,
    CoreType::FromBytes,
    CoreType::NumberToNumber,
    CoreType::Realloc,
];

impl CoreType {
    fn parameters(self) -> usize {
        match self {
            Self::ToNumber => 0,
            Self::FromNumber | Self::NumberToNumber => 1,
            Self::FromBytes => 2,
            Self::Realloc => 4,
        }
    }

    fn results(self) -> usize {
        match self {
            Self::ToNumber | Self::NumberToNumber | Self::Realloc => 1,
            Self::FromNumber | Self::FromBytes => 0,
        }
    }
}

impl CoreWriter<'_> {
    fn target(&self) -> u32 {
        self.counts.globals
    }

    fn drops_nothing(&self) -> u32 {
        self.counts.globals + 1
    }

    /// The entry of the list of `memory-place-all` whose content is allocated next; 0 before the
    /// list itself is.
    fn next_part(&self) -> u32 {
        self.counts.globals + 2
    }

    /// Returns the added functions in order: those in front of drops, those of `EXPORTED`, and both
    /// `realloc`.
    fn functions(&self) -> Vec<(CoreType, Function)> {
        let mut functions = Vec::new();
        for &import in self.drops {
            functions.push((
                CoreType::FromNumber,
                function(|code| {
                    code.global_get(self.drops_nothing())
                        .if_(wasm_encoder::BlockType::Empty)
                        .return_()
                        .end()
                        .local_get(0)
                        .call(import);
                }),
            ));
        }
        let word = |offset| MemArg {
            offset,
            align: 2,
            memory_index: 0,
        };
        functions.push((
            CoreType::ToNumber,
            function(|code| {
                code.i32_const(VIEW_RESULT)
                    .i32_const(0)
                    .i32_store(word(0))
                    .i32_const(VIEW_RESULT)
                    .memory_size(0)
                    .i32_const(16)
                    .i32_shl()
                    .i32_store(word(4))
                    .i32_const(VIEW_RESULT);
            }),
        ));
        functions.push((
            CoreType::ToNumber,
            function(|code| {
                code.global_get(self.stack_pointer);
            }),
        ));
        functions.push((
            CoreType::FromNumber,
            function(|code| {
                code.local_get(0).global_set(self.target());
            }),
        ));
        functions.push((CoreType::FromBytes, function(|_| {})));
        functions.push((
            CoreType::FromBytes,
            function(|code| {
                code.i32_const(0).global_set(self.next_part());
                if let Some(yield_import) = self.yield_import {
                    code.call(yield_import);
                }
            }),
        ));
        functions.push((
            CoreType::NumberToNumber,
            function(|code| {
                code.local_get(0).memory_grow(0);
            }),
        ));
        functions.push((
            CoreType::FromNumber,
            function(|code| {
                code.local_get(0).global_set(self.drops_nothing());
            }),
        ));
        functions.push((
            CoreType::Realloc,
            function(|code| {
                code.global_get(self.target());
            }),
        ));
        // The engine first allocates the list. It then writes the address of each entry there,
        // right before it allocates the entry's content.
        functions.push((
            CoreType::Realloc,
            function(|code| {
                code.global_get(self.next_part())
                    .i32_eqz()
                    .if_(wasm_encoder::BlockType::Empty)
                    .i32_const(PARTS)
                    .global_set(self.next_part())
                    .i32_const(PARTS)
                    .return_()
                    .end()
                    .global_get(self.next_part())
                    .i32_load(word(0))
                    .global_get(self.next_part())
                    .i32_const(PART)
                    .i32_add()
                    .global_set(self.next_part());
            }),
        ));
        functions
    }
}

fn function(body: impl FnOnce(&mut wasm_encoder::InstructionSink<'_>)) -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    body(&mut code);
    code.end();
    function
}

type Error = reencode::Error;

impl Reencode for CoreWriter<'_> {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        let position = self.drops.iter().position(|drop| *drop == function);
        // The number of drops is small, so the position fits.
        Ok(position.map_or(function, |position| self.counts.functions + position as u32))
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_type_section(self, types, section)?;
        for ty in CORE_TYPES {
            let number = |count| std::iter::repeat_n(ValType::I32, count);
            types
                .ty()
                .function(number(ty.parameters()), number(ty.results()));
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        for (ty, _) in self.functions() {
            functions.function(self.counts.types + ty as u32);
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: GlobalSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_global_section(self, globals, section)?;
        for _ in [self.target(), self.drops_nothing(), self.next_part()] {
            let ty = GlobalType {
                val_type: ValType::I32,
                mutable: true,
                shared: false,
            };
            globals.global(ty, &ConstExpr::i32_const(0));
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_export_section(self, exports, section)?;
        exports.export(MEMORY, ExportKind::Memory, 0);
        let first = self.counts.functions + self.drops.len() as u32;
        let names = EXPORTED.iter().map(|exported| exported.name);
        for (index, name) in (first..).zip(names.chain([REALLOC, REALLOC_PARTS])) {
            exports.export(name, ExportKind::Func, index);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        for (_, function) in self.functions() {
            code.function(&function);
        }
        Ok(())
    }
}
