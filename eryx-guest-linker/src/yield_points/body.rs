//! Adds yield points to the body of a function.

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{BlockType, BranchHint, Function, Instruction, ValType};
use wasmparser::{FunctionBody, Operator};

use super::counter::YieldPoints;

/// The decrement for growing memory, which the host does.
const GROW_DECREMENT: i32 = 2048;

/// The binary logarithm of the bytes of memory that decrement the counter by one.
pub(super) const BYTES_SHIFT: i32 = 6;

/// The decrement for an iteration of a loop or a call.
const STEP_DECREMENT: [Instruction<'static>; 1] = [Instruction::I32Const(1)];

/// The facts about a function that its body does not have.
pub(crate) struct BodyInputs<'a> {
    pub(crate) points: &'a YieldPoints,
    /// The number of its parameters.
    pub(crate) parameters: u32,
    /// Whether it decrements the counter when it is called.
    pub(crate) counts_entry: bool,
    /// The function of the host that yields, by its index before re-encoding.
    pub(crate) yield_import: Option<u32>,
    /// Whether an operator calls a function of the host.
    pub(crate) calls_host: &'a dyn Fn(&Operator<'_>) -> bool,
    /// The padding of its frame in linear memory, if it gets one.
    pub(crate) padding: Option<Padding>,
}

/// The padding of a function's frame in linear memory: see the pass `stack_depth` of
/// `eryx-guest-build`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Padding {
    /// The global that is the stack pointer, after re-encoding.
    pub(crate) stack_pointer: u32,
    pub(crate) bytes: i32,
    /// The result of the function.
    pub(crate) result: BlockType,
}

impl Padding {
    /// Emits code that adds the padding to the stack pointer, or subtracts it.
    fn move_stack_pointer(self, function: &mut Function, operation: &Instruction<'_>) {
        function
            .instruction(&Instruction::GlobalGet(self.stack_pointer))
            .instruction(&Instruction::I32Const(self.bytes))
            .instruction(operation)
            .instruction(&Instruction::GlobalSet(self.stack_pointer));
    }
}

/// A body with yield points, and the hints for its unlikely branches.
pub(crate) struct InstrumentedBody {
    pub(crate) function: Function,
    pub(crate) hints: Vec<BranchHint>,
}

/// Re-encodes a body with `reencoder`, and adds yield points.
///
/// # Errors
///
/// Fails when the body is malformed, or with an error of `reencoder`.
pub(crate) fn instrument<R: Reencode>(
    reencoder: &mut R,
    body: &FunctionBody<'_>,
    inputs: &BodyInputs<'_>,
) -> Result<InstrumentedBody, reencode::Error<R::Error>> {
    let mut locals = inputs.parameters;
    let mut declarations = Vec::new();
    for declaration in body.get_locals_reader()? {
        let (count, ty) = declaration?;
        locals += count;
        declarations.push((count, reencoder.val_type(ty)?));
    }
    let mut operators = Vec::new();
    let mut instructions = Vec::new();
    for operator in body.get_operators_reader()? {
        let operator = operator?;
        instructions.push(reencoder.instruction(operator.clone())?);
        operators.push(operator);
    }
    // One more local for the size of `memory.init`: the instruction and the decrement use it.
    let is_init = |operator: &Operator<'_>| matches!(operator, Operator::MemoryInit { .. });
    let size_local = operators.iter().any(is_init).then_some(locals);
    declarations.extend(size_local.map(|_| (1, ValType::I32)));
    let points = inputs.points;
    let mut function = Function::new(declarations);
    let mut hints = Vec::new();
    let mut decrement_counter = |function: &mut Function, amount: &[Instruction<'_>]| {
        points.decrement_counter(function, &mut hints, amount);
    };
    if inputs.counts_entry {
        decrement_counter(&mut function, &STEP_DECREMENT);
    }
    if let Some(padding) = inputs.padding {
        padding.move_stack_pointer(&mut function, &Instruction::I32Sub);
        // The body becomes a block, and every return a branch to its end.
        function.instruction(&Instruction::Block(padding.result));
    }
    let mut depth = 0_i32;
    for (operator, instruction) in operators.iter().zip(instructions) {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
            Operator::End => depth -= 1,
            Operator::Return if inputs.padding.is_some() => {
                function.instruction(&Instruction::Br(depth.cast_unsigned()));
                continue;
            }
            _ => {}
        }
        match (operator, points.bulk_memory) {
            (Operator::Loop { .. }, _) => {
                function.instruction(&instruction);
                decrement_counter(&mut function, &STEP_DECREMENT);
            }
            (Operator::MemoryFill { .. }, Some(bulk_memory)) => {
                function.instruction(&Instruction::Call(bulk_memory.fill));
            }
            (Operator::MemoryCopy { .. }, Some(bulk_memory)) => {
                function.instruction(&Instruction::Call(bulk_memory.copy));
            }
            (Operator::MemoryInit { .. }, _) => {
                let size_local = size_local.unwrap_or_default();
                function
                    .instruction(&Instruction::LocalTee(size_local))
                    .instruction(&instruction);
                let amount = [
                    Instruction::LocalGet(size_local),
                    Instruction::I32Const(BYTES_SHIFT),
                    Instruction::I32ShrU,
                ];
                decrement_counter(&mut function, &amount);
            }
            (Operator::MemoryGrow { .. }, _) => {
                decrement_counter(&mut function, &[Instruction::I32Const(GROW_DECREMENT)]);
                function.instruction(&instruction);
            }
            // Code that yields by itself resets the counter, too.
            (Operator::Call { function_index }, _)
                if Some(*function_index) == inputs.yield_import =>
            {
                function.instruction(&Instruction::Call(points.yield_function));
            }
            _ => {
                function.instruction(&instruction);
                if (inputs.calls_host)(operator) {
                    function.instruction(&Instruction::Call(points.yield_function));
                }
            }
        }
    }
    if let Some(padding) = inputs.padding {
        padding.move_stack_pointer(&mut function, &Instruction::I32Add);
        function.instruction(&Instruction::End);
    }
    Ok(InstrumentedBody { function, hints })
}

/// Begins a function that decrements the counter when it is called.
pub(crate) fn count_entry(points: &YieldPoints, function: &mut Function) -> Vec<BranchHint> {
    let mut hints = Vec::new();
    points.decrement_counter(function, &mut hints, &STEP_DECREMENT);
    hints
}
