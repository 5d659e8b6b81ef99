//! The embedder's functions, which programs call through the module `tools`.

mod admitted_call;
mod arguments;
mod blocking_call;
mod blocking_slots;
mod call;
mod callback;
mod calls;
mod error;
mod execution_driver;
mod function;
mod log;
mod report;
mod running_call;
mod set;
mod standard_library;
mod stub;

pub use arguments::Arguments;
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub use call::Call;
pub use error::FunctionError;
pub use execution_driver::{FunctionThread, drive};
pub use function::{
    CancelOnDrop, Completion, Function, FunctionKind, FunctionResult, FunctionWork,
};
pub use report::{FunctionCall, FunctionOutcome, FunctionRefusals, FunctionReport};
pub use set::Functions;

pub(crate) use calls::{Calls, OfferedFunctions};
