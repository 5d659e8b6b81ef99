//! How much work the functions of libraries are for the compiler.

use wasmparser::{FunctionBody, Operator};

use crate::error::Rejection;
use crate::limits;

/// What the compiler's time and memory grow with, for all functions together.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct CompileCost {
    locals: u64,
    /// The sum of the squares of their blocks.
    block_pairs: u64,
    /// The sum of their blocks times their local variables.
    block_locals: u64,
}

impl CompileCost {
    /// Adds a function, if it is within the limits of one.
    pub(crate) fn add_function(&mut self, body: &FunctionBody<'_>) -> Result<(), Rejection> {
        let mut locals = 0_u32;
        for group in body.get_locals_reader()? {
            locals = locals.saturating_add(group?.0);
        }
        if locals > limits::FUNCTION_LOCALS {
            return Err(Rejection::too_large(
                "local variables of a function",
                limits::FUNCTION_LOCALS,
            ));
        }
        let blocks = blocks(body)?;
        if blocks > limits::FUNCTION_BLOCKS {
            return Err(Rejection::too_large(
                "blocks and branches of a function",
                limits::FUNCTION_BLOCKS,
            ));
        }
        let (blocks, locals) = (u64::from(blocks), u64::from(locals));
        if blocks * locals > limits::FUNCTION_BLOCK_LOCALS {
            return Err(Rejection::too_large(
                "the product of the blocks and the local variables of a function",
                limits::FUNCTION_BLOCK_LOCALS,
            ));
        }
        // Each product is below 2^40, and a library has fewer than 2^17 functions.
        self.locals += locals;
        self.block_pairs += blocks * blocks;
        self.block_locals += blocks * locals;
        Ok(())
    }

    /// Adds the functions of another library, if all together are within the limits.
    pub(crate) fn add(&mut self, other: Self) -> Result<(), Rejection> {
        self.locals = self.locals.saturating_add(other.locals);
        self.block_pairs = self.block_pairs.saturating_add(other.block_pairs);
        self.block_locals = self.block_locals.saturating_add(other.block_locals);
        for (what, sum, limit) in [
            (
                "local variables of all functions",
                self.locals,
                limits::LOCALS,
            ),
            (
                "the sum of the squares of the blocks of all functions",
                self.block_pairs,
                limits::BLOCK_PAIRS,
            ),
            (
                "the sum of the products of blocks and local variables of all functions",
                self.block_locals,
                limits::BLOCK_LOCALS,
            ),
        ] {
            if sum > limit {
                return Err(Rejection::too_large(what, limit));
            }
        }
        Ok(())
    }
}

/// Returns the number of blocks that the compiler makes of a function, about, and of the branches
/// between them.
fn blocks(body: &FunctionBody<'_>) -> Result<u32, Rejection> {
    let mut blocks = 0_u32;
    for operator in body.get_operators_reader()? {
        let count = match operator? {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::BrIf { .. } => 1,
            Operator::BrTable { targets } => targets.len().saturating_add(1),
            _ => 0,
        };
        blocks = blocks.saturating_add(count);
    }
    Ok(blocks)
}
