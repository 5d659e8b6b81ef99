//! Analysis: which functions and instructions of a module get yield points.

use std::collections::HashSet;

use anyhow::{Result, bail, ensure};
use wasm_encoder::{BranchHint, Function, Instruction};
use wasmparser::{
    ElementItems, ElementKind, ExternalKind, Operator, Parser, Payload, TypeRef, ValType,
};

use super::Inputs;
use super::call_graph::CallGraph;
use super::counter::{BulkMemory, YieldPoints};

/// The properties of a module that decide where it gets yield points.
pub(super) struct Analysis<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    /// The number of imported functions.
    pub(super) imported: u32,
    /// The type index of each function.
    pub(super) types: Vec<u32>,
    /// The number of parameters of each type.
    pub(super) parameters: Vec<u32>,
    /// The type of the functions that fill and copy memory chunk by chunk.
    bulk_type: Option<u32>,
    /// The functions that decrement the counter when they are called.
    pub(super) counted_entries: HashSet<u32>,
    /// The exported functions that must not yield, in the order of their wrappers.
    pub(super) non_yielding: Vec<u32>,
    /// Tables that the host can put functions into.
    exported_tables: HashSet<u32>,
    /// The global that is the counter: the first behind the module's own.
    pub(super) counter_global: u32,
}

impl<'a> Analysis<'a> {
    pub(super) fn new(module: &[u8], inputs: &'a Inputs<'a>) -> Result<Self> {
        let mut analysis = Self {
            inputs,
            imported: 0,
            types: Vec::new(),
            parameters: Vec::new(),
            bulk_type: None,
            counted_entries: HashSet::new(),
            non_yielding: Vec::new(),
            exported_tables: HashSet::new(),
            counter_global: 0,
        };
        let mut calls = CallGraph::default();
        for payload in Parser::new(0).parse_all(module) {
            analysis.read(payload?, &mut calls)?;
        }
        let yield_type = analysis.types.get(inputs.yield_import as usize);
        ensure!(
            inputs.yield_import < analysis.imported && yield_type.is_some(),
            "it does not import the function that yields"
        );
        ensure!(analysis.counter_global > 0, "it has no globals");
        ensure!(
            analysis.bulk_type.is_some() || !calls.uses_bulk_memory(),
            "it fills or copies memory, and has no type for a function that does"
        );
        ensure!(!calls.tail_calls_import(), "it tail-calls the host");
        analysis.non_yielding.sort_unstable();
        analysis.non_yielding.dedup();
        analysis.counted_entries = calls.counted_entries();
        Ok(analysis)
    }

    fn read(&mut self, payload: Payload<'_>, calls: &mut CallGraph) -> Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    let ty = ty?;
                    if ty.params() == [ValType::I32; 3] && ty.results().is_empty() {
                        self.bulk_type
                            .get_or_insert(u32::try_from(self.parameters.len())?);
                    }
                    self.parameters.push(u32::try_from(ty.params().len())?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import?.ty {
                        TypeRef::Func(ty) => {
                            self.types.push(ty);
                            self.imported += 1;
                            calls.add_import();
                        }
                        TypeRef::Global(_) => self.counter_global += 1,
                        TypeRef::Table(_) => {
                            bail!("it imports a table, whose functions are unknown");
                        }
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.types.push(ty?);
                }
            }
            Payload::GlobalSection(section) => self.counter_global += section.count(),
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    match export.kind {
                        ExternalKind::Func if self.inputs.non_yielding.contains(export.name) => {
                            self.non_yielding.push(export.index);
                        }
                        ExternalKind::Table => {
                            self.exported_tables.insert(export.index);
                        }
                        _ => {}
                    }
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    let element = element?;
                    ensure!(
                        matches!(element.kind, ElementKind::Active { .. }),
                        "it puts functions into its table while it runs"
                    );
                    let ElementItems::Functions(functions) = element.items else {
                        bail!("it puts more than functions into its table");
                    };
                    for function in functions {
                        calls.add_reference(function?);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => calls.add_body(&body)?,
            _ => {}
        }
        Ok(())
    }

    /// Returns whether `operator` calls a host function, which may take any time.
    pub(super) fn calls_host(&self, operator: &Operator<'_>) -> bool {
        match *operator {
            Operator::Call { function_index } => {
                function_index < self.imported && function_index != self.inputs.yield_import
            }
            Operator::CallIndirect { table_index, .. }
            | Operator::ReturnCallIndirect { table_index, .. } => {
                self.exported_tables.contains(&table_index)
            }
            _ => false,
        }
    }

    /// Returns the global that is the counter while functions run that must not yield.
    pub(super) fn allowance_global(&self) -> u32 {
        self.counter_global + 1
    }

    /// Returns the index of the yield function, which yields and resets the counter: the first
    /// behind the module's own.
    fn yield_function(&self) -> u32 {
        u32::try_from(self.types.len()).unwrap_or(u32::MAX)
    }

    /// Returns the index of the wrapper of a function that must not yield.
    pub(super) fn wrapper_function(&self, function: u32) -> Option<u32> {
        let position = self.non_yielding.binary_search(&function).ok()?;
        Some(self.yield_function() + 1 + u32::try_from(position).ok()?)
    }

    /// Returns the type of the functions that fill and copy memory; `None` if the module does
    /// neither.
    pub(super) fn bulk_type(&self) -> Option<u32> {
        self.bulk_type
    }

    /// Returns the indices that yield points use. The functions that fill and copy memory are the
    /// first behind the wrappers.
    pub(super) fn points(&self) -> YieldPoints {
        let wrappers = u32::try_from(self.non_yielding.len()).unwrap_or(u32::MAX);
        let fill = self.yield_function() + 1 + wrappers;
        YieldPoints {
            counter_global: self.counter_global,
            yield_function: self.yield_function(),
            bulk_memory: self.bulk_type.map(|_| BulkMemory {
                fill,
                copy: fill + 1,
            }),
        }
    }

    /// Emits code that decrements the counter by `amount`, and yields if it is negative then.
    pub(super) fn decrement_counter(
        &self,
        function: &mut Function,
        hints: &mut Vec<BranchHint>,
        amount: &[Instruction<'_>],
    ) {
        self.points().decrement_counter(function, hints, amount);
    }
}
