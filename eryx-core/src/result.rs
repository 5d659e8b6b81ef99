use std::time::Duration;

use eryx_net_host::NetworkReport;

use crate::output::Output;

/// What an execution that ran to its end left.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExecuteResult {
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
    /// What the program did with the network.
    pub network: NetworkReport,
}
