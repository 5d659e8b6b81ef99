//! The limit that ended an execution.

use std::fmt;
use std::time::Duration;

/// A limit that ended an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`ResourceLimits::with_execution_timeout`](crate::ResourceLimits::with_execution_timeout):
    /// this much time passed.
    ExecutionTime(Duration),
    /// [`ResourceLimits::with_max_memory`](crate::ResourceLimits::with_max_memory): the program
    /// needed more than this many bytes.
    Memory(u64),
    /// [`ResourceLimits::with_max_output`](crate::ResourceLimits::with_max_output): the program
    /// printed more than this many bytes.
    Output(u64),
    /// [`ResourceLimits::with_max_host_memory`](crate::ResourceLimits::with_max_host_memory): the
    /// host would have had to hold more than this many bytes for the program.
    HostMemory(u64),
    /// The program recursed deeper, in native code, than the stack allows.
    Stack,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExecutionTime(limit) => write!(
                f,
                "the execution took longer than its limit of {limit:?} \
                 (ResourceLimits: execution_timeout)"
            ),
            Self::Memory(limit) => write!(
                f,
                "the program needed more memory than its limit of {limit} bytes \
                 (ResourceLimits: max_memory)"
            ),
            Self::Output(limit) => write!(
                f,
                "the program printed more than its limit of {limit} bytes \
                 (ResourceLimits: max_output)"
            ),
            Self::HostMemory(limit) => write!(
                f,
                "Eryx would have to keep more for the program than its limit of {limit} bytes \
                 (ResourceLimits: max_host_memory)"
            ),
            Self::Stack => f.write_str("the program recursed deeper than the stack allows"),
        }
    }
}
