//! The calls of functions that a program made: the classes `FunctionReport` and `FunctionCall`.

use std::collections::BTreeMap;
use std::time::Duration;

use pyo3::prelude::*;

use crate::pickle::{Reduced, nanoseconds, reduce};

/// The calls of the embedder's functions in one execution.
///
/// >>> import eryx
/// >>> sandbox = eryx.Sandbox(functions={"double": lambda number: 2 * number})
/// >>> result = sandbox.execute("import tools; print(tools.double(21))")
/// >>> [(call.name, call.outcome) for call in result.function_calls.calls]
/// [('double', 'returned')]
#[pyclass(module = "eryx", frozen, eq, from_py_object)]
#[derive(Clone, Default, PartialEq)]
pub(crate) struct FunctionReport {
    calls: Vec<FunctionCall>,
    dropped: u64,
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

type ReportParts = (Vec<FunctionCall>, u64, BTreeMap<String, u64>);

#[pymethods]
impl FunctionReport {
    /// The calls in the order of their ends, a list of :class:`FunctionCall`: at most 512.
    #[getter]
    fn calls(&self) -> Vec<FunctionCall> {
        self.calls.clone()
    }

    /// The number of calls that are not listed, an int.
    #[getter]
    fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The numbers of calls that were refused, so that no function saw them, a dict from reasons to
    /// int. A reason is the limit that was reached, such as ``"max_function_calls"``, or
    /// ``"unknown-function"`` or ``"invalid-arguments"``.
    #[getter]
    fn refusals(&self) -> BTreeMap<String, u64> {
        self.refusals.clone()
    }

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

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, ReportParts>> {
        let this = slf.get().clone();
        reduce(slf, (this.calls, this.dropped, this.refusals))
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(parts: ReportParts) -> Self {
        let (calls, dropped, refusals) = parts;
        Self {
            calls,
            dropped,
            refusals,
        }
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
#[derive(Clone, PartialEq)]
pub(crate) struct FunctionCall {
    execution: u64,
    name: String,
    argument_bytes: u64,
    result_bytes: u64,
    duration: Duration,
    outcome: String,
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

type CallParts = (u64, String, u64, u64, u64, String, Option<String>);

#[pymethods]
impl FunctionCall {
    /// The number of the execution, an int, as in ``ExecuteResult.execution``.
    #[getter]
    fn execution(&self) -> u64 {
        self.execution
    }

    /// The name of the function, a str.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The size of the arguments as JSON, in bytes.
    #[getter]
    fn argument_bytes(&self) -> u64 {
        self.argument_bytes
    }

    /// The size of the result as JSON, in bytes; 0 without a result.
    #[getter]
    fn result_bytes(&self) -> u64 {
        self.result_bytes
    }

    /// The time from the call to its end in milliseconds, waiting for its turn included, a float.
    #[getter]
    fn duration_ms(&self) -> f64 {
        self.duration.as_secs_f64() * 1e3
    }

    /// How the call ended, a str: ``"returned"``, ``"raised"``, ``"timed-out"`` or ``"cancelled"``.
    #[getter]
    fn outcome(&self) -> &str {
        &self.outcome
    }

    /// The type of the exception that the function raised, a str, or ``None``.
    #[getter]
    fn exception_type(&self) -> Option<&str> {
        self.exception_type.as_deref()
    }

    fn __repr__(&self) -> String {
        format!(
            "<eryx.FunctionCall: {} {} after {:.1} ms>",
            self.name,
            self.outcome,
            self.duration_ms()
        )
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, CallParts>> {
        let this = slf.get().clone();
        let parts = (
            this.execution,
            this.name,
            this.argument_bytes,
            this.result_bytes,
            nanoseconds(this.duration),
            this.outcome,
            this.exception_type,
        );
        reduce(slf, parts)
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(parts: CallParts) -> Self {
        let (execution, name, argument_bytes, result_bytes, duration, outcome, exception_type) =
            parts;
        Self {
            execution,
            name,
            argument_bytes,
            result_bytes,
            duration: Duration::from_nanos(duration),
            outcome,
            exception_type,
        }
    }
}
