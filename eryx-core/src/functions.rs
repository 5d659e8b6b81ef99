//! The embedder's functions, which programs call through the module `tools`.

mod arguments;
mod blocking_call;
mod blocking_slots;
mod call;
mod callback;
mod calls;
mod driver;
mod error;
mod function;
mod host;
mod log;
mod nesting;
mod report;
mod set;
mod standard_library;
mod stub;

pub use arguments::Arguments;
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub use call::Call as RunningCall;
pub use callback::Completion;
pub use driver::{FunctionThread, drive};
pub use error::FunctionError;
pub use function::{CancelOnDrop, Function, FunctionKind, FunctionResult, FunctionWork};
pub use report::{FunctionCall, FunctionOutcome, FunctionRefusals, FunctionReport};
pub use set::Functions;

pub(crate) use calls::{Calls, OfferedFunctions};
pub(crate) use host::add_to_linker;
pub(crate) use nesting::check as check_nesting;
