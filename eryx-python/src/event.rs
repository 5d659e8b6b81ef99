//! The Python class `NetworkEvent`.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::pickle::{Reduced, reduce};
use crate::verdict::Verdict;

/// An event on a program's network, the argument of ``on_network_event``.
///
/// The attributes have the names of the fields in the log of ``eryx run --net-log``. Attributes
/// that do not apply to this kind of event are ``None``. ``str()`` returns one line for a log, in
/// which text chosen by the program or its peers is quoted.
///
/// >>> import eryx
/// >>> def observe(event):
/// ...     print(event.event, event.host, event.port)
/// >>> sandbox = eryx.Sandbox(network=eryx.NetConfig(), on_network_event=observe)
/// >>> _ = sandbox.execute('''
/// ... import socket
/// ... try:
/// ...     socket.create_connection(("10.0.0.1", 80))
/// ... except PermissionError:
/// ...     pass
/// ... ''')
/// denied 10.0.0.1 80
#[pyclass(module = "eryx", frozen, eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct NetworkEvent {
    line: String,
    fields: Fields,
    verdict: Option<Verdict>,
    /// The fields of this kind of event, as JSON.
    json: String,
}

#[derive(Clone, Default, PartialEq, serde::Deserialize)]
#[serde(default)]
struct Fields {
    execution: u64,
    event: String,
    id: u64,
    host: String,
    port: Option<u16>,
    activity: String,
    count: Option<u64>,
    aliases: Option<Vec<String>>,
    addresses: Option<Vec<String>>,
    elapsed_ms: Option<f64>,
    reason: Option<String>,
    limit: Option<String>,
    address: Option<String>,
    proxy: Option<String>,
    version: Option<String>,
    cipher: Option<String>,
    server_name: Option<String>,
    sent: Option<u64>,
    received: Option<u64>,
    duration_ms: Option<f64>,
    close_reason: Option<String>,
    error: Option<String>,
    method: Option<String>,
    url: Option<String>,
    status: Option<u16>,
    sent_bytes: Option<u64>,
    received_bytes: Option<u64>,
    time_to_first_byte_ms: Option<f64>,
    secrets: Option<Vec<String>>,
    upgraded: Option<bool>,
}

type Parts = (String, String, Option<Verdict>);

impl NetworkEvent {
    pub(crate) fn new(event: &eryx::net::Event) -> PyResult<Self> {
        use eryx::net::EventKind;
        let verdict = match &event.kind {
            EventKind::Denied { verdict }
            | EventKind::WouldDeny { verdict }
            | EventKind::Connected { verdict, .. } => Some(Verdict::from(&**verdict)),
            EventKind::HttpRequest { request } | EventKind::HttpDenied { request } => {
                request.verdict.as_ref().map(Verdict::from)
            }
            EventKind::HttpWouldDeny { verdict } => Some(Verdict::from(&**verdict)),
            _ => None,
        };
        let json = serde_json::to_string(event).map_err(invalid_json)?;
        Self::restore((event.to_string(), json, verdict))
    }
}

/// Returns the exception for JSON that is not an event. An `Event` never causes it, a pickle may.
fn invalid_json(error: serde_json::Error) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(error.to_string())
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $kind:ty;)*) => {
        #[pymethods]
        impl NetworkEvent {
            $(
                $(#[$doc])*
                #[getter]
                fn $name(&self) -> $kind {
                    self.fields.$name.clone()
                }
            )*

            /// The verdict of the policy, a :class:`Verdict`, for ``"denied"``, ``"would-deny"``,
            /// ``"connected"`` and events about HTTP requests.
            #[getter]
            fn verdict(&self) -> Option<Verdict> {
                self.verdict.clone()
            }

            /// Return the fields of this kind of event as a dict that can be written as JSON: the
            /// object that ``eryx run --net-log`` writes, without its ``time``.
            fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                let dict = py.import("json")?.call_method1("loads", (&self.json,))?;
                Ok(dict.cast_into::<PyDict>()?)
            }

            fn __str__(&self) -> &str {
                &self.line
            }

            fn __repr__(&self) -> String {
                format!("<eryx.NetworkEvent: {}>", self.line)
            }

            fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Parts>> {
                let this = slf.get().clone();
                reduce(slf, (this.line, this.json, this.verdict))
            }

            #[staticmethod]
            #[pyo3(name = "_restore")]
            fn restore(parts: Parts) -> PyResult<Self> {
                let (line, json, verdict) = parts;
                Ok(Self {
                    line,
                    fields: serde_json::from_str(&json).map_err(invalid_json)?,
                    verdict,
                    json,
                })
            }
        }
    };
}

fields! {
    /// The number of the execution, an int, as in ``ExecuteResult.execution`` and in the
    /// exceptions. An event of a session between two executions belongs to the earlier one.
    execution: u64;
    /// The kind of event: ``"resolved"``, ``"unresolved"``, ``"proxy-failed"``, ``"denied"``,
    /// ``"would-deny"``, ``"limit-reached"``, ``"throttled"``, ``"connected"``, ``"tls"``,
    /// ``"http-request"``, ``"http-denied"``, ``"http-would-deny"`` or ``"closed"``.
    event: String;
    /// The number of the connection or lookup within the execution or session, an int, counted from
    /// 1.
    id: u64;
    /// The host as the untrusted program wrote it, a str of at most 255 characters. It may contain
    /// any characters.
    host: String;
    /// The port, an int, or ``None`` for a lookup without a port.
    port: Option<u16>;
    /// The activity that the event belongs to: ``"connection"``, ``"lookup"``, ``"datagrams"`` or
    /// ``"tls-session"``.
    activity: String;
    /// ``None`` while every event is emitted. After 256 events of one kind about denials and
    /// failures, and after 512 of one kind about calls that cost the program nothing, only the
    /// 2^k-th event with the same cause is emitted; then this is its ordinal number, an int.
    count: Option<u64>;
    /// The aliases of a name that was resolved, a list of str.
    aliases: Option<Vec<String>>;
    /// The addresses of a name that was resolved, a list of str, internal addresses included.
    addresses: Option<Vec<String>>;
    /// The duration of the lookup or of the connect, in milliseconds, a float.
    elapsed_ms: Option<f64>;
    /// Why a name was not resolved, or why the proxy did not make the connection, a str; a name
    /// server or the proxy may have chosen its text.
    reason: Option<String>;
    /// The setting whose limit was reached, or makes the program wait, a str such as
    /// ``"max_connections"``.
    limit: Option<String>;
    /// The address and port of the peer, a str such as ``"192.0.2.7:443"``. For a name that the
    /// proxy resolves, the placeholder that the program sees.
    address: Option<String>;
    /// The proxy that carries the connection, or failed to, a str without credentials such as
    /// ``"http://proxy.example:3128"``; ``None`` for a direct connection.
    proxy: Option<String>;
    /// The TLS version, a str such as ``"TLSv1.3"``.
    version: Option<String>;
    /// OpenSSL's name of the cipher suite, a str.
    cipher: Option<String>;
    /// The server name (SNI) that was sent and verified, a str.
    server_name: Option<String>;
    /// Bytes that the program sent until the close, before encryption, an int.
    sent: Option<u64>;
    /// Bytes that the program received until the close, after decryption, an int.
    received: Option<u64>;
    /// The lifetime of the connection, or the duration of an HTTP request, in milliseconds, a
    /// float.
    duration_ms: Option<f64>;
    /// Why it was closed: ``"local-close"``, ``"peer-close"``, ``"denied"``, ``"error"`` or
    /// ``"aborted"``.
    close_reason: Option<String>;
    /// The error message, a str, for ``close_reason`` ``"error"``, and of an HTTP request that was
    /// denied or failed.
    error: Option<String>;
    /// The method of an HTTP request, a str of at most 32 characters.
    method: Option<String>;
    /// The URL of an HTTP request, a str of at most 1,024 characters.
    url: Option<String>;
    /// The status of the response to an HTTP request, an int, or ``None`` if there was none.
    status: Option<u16>;
    /// Bytes sent for an HTTP request, an int.
    sent_bytes: Option<u64>;
    /// Bytes received in response to an HTTP request, an int.
    received_bytes: Option<u64>;
    /// The time until the head of the response was complete, in milliseconds, a float.
    time_to_first_byte_ms: Option<f64>;
    /// The names of the secrets that were put into an HTTP request, a list of str.
    secrets: Option<Vec<String>>;
    /// Whether the connection changed its protocol with an HTTP request, a bool.
    upgraded: Option<bool>;
}
