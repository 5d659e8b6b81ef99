//! Analysis: which functions and instructions of a module get yield points.

use std::collections::HashSet;

use anyhow::{Result, bail, ensure};
use wasm_encoder::{BlockType, BranchHint, Function, Instruction};
use wasmparser::{
    ElementItems, ElementKind, ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef,
    ValType,
};

use super::Inputs;

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

/// The calls of a function.
#[derive(Default)]
struct Calls {
    direct: Vec<u32>,
    /// Whether it calls any function, directly or through a table.
    any: bool,
    /// Whether it fills or copies memory.
    bulk_memory: bool,
    /// The lowest index among the functions that it tail-calls.
    lowest_tail_call: Option<u32>,
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
        let mut referenced = HashSet::new();
        let mut calls = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            analysis.read(payload?, &mut referenced, &mut calls)?;
        }
        let yield_type = analysis.types.get(inputs.yield_import as usize);
        ensure!(
            inputs.yield_import < analysis.imported && yield_type.is_some(),
            "it does not import the function that yields"
        );
        ensure!(analysis.counter_global > 0, "it has no globals");
        ensure!(
            analysis.bulk_type.is_some() || !calls.iter().any(|calls| calls.bulk_memory),
            "it fills or copies memory, and has no type for a function that does"
        );
        ensure!(
            !calls.iter().any(|calls| calls
                .lowest_tail_call
                .is_some_and(|callee| callee < analysis.imported)),
            "it tail-calls the host"
        );
        analysis.non_yielding.sort_unstable();
        analysis.non_yielding.dedup();
        analysis.find_counted_entries(&calls, &referenced);
        Ok(analysis)
    }

    fn read(
        &mut self,
        payload: Payload<'_>,
        referenced: &mut HashSet<u32>,
        calls: &mut Vec<Calls>,
    ) -> Result<()> {
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
                        referenced.insert(function?);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => calls.push(Calls::of_body(&body, referenced)?),
            _ => {}
        }
        Ok(())
    }

    /// Picks at least one function of every cycle of the call graph (depth-first search for back
    /// edges), and every calling function that a table may hold.
    fn find_counted_entries(&mut self, calls: &[Calls], referenced: &HashSet<u32>) {
        let body_index = |function: u32| function.checked_sub(self.imported).map(|at| at as usize);
        let mut entries: HashSet<u32> = referenced
            .iter()
            .copied()
            .filter(|function| body_index(*function).is_some_and(|at| calls[at].any))
            .collect();
        // The search keeps its own stack: a call graph may be deeper than the native one allows.
        let mut states = vec![State::New; calls.len()];
        for start in 0..calls.len() {
            let mut stack = vec![(start, 0)];
            while let Some((caller, next)) = stack.pop() {
                if next == 0 {
                    if states[caller] != State::New {
                        continue;
                    }
                    states[caller] = State::OnStack;
                }
                let Some(&callee) = calls[caller].direct.get(next) else {
                    states[caller] = State::Done;
                    continue;
                };
                stack.push((caller, next + 1));
                let Some(callee_body) = body_index(callee) else {
                    continue;
                };
                match states[callee_body] {
                    _ if entries.contains(&callee) => {}
                    State::New => stack.push((callee_body, 0)),
                    State::OnStack => {
                        entries.insert(callee);
                    }
                    State::Done => {}
                }
            }
        }
        self.counted_entries = entries;
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
    pub(super) fn yield_function(&self) -> u32 {
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

    /// Returns the index of the function that fills memory: the first behind the wrappers.
    pub(super) fn fill_function(&self) -> u32 {
        self.yield_function() + 1 + u32::try_from(self.non_yielding.len()).unwrap_or(u32::MAX)
    }

    /// Returns the index of the function that copies memory.
    pub(super) fn copy_function(&self) -> u32 {
        self.fill_function() + 1
    }

    /// Emits code that decrements the counter by `amount`, and yields if it is negative then.
    pub(super) fn decrement_counter(
        &self,
        function: &mut Function,
        hints: &mut Vec<BranchHint>,
        amount: &[Instruction<'_>],
    ) {
        function.instruction(&Instruction::GlobalGet(self.counter_global));
        for instruction in amount {
            function.instruction(instruction);
        }
        function
            .instruction(&Instruction::I32Sub)
            .instruction(&Instruction::GlobalSet(self.counter_global))
            .instruction(&Instruction::GlobalGet(self.counter_global))
            .instruction(&Instruction::I32Const(0))
            .instruction(&Instruction::I32LtS);
        hints.push(BranchHint {
            branch_func_offset: u32::try_from(function.byte_len()).unwrap_or(u32::MAX),
            branch_hint_value: 0,
        });
        function
            .instruction(&Instruction::If(BlockType::Empty))
            .instruction(&Instruction::Call(self.yield_function()))
            .instruction(&Instruction::End);
    }
}

/// The state of a function in the depth-first search.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    OnStack,
    Done,
}

impl Calls {
    fn of_body(body: &FunctionBody<'_>, referenced: &mut HashSet<u32>) -> Result<Self> {
        let mut calls = Self::default();
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Call { function_index } => {
                    calls.direct.push(function_index);
                    calls.any = true;
                }
                Operator::ReturnCall { function_index } => {
                    calls.direct.push(function_index);
                    calls.any = true;
                    let lowest = calls.lowest_tail_call.unwrap_or(function_index);
                    calls.lowest_tail_call = Some(lowest.min(function_index));
                }
                Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => {
                    calls.any = true;
                }
                Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } => {
                    calls.bulk_memory = true;
                }
                Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => {
                    bail!("it calls functions that are in no table")
                }
                Operator::RefFunc { function_index } => {
                    referenced.insert(function_index);
                }
                Operator::TableSet { .. }
                | Operator::TableFill { .. }
                | Operator::TableGrow { .. }
                | Operator::TableInit { .. }
                | Operator::TableCopy { .. } => {
                    bail!("it puts functions into its table while it runs")
                }
                _ => {}
            }
        }
        calls.direct.sort_unstable();
        calls.direct.dedup();
        Ok(calls)
    }
}
