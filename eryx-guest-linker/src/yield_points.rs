//! Inserts yield points: the code decrements a counter, and yields to the host when the counter is
//! negative. `eryx-core` checks images for them (`image/yield_verifier.rs`), in the same terms.
//!
//! A guest program can only be preempted where it yields. An engine can check a clock in all code,
//! at every function and every iteration of a loop, which costs an interpreter a fifth of its time.
//! This pass makes the code decrement a counter instead, in places chosen so that the code cannot
//! run for long without passing one:
//!
//! - every iteration of a loop,
//! - functions on a cycle of the call graph: at least one of each cycle of direct calls, and every
//!   function that can be called through a table and itself calls something,
//! - operations that fill, copy or grow memory, by their size. Those that fill or copy do so chunk
//!   by chunk.
//!
//! When the counter is negative, the code calls the host, which checks the clock and runs other
//! tasks if the time slice is over. The code also makes that call after every call of a host
//! function, so that the time of host functions counts like the program's own.

mod analysis;
pub(crate) mod body;
mod bulk_memory;
pub(crate) mod call_graph;
mod counter;
mod writer;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use wasm_encoder::reencode::Reencode;
use wasm_encoder::{BranchHints, Module, RawSection, SectionId};
use wasmparser::Parser;

pub use counter::{BulkMemory, YieldPoints};

use self::analysis::Analysis;
use self::writer::Writer;

/// The value that the counter is reset to. An iteration of a loop decrements it by one and takes a
/// few nanoseconds at least. Operations that take much longer decrement it by more.
const BUDGET: i32 = 1 << 16;

/// The facts about a module that this pass cannot find in it.
pub struct Inputs<'a> {
    /// The index of the imported function that yields to the host.
    pub yield_import: u32,
    /// The exported functions that run while the guest may not call the host.
    pub non_yielding: BTreeSet<&'a str>,
}

/// Returns `module` with yield points, and the indices that they use.
///
/// # Errors
///
/// Fails when the module is malformed, or calls functions in a way that the analysis cannot follow.
pub fn add_yield_points(module: &[u8], inputs: &Inputs<'_>) -> Result<(Vec<u8>, YieldPoints)> {
    let analysis = Analysis::new(module, inputs).context("a module cannot be read")?;
    let mut writer = Writer {
        analysis,
        bodies: 0,
        hints: BranchHints::new(),
    };
    let mut output = Module::new();
    writer
        .parse_core_module(&mut output, Parser::new(0), module)
        .map_err(anyhow::Error::from)?;
    let points = writer.analysis.points();
    let module = insert_branch_hints(&output.finish(), &writer.hints)?;
    Ok((module, points))
}

/// Returns `module` with `hints`, whose section precedes the code section.
fn insert_branch_hints(module: &[u8], hints: &BranchHints) -> Result<Vec<u8>> {
    let mut output = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Some((id, range)) = payload?.as_section() {
            if id == SectionId::Code as u8 {
                output.section(hints);
            }
            let data = &module[range];
            output.section(&RawSection { id, data });
        }
    }
    Ok(output.finish())
}

#[cfg(test)]
pub(crate) mod tests;
