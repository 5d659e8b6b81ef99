//! The report of the calls of an execution.

use std::time::Duration;

/// The calls of the embedder's functions in one execution.
///
/// Its size is bounded: it lists 512 calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionReport {
    /// The first 512 calls that ended, in the order of their ends. Those that the end of the
    /// execution cancelled are last.
    pub calls: Vec<FunctionCall>,
    /// The number of calls that are not listed.
    pub dropped: u64,
    /// The calls that Eryx refused, and that no function saw, by reason.
    pub refusals: Vec<FunctionRefusals>,
}

/// One call of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionCall {
    /// The number of the execution, as in
    /// [`ExecuteResult::execution`](crate::ExecuteResult::execution).
    pub execution: u64,
    /// The name of the function.
    pub name: String,
    /// The size of the arguments as JSON, in bytes.
    pub argument_bytes: u64,
    /// The size of the result as JSON, in bytes; 0 without a result.
    pub result_bytes: u64,
    /// The time from the call to its end, waiting for its turn included.
    pub duration: Duration,
    /// Its end.
    pub outcome: FunctionOutcome,
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FunctionOutcome {
    /// The function returned.
    Returned,
    /// The function raised an exception of this type.
    Raised(String),
    /// The function took longer than
    /// [`function_timeout`](crate::ResourceLimits::with_function_timeout).
    TimedOut,
    /// The program cancelled the call, or the execution ended before it.
    Cancelled,
    /// The function panicked.
    Panicked,
}

impl FunctionOutcome {
    /// Returns the outcome as a word: `returned`, `raised`, `timed-out`, `cancelled` or `panicked`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Raised(_) => "raised",
            Self::TimedOut => "timed-out",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
        }
    }
}

/// The calls that were refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionRefusals {
    /// The limit that was reached, such as `max_function_calls`, or `unknown-function` or
    /// `invalid-arguments`.
    pub reason: &'static str,
    /// The number of calls.
    pub count: u64,
}
