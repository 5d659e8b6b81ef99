//! The check of recursion: every cycle of calls has a function that yields on entry.

use std::collections::HashSet;

use crate::image::yield_verifier::error::VerifyError;
use crate::image::yield_verifier::function::Calls;

/// The state of a function in the depth-first search of the call graph.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Unvisited,
    /// On the stack of the search.
    OnStack,
    Done,
}

/// Checks two rules: a function that a table may contain and that calls others yields on entry;
/// each cycle of direct calls has a function that yields on entry.
pub(super) fn check(
    imported: u32,
    in_tables: &HashSet<u32>,
    calls: &[Calls],
) -> Result<(), VerifyError> {
    let defined = |function: u32| {
        let at = function.checked_sub(imported)? as usize;
        (at < calls.len()).then_some(at)
    };
    for &function in in_tables {
        if defined(function).is_some_and(|at| calls[at].any && !calls[at].yields_on_entry) {
            return Err(VerifyError::Function {
                function,
                reason: "can be called through a table, calls others and does not yield",
            });
        }
    }
    // Without recursion. A function that is met while it is on the stack closes a cycle.
    let mut visits = vec![Visit::Unvisited; calls.len()];
    for start in 0..calls.len() {
        let mut stack = vec![(start, 0)];
        while let Some((at, next)) = stack.pop() {
            if next == 0 {
                if visits[at] != Visit::Unvisited {
                    continue;
                }
                visits[at] = Visit::OnStack;
            }
            let Some(&callee) = calls[at].direct.get(next) else {
                visits[at] = Visit::Done;
                continue;
            };
            stack.push((at, next + 1));
            let Some(callee_at) = defined(callee) else {
                continue;
            };
            match visits[callee_at] {
                _ if calls[callee_at].yields_on_entry => {}
                Visit::Unvisited => stack.push((callee_at, 0)),
                Visit::OnStack => {
                    return Err(VerifyError::Function {
                        function: callee,
                        reason: "can call itself without a yield point",
                    });
                }
                Visit::Done => {}
            }
        }
    }
    Ok(())
}
