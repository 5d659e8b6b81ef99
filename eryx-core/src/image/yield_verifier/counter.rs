//! The counter of a module, and the code that decrements it.

use wasmparser::{BlockType, FunctionBody, Operator};

use crate::image::yield_verifier::error::VerifyError;

/// The highest value that the counter is reset to.
const MAX_BUDGET: i32 = 1 << 16;

/// The highest value that the allowance is reset to.
const MAX_ALLOWANCE: i32 = 1 << 21;

/// The binary logarithm of the most bytes of memory that decrement the counter by one.
pub(super) const BYTES_SHIFT: i32 = 6;

/// The counter of a module.
pub(super) struct Counter {
    /// The function that calls the import, and resets the counter and the allowance.
    pub(super) yield_function: u32,
    /// The import that it calls.
    pub(super) yield_import: u32,
    /// The global that is the counter.
    pub(super) counter: u32,
    /// The global that takes the place of the counter for functions that must not yield: the host
    /// calls them while the guest may not call the host. They share one allowance in each call of
    /// the host.
    allowance: u32,
}

/// The code at a yield point.
pub(super) struct YieldPoint {
    /// The index of the first operator after it.
    pub(super) end: usize,
    /// The local with the size in bytes that decrements the counter, if it is not a constant.
    pub(super) size: Option<u32>,
}

impl Counter {
    /// Finds the first yield function among `bodies`.
    pub(super) fn find(bodies: &[FunctionBody<'_>], imported: u32) -> Result<Self, VerifyError> {
        for (function, body) in (imported..).zip(bodies) {
            let mut operators = body.get_operators_reader()?.into_iter();
            let mut next = || operators.next().transpose();
            if let (
                Some(Operator::Call { function_index }),
                Some(Operator::I32Const { value: budget }),
                Some(Operator::GlobalSet {
                    global_index: counter,
                }),
                Some(Operator::I32Const {
                    value: allowance_value,
                }),
                Some(Operator::GlobalSet {
                    global_index: allowance,
                }),
                Some(Operator::End),
                None,
            ) = (
                next()?,
                next()?,
                next()?,
                next()?,
                next()?,
                next()?,
                next()?,
            ) && function_index < imported
                && budget <= MAX_BUDGET
                && allowance_value <= MAX_ALLOWANCE
                && counter != allowance
            {
                return Ok(Self {
                    yield_function: function,
                    yield_import: function_index,
                    counter,
                    allowance,
                });
            }
        }
        Err(VerifyError::Module("has no yield function"))
    }

    /// Returns the globals that only yield points may change.
    pub(super) fn globals(&self) -> [u32; 2] {
        [self.counter, self.allowance]
    }

    /// Returns the yield point that begins at the operator `at`, if one does.
    pub(super) fn yield_point(&self, operators: &[Operator<'_>], at: usize) -> Option<YieldPoint> {
        let rest = operators.get(at..)?;
        let [Operator::GlobalGet { global_index }, rest @ ..] = rest else {
            return None;
        };
        if *global_index != self.counter {
            return None;
        }
        let (size, rest) = match rest {
            [Operator::I32Const { value }, rest @ ..] if *value > 0 => (None, rest),
            [
                Operator::LocalGet { local_index },
                Operator::I32Const { value },
                Operator::I32ShrU,
                rest @ ..,
            ] if (0..=BYTES_SHIFT).contains(value) => (Some(*local_index), rest),
            _ => return None,
        };
        let [
            Operator::I32Sub,
            Operator::GlobalSet { global_index: set },
            Operator::GlobalGet { global_index: get },
            Operator::I32Const { value: 0 },
            Operator::I32LtS,
            Operator::If {
                blockty: BlockType::Empty,
            },
            Operator::Call { function_index },
            Operator::End,
            rest @ ..,
        ] = rest
        else {
            return None;
        };
        let is_own =
            *set == self.counter && *get == self.counter && *function_index == self.yield_function;
        is_own.then_some(YieldPoint {
            end: operators.len() - rest.len(),
            size,
        })
    }

    /// Returns whether a function is a wrapper: it only calls a function that must not yield, with
    /// the allowance in place of the counter.
    pub(super) fn is_wrapper(&self, operators: &[Operator<'_>]) -> bool {
        let is_get = |operator: &Operator<'_>, global_index| {
            *operator == Operator::GlobalGet { global_index }
        };
        let is_set = |operator: &Operator<'_>, global_index| {
            *operator == Operator::GlobalSet { global_index }
        };
        let [
            get_counter,
            Operator::LocalSet { local_index: saved },
            get_allowance,
            set_counter,
            parameters @ ..,
            Operator::Call { .. },
            get_rest,
            set_allowance,
            Operator::LocalGet { local_index },
            restore_counter,
            Operator::End,
        ] = operators
        else {
            return false;
        };
        is_get(get_counter, self.counter)
            && is_get(get_allowance, self.allowance)
            && is_set(set_counter, self.counter)
            && parameters
                .iter()
                .all(|parameter| matches!(parameter, Operator::LocalGet { .. }))
            && is_get(get_rest, self.counter)
            && is_set(set_allowance, self.allowance)
            && saved == local_index
            && is_set(restore_counter, self.counter)
    }
}
