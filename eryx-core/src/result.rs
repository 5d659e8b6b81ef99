//! The result of an execution, and the partial result of one that did not run to its end.

use std::ops::Deref;
use std::time::Duration;

use eryx_net_host::NetworkReport;

use crate::files::ChangedFiles;
use crate::functions::FunctionReport;
use crate::json_value::JsonValue;
use crate::output::Output;
use crate::value::{Display, ProgramValueError, TakenValue};

/// The result of an execution that ran to its end.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExecuteResult {
    /// The number of this execution, unique in this process. The [events](eryx_net_host::Event) of
    /// its network have it too.
    pub execution: u64,
    /// Standard output as text; bytes that are not UTF-8 became U+FFFD.
    pub stdout: String,
    /// Standard error as text; bytes that are not UTF-8 became U+FFFD.
    pub stderr: String,
    /// Standard output and standard error, byte for byte.
    pub output: Output,
    /// How long the execution took by the wall clock, from before its instance was made.
    pub duration: Duration,
    /// The most memory the interpreter used at the same time, in bytes, its own share included.
    pub peak_memory: u64,
    /// The most memory the host held on behalf of the program at the same time, in bytes, outside
    /// of the interpreter's memory; [`HOST_MEMORY_BASE`](crate::ResourceLimits::HOST_MEMORY_BASE)
    /// included.
    pub peak_host_memory: u64,
    /// The program's network activity.
    pub network: NetworkReport,
    /// The value of the program, or the reason why it cannot be converted to JSON. `None` unless it
    /// was asked for with [`Program::with_value`](crate::Program::with_value).
    pub value: Option<Result<JsonValue, ProgramValueError>>,
    /// The representations of that value, the richest first as a rule. An object has those that its
    /// methods return by the conventions of IPython, such as `_repr_html_` and `_repr_mimebundle_`,
    /// and then `text/plain` too; a value that cannot be converted to JSON has `text/plain` alone.
    ///
    /// Files that a program wrote to show something are in [`files`](Self::files);
    /// [`Display::media_type_of`] recognises them.
    pub display: Vec<Display>,
    /// What the program changed of its files, except in mounted directories.
    pub files: ChangedFiles,
    /// The program's calls of the embedder's [functions](crate::Functions).
    pub function_calls: FunctionReport,
}

/// The resources that an execution used until it ended without a result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The number of the execution, as in [`ExecuteResult::execution`]; 0 when it did not begin.
    pub execution: u64,
    /// How long the execution took by the wall clock, from before its instance was made.
    pub duration: Duration,
    /// The most memory the interpreter used at the same time, in bytes, its own share included.
    pub peak_memory: u64,
    /// The most memory the host held on behalf of the program at the same time, in bytes, as in
    /// [`ExecuteResult::peak_host_memory`].
    pub peak_host_memory: u64,
    /// The program's network activity.
    pub network: NetworkReport,
    /// What the program changed of its files until then, except in mounted directories.
    pub files: ChangedFiles,
    /// The program's calls of the embedder's [functions](crate::Functions).
    pub function_calls: FunctionReport,
}

/// The output and the usage of an execution that did not run to its end. It dereferences to its
/// [`Output`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartialResult {
    /// The program's output until it ended.
    pub output: Output,
    /// The resources it used until it ended.
    pub usage: Usage,
}

impl Deref for PartialResult {
    type Target = Output;

    fn deref(&self) -> &Output {
        &self.output
    }
}

impl ExecuteResult {
    pub(crate) fn new(PartialResult { output, usage }: PartialResult, value: TakenValue) -> Self {
        Self {
            execution: usage.execution,
            stdout: output.stdout_text(),
            stderr: output.stderr_text(),
            output,
            duration: usage.duration,
            peak_memory: usage.peak_memory,
            peak_host_memory: usage.peak_host_memory,
            network: usage.network,
            value: value.json,
            display: value.display,
            files: usage.files,
            function_calls: usage.function_calls,
        }
    }
}
