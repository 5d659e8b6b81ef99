//! The expected bodies of the functions that fill and copy memory in chunks, with yield points
//! between the chunks.

use wasmparser::{BlockType, Operator};

use crate::image::yield_verifier::counter::{BYTES_SHIFT, Counter};

/// The bytes that are filled or copied in one step.
const CHUNK: i32 = 1 << 20;

/// Returns the body of a function that fills memory in chunks.
pub(super) fn fill(counter: &Counter) -> Vec<Operator<'static>> {
    let fill = Operator::MemoryFill { mem: 0 };
    let mut operators = forwards(counter, &fill, &[0]);
    operators.extend(rest(counter, fill));
    operators
}

/// Returns the body of a function that copies memory in chunks.
pub(super) fn copy(counter: &Counter) -> Vec<Operator<'static>> {
    let copy = Operator::MemoryCopy {
        dst_mem: 0,
        src_mem: 0,
    };
    let mut operators = vec![
        Operator::LocalGet { local_index: 0 },
        Operator::LocalGet { local_index: 1 },
        Operator::I32GtU,
        Operator::If {
            blockty: BlockType::Empty,
        },
    ];
    let mut backwards = SHORTEN.to_vec();
    for local_index in [0, 1] {
        backwards.extend([
            Operator::LocalGet { local_index },
            Operator::LocalGet { local_index: 2 },
            Operator::I32Add,
        ]);
    }
    backwards.extend([Operator::I32Const { value: CHUNK }, copy.clone()]);
    operators.extend(chunks(counter, backwards));
    operators.push(Operator::Else);
    operators.extend(forwards(counter, &copy, &[0, 1]));
    operators.push(Operator::End);
    operators.extend(rest(counter, copy));
    operators
}

/// Returns the loop over chunks from the start. `addresses` are the locals that advance.
fn forwards(
    counter: &Counter,
    operation: &Operator<'static>,
    addresses: &[u32],
) -> Vec<Operator<'static>> {
    let mut chunk = vec![
        Operator::LocalGet { local_index: 0 },
        Operator::LocalGet { local_index: 1 },
        Operator::I32Const { value: CHUNK },
        operation.clone(),
    ];
    for &local_index in addresses {
        chunk.extend([
            Operator::LocalGet { local_index },
            Operator::I32Const { value: CHUNK },
            Operator::I32Add,
            Operator::LocalSet { local_index },
        ]);
    }
    chunk.extend(SHORTEN);
    chunks(counter, chunk)
}

/// Returns a loop that executes `chunk` while more than one chunk is left.
fn chunks(counter: &Counter, chunk: Vec<Operator<'static>>) -> Vec<Operator<'static>> {
    let mut operators = vec![Operator::Loop {
        blockty: BlockType::Empty,
    }];
    operators.extend(yield_point(counter, &[Operator::I32Const { value: 1 }]));
    operators.extend([
        Operator::LocalGet { local_index: 2 },
        Operator::I32Const { value: CHUNK },
        Operator::I32GtU,
        Operator::If {
            blockty: BlockType::Empty,
        },
    ]);
    operators.extend(chunk);
    let value = CHUNK >> BYTES_SHIFT;
    operators.extend(yield_point(counter, &[Operator::I32Const { value }]));
    operators.extend([
        Operator::Br { relative_depth: 1 },
        Operator::End,
        Operator::End,
    ]);
    operators
}

/// Returns the operation on the last chunk.
fn rest(counter: &Counter, operation: Operator<'static>) -> Vec<Operator<'static>> {
    let mut operators = vec![
        Operator::LocalGet { local_index: 0 },
        Operator::LocalGet { local_index: 1 },
        Operator::LocalGet { local_index: 2 },
        operation,
    ];
    operators.extend(yield_point(
        counter,
        &[
            Operator::LocalGet { local_index: 2 },
            Operator::I32Const { value: BYTES_SHIFT },
            Operator::I32ShrU,
        ],
    ));
    operators.push(Operator::End);
    operators
}

/// Returns a yield point that decrements the counter by `amount`.
fn yield_point(counter: &Counter, amount: &[Operator<'static>]) -> Vec<Operator<'static>> {
    let global_index = counter.counter;
    let mut operators = vec![Operator::GlobalGet { global_index }];
    operators.extend_from_slice(amount);
    operators.extend([
        Operator::I32Sub,
        Operator::GlobalSet { global_index },
        Operator::GlobalGet { global_index },
        Operator::I32Const { value: 0 },
        Operator::I32LtS,
        Operator::If {
            blockty: BlockType::Empty,
        },
        Operator::Call {
            function_index: counter.yield_function,
        },
        Operator::End,
    ]);
    operators
}

/// Subtracts a chunk from the size that is left.
const SHORTEN: [Operator<'static>; 4] = [
    Operator::LocalGet { local_index: 2 },
    Operator::I32Const { value: CHUNK },
    Operator::I32Sub,
    Operator::LocalSet { local_index: 2 },
];
