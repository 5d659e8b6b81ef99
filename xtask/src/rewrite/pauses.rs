//! Makes everything that may take long give way to the host from time to time.
//!
//! Nothing ends a program that does not end by itself, unless it lets go of the processor. An engine can have all code
//! look at a clock for that, at every function and every turn of a loop, which costs an interpreter a fifth of its time.
//! Here the code counts instead, in places chosen so that it cannot run for long without passing one:
//!
//! - every turn of a loop,
//! - functions that can be called in a circle: one of each circle of direct calls, and all that can be called through a
//!   table and call something themselves,
//! - operations that fill or copy memory, by their size, and calls of the host, which may take as long.
//!
//! When the count is up, the host is called: it looks whether it is time to do something else.

use std::collections::{BTreeSet, HashSet};

use anyhow::{Context, Result, ensure};
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    BlockType, BranchHint, BranchHints, CodeSection, ConstExpr, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, Instruction, Module, RawSection, SectionId,
    ValType,
};
use wasmparser::{
    ElementItems, ElementKind, ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef,
};

/// How much is counted between one look and the next. A turn of a loop takes a few nanoseconds at least; what takes
/// much longer counts more than once.
const BUDGET: i32 = 1 << 16;

/// What a call of the host counts.
const HOST_CALL: i32 = 2048;

/// As a power of two, for how many bytes an operation on memory counts one.
const BYTES: i32 = 6;

/// What a function may count that the host calls while it must not be called itself. It ends the program when it
/// counts more: what it does is find room for a value in memory.
const GRACE: i32 = 1 << 24;

/// What has to be known of a module to have it give way.
pub(crate) struct Known<'a> {
    /// The function it imports that looks whether it is time to do something else.
    pub(crate) pause: u32,
    /// The exported functions that are called while the host must not be.
    pub(crate) shielded: BTreeSet<&'a str>,
}

/// Has `module` give way.
pub(crate) fn add(module: &[u8], known: &Known<'_>) -> Result<Vec<u8>> {
    let plan = Plan::of(module, known).context("a module cannot be read")?;
    let mut writer = Writer {
        plan,
        bodies: 0,
        hints: BranchHints::new(),
    };
    let mut written = Module::new();
    writer
        .parse_core_module(&mut written, Parser::new(0), module)
        .map_err(anyhow::Error::from)?;
    hinted(&written.finish(), &writer.hints)
}

/// `module` with `hints`, which come before the code they are about.
fn hinted(module: &[u8], hints: &BranchHints) -> Result<Vec<u8>> {
    let mut hinted = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Some((id, range)) = payload?.as_section() {
            if id == SectionId::Code as u8 {
                hinted.section(hints);
            }
            let data = &module[range];
            hinted.section(&RawSection { id, data });
        }
    }
    Ok(hinted.finish())
}

/// What is counted where.
struct Plan<'a> {
    known: &'a Known<'a>,
    /// How many functions are imported.
    imported: u32,
    /// The type of each function.
    types: Vec<u32>,
    /// How many parameters the functions of each type have.
    parameters: Vec<u32>,
    /// The functions that count when they are called.
    entries: HashSet<u32>,
    /// The exported functions that are shielded, in the order of what stands before them.
    shielded: Vec<u32>,
    /// Tables that the host puts functions of its own into.
    open_tables: HashSet<u32>,
    /// The global that counts.
    counter: u32,
}

/// What a function calls.
#[derive(Default)]
struct Calls {
    direct: Vec<u32>,
    any: bool,
    /// The lowest function that is called in the place of returning.
    leaves: Option<u32>,
}

impl<'a> Plan<'a> {
    fn of(module: &[u8], known: &'a Known<'a>) -> Result<Self> {
        let mut plan = Self {
            known,
            imported: 0,
            types: Vec::new(),
            parameters: Vec::new(),
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
                        plan.parameters.push(u32::try_from(ty?.params().len())?);
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

    /// Whether this may take as long as the host likes.
    fn calls_host(&self, operator: &Operator<'_>) -> bool {
        match *operator {
            Operator::MemoryGrow { .. } => true,
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

    /// The function that gives way: behind all others.
    fn give_way(&self) -> u32 {
        u32::try_from(self.types.len()).unwrap_or(u32::MAX)
    }

    /// The function that stands before a shielded one.
    fn shield(&self, function: u32) -> Option<u32> {
        let at = self.shielded.binary_search(&function).ok()?;
        Some(self.give_way() + 1 + u32::try_from(at).ok()?)
    }

    /// Count `amount`, and give way when the count is up.
    fn count(
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

/// What a turn counts, and a call.
const ONE: [Instruction<'static>; 1] = [Instruction::I32Const(1)];

struct Writer<'a> {
    plan: Plan<'a>,
    /// How many bodies were written.
    bodies: usize,
    /// Which branches are hardly ever taken.
    hints: BranchHints,
}

type Error = reencode::Error;

impl Writer<'_> {
    /// The function that gives way, and what stands before shielded ones.
    fn write_own(&self, code: &mut CodeSection) {
        let plan = &self.plan;
        let mut give_way = Function::new([]);
        give_way
            .instruction(&Instruction::Call(plan.known.pause))
            .instruction(&Instruction::I32Const(BUDGET))
            .instruction(&Instruction::GlobalSet(plan.counter))
            .instruction(&Instruction::End);
        code.function(&give_way);
        for &shielded in &plan.shielded {
            let parameters = plan.parameters[plan.types[shielded as usize] as usize];
            let mut shield = Function::new([(1, ValType::I32)]);
            shield
                .instruction(&Instruction::GlobalGet(plan.counter))
                .instruction(&Instruction::LocalSet(parameters))
                .instruction(&Instruction::I32Const(GRACE))
                .instruction(&Instruction::GlobalSet(plan.counter));
            for parameter in 0..parameters {
                shield.instruction(&Instruction::LocalGet(parameter));
            }
            shield
                .instruction(&Instruction::Call(shielded))
                .instruction(&Instruction::LocalGet(parameters))
                .instruction(&Instruction::GlobalSet(plan.counter))
                .instruction(&Instruction::End);
            code.function(&shield);
        }
    }
}

impl Reencode for Writer<'_> {
    type Error = std::convert::Infallible;

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        let plan = &self.plan;
        functions.function(plan.types[plan.known.pause as usize]);
        for &shielded in &plan.shielded {
            functions.function(plan.types[shielded as usize]);
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_global_section(self, globals, section)?;
        globals.global(
            GlobalType {
                val_type: ValType::I32,
                mutable: true,
                shared: false,
            },
            &ConstExpr::i32_const(BUDGET),
        );
        Ok(())
    }

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: wasmparser::Export<'_>,
    ) -> Result<(), Error> {
        if export.kind == ExternalKind::Func
            && self.plan.known.shielded.contains(export.name)
            && let Some(shield) = self.plan.shield(export.index)
        {
            exports.export(export.name, wasm_encoder::ExportKind::Func, shield);
            return Ok(());
        }
        utils::parse_export(self, exports, export)
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error> {
        let index = self.plan.imported + u32::try_from(self.bodies).unwrap_or(u32::MAX);
        let parameters = self.plan.parameters[self.plan.types[index as usize] as usize];
        let mut declared = Vec::new();
        let mut locals = parameters;
        for local in body.get_locals_reader()? {
            let (count, ty) = local?;
            locals += count;
            declared.push((count, self.val_type(ty)?));
        }
        let mut operators = Vec::new();
        let mut instructions = Vec::new();
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            instructions.push(self.instruction(operator.clone())?);
            operators.push(operator);
        }
        // A local behind all others, where the size of an operation on memory has to be kept.
        let sized = |operator: &Operator<'_>| {
            matches!(
                operator,
                Operator::MemoryCopy { .. }
                    | Operator::MemoryFill { .. }
                    | Operator::MemoryInit { .. }
            )
        };
        let size = operators.iter().any(sized).then_some(locals);
        declared.extend(size.map(|_| (1, ValType::I32)));
        let plan = &self.plan;
        let enters = plan.entries.contains(&index);
        let mut function = Function::new(declared);
        let mut rare = Vec::new();
        let mut count = |function: &mut Function, amount: &[Instruction<'_>]| {
            plan.count(function, &mut rare, amount);
        };
        if enters {
            count(&mut function, &ONE);
        }
        for (operator, instruction) in operators.iter().zip(instructions) {
            match operator {
                Operator::Loop { .. } => {
                    function.instruction(&instruction);
                    count(&mut function, &ONE);
                }
                Operator::MemoryCopy { .. }
                | Operator::MemoryFill { .. }
                | Operator::MemoryInit { .. } => {
                    let size = size.unwrap_or_default();
                    function
                        .instruction(&Instruction::LocalTee(size))
                        .instruction(&instruction);
                    let amount = [
                        Instruction::LocalGet(size),
                        Instruction::I32Const(BYTES),
                        Instruction::I32ShrU,
                    ];
                    count(&mut function, &amount);
                }
                _ => {
                    if plan.calls_host(operator) {
                        count(&mut function, &[Instruction::I32Const(HOST_CALL)]);
                    }
                    function.instruction(&instruction);
                }
            }
        }
        code.function(&function);
        if !rare.is_empty() {
            self.hints.function_hints(index, rare);
        }
        self.bodies += 1;
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        self.write_own(code);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
