//! Operations on memory, in pieces: each is one step of the engine, which nothing interrupts, and a page that is written to
//! for the first time takes microseconds.

use wasm_encoder::{BlockType, BranchHint, Function, Instruction};

use super::plan::Plan;
use super::writer::BYTES;

/// The bytes of a piece: 256 pages, which take about a millisecond where all are new.
pub(super) const PIECE: i32 = 1 << 20;

/// The parameters: where to; what, or from where; how many bytes.
const TO: u32 = 0;
const FROM: u32 = 1;
const SIZE: u32 = 2;

const COPY: Instruction<'static> = Instruction::MemoryCopy {
    src_mem: 0,
    dst_mem: 0,
};

/// A function as it is written, and its branches that are hardly ever taken.
pub(super) struct Written<'p, 'a> {
    plan: &'p Plan<'a>,
    pub(super) function: Function,
    pub(super) rare: Vec<BranchHint>,
}

impl<'p, 'a> Written<'p, 'a> {
    /// What `memory.fill` does.
    pub(super) fn fill(plan: &'p Plan<'a>) -> Self {
        let mut written = Self::new(plan);
        written.forwards(&Instruction::MemoryFill(0), &[TO]);
        written.rest(&Instruction::MemoryFill(0));
        written
    }

    /// What `memory.copy` does: from the end, where the source may overlap what lies behind it.
    pub(super) fn copy(plan: &'p Plan<'a>) -> Self {
        let mut written = Self::new(plan);
        written.put(&[
            Instruction::LocalGet(TO),
            Instruction::LocalGet(FROM),
            Instruction::I32GtU,
            Instruction::If(BlockType::Empty),
        ]);
        written.backwards();
        written.put(&[Instruction::Else]);
        written.forwards(&COPY, &[TO, FROM]);
        written.put(&[Instruction::End]);
        written.rest(&COPY);
        written
    }

    fn new(plan: &'p Plan<'a>) -> Self {
        Self {
            plan,
            function: Function::new([]),
            rare: Vec::new(),
        }
    }

    fn put(&mut self, instructions: &[Instruction<'_>]) {
        for instruction in instructions {
            self.function.instruction(instruction);
        }
    }

    fn count(&mut self, amount: &[Instruction<'_>]) {
        self.plan.count(&mut self.function, &mut self.rare, amount);
    }

    /// Piece after piece, moving `places` on.
    fn forwards(&mut self, operation: &Instruction<'_>, places: &[u32]) {
        self.begin_piece();
        self.put(&[
            Instruction::LocalGet(TO),
            Instruction::LocalGet(FROM),
            Instruction::I32Const(PIECE),
        ]);
        self.put(std::slice::from_ref(operation));
        for &place in places {
            self.put(&[
                Instruction::LocalGet(place),
                Instruction::I32Const(PIECE),
                Instruction::I32Add,
                Instruction::LocalSet(place),
            ]);
        }
        self.shorten();
        self.end_piece();
    }

    /// Piece after piece, the last one first.
    fn backwards(&mut self) {
        self.begin_piece();
        self.shorten();
        for place in [TO, FROM] {
            self.put(&[
                Instruction::LocalGet(place),
                Instruction::LocalGet(SIZE),
                Instruction::I32Add,
            ]);
        }
        self.put(&[Instruction::I32Const(PIECE), COPY]);
        self.end_piece();
    }

    fn begin_piece(&mut self) {
        self.put(&[Instruction::Loop(BlockType::Empty)]);
        self.count(&[Instruction::I32Const(1)]);
        self.put(&[
            Instruction::LocalGet(SIZE),
            Instruction::I32Const(PIECE),
            Instruction::I32GtU,
            Instruction::If(BlockType::Empty),
        ]);
    }

    fn shorten(&mut self) {
        self.put(&[
            Instruction::LocalGet(SIZE),
            Instruction::I32Const(PIECE),
            Instruction::I32Sub,
            Instruction::LocalSet(SIZE),
        ]);
    }

    fn end_piece(&mut self) {
        self.count(&[Instruction::I32Const(PIECE >> BYTES)]);
        self.put(&[Instruction::Br(1), Instruction::End, Instruction::End]);
    }

    /// What is less than a piece.
    fn rest(&mut self, operation: &Instruction<'_>) {
        self.put(&[
            Instruction::LocalGet(TO),
            Instruction::LocalGet(FROM),
            Instruction::LocalGet(SIZE),
        ]);
        self.put(std::slice::from_ref(operation));
        self.count(&[
            Instruction::LocalGet(SIZE),
            Instruction::I32Const(BYTES),
            Instruction::I32ShrU,
        ]);
        self.put(&[Instruction::End]);
    }
}
