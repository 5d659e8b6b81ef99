//! A call whose function runs, and its result.

use std::time::Duration;

use eryx_net_host::Charge;

use crate::functions::error::FunctionError;
use crate::functions::function::FunctionResult;
use crate::functions::log::EndOnDrop;
use crate::functions::report::FunctionOutcome;
use crate::nesting::Nesting;

/// The host memory of a call beside its arguments and its result, in bytes: its task.
pub(super) const CALL_OVERHEAD: u64 = 4 << 10;

/// A call whose function runs, owned by the code that runs it.
pub(super) struct RunningCall {
    /// The nesting of the function.
    pub(super) nesting: Nesting,
    pub(super) memory: Charge,
    pub(super) max_value: u64,
    pub(super) record: EndOnDrop,
}

impl RunningCall {
    /// Ends the call with the result of its function.
    pub(super) fn end(mut self, result: FunctionResult) -> CallResult {
        let result = result.and_then(|value| {
            let bytes = value.as_str().len() as u64;
            if bytes > self.max_value {
                return Err(FunctionError::limit(format!(
                    "the result has {bytes} bytes as JSON; the limit is {}: ask for less, or \
                     have the embedder raise max_function_value",
                    self.max_value
                )));
            }
            let arguments = self.memory.bytes().saturating_sub(CALL_OVERHEAD);
            self.memory.shrink(arguments);
            match self.memory.grow(bytes) {
                Ok(()) => Ok(value),
                Err(full) => Err(FunctionError::limit(full.to_string())),
            }
        });
        match &result {
            Ok(value) => {
                let bytes = value.as_str().len() as u64;
                self.record.0.end(FunctionOutcome::Returned, bytes);
            }
            Err(error) => {
                let raised = FunctionOutcome::Raised(error.exception_type().to_owned());
                self.record.0.end(raised, 0);
            }
        }
        CallResult {
            result,
            _memory: self.memory,
        }
    }

    /// Ends the call since its function took longer than `limit`.
    pub(super) fn end_by_timeout(self, limit: Duration) -> CallResult {
        self.record.0.end(FunctionOutcome::TimedOut, 0);
        self.end(Err(timed_out(limit)))
    }
}

/// The result of a call, and the host memory that it takes.
pub(super) struct CallResult {
    pub(super) result: FunctionResult,
    pub(super) _memory: Charge,
}

/// Returns the error of a function that took longer than `limit`.
pub(super) fn timed_out(limit: Duration) -> FunctionError {
    FunctionError::new(
        "TimeoutError",
        format!("the function took longer than its limit of {limit:?} (function_timeout)"),
    )
}
