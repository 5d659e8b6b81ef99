//! The call graph of a module, and the functions in it that decrement the counter when they are
//! called.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, bail};
use wasmparser::{FunctionBody, Operator};

/// The calls of the functions that a module defines.
#[derive(Clone, Default)]
pub(crate) struct CallGraph {
    /// The number of imported functions.
    imported: u32,
    /// The calls of each defined function.
    calls: Vec<Calls>,
    /// The functions that a table may hold.
    referenced: HashSet<u32>,
}

/// The calls of a function.
#[derive(Clone, Default)]
struct Calls {
    direct: Vec<u32>,
    /// Whether it calls any function, directly or through a table.
    any: bool,
    /// Whether it fills or copies memory.
    bulk_memory: bool,
    /// Whether it makes a tail call.
    tail: bool,
    /// The lowest index among the functions that it tail-calls directly.
    lowest_tail_call: Option<u32>,
}

impl CallGraph {
    /// Adds an imported function.
    pub(crate) fn add_import(&mut self) {
        self.imported += 1;
    }

    /// Adds a function that a table may hold.
    pub(crate) fn add_reference(&mut self, function: u32) {
        self.referenced.insert(function);
    }

    /// Adds the next defined function.
    pub(crate) fn add_body(&mut self, body: &FunctionBody<'_>) -> Result<()> {
        self.calls.push(Calls::of_body(body, &mut self.referenced)?);
        Ok(())
    }

    /// Makes calls of imported functions calls of defined ones.
    pub(crate) fn redirect(&mut self, imports: &HashMap<u32, u32>) {
        for calls in &mut self.calls {
            for callee in &mut calls.direct {
                *callee = imports.get(callee).copied().unwrap_or(*callee);
            }
        }
    }

    /// Returns whether a table may hold an imported function.
    pub(crate) fn references_import(&self) -> bool {
        self.referenced
            .iter()
            .any(|function| *function < self.imported)
    }

    /// Returns whether a function fills or copies memory.
    pub(crate) fn uses_bulk_memory(&self) -> bool {
        self.calls.iter().any(|calls| calls.bulk_memory)
    }

    /// Returns whether a function tail-calls an import.
    pub(crate) fn tail_calls_import(&self) -> bool {
        self.calls.iter().any(|calls| {
            calls
                .lowest_tail_call
                .is_some_and(|callee| callee < self.imported)
        })
    }

    /// Returns whether a function makes tail calls.
    pub(crate) fn has_tail_calls(&self, function: u32) -> bool {
        let body = function.checked_sub(self.imported);
        body.and_then(|at| self.calls.get(at as usize))
            .is_some_and(|calls| calls.tail)
    }

    /// Returns at least one function of every cycle of the call graph (depth-first search for back
    /// edges), and every calling function that a table may hold.
    pub(crate) fn counted_entries(&self) -> HashSet<u32> {
        let body_index = |function: u32| function.checked_sub(self.imported).map(|at| at as usize);
        let calls = &self.calls;
        let mut entries: HashSet<u32> = self
            .referenced
            .iter()
            .copied()
            .filter(|function| {
                body_index(*function)
                    .and_then(|at| calls.get(at))
                    .is_some_and(|calls| calls.any)
            })
            .collect();
        // The search keeps its own stack: a call graph may be deeper than the native one allows.
        let mut states = vec![State::New; calls.len()];
        for start in 0..calls.len() {
            let mut stack = vec![(start, 0)];
            while let Some((caller, next)) = stack.pop() {
                if next == 0 {
                    if states[caller] != State::New {
                        continue;
                    }
                    states[caller] = State::OnStack;
                }
                let Some(&callee) = calls[caller].direct.get(next) else {
                    states[caller] = State::Done;
                    continue;
                };
                stack.push((caller, next + 1));
                let Some(callee_body) = body_index(callee) else {
                    continue;
                };
                match states[callee_body] {
                    _ if entries.contains(&callee) => {}
                    State::New => stack.push((callee_body, 0)),
                    State::OnStack => {
                        entries.insert(callee);
                    }
                    State::Done => {}
                }
            }
        }
        entries
    }
}

/// The state of a function in the depth-first search.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    OnStack,
    Done,
}

impl Calls {
    fn of_body(body: &FunctionBody<'_>, referenced: &mut HashSet<u32>) -> Result<Self> {
        let mut calls = Self::default();
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Call { function_index } => {
                    calls.direct.push(function_index);
                    calls.any = true;
                }
                Operator::ReturnCall { function_index } => {
                    calls.direct.push(function_index);
                    calls.any = true;
                    calls.tail = true;
                    let lowest = calls.lowest_tail_call.unwrap_or(function_index);
                    calls.lowest_tail_call = Some(lowest.min(function_index));
                }
                Operator::CallIndirect { .. } => calls.any = true,
                Operator::ReturnCallIndirect { .. } => {
                    calls.any = true;
                    calls.tail = true;
                }
                Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } => {
                    calls.bulk_memory = true;
                }
                Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => {
                    bail!("it calls functions that are in no table")
                }
                Operator::RefFunc { function_index } => {
                    referenced.insert(function_index);
                }
                Operator::TableSet { .. }
                | Operator::TableFill { .. }
                | Operator::TableGrow { .. }
                | Operator::TableInit { .. }
                | Operator::TableCopy { .. } => {
                    bail!("it puts functions into its table while it runs")
                }
                _ => {}
            }
        }
        calls.direct.sort_unstable();
        calls.direct.dedup();
        Ok(calls)
    }
}
