use std::time::Duration;

use eryx_net_host::NetworkReport;

use crate::output::Output;

/// What an execution that ran to its end left.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExecuteResult {
    /// The number of this execution, which no other one of this process has. The
    /// [events](eryx_net_host::Event) of its network carry it.
    pub execution: u64,
    /// What the program printed on standard output, as text; what is not UTF-8 became U+FFFD.
    pub stdout: String,
    /// What it printed on standard error.
    pub stderr: String,
    /// Standard output and standard error, byte for byte.
    pub output: Output,
    /// How long it took by the wall clock, from before the instance was made.
    pub duration: Duration,
    /// The most memory the interpreter used at once, in bytes, its own share included.
    pub peak_memory: u64,
    /// The most the host kept on behalf of the program at once, in bytes, outside of the interpreter's memory;
    /// [`HOST_MEMORY_BASE`](crate::ResourceLimits::HOST_MEMORY_BASE) included.
    pub peak_host_memory: u64,
    /// What the program did with the network.
    pub network: NetworkReport,
}

/// What an execution used and did until it ended without a result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The number of the execution, as in [`ExecuteResult::execution`]; 0 when it did not begin.
    pub execution: u64,
    /// How long it took by the wall clock, from before the instance was made.
    pub duration: Duration,
    /// The most memory the interpreter used at once, in bytes, its own share included.
    pub peak_memory: u64,
    /// The most the host kept on behalf of the program at once, in bytes, as in [`ExecuteResult::peak_host_memory`].
    pub peak_host_memory: u64,
    /// What the program did with the network.
    pub network: NetworkReport,
}

/// What an execution left that did not run to its end. It stands for the [`Output`] as well, whose fields it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartialResult {
    /// What the program had printed, byte for byte.
    pub output: Output,
    /// What it had used and done.
    pub usage: Usage,
}

impl std::ops::Deref for PartialResult {
    type Target = Output;

    fn deref(&self) -> &Output {
        &self.output
    }
}

impl From<PartialResult> for ExecuteResult {
    fn from(left: PartialResult) -> Self {
        let PartialResult { output, usage } = left;
        Self {
            execution: usage.execution,
            stdout: output.stdout_text(),
            stderr: output.stderr_text(),
            output,
            duration: usage.duration,
            peak_memory: usage.peak_memory,
            peak_host_memory: usage.peak_host_memory,
            network: usage.network,
        }
    }
}
