//! The check of recursion: every cycle of calls has a function that yields on entry.

use std::collections::HashSet;

use crate::image::yield_check::error::YieldCheckError;
use crate::image::yield_check::function::Calls;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// The search is at a function that this one calls.
    Open,
    Done,
}

/// Checks that a function yields on entry if a table may contain it and it calls a function, and
/// that one function of each cycle of direct calls does.
pub(super) fn check(
    imported: u32,
    in_tables: &HashSet<u32>,
    calls: &[Calls],
) -> Result<(), YieldCheckError> {
    let defined = |function: u32| {
        let at = function.checked_sub(imported)? as usize;
        (at < calls.len()).then_some(at)
    };
    for &function in in_tables {
        if defined(function).is_some_and(|at| calls[at].any && !calls[at].yields_on_entry) {
            return Err(YieldCheckError::Function {
                function,
                reason: "can be called through a table, calls others and does not yield",
            });
        }
    }
    // A depth-first search without recursion: a function that is met while it is open closes a
    // cycle.
    let mut states = vec![State::New; calls.len()];
    for start in 0..calls.len() {
        let mut stack = vec![(start, 0)];
        while let Some((at, next)) = stack.pop() {
            if next == 0 {
                if states[at] != State::New {
                    continue;
                }
                states[at] = State::Open;
            }
            let Some(&callee) = calls[at].direct.get(next) else {
                states[at] = State::Done;
                continue;
            };
            stack.push((at, next + 1));
            let Some(callee_at) = defined(callee) else {
                continue;
            };
            match states[callee_at] {
                _ if calls[callee_at].yields_on_entry => {}
                State::New => stack.push((callee_at, 0)),
                State::Open => {
                    return Err(YieldCheckError::Function {
                        function: callee,
                        reason: "can call itself without a yield point",
                    });
                }
                State::Done => {}
            }
        }
    }
    Ok(())
}
