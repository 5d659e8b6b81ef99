//! Waiting: timeouts, deadlines, and readiness of many sockets together without a task or an
//! allocation for each.

pub(crate) mod deadline;
pub(crate) mod inline_wait;
pub(crate) mod noop_waker;
pub(crate) mod operation_timeout;
pub(crate) mod poll_set;
mod sweep;
mod wait_ready;

pub use poll_set::{PollItem, PollSet, Readiness};
pub use sweep::Sweep;
pub use wait_ready::{wait_ready, wait_ready_after};
