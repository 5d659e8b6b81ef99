//! The check of one function.

use std::collections::HashSet;

use wasmparser::Operator;

use crate::image::yield_verifier::counter::Counter;

/// The calls of a function.
#[derive(Default)]
pub(super) struct Calls {
    /// The functions it calls directly, sorted.
    pub(super) direct: Vec<u32>,
    /// Whether it calls any function.
    pub(super) any: bool,
    /// Whether it begins with a yield point.
    pub(super) yields_on_entry: bool,
}

/// The check of the functions of one module.
pub(super) struct FunctionCheck<'a> {
    pub(super) counter: &'a Counter,
    pub(super) imported: u32,
    pub(super) exported_tables: &'a HashSet<u32>,
    /// The functions that fill or copy memory in chunks.
    pub(super) bulk_memory: HashSet<u32>,
    /// The functions that a table may contain. The check adds those that are referenced.
    pub(super) in_tables: &'a mut HashSet<u32>,
}

impl FunctionCheck<'_> {
    /// Returns the calls of a function, or the reason why it does not yield.
    pub(super) fn calls(&mut self, operators: &[Operator<'_>]) -> Result<Calls, &'static str> {
        let counter = self.counter;
        let mut calls = Calls {
            yields_on_entry: counter.yield_point(operators, 0).is_some(),
            ..Calls::default()
        };
        // The operator after the last yield point.
        let mut yielded_at = 0;
        let mut at = 0;
        while at < operators.len() {
            if let Some(yield_point) = counter.yield_point(operators, at) {
                at = yield_point.end;
                yielded_at = at;
                continue;
            }
            let yields_after = operators.get(at + 1)
                == Some(&Operator::Call {
                    function_index: counter.yield_function,
                });
            match &operators[at] {
                Operator::GlobalSet { global_index }
                    if counter.globals().contains(global_index) =>
                {
                    return Err("changes the counter");
                }
                Operator::Loop { .. } if counter.yield_point(operators, at + 1).is_none() => {
                    return Err("has a loop without a yield point");
                }
                Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } => {
                    return Err("fills or copies memory in one step");
                }
                Operator::MemoryInit { .. } => {
                    let size = match at.checked_sub(1).map(|before| &operators[before]) {
                        Some(Operator::LocalTee { local_index }) => Some(*local_index),
                        _ => None,
                    };
                    let yield_point = counter.yield_point(operators, at + 1);
                    if size.is_none() || yield_point.is_none_or(|point| point.size != size) {
                        return Err("initialises memory without a yield point");
                    }
                }
                Operator::MemoryGrow { .. } if yielded_at != at => {
                    return Err("grows memory without a yield point");
                }
                Operator::Call { function_index }
                    if *function_index == counter.yield_function
                        || self.bulk_memory.contains(function_index) => {}
                Operator::Call { function_index } => {
                    calls.any = true;
                    calls.direct.push(*function_index);
                    let is_yield = *function_index == counter.yield_import;
                    if *function_index < self.imported && !is_yield && !yields_after {
                        return Err("calls the host and does not yield afterwards");
                    }
                }
                Operator::CallIndirect { table_index, .. } => {
                    calls.any = true;
                    if self.exported_tables.contains(table_index) && !yields_after {
                        return Err("calls the host and does not yield afterwards");
                    }
                }
                Operator::ReturnCall { function_index } => {
                    calls.any = true;
                    calls.direct.push(*function_index);
                    if *function_index < self.imported {
                        return Err("calls the host by a tail call");
                    }
                }
                Operator::ReturnCallIndirect { table_index, .. } => {
                    calls.any = true;
                    if self.exported_tables.contains(table_index) {
                        return Err("calls the host by a tail call");
                    }
                }
                Operator::RefFunc { function_index } => {
                    self.in_tables.insert(*function_index);
                }
                Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => {
                    return Err("calls functions by reference");
                }
                Operator::TableSet { .. }
                | Operator::TableFill { .. }
                | Operator::TableGrow { .. }
                | Operator::TableInit { .. }
                | Operator::TableCopy { .. } => return Err("changes a table"),
                _ => {}
            }
            at += 1;
        }
        calls.direct.sort_unstable();
        calls.direct.dedup();
        Ok(calls)
    }
}
