//! Conversion of `eryx::Error` to the exceptions of the package. Their classes are defined in
//! `eryx/_errors.py`: only a Python class can have two built-in bases.

use std::ffi::CString;

use eryx::{Error, Limit, Output, PartialResult, Usage};
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use crate::changed_files::ChangedFiles;
use crate::function_report::FunctionReport;
use crate::network_report::NetworkReport;

macro_rules! exceptions {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl $name {
            /// Returns the exception with this message.
            #[allow(dead_code, reason = "some classes always have attributes")]
            pub(crate) fn new_err(message: impl Into<String>) -> PyErr {
                Self::with(message, |_| Ok(()))
            }

            /// Returns the exception with this message and the attributes that `fill` sets.
            fn with(
                message: impl Into<String>,
                fill: impl FnOnce(&Bound<'_, PyDict>) -> PyResult<()>,
            ) -> PyErr {
                static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
                Python::attach(|py| {
                    let exception = CLASS
                        .import(py, "eryx._errors", stringify!($name))
                        .and_then(|class| {
                            let attributes = PyDict::new(py);
                            fill(&attributes)?;
                            class.call((message.into(),), Some(&attributes))
                        });
                    exception.map_or_else(|error| error, PyErr::from_value)
                })
            }
        }
    )*};
}

exceptions! {
    /// The program raised an exception.
    ExecutionError;
    /// The execution exceeded its time limit.
    TimeoutError;
    /// The execution exceeded another limit.
    ResourceLimitError;
    /// The execution was cancelled.
    CancelledError;
    /// The session is closed.
    SessionClosedError;
    /// A session cannot be copied or restored.
    SnapshotError;
    /// A setting is invalid.
    ConfigError;
    /// The guest image cannot be loaded.
    ImageError;
    /// The machine or the process lacks a resource.
    HostResourceError;
    /// Any other error.
    EryxError;
}

/// Returns the exception for an error that ended an execution or prevented its start.
pub(crate) fn exception(error: Error) -> PyErr {
    match error {
        Error::Exception(raised) => ExecutionError::with(raised.to_string(), |attributes| {
            attributes.set_item("exception_type", &raised.exception_type)?;
            attributes.set_item("message", &raised.message)?;
            attributes.set_item("traceback", &raised.traceback)?;
            attributes.set_item("exit_status", raised.exit_status)?;
            set_ended_attributes(attributes, &raised.output, &raised.usage)
        }),
        Error::InterpreterCrashed {
            ref output,
            ref reason,
            ..
        } => ExecutionError::with(error.to_string(), |attributes| {
            attributes.set_item("message", reason)?;
            set_ended_attributes(attributes, output, &output.usage)
        }),
        Error::Limit { limit, output, .. } => limit_exception(&limit, &output),
        Error::Cancelled { ref output, .. } => {
            CancelledError::with(error.to_string(), |attributes| {
                set_ended_attributes(attributes, output, &output.usage)
            })
        }
        Error::SessionClosed { .. } => SessionClosedError::new_err(error.to_string()),
        Error::Image(_) => ImageError::new_err(error.to_string()),
        Error::HostResource(ref missing) => {
            HostResourceError::with(missing.to_string(), |attributes| {
                attributes.set_item("resource", missing.resource().as_str())?;
                match (error.output(), error.usage()) {
                    (Some(output), Some(usage)) => set_ended_attributes(attributes, output, usage),
                    _ => Ok(()),
                }
            })
        }
        Error::Snapshot(_) => SnapshotError::new_err(error.to_string()),
        Error::Config(_) | Error::Package(_) => ConfigError::new_err(error.to_string()),
        other => EryxError::new_err(other.to_string()),
    }
}

/// Returns the exception for a resource that the machine or the process lacks.
pub(crate) fn host_resource(name: &str, text: impl Into<String>) -> PyErr {
    HostResourceError::with(text, |attributes| attributes.set_item("resource", name))
}

/// Warns with a `UserWarning`. Fails when the program makes an exception of it.
pub(crate) fn warn_user(py: Python<'_>, warning: &str) -> PyResult<()> {
    let text = CString::new(warning)?;
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)
}

/// Returns the exception for a limit. Its message names the setting as in Python.
fn limit_exception(limit: &Limit, output: &PartialResult) -> PyErr {
    let (setting, text) = match limit {
        Limit::ExecutionTime(limit) => {
            let text = format!(
                "the execution took longer than its limit of {} ms (ResourceLimits: execution_timeout_ms)",
                limit.as_millis()
            );
            return TimeoutError::with(text, |attributes| {
                set_ended_attributes(attributes, output, &output.usage)
            });
        }
        Limit::Memory(limit) => (
            "max_memory_bytes",
            format!(
                "the program needed more memory than its limit of {limit} bytes (ResourceLimits: max_memory_bytes)"
            ),
        ),
        Limit::Output(limit) => (
            "max_output_bytes",
            format!(
                "the program printed more than its limit of {limit} bytes (ResourceLimits: max_output_bytes)"
            ),
        ),
        Limit::HostMemory(limit) => (
            "max_host_memory_bytes",
            format!(
                "Eryx would have to keep more for the program than its limit of {limit} bytes (ResourceLimits: \
                 max_host_memory_bytes)"
            ),
        ),
        other => ("stack", other.to_string()),
    };
    ResourceLimitError::with(text, |attributes| {
        attributes.set_item("limit", setting)?;
        set_ended_attributes(attributes, output, &output.usage)
    })
}

/// Sets the attributes of an execution that did not run to its end.
fn set_ended_attributes(
    attributes: &Bound<'_, PyDict>,
    output: &Output,
    usage: &Usage,
) -> PyResult<()> {
    attributes.set_item("stdout", output.stdout_text())?;
    attributes.set_item("stderr", output.stderr_text())?;
    attributes.set_item("execution", usage.execution)?;
    attributes.set_item("duration_ms", usage.duration.as_secs_f64() * 1e3)?;
    attributes.set_item("peak_memory_bytes", usage.peak_memory)?;
    attributes.set_item("peak_host_memory_bytes", usage.peak_host_memory)?;
    let network = NetworkReport::from(usage.network.clone());
    attributes.set_item("network", Bound::new(attributes.py(), network)?)?;
    let files = ChangedFiles::from(usage.files.clone());
    attributes.set_item("files", Bound::new(attributes.py(), files)?)?;
    let calls = FunctionReport::from(usage.function_calls.clone());
    attributes.set_item("function_calls", Bound::new(attributes.py(), calls)?)
}
