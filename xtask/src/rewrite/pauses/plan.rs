//! What a module counts, and where.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use wasm_encoder::{BlockType, BranchHint, Function, Instruction};
use wasmparser::{
    ElementItems, ElementKind, ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef,
    ValType,
};

use super::Known;

/// What is counted where.
pub(super) struct Plan<'a> {
    pub(super) known: &'a Known<'a>,
    /// How many functions are imported.
    pub(super) imported: u32,
    /// The type of each function.
    pub(super) types: Vec<u32>,
    /// How many parameters the functions of each type have.
    pub(super) parameters: Vec<u32>,
    /// The type of functions that fill or copy memory.
    bulk: Option<u32>,
    /// The functions that count when they are called.
    pub(super) entries: HashSet<u32>,
    /// The exported functions that are shielded, in the order of what stands before them.
    pub(super) shielded: Vec<u32>,
    /// Tables that the host puts functions of its own into.
    open_tables: HashSet<u32>,
    /// The global that counts.
    pub(super) counter: u32,
}

/// What a function calls.
#[derive(Default)]
struct Calls {
    direct: Vec<u32>,
    any: bool,
    /// It fills or copies memory.
    bulk: bool,
    /// The lowest function that is called in the place of returning.
    leaves: Option<u32>,
}

impl<'a> Plan<'a> {
    pub(super) fn of(module: &[u8], known: &'a Known<'a>) -> Result<Self> {
        let mut plan = Self {
            known,
            imported: 0,
            types: Vec::new(),
            parameters: Vec::new(),
            bulk: None,
            entries: HashSet::new(),
            shielded: Vec::new(),
            open_tables: HashSet::new(),
            counter: 0,
        };
        let mut named = HashSet::new();
        let mut calls = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        let ty = ty?;
                        if ty.params() == [ValType::I32; 3] && ty.results().is_empty() {
                            plan.bulk
                                .get_or_insert(u32::try_from(plan.parameters.len())?);
                        }
                        plan.parameters.push(u32::try_from(ty.params().len())?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import?.ty {
                            TypeRef::Func(ty) => {
                                plan.types.push(ty);
                                plan.imported += 1;
                            }
                            TypeRef::Global(_) => plan.counter += 1,
                            TypeRef::Table(_) => {
                                anyhow::bail!("it imports a table: what is in it is not known");
                            }
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        plan.types.push(ty?);
                    }
                }
                Payload::GlobalSection(section) => plan.counter += section.count(),
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        match export.kind {
                            ExternalKind::Func if known.shielded.contains(export.name) => {
                                plan.shielded.push(export.index);
                            }
                            ExternalKind::Table => {
                                plan.open_tables.insert(export.index);
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
                            anyhow::bail!("what it puts into its table is not only functions");
                        };
                        for function in functions {
                            named.insert(function?);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => calls.push(Calls::of(&body, &mut named)?),
                _ => {}
            }
        }
        let pause = plan.types.get(known.pause as usize);
        ensure!(
            known.pause < plan.imported && pause.is_some(),
            "it does not import the function that pauses"
        );
        ensure!(plan.counter > 0, "it has no globals");
        ensure!(
            plan.bulk.is_some() || !calls.iter().any(|calls| calls.bulk),
            "it fills or copies memory, and has no type for a function that does"
        );
        ensure!(
            !calls
                .iter()
                .any(|calls| calls.leaves.is_some_and(|to| to < plan.imported)),
            "it calls the host in the place of returning"
        );
        plan.shielded.sort_unstable();
        plan.shielded.dedup();
        plan.find_entries(&calls, &named);
        Ok(plan)
    }

    /// Of every circle of calls, one function at least.
    fn find_entries(&mut self, calls: &[Calls], named: &HashSet<u32>) {
        let defined = |function: u32| function.checked_sub(self.imported).map(|at| at as usize);
        let mut entries: HashSet<u32> = named
            .iter()
            .copied()
            .filter(|function| defined(*function).is_some_and(|at| calls[at].any))
            .collect();
        // In depth, and without recursion: what is met again while it is still open closes a circle.
        let mut states = vec![State::New; calls.len()];
        for start in 0..calls.len() {
            let mut open = vec![(start, 0)];
            while let Some((at, next)) = open.pop() {
                if next == 0 {
                    if states[at] != State::New {
                        continue;
                    }
                    states[at] = State::Open;
                }
                let Some(&callee) = calls[at].direct.get(next) else {
                    states[at] = State::Done;
                    continue;
                };
                open.push((at, next + 1));
                let Some(callee_at) = defined(callee) else {
                    continue;
                };
                match states[callee_at] {
                    _ if entries.contains(&callee) => {}
                    State::New => open.push((callee_at, 0)),
                    State::Open => {
                        entries.insert(callee);
                    }
                    State::Done => {}
                }
            }
        }
        self.entries = entries;
    }

    /// Whether this runs a function of the host, which takes as long as it likes.
    pub(super) fn calls_host(&self, operator: &Operator<'_>) -> bool {
        match *operator {
            Operator::Call { function_index } => {
                function_index < self.imported && function_index != self.known.pause
            }
            Operator::CallIndirect { table_index, .. }
            | Operator::ReturnCallIndirect { table_index, .. } => {
                self.open_tables.contains(&table_index)
            }
            _ => false,
        }
    }

    /// The global that has what is left for shielded functions.
    pub(super) fn grace(&self) -> u32 {
        self.counter + 1
    }

    /// The function that gives way: behind all others.
    pub(super) fn give_way(&self) -> u32 {
        u32::try_from(self.types.len()).unwrap_or(u32::MAX)
    }

    /// The function that stands before a shielded one.
    pub(super) fn shield(&self, function: u32) -> Option<u32> {
        let at = self.shielded.binary_search(&function).ok()?;
        Some(self.give_way() + 1 + u32::try_from(at).ok()?)
    }

    /// The type of the functions that fill and copy memory in pieces, where there are such.
    pub(super) fn bulk(&self) -> Option<u32> {
        self.bulk
    }

    /// The function that fills memory in pieces: behind the shields. The one that copies is the next.
    pub(super) fn fill(&self) -> u32 {
        self.give_way() + 1 + u32::try_from(self.shielded.len()).unwrap_or(u32::MAX)
    }

    /// Count `amount`, and give way when the count is up.
    pub(super) fn count(
        &self,
        function: &mut Function,
        rare: &mut Vec<BranchHint>,
        amount: &[Instruction<'_>],
    ) {
        function.instruction(&Instruction::GlobalGet(self.counter));
        for instruction in amount {
            function.instruction(instruction);
        }
        function
            .instruction(&Instruction::I32Sub)
            .instruction(&Instruction::GlobalSet(self.counter))
            .instruction(&Instruction::GlobalGet(self.counter))
            .instruction(&Instruction::I32Const(0))
            .instruction(&Instruction::I32LtS);
        rare.push(BranchHint {
            branch_func_offset: u32::try_from(function.byte_len()).unwrap_or(u32::MAX),
            branch_hint_value: 0,
        });
        function
            .instruction(&Instruction::If(BlockType::Empty))
            .instruction(&Instruction::Call(self.give_way()))
            .instruction(&Instruction::End);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

impl Calls {
    fn of(body: &FunctionBody<'_>, named: &mut HashSet<u32>) -> Result<Self> {
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
                    calls.leaves = Some(
                        calls
                            .leaves
                            .map_or(function_index, |to| to.min(function_index)),
                    );
                }
                Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => {
                    calls.any = true;
                }
                Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } => calls.bulk = true,
                Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => {
                    anyhow::bail!("it calls functions that are in no table")
                }
                Operator::RefFunc { function_index } => {
                    named.insert(function_index);
                }
                Operator::TableSet { .. }
                | Operator::TableFill { .. }
                | Operator::TableGrow { .. }
                | Operator::TableInit { .. }
                | Operator::TableCopy { .. } => {
                    anyhow::bail!("it puts functions into its table while it runs")
                }
                _ => {}
            }
        }
        calls.direct.sort_unstable();
        calls.direct.dedup();
        Ok(calls)
    }
}
