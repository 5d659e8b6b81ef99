//! The sections of a parsed core module.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use wasmparser::{
    Data, Element, FuncType, FunctionBody, Global, MemoryType, Parser, Payload, Table, TypeRef,
};

use super::item::Kind;

/// A parsed core module.
#[derive(Default)]
pub(super) struct Module<'a> {
    pub(super) types: Vec<FuncType>,
    imported_functions: Vec<(&'a str, &'a str)>,
    imported_tables: Vec<(&'a str, &'a str)>,
    imported_memories: Vec<(&'a str, &'a str)>,
    imported_globals: Vec<(&'a str, &'a str)>,
    /// The type index of every function, imported ones first.
    pub(super) function_types: Vec<u32>,
    pub(super) tables: Vec<Table<'a>>,
    pub(super) memories: Vec<MemoryType>,
    pub(super) globals: Vec<Global<'a>>,
    pub(super) exports: HashMap<(Kind, &'a str), u32>,
    pub(super) elements: Vec<Element<'a>>,
    pub(super) bodies: Vec<FunctionBody<'a>>,
    pub(super) data: Vec<Data<'a>>,
}

impl<'a> Module<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            module.read(payload?)?;
        }
        Ok(module)
    }

    fn read(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let imports = match import.ty {
                        TypeRef::Func(ty) => {
                            self.function_types.push(ty);
                            &mut self.imported_functions
                        }
                        TypeRef::Table(_) => &mut self.imported_tables,
                        TypeRef::Memory(_) => &mut self.imported_memories,
                        TypeRef::Global(_) => &mut self.imported_globals,
                        other => bail!("a module imports {other:?}"),
                    };
                    imports.push((import.module, import.name));
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.function_types.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    self.tables.push(table?);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memories.push(memory?);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    self.globals.push(global?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exports
                        .insert((export.kind.try_into()?, export.name), export.index);
                }
            }
            Payload::StartSection { .. } => bail!("a module has a start function"),
            Payload::TagSection(_) => bail!("a module throws exceptions"),
            Payload::ElementSection(section) => {
                for element in section {
                    self.elements.push(element?);
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::DataSection(section) => {
                for data in section {
                    self.data.push(data?);
                }
            }
            Payload::End(_) => {
                let defined = self.function_types.len() - self.imported_functions.len();
                ensure!(defined == self.bodies.len(), "a function has no body");
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the imports of a kind: the module and the name of each.
    pub(super) fn imports(&self, kind: Kind) -> &[(&'a str, &'a str)] {
        match kind {
            Kind::Function => &self.imported_functions,
            Kind::Table => &self.imported_tables,
            Kind::Memory => &self.imported_memories,
            Kind::Global => &self.imported_globals,
        }
    }

    /// Returns the type of the function with this index.
    pub(super) fn function_type(&self, function: u32) -> Result<&FuncType> {
        self.function_types
            .get(function as usize)
            .and_then(|ty| self.types.get(*ty as usize))
            .with_context(|| format!("there is no function {function}"))
    }

    /// Returns the body of the function with this index, which the module defines.
    pub(super) fn body(&self, function: u32) -> Result<&FunctionBody<'a>> {
        (function as usize)
            .checked_sub(self.imported_functions.len())
            .and_then(|defined| self.bodies.get(defined))
            .with_context(|| format!("function {function} has no body"))
    }
}
