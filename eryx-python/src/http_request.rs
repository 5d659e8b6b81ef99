//! The Python class `HttpRequestReport`.

use std::time::{Duration, UNIX_EPOCH};

use eryx::net::policy::escape;
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};

use crate::pickle::{Pickled, Reduced, from_pickle, to_pickle};
use crate::verdict::Verdict;

/// One HTTP request of a program to an inspected host.
///
/// >>> import eryx
/// >>> sandbox = eryx.Sandbox(network=eryx.NetConfig(inspect=["*"]))
/// >>> result = sandbox.execute("print('no request')")
/// >>> [(request.method, request.url, request.status) for request in result.network.requests]
/// []
#[pyclass(module = "eryx", frozen, eq, from_py_object)]
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HttpRequestReport {
    /// The number of its connection, an int: the ``id`` of its network events.
    #[pyo3(get)]
    connection: u64,
    /// The method, a str of at most 32 characters; empty if the request was malformed.
    #[pyo3(get)]
    method: String,
    /// The URL, a str of at most 1,024 characters. ``REDACTED`` replaces values of query parameters
    /// that can have secrets.
    #[pyo3(get)]
    url: String,
    /// When the head of the request was complete, in seconds since 1970, a float.
    #[pyo3(get)]
    started: f64,
    /// The status of the response, an int, or ``None`` if there was none.
    #[pyo3(get)]
    status: Option<u16>,
    /// Bytes sent for the request: head, framing and body.
    #[pyo3(get, name = "sent_bytes")]
    sent: u64,
    /// Bytes received in response: heads, framing and body.
    #[pyo3(get, name = "received_bytes")]
    received: u64,
    time_to_first_byte: Option<Duration>,
    duration: Duration,
    /// The verdict of the rules, a :class:`Verdict`, or ``None`` for a malformed request.
    #[pyo3(get)]
    verdict: Option<Verdict>,
    /// The names of the secrets that were put into the request, a list of str.
    #[pyo3(get)]
    secrets: Vec<String>,
    /// Whether the connection changed its protocol with this request, such as to websockets.
    #[pyo3(get)]
    is_upgraded: bool,
    /// Why the request was denied or failed, or would be denied, a str, or ``None``.
    #[pyo3(get)]
    error: Option<String>,
}

impl From<eryx::net::HttpRequestReport> for HttpRequestReport {
    fn from(report: eryx::net::HttpRequestReport) -> Self {
        let started = report.started.duration_since(UNIX_EPOCH);
        Self {
            connection: report.connection,
            method: report.method,
            url: report.url,
            started: started.map_or(0.0, |since| since.as_secs_f64()),
            status: report.status,
            sent: report.sent_bytes,
            received: report.received_bytes,
            time_to_first_byte: report.time_to_first_byte,
            duration: report.duration,
            verdict: report.verdict.as_ref().map(Verdict::from),
            secrets: report.secrets,
            is_upgraded: report.is_upgraded,
            error: report.error,
        }
    }
}

#[pymethods]
impl HttpRequestReport {
    /// The time until the head of the response was complete in milliseconds, a float, or ``None``.
    #[getter]
    fn time_to_first_byte_ms(&self) -> Option<f64> {
        self.time_to_first_byte.map(|time| time.as_secs_f64() * 1e3)
    }

    /// The time until the response ended, or the exchange failed, in milliseconds, a float.
    #[getter]
    fn duration_ms(&self) -> f64 {
        self.duration.as_secs_f64() * 1e3
    }

    fn __repr__(&self) -> String {
        let outcome = match (&self.error, self.status) {
            (Some(error), _) => escape(error),
            (None, Some(status)) => status.to_string(),
            (None, None) => "not answered".to_owned(),
        };
        let (method, url) = (escape(&self.method), escape(&self.url));
        format!("<eryx.HttpRequestReport: {method} {url}, {outcome}>")
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
