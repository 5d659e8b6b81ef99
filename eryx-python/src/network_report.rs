//! The network activity of a program: the classes `NetworkReport` and `ConnectionReport`.

use std::time::Duration;

use eryx::net::policy::{escape, quote_word};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::http_request::HttpRequestReport;
use crate::pickle::{Reduced, nanoseconds, reduce};
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
#[derive(Clone, Default, PartialEq)]
pub(crate) struct NetworkReport {
    connections: Vec<ConnectionReport>,
    refusals: Vec<Refusals>,
    requests: Vec<HttpRequestReport>,
    dropped: u64,
    dropped_requests: u64,
    sent: u64,
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

type ReportParts = (
    (Vec<ConnectionReport>, Vec<Refusals>, Vec<HttpRequestReport>),
    (u64, u64, u64, u64),
    String,
);

#[pymethods]
impl NetworkReport {
    /// Connections and lookups in the order of their start, a list of :class:`ConnectionReport`: at
    /// most 1,024 established ones, 512 lookups and abandoned attempts, and 256 denied or failed
    /// ones.
    #[getter]
    fn connections(&self) -> Vec<ConnectionReport> {
        self.connections.clone()
    }

    /// The number of denied and failed activities for each reason and rule, listed or not: a list
    /// of :class:`Refusals`.
    #[getter]
    fn refusals(&self) -> Vec<Refusals> {
        self.refusals.clone()
    }

    /// The HTTP requests to inspected hosts in the order of their end, a list of
    /// :class:`HttpRequestReport`: at most 512 that were sent, and 256 that were denied.
    #[getter]
    fn requests(&self) -> Vec<HttpRequestReport> {
        self.requests.clone()
    }

    /// The number of HTTP requests that are not listed.
    #[getter]
    fn dropped_requests(&self) -> u64 {
        self.dropped_requests
    }

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

    /// The number of connections and lookups that are not listed.
    #[getter]
    fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes sent on all connections together, before encryption.
    #[getter]
    fn sent_bytes(&self) -> u64 {
        self.sent
    }

    /// Bytes received on all connections together, after decryption.
    #[getter]
    fn received_bytes(&self) -> u64 {
        self.received
    }

    fn __repr__(&self) -> String {
        format!(
            "<eryx.NetworkReport: {} connections and lookups, {} bytes sent, {} received>",
            self.connections.len() as u64 + self.dropped,
            self.sent,
            self.received
        )
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, ReportParts>> {
        let this = slf.get().clone();
        let parts = (
            (this.connections, this.refusals, this.requests),
            (
                this.dropped,
                this.dropped_requests,
                this.sent,
                this.received,
            ),
            this.har,
        );
        reduce(slf, parts)
    }

    #[staticmethod]
    #[pyo3(name = "_empty")]
    fn empty() -> Self {
        Self::from(eryx::net::NetworkReport::default())
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(parts: ReportParts) -> Self {
        let ((connections, refusals, requests), (dropped, dropped_requests, sent, received), har) =
            parts;
        Self {
            connections,
            refusals,
            requests,
            dropped,
            dropped_requests,
            sent,
            received,
            har,
        }
    }
}

/// One connection of a program, one name lookup, the datagrams to one destination, or one denied
/// TLS session.
///
/// See :class:`NetworkReport` for an example.
#[pyclass(module = "eryx", frozen, eq, from_py_object)]
#[derive(Clone, PartialEq)]
pub(crate) struct ConnectionReport {
    activity: String,
    host: String,
    port: Option<u16>,
    addresses: Vec<String>,
    address: Option<String>,
    proxy: Option<String>,
    verdict: Option<Verdict>,
    sent: u64,
    received: u64,
    tls: Option<String>,
    duration: Duration,
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

type Parts = (
    (
        String,
        String,
        Option<u16>,
        Vec<String>,
        Option<String>,
        Option<String>,
        Option<Verdict>,
    ),
    (u64, u64, Option<String>, u64, Option<String>),
);

#[pymethods]
impl ConnectionReport {
    /// ``"connection"``, ``"lookup"``, ``"datagrams"`` (of one socket to one destination) or
    /// ``"tls-session"`` (TLS over the program's own transport, listed only if its server name is
    /// denied), a str.
    #[getter]
    fn activity(&self) -> &str {
        &self.activity
    }

    /// The host as the untrusted program wrote it, a str of at most 255 characters. It may contain
    /// any characters, line feeds included; ``repr()`` of this object escapes them.
    #[getter]
    fn host(&self) -> &str {
        &self.host
    }

    /// The port, an int, or ``None`` for a lookup without a port.
    #[getter]
    fn port(&self) -> Option<u16> {
        self.port
    }

    /// The addresses of the host, a list of str, internal addresses included.
    #[getter]
    fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// The address and port of the peer after a successful connect, a str such as
    /// ``"192.0.2.7:443"``, or ``None``. For a name that the proxy resolves, the placeholder that
    /// the program sees.
    #[getter]
    fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// The proxy that carried the connection, or failed to, a str without credentials such as
    /// ``"http://proxy.example:3128"``; ``None`` without a proxy.
    #[getter]
    fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// The last verdict of the policy, a :class:`Verdict`, or ``None`` if there was none.
    #[getter]
    fn verdict(&self) -> Option<Verdict> {
        self.verdict.clone()
    }

    /// Bytes sent, before encryption.
    #[getter]
    fn sent_bytes(&self) -> u64 {
        self.sent
    }

    /// Bytes received, after decryption.
    #[getter]
    fn received_bytes(&self) -> u64 {
        self.received
    }

    /// The TLS version, a str such as ``"TLSv1.3"``, or ``None`` without TLS.
    #[getter]
    fn tls(&self) -> Option<&str> {
        self.tls.as_deref()
    }

    /// The lifetime in milliseconds, until now if it is open, a float.
    #[getter]
    fn duration_ms(&self) -> f64 {
        self.duration.as_secs_f64() * 1e3
    }

    /// Why it was closed, a str, or ``None`` while it is open, as in a session.
    #[getter]
    fn close_reason(&self) -> Option<&str> {
        self.close_reason.as_deref()
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

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Parts>> {
        let this = slf.get().clone();
        let parts: Parts = (
            (
                this.activity,
                this.host,
                this.port,
                this.addresses,
                this.address,
                this.proxy,
                this.verdict,
            ),
            (
                this.sent,
                this.received,
                this.tls,
                nanoseconds(this.duration),
                this.close_reason,
            ),
        );
        reduce(slf, parts)
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(parts: Parts) -> Self {
        let (
            (activity, host, port, addresses, address, proxy, verdict),
            (sent, received, tls, duration, close_reason),
        ) = parts;
        Self {
            activity,
            host,
            port,
            addresses,
            address,
            proxy,
            verdict,
            sent,
            received,
            tls,
            duration: Duration::from_nanos(duration),
            close_reason,
        }
    }
}
