//! `memory.fill` and `memory.copy` chunk by chunk.
//!
//! The engine runs each as one step that nothing interrupts, and a page that is written for the
//! first time takes microseconds.

use wasm_encoder::{BlockType, BranchHint, Function, Instruction};

use super::analysis::Analysis;
use super::body::BYTES_SHIFT;

/// The bytes of a chunk: 256 pages, which take about a millisecond if all are new.
pub(super) const CHUNK: i32 = 1 << 20;

/// The parameters: the destination; the value to fill with, or the source; the size in bytes.
const DESTINATION: u32 = 0;
const SOURCE: u32 = 1;
const SIZE: u32 = 2;

const COPY: Instruction<'static> = Instruction::MemoryCopy {
    src_mem: 0,
    dst_mem: 0,
};

/// A generated function, and the hints for its unlikely branches.
pub(super) struct BulkFunction<'p, 'a> {
    analysis: &'p Analysis<'a>,
    pub(super) function: Function,
    pub(super) hints: Vec<BranchHint>,
}

impl<'p, 'a> BulkFunction<'p, 'a> {
    /// Generates the replacement of `memory.fill`.
    pub(super) fn fill(analysis: &'p Analysis<'a>) -> Self {
        let mut bulk = Self::new(analysis);
        bulk.chunks_forwards(&Instruction::MemoryFill(0), &[DESTINATION]);
        bulk.last_chunk(&Instruction::MemoryFill(0));
        bulk
    }

    /// Generates the replacement of `memory.copy`. It copies the last chunk first if the
    /// destination lies behind the source, since the two may overlap.
    pub(super) fn copy(analysis: &'p Analysis<'a>) -> Self {
        let mut bulk = Self::new(analysis);
        bulk.emit(&[
            Instruction::LocalGet(DESTINATION),
            Instruction::LocalGet(SOURCE),
            Instruction::I32GtU,
            Instruction::If(BlockType::Empty),
        ]);
        bulk.copy_chunks_backwards();
        bulk.emit(&[Instruction::Else]);
        bulk.chunks_forwards(&COPY, &[DESTINATION, SOURCE]);
        bulk.emit(&[Instruction::End]);
        bulk.last_chunk(&COPY);
        bulk
    }

    fn new(analysis: &'p Analysis<'a>) -> Self {
        Self {
            analysis,
            function: Function::new([]),
            hints: Vec::new(),
        }
    }

    fn emit(&mut self, instructions: &[Instruction<'_>]) {
        for instruction in instructions {
            self.function.instruction(instruction);
        }
    }

    fn decrement_counter(&mut self, amount: &[Instruction<'_>]) {
        self.analysis
            .decrement_counter(&mut self.function, &mut self.hints, amount);
    }

    /// Emits a loop over all chunks but the last, which advances the parameters `pointers`.
    fn chunks_forwards(&mut self, operation: &Instruction<'_>, pointers: &[u32]) {
        self.begin_chunk();
        self.emit(&[
            Instruction::LocalGet(DESTINATION),
            Instruction::LocalGet(SOURCE),
            Instruction::I32Const(CHUNK),
        ]);
        self.emit(std::slice::from_ref(operation));
        for &pointer in pointers {
            self.emit(&[
                Instruction::LocalGet(pointer),
                Instruction::I32Const(CHUNK),
                Instruction::I32Add,
                Instruction::LocalSet(pointer),
            ]);
        }
        self.shrink_size();
        self.end_chunk();
    }

    /// Emits a loop over all chunks but the first, from the end.
    fn copy_chunks_backwards(&mut self) {
        self.begin_chunk();
        self.shrink_size();
        for pointer in [DESTINATION, SOURCE] {
            self.emit(&[
                Instruction::LocalGet(pointer),
                Instruction::LocalGet(SIZE),
                Instruction::I32Add,
            ]);
        }
        self.emit(&[Instruction::I32Const(CHUNK), COPY]);
        self.end_chunk();
    }

    fn begin_chunk(&mut self) {
        self.emit(&[Instruction::Loop(BlockType::Empty)]);
        self.decrement_counter(&[Instruction::I32Const(1)]);
        self.emit(&[
            Instruction::LocalGet(SIZE),
            Instruction::I32Const(CHUNK),
            Instruction::I32GtU,
            Instruction::If(BlockType::Empty),
        ]);
    }

    fn shrink_size(&mut self) {
        self.emit(&[
            Instruction::LocalGet(SIZE),
            Instruction::I32Const(CHUNK),
            Instruction::I32Sub,
            Instruction::LocalSet(SIZE),
        ]);
    }

    fn end_chunk(&mut self) {
        self.decrement_counter(&[Instruction::I32Const(CHUNK >> BYTES_SHIFT)]);
        self.emit(&[Instruction::Br(1), Instruction::End, Instruction::End]);
    }

    /// Emits the operation on the bytes that remain: one chunk at most.
    fn last_chunk(&mut self, operation: &Instruction<'_>) {
        self.emit(&[
            Instruction::LocalGet(DESTINATION),
            Instruction::LocalGet(SOURCE),
            Instruction::LocalGet(SIZE),
        ]);
        self.emit(std::slice::from_ref(operation));
        self.decrement_counter(&[
            Instruction::LocalGet(SIZE),
            Instruction::I32Const(BYTES_SHIFT),
            Instruction::I32ShrU,
        ]);
        self.emit(&[Instruction::End]);
    }
}
