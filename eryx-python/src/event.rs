use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::pickle::{Reduced, reduce};
use crate::verdict::Verdict;

/// Something that happened on a program's network: what ``on_network_event`` is called with.
///
/// Its attributes have the names they have in the log of ``eryx run --net-log``, and those that do not belong to this kind
/// of event are ``None``. ``str()`` of it is one line for a log, in which what the program or its peers chose is quoted.
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
    /// All that belongs to it, as JSON.
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
    version: Option<String>,
    cipher: Option<String>,
    server_name: Option<String>,
    sent: Option<u64>,
    received: Option<u64>,
    duration_ms: Option<f64>,
    close_reason: Option<String>,
    error: Option<String>,
}

type Parts = (String, String, Option<Verdict>);

impl NetworkEvent {
    pub(crate) fn new(event: &eryx::net::Event) -> PyResult<Self> {
        use eryx::net::EventKind;
        let verdict = match &event.kind {
            EventKind::Denied { verdict }
            | EventKind::WouldDeny { verdict }
            | EventKind::Connected { verdict, .. } => Some(Verdict::from(&**verdict)),
            _ => None,
        };
        let json = serde_json::to_string(event).map_err(broken)?;
        Self::restore((event.to_string(), json, verdict))
    }
}

/// An event is always JSON, and that JSON its fields.
fn broken(error: serde_json::Error) -> PyErr {
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

            /// What the policy said, a :class:`Verdict`: with ``"denied"``, ``"would-deny"`` and ``"connected"``.
            #[getter]
            fn verdict(&self) -> Option<Verdict> {
                self.verdict.clone()
            }

            /// Returns all that belongs to this kind of event as a dict that JSON can hold: the object that ``eryx run
            /// --net-log`` writes, without its ``time``.
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
                    fields: serde_json::from_str(&json).map_err(broken)?,
                    verdict,
                    json,
                })
            }
        }
    };
}

fields! {
    /// The number of the execution it belongs to, an int, as in ``ExecuteResult.execution`` and in the exceptions. What
    /// happens in a session between two executions belongs to the one before.
    execution: u64;
    /// What happened: ``"resolved"``, ``"unresolved"``, ``"denied"``, ``"would-deny"``, ``"limit-reached"``,
    /// ``"throttled"``, ``"connected"``, ``"tls"`` or ``"closed"``.
    event: String;
    /// Which connection or lookup of the sandbox or session it is about: an int, counted from 1.
    id: u64;
    /// The host as the untrusted program wrote it, a str of 255 characters at most. It may hold anything.
    host: String;
    /// The port, an int, or ``None`` for a lookup that names none.
    port: Option<u16>;
    /// ``"connection"``, ``"lookup"``, ``"datagrams"`` or ``"tls-session"``.
    activity: String;
    /// ``None`` while each event is handed on. After 256 events of a kind about what was refused or failed, and 512 about
    /// what costs a program only a call, only the 2^k-th of each cause is, and this is which one it is: an int.
    count: Option<u64>;
    /// The aliases of a name that was resolved, a list of str.
    aliases: Option<Vec<String>>;
    /// The addresses of a name that was resolved, a list of str. Internal ones included.
    addresses: Option<Vec<String>>;
    /// How long resolving or connecting took, in milliseconds: a float.
    elapsed_ms: Option<f64>;
    /// Why a name was not resolved, a str that a name server may have chosen.
    reason: Option<String>;
    /// The setting whose limit was reached or makes the program wait, a str such as ``"max_connections"``.
    limit: Option<String>;
    /// The address and port that were dialled, a str such as ``"192.0.2.7:443"``.
    address: Option<String>;
    /// The TLS version, a str such as ``"TLSv1.3"``.
    version: Option<String>;
    /// The cipher suite by OpenSSL's name, a str.
    cipher: Option<String>;
    /// The name that was sent to the TLS server and verified, a str.
    server_name: Option<String>;
    /// Bytes the program had sent when it was over, before encryption: an int.
    sent: Option<u64>;
    /// Bytes the program had received when it was over, after decryption: an int.
    received: Option<u64>;
    /// How long it lived, in milliseconds: a float.
    duration_ms: Option<f64>;
    /// How it ended: ``"local-close"``, ``"peer-close"``, ``"denied"``, ``"error"`` or ``"aborted"``.
    close_reason: Option<String>;
    /// What it failed with, a sentence.
    error: Option<String>;
}
