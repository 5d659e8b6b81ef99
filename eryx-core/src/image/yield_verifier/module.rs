//! The check of one core module.

use std::collections::HashSet;
use std::mem;

use wasmparser::{
    BinaryReaderError, ElementItems, ElementKind, ExternalKind, FunctionBody, Operator, Payload,
    TypeRef,
};

use crate::image::yield_verifier::bulk_memory;
use crate::image::yield_verifier::counter::Counter;
use crate::image::yield_verifier::error::VerifyError;
use crate::image::yield_verifier::function::{Calls, FunctionCheck};
use crate::image::yield_verifier::recursion;

/// A function body of fewer bytes may be one of those that fill or copy memory in chunks. An
/// instruction has at least one byte.
const MAX_BULK_BODY: usize = 512;

/// The parts of a core module that the check needs.
#[derive(Default)]
pub(super) struct Module<'a> {
    /// How many functions are imported.
    imported: u32,
    tables_imported: bool,
    /// The functions that a table may contain.
    in_tables: HashSet<u32>,
    /// The tables that other modules may fill.
    exported_tables: HashSet<u32>,
    exported_globals: HashSet<u32>,
    bodies: Vec<FunctionBody<'a>>,
}

impl<'a> Module<'a> {
    /// Reads the next section.
    pub(super) fn read(&mut self, payload: Payload<'a>) -> Result<(), VerifyError> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => self.imported += 1,
                        TypeRef::Table(_) => self.tables_imported = true,
                        TypeRef::Memory(_) | TypeRef::Global(_) => {}
                        TypeRef::Tag(_) => {
                            return Err(VerifyError::Module("throws exceptions"));
                        }
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    match export.kind {
                        ExternalKind::Table => self.exported_tables.insert(export.index),
                        ExternalKind::Global => self.exported_globals.insert(export.index),
                        _ => false,
                    };
                }
            }
            Payload::StartSection { .. } => {
                return Err(VerifyError::Module("has a start function"));
            }
            Payload::TagSection(_) => return Err(VerifyError::Module("throws exceptions")),
            Payload::ElementSection(section) => {
                for element in section {
                    let element = element?;
                    match (element.kind, element.items) {
                        (ElementKind::Active { .. }, ElementItems::Functions(functions)) => {
                            for function in functions {
                                self.in_tables.insert(function?);
                            }
                        }
                        _ => {
                            return Err(VerifyError::Module("has elements that are not functions"));
                        }
                    }
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            _ => {}
        }
        Ok(())
    }

    /// Checks the module, once all of its sections are read.
    pub(super) fn check(mut self) -> Result<(), VerifyError> {
        if self.bodies.is_empty() {
            return Ok(());
        }
        if self.tables_imported {
            return Err(VerifyError::Module("imports a table"));
        }
        let counter = Counter::find(&self.bodies, self.imported)?;
        let globals = counter.globals();
        if globals
            .iter()
            .any(|global| self.exported_globals.contains(global))
        {
            return Err(VerifyError::Module("lets other modules change its counter"));
        }
        let mut check = FunctionCheck {
            counter: &counter,
            imported: self.imported,
            exported_tables: &self.exported_tables,
            bulk_memory: self.bulk_memory(&counter)?,
            in_tables: &mut self.in_tables,
        };
        let mut calls = Vec::with_capacity(self.bodies.len());
        for (function, body) in (self.imported..).zip(mem::take(&mut self.bodies)) {
            if function == counter.yield_function || check.bulk_memory.contains(&function) {
                calls.push(Calls::default());
                continue;
            }
            let operators = operators(&body)?;
            let found = if counter.is_wrapper(&operators) {
                Ok(Calls::default())
            } else {
                check.calls(&operators)
            };
            calls.push(found.map_err(|reason| VerifyError::Function { function, reason })?);
        }
        recursion::check(self.imported, &self.in_tables, &calls)
    }

    /// Returns the functions that fill or copy memory in chunks. They call only the yield function.
    fn bulk_memory(&self, counter: &Counter) -> Result<HashSet<u32>, BinaryReaderError> {
        let expected = [bulk_memory::fill(counter), bulk_memory::copy(counter)];
        let mut found = HashSet::new();
        for (function, body) in (self.imported..).zip(&self.bodies) {
            if body.range().len() < MAX_BULK_BODY && expected.contains(&operators(body)?) {
                found.insert(function);
            }
        }
        Ok(found)
    }
}

fn operators<'a>(body: &FunctionBody<'a>) -> Result<Vec<Operator<'a>>, BinaryReaderError> {
    body.get_operators_reader()?.into_iter().collect()
}
