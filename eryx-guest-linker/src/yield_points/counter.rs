//! The counter of a module, and the code that decrements it.

use wasm_encoder::{BlockType, BranchHint, Function, Instruction};

/// The indices of the functions and of the global that yield points use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct YieldPoints {
    /// The global that is the counter.
    pub counter_global: u32,
    /// The function that yields and resets the counter.
    pub yield_function: u32,
    /// The functions that fill and copy memory chunk by chunk, if the module has them.
    pub bulk_memory: Option<BulkMemory>,
}

/// The indices of the functions that fill and copy memory chunk by chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkMemory {
    /// The function that takes the place of `memory.fill`.
    pub fill: u32,
    /// The function that takes the place of `memory.copy`.
    pub copy: u32,
}

impl YieldPoints {
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
            .instruction(&Instruction::Call(self.yield_function))
            .instruction(&Instruction::End);
    }
}
