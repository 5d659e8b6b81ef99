//! The calls of functions that a program made: the classes `FunctionReport` and `FunctionCall`.

use std::collections::BTreeMap;
use std::time::Duration;

use pyo3::prelude::*;
use serde::{Deserialize, Serialize};

use crate::pickle::{Pickled, Reduced, from_pickle, to_pickle};

/// The calls of the embedder's functions in one execution.
///
/// >>> import eryx
/// >>> sandbox = eryx.Sandbox(functions={"double": lambda number: 2 * number})
/// >>> result = sandbox.execute("import tools; print(tools.double(21))")
/// >>> [(call.name, call.outcome) for call in result.function_calls.calls]
/// [('double', 'returned')]
#[pyclass(module = "eryx", frozen, eq, from_py_object)]
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FunctionReport {
    /// The calls in the order of their ends, a list of :class:`FunctionCall`: at most 512.
    #[pyo3(get)]
    calls: Vec<FunctionCall>,
    /// The number of calls that are not listed, an int.
    #[pyo3(get)]
    dropped: u64,
    /// The numbers of calls that were refused, so that no function saw them, a dict from reasons to
    /// int. A reason is the limit that was reached, such as ``"max_function_calls"``, or
    /// ``"unknown-function"`` or ``"invalid-arguments"``.
    #[pyo3(get)]
    refusals: BTreeMap<String, u64>,
}

impl From<eryx::FunctionReport> for FunctionReport {
    fn from(report: eryx::FunctionReport) -> Self {
        Self {
            calls: report.calls.into_iter().map(Into::into).collect(),
            dropped: report.dropped,
            refusals: report
                .refusals
                .into_iter()
                .map(|refusals| (refusals.reason.to_owned(), refusals.count))
                .collect(),
        }
    }
}

#[pymethods]
impl FunctionReport {
    fn __len__(&self) -> usize {
        self.calls.len()
    }

    fn __repr__(&self) -> String {
        let refused: u64 = self.refusals.values().sum();
        format!(
            "<eryx.FunctionReport: {} calls, {refused} refused>",
            self.calls.len() as u64 + self.dropped
        )
    }

    /// Returns the report of an execution that did not start.
    #[staticmethod]
    fn _empty() -> Self {
        Self::default()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Pickled<'py>>> {
        to_pickle(slf)
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(data: &[u8]) -> PyResult<Self> {
        from_pickle(data)
    }
}

/// One call of a function of the embedder.
///
/// >>> import eryx
/// >>> sandbox = eryx.Sandbox(functions={"find": {"a": 1}.__getitem__})
/// >>> result = sandbox.execute('''
/// ... import tools
/// ... try:
/// ...     tools.find("b")
/// ... except KeyError as error:
/// ...     print(error)
/// ... ''')
/// >>> [call] = result.function_calls.calls
/// >>> call.name, call.outcome, call.exception_type, call.argument_bytes
/// ('find', 'raised', 'KeyError', 10)
#[pyclass(module = "eryx", frozen, eq, from_py_object)]
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FunctionCall {
    /// The number of the execution, an int, as in ``ExecuteResult.execution``.
    #[pyo3(get)]
    execution: u64,
    /// The name of the function, a str.
    #[pyo3(get)]
    name: String,
    /// The size of the arguments as JSON, in bytes.
    #[pyo3(get)]
    argument_bytes: u64,
    /// The size of the result as JSON, in bytes; 0 without a result.
    #[pyo3(get)]
    result_bytes: u64,
    duration: Duration,
    /// How the call ended, a str: ``"returned"``, ``"raised"``, ``"timed-out"`` or ``"cancelled"``.
    #[pyo3(get)]
    outcome: String,
    /// The type of the exception that the function raised, a str, or ``None``.
    #[pyo3(get)]
    exception_type: Option<String>,
}

impl From<eryx::FunctionCall> for FunctionCall {
    fn from(call: eryx::FunctionCall) -> Self {
        Self {
            execution: call.execution,
            name: call.name,
            argument_bytes: call.argument_bytes,
            result_bytes: call.result_bytes,
            duration: call.duration,
            outcome: call.outcome.as_str().to_owned(),
            exception_type: match call.outcome {
                eryx::FunctionOutcome::Raised(name) => Some(name),
                _ => None,
            },
        }
    }
}

#[pymethods]
impl FunctionCall {
    /// The time from the call to its end in milliseconds, waiting for its turn included, a float.
    #[getter]
    fn duration_ms(&self) -> f64 {
        self.duration.as_secs_f64() * 1e3
    }

    fn __repr__(&self) -> String {
        format!(
            "<eryx.FunctionCall: {} {} after {:.1} ms>",
            self.name,
            self.outcome,
            self.duration_ms()
        )
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Pickled<'py>>> {
        to_pickle(slf)
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(data: &[u8]) -> PyResult<Self> {
        from_pickle(data)
    }
}
