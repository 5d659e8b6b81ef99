//! The Python class `HttpRequestReport`.

use std::time::{Duration, UNIX_EPOCH};

use eryx::net::policy::escape;
use pyo3::prelude::*;

use crate::pickle::{Reduced, nanoseconds, reduce};
use crate::verdict::Verdict;

/// One HTTP request of a program to an inspected host.
///
/// >>> import eryx
/// >>> sandbox = eryx.Sandbox(network=eryx.NetConfig(inspect=["*"]))
/// >>> result = sandbox.execute("print('no request')")
/// >>> [(request.method, request.url, request.status) for request in result.network.requests]
/// []
#[pyclass(module = "eryx", frozen, eq, from_py_object)]
#[derive(Clone, PartialEq)]
pub(crate) struct HttpRequestReport {
    connection: u64,
    method: String,
    url: String,
    started: f64,
    status: Option<u16>,
    sent: u64,
    received: u64,
    time_to_first_byte: Option<Duration>,
    duration: Duration,
    verdict: Option<Verdict>,
    secrets: Vec<String>,
    is_upgraded: bool,
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

type Parts = (
    (u64, String, String, f64, Option<u16>),
    (u64, u64, Option<u64>, u64),
    (Option<Verdict>, Vec<String>, bool, Option<String>),
);

#[pymethods]
impl HttpRequestReport {
    /// The number of its connection, an int: the ``id`` of its network events.
    #[getter]
    fn connection(&self) -> u64 {
        self.connection
    }

    /// The method, a str of at most 32 characters; empty if the request was malformed.
    #[getter]
    fn method(&self) -> &str {
        &self.method
    }

    /// The URL, a str of at most 1,024 characters. ``REDACTED`` replaces values of query parameters
    /// that can have secrets.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    /// When the head of the request was complete, in seconds since 1970, a float.
    #[getter]
    fn started(&self) -> f64 {
        self.started
    }

    /// The status of the response, an int, or ``None`` if there was none.
    #[getter]
    fn status(&self) -> Option<u16> {
        self.status
    }

    /// Bytes sent for the request: head, framing and body.
    #[getter]
    fn sent_bytes(&self) -> u64 {
        self.sent
    }

    /// Bytes received in response: heads, framing and body.
    #[getter]
    fn received_bytes(&self) -> u64 {
        self.received
    }

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

    /// The verdict of the rules, a :class:`Verdict`, or ``None`` for a malformed request.
    #[getter]
    fn verdict(&self) -> Option<Verdict> {
        self.verdict.clone()
    }

    /// The names of the secrets that were put into the request, a list of str.
    #[getter]
    fn secrets(&self) -> Vec<String> {
        self.secrets.clone()
    }

    /// Whether the connection changed its protocol with this request, such as to websockets.
    #[getter]
    fn is_upgraded(&self) -> bool {
        self.is_upgraded
    }

    /// Why the request was denied or failed, a str, or ``None``.
    #[getter]
    fn error(&self) -> Option<&str> {
        self.error.as_deref()
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

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Parts>> {
        let this = slf.get().clone();
        let parts: Parts = (
            (
                this.connection,
                this.method,
                this.url,
                this.started,
                this.status,
            ),
            (
                this.sent,
                this.received,
                this.time_to_first_byte.map(nanoseconds),
                nanoseconds(this.duration),
            ),
            (this.verdict, this.secrets, this.is_upgraded, this.error),
        );
        reduce(slf, parts)
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(parts: Parts) -> Self {
        let (
            (connection, method, url, started, status),
            (sent, received, time_to_first_byte, duration),
            (verdict, secrets, is_upgraded, error),
        ) = parts;
        Self {
            connection,
            method,
            url,
            started,
            status,
            sent,
            received,
            time_to_first_byte: time_to_first_byte.map(Duration::from_nanos),
            duration: Duration::from_nanos(duration),
            verdict,
            secrets,
            is_upgraded,
            error,
        }
    }
}
