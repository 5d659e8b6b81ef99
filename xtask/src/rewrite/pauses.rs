//! Makes everything that may take long give way to the host from time to time.
//!
//! Nothing ends a program that does not end by itself, unless it lets go of the processor. An engine can have all code
//! look at a clock for that, at every function and every turn of a loop, which costs an interpreter a fifth of its time.
//! Here the code counts instead, in places chosen so that it cannot run for long without passing one:
//!
//! - every turn of a loop,
//! - functions that can be called in a circle: one of each circle of direct calls, and all that can be called through a
//!   table and call something themselves,
//! - operations that fill, copy or grow memory, by their size; those that fill or copy go in pieces.
//!
//! When the count is up, the host is called: it looks at the clock whether it is time to do something else. It is called
//! for that after every call of one of its functions, too, so that the time those take counts like the program's own.

mod pieces;
mod plan;
mod writer;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use wasm_encoder::reencode::Reencode;
use wasm_encoder::{BranchHints, Module, RawSection, SectionId};
use wasmparser::Parser;

use self::plan::Plan;
use self::writer::Writer;

/// How much is counted between one look and the next. A turn of a loop takes a few nanoseconds at least; what takes
/// much longer counts more than once.
const BUDGET: i32 = 1 << 16;

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

#[cfg(test)]
mod tests;
