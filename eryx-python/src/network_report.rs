//! The network activity of a program: the classes `NetworkReport` and `ConnectionReport`.

use std::time::Duration;

use eryx::net::policy::{escape, quote_word};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::{Deserialize, Serialize};

use crate::http_request::HttpRequestReport;
use crate::pickle::{Pickled, Reduced, from_pickle, to_pickle};
use crate::refusals::Refusals;
use crate::verdict::Verdict;

/// The network activity of a program.
///
/// >>> import eryx
/// >>> sandbox = eryx.Sandbox(network=eryx.NetConfig())
/// >>> result = sandbox.execute('''
/// ... import socket
/// ... try:
/// ...     socket.create_connection(("10.0.0.1", 80))
/// ... except PermissionError:
/// ...     pass
/// ... ''')
/// >>> [(report.host, report.port, report.close_reason) for report in result.network.connections]
/// [('10.0.0.1', 80, 'denied')]
#[pyclass(module = "eryx", frozen, eq, from_py_object)]
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkReport {
    /// Connections and lookups in the order of their start, a list of :class:`ConnectionReport`: at
    /// most 1,024 established ones, 512 lookups and abandoned attempts, and 256 denied or failed
    /// ones.
    #[pyo3(get)]
    connections: Vec<ConnectionReport>,
    /// The number of denied and failed activities for each reason and rule, listed or not: a list
    /// of :class:`Refusals`.
    #[pyo3(get)]
    refusals: Vec<Refusals>,
    /// The HTTP requests to inspected hosts in the order of their end, a list of
    /// :class:`HttpRequestReport`: at most 512 that were sent, and 256 that were denied.
    #[pyo3(get)]
    requests: Vec<HttpRequestReport>,
    /// The number of connections and lookups that are not listed.
    #[pyo3(get)]
    dropped: u64,
    /// The number of HTTP requests that are not listed.
    #[pyo3(get)]
    dropped_requests: u64,
    /// Bytes sent on all connections together, before encryption.
    #[pyo3(get, name = "sent_bytes")]
    sent: u64,
    /// Bytes received on all connections together, after decryption.
    #[pyo3(get, name = "received_bytes")]
    received: u64,
    /// The HTTP Archive of the requests, as JSON; empty if there are none.
    har: String,
}

impl NetworkReport {
    /// Returns the number of listed connections.
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }
}

impl From<eryx::net::NetworkReport> for NetworkReport {
    fn from(report: eryx::net::NetworkReport) -> Self {
        let har = match report.requests.is_empty() {
            true => String::new(),
            false => to_json(&report),
        };
        Self {
            har,
            connections: report.connections.into_iter().map(Into::into).collect(),
            refusals: report.refusals.into_iter().map(Into::into).collect(),
            requests: report.requests.into_iter().map(Into::into).collect(),
            dropped: report.dropped,
            dropped_requests: report.dropped_requests,
            sent: report.sent,
            received: report.received,
        }
    }
}

/// Returns the HTTP Archive of a report as JSON.
fn to_json(report: &eryx::net::NetworkReport) -> String {
    serde_json::to_string(&report.to_har()).expect("an archive has only numbers, strings and lists")
}

#[pymethods]
impl NetworkReport {
    /// Return the HTTP requests as an HTTP Archive (HAR) 1.2, which the developer tools of browsers
    /// open: a dict that can be written as JSON.
    ///
    /// >>> import eryx
    /// >>> result = eryx.Sandbox(network=eryx.NetConfig()).execute("")
    /// >>> result.network.to_har()["log"]["entries"]
    /// []
    fn to_har<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let json = match self.har.as_str() {
            "" => to_json(&eryx::net::NetworkReport::default()),
            har => har.to_owned(),
        };
        let har = py.import("json")?.call_method1("loads", (json,))?;
        Ok(har.cast_into::<PyDict>()?)
    }

    fn __repr__(&self) -> String {
        format!(
            "<eryx.NetworkReport: {} connections and lookups, {} bytes sent, {} received>",
            self.connections.len() as u64 + self.dropped,
            self.sent,
            self.received
        )
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Pickled<'py>>> {
        to_pickle(slf)
    }

    #[staticmethod]
    #[pyo3(name = "_empty")]
    fn empty() -> Self {
        Self::from(eryx::net::NetworkReport::default())
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(data: &[u8]) -> PyResult<Self> {
        from_pickle(data)
    }
}

/// One connection of a program, one name lookup, the datagrams to one destination, or one denied
/// TLS session.
///
/// See :class:`NetworkReport` for an example.
#[pyclass(module = "eryx", frozen, eq, from_py_object)]
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConnectionReport {
    /// ``"connection"``, ``"lookup"``, ``"datagrams"`` (of one socket to one destination) or
    /// ``"tls-session"`` (TLS over the program's own transport, listed only if its server name is
    /// denied), a str.
    #[pyo3(get)]
    activity: String,
    /// The host as the untrusted program wrote it, a str of at most 255 characters. It may contain
    /// any characters, line feeds included; ``repr()`` of this object escapes them.
    #[pyo3(get)]
    host: String,
    /// The port, an int, or ``None`` for a lookup without a port.
    #[pyo3(get)]
    port: Option<u16>,
    /// The addresses of the host, a list of str, internal addresses included.
    #[pyo3(get)]
    addresses: Vec<String>,
    /// The address and port of the peer after a successful connect, a str such as
    /// ``"192.0.2.7:443"``, or ``None``. For a name that the proxy resolves, the placeholder that
    /// the program sees.
    #[pyo3(get)]
    address: Option<String>,
    /// The proxy that carried the connection, or failed to, a str without credentials such as
    /// ``"http://proxy.example:3128"``; ``None`` without a proxy.
    #[pyo3(get)]
    proxy: Option<String>,
    /// The last verdict of the policy, a :class:`Verdict`, or ``None`` if there was none.
    #[pyo3(get)]
    verdict: Option<Verdict>,
    /// Bytes sent, before encryption.
    #[pyo3(get, name = "sent_bytes")]
    sent: u64,
    /// Bytes received, after decryption.
    #[pyo3(get, name = "received_bytes")]
    received: u64,
    /// The TLS version, a str such as ``"TLSv1.3"``, or ``None`` without TLS.
    #[pyo3(get)]
    tls: Option<String>,
    duration: Duration,
    /// Why it was closed, a str, or ``None`` while it is open, as in a session.
    #[pyo3(get)]
    close_reason: Option<String>,
}

impl From<eryx::net::ConnectionReport> for ConnectionReport {
    fn from(report: eryx::net::ConnectionReport) -> Self {
        Self {
            activity: report.activity.as_str().to_owned(),
            host: report.host,
            port: report.port,
            addresses: report.addresses.iter().map(ToString::to_string).collect(),
            address: report.address.map(|address| address.to_string()),
            proxy: report.proxy,
            verdict: report.verdict.as_ref().map(Verdict::from),
            sent: report.sent,
            received: report.received,
            tls: report.tls.map(str::to_owned),
            duration: report.duration,
            close_reason: report.close_reason.map(|reason| reason.to_string()),
        }
    }
}

#[pymethods]
impl ConnectionReport {
    /// The lifetime in milliseconds, until now if it is open, a float.
    #[getter]
    fn duration_ms(&self) -> f64 {
        self.duration.as_secs_f64() * 1e3
    }

    fn __repr__(&self) -> String {
        let port = self.port.map_or(String::new(), |port| format!(":{port}"));
        format!(
            "<eryx.ConnectionReport: {} {}{port}, {}>",
            self.activity,
            quote_word(&self.host),
            escape(self.close_reason.as_deref().unwrap_or("open"))
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
