//! A module is written again.

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    BranchHints, CodeSection, ConstExpr, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, Instruction, ValType,
};
use wasmparser::{ExternalKind, FunctionBody, Operator};

use super::BUDGET;
use super::pieces::Written;
use super::plan::Plan;

/// What growing memory counts, which the host does.
const GROW: i32 = 2048;

/// As a power of two, for how many bytes an operation on memory counts one.
pub(super) const BYTES: i32 = 6;

/// What functions may count together that the host calls while it must not be called itself, between one look and the
/// next: one call of the host. The program ends when they count more: what they do is find room for values in memory, and
/// 4 MiB of them in thousands of pieces take a tenth of this. It is less than 10 ms.
pub(super) const GRACE: i32 = 1 << 21;

/// What a turn counts, and a call.
const ONE: [Instruction<'static>; 1] = [Instruction::I32Const(1)];

/// Writes a module again that counts as its plan says.
pub(super) struct Writer<'a> {
    pub(super) plan: Plan<'a>,
    /// How many bodies were written.
    pub(super) bodies: usize,
    /// Which branches are hardly ever taken.
    pub(super) hints: BranchHints,
}

type Error = reencode::Error;

impl Writer<'_> {
    /// The function that gives way, what stands before shielded ones, and what works on memory in pieces.
    fn write_own(&mut self, code: &mut CodeSection) {
        let plan = &self.plan;
        let mut give_way = Function::new([]);
        give_way
            .instruction(&Instruction::Call(plan.known.pause))
            .instruction(&Instruction::I32Const(BUDGET))
            .instruction(&Instruction::GlobalSet(plan.counter))
            .instruction(&Instruction::I32Const(GRACE))
            .instruction(&Instruction::GlobalSet(plan.grace()))
            .instruction(&Instruction::End);
        code.function(&give_way);
        for &shielded in &plan.shielded {
            let parameters = plan.parameters[plan.types[shielded as usize] as usize];
            let mut shield = Function::new([(1, ValType::I32)]);
            shield
                .instruction(&Instruction::GlobalGet(plan.counter))
                .instruction(&Instruction::LocalSet(parameters))
                .instruction(&Instruction::GlobalGet(plan.grace()))
                .instruction(&Instruction::GlobalSet(plan.counter));
            for parameter in 0..parameters {
                shield.instruction(&Instruction::LocalGet(parameter));
            }
            shield
                .instruction(&Instruction::Call(shielded))
                .instruction(&Instruction::GlobalGet(plan.counter))
                .instruction(&Instruction::GlobalSet(plan.grace()))
                .instruction(&Instruction::LocalGet(parameters))
                .instruction(&Instruction::GlobalSet(plan.counter))
                .instruction(&Instruction::End);
            code.function(&shield);
        }
        if plan.bulk().is_some() {
            let written = [Written::fill(plan), Written::copy(plan)];
            for (index, written) in (plan.fill()..).zip(written) {
                code.function(&written.function);
                self.hints.function_hints(index, written.rare);
            }
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
        if let Some(ty) = plan.bulk() {
            functions.function(ty).function(ty);
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_global_section(self, globals, section)?;
        for value in [BUDGET, GRACE] {
            globals.global(
                GlobalType {
                    val_type: ValType::I32,
                    mutable: true,
                    shared: false,
                },
                &ConstExpr::i32_const(value),
            );
        }
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
        let sized = |operator: &Operator<'_>| matches!(operator, Operator::MemoryInit { .. });
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
                Operator::MemoryFill { .. } => {
                    function.instruction(&Instruction::Call(plan.fill()));
                }
                Operator::MemoryCopy { .. } => {
                    function.instruction(&Instruction::Call(plan.fill() + 1));
                }
                Operator::MemoryInit { .. } => {
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
                Operator::MemoryGrow { .. } => {
                    count(&mut function, &[Instruction::I32Const(GROW)]);
                    function.instruction(&instruction);
                }
                _ => {
                    function.instruction(&instruction);
                    if plan.calls_host(operator) {
                        function.instruction(&Instruction::Call(plan.give_way()));
                    }
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
