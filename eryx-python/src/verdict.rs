//! The Python class `Verdict`.

use eryx::net::policy::{self, Decision, Port};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};

use crate::pickle::{Pickled, Reduced, from_pickle, to_pickle};

/// The verdict of a policy on a host and a port, or on an HTTP request.
///
/// ``str()`` returns a message that names the host, the rule that decided, and the setting that
/// would change the verdict. A verdict has no truth value: that of a name may still depend on its
/// addresses.
///
/// >>> import eryx
/// >>> verdict = eryx.NetConfig().check("127.0.0.1", 80)
/// >>> verdict.is_denied, verdict.reason, verdict.rule
/// (True, 'address-blocked', '127.*')
/// >>> print(verdict)
/// `127.0.0.1:80` is denied: `127.*` in blocked_hosts covers it; allow_localhost() lifts that
#[pyclass(module = "eryx", frozen, eq, from_py_object)]
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// ``"allow"``, ``"deny"``, or ``"needs-addresses"`` for a name that may be resolved and is
    /// then checked again with its addresses.
    #[pyo3(get)]
    decision: String,
    /// The reason, a word for programs such as ``"host-blocked"``.
    #[pyo3(get)]
    reason: String,
    /// The pattern that decided, a str, or ``None`` if no pattern matched. For an HTTP request, the
    /// rule that allows it or came closest.
    #[pyo3(get)]
    rule: Option<String>,
    /// The setting that contains the pattern or rule, a str such as ``"blocked_hosts"``, or
    /// ``None``.
    #[pyo3(get)]
    rule_list: Option<String>,
    /// The host in canonical form, a str, or ``None`` if it is malformed.
    #[pyo3(get)]
    host: Option<String>,
    /// The port that was checked, an int, or ``None`` for any port.
    #[pyo3(get)]
    port: Option<u16>,
    /// The addresses that were checked, a list of str.
    #[pyo3(get)]
    addresses: Vec<String>,
    message: String,
    /// The message that the program sees. It contains nothing that the program did not name itself.
    #[pyo3(get)]
    guest_message: String,
}

impl From<&policy::Verdict> for Verdict {
    fn from(verdict: &policy::Verdict) -> Self {
        Self {
            decision: verdict.decision().to_string(),
            reason: verdict.reason().to_string(),
            rule: verdict.rule().map(|rule| rule.pattern().to_string()),
            rule_list: verdict.rule().map(|rule| rule.list().to_string()),
            host: verdict.host().map(ToString::to_string),
            port: port_number(verdict.port()),
            addresses: verdict
                .addresses()
                .iter()
                .map(ToString::to_string)
                .collect(),
            message: verdict.to_string(),
            guest_message: verdict.guest_message(),
        }
    }
}

impl From<&policy::HttpVerdict> for Verdict {
    fn from(verdict: &policy::HttpVerdict) -> Self {
        let host = verdict.host_verdict();
        // A denied host was not checked by rules.
        let decided_by_host = host.filter(|host| host.is_denied()).map(Self::from);
        let (rule, rule_list) = match decided_by_host {
            Some(host) => (host.rule, host.rule_list),
            None => (
                verdict.rule().map(ToString::to_string),
                verdict.rule().map(|_| "http_rules".to_owned()),
            ),
        };
        let addresses = host.into_iter().flat_map(|host| host.addresses());
        Self {
            decision: verdict.decision().to_string(),
            reason: verdict.reason().to_string(),
            rule,
            rule_list,
            host: verdict.host().map(ToString::to_string),
            port: port_number(verdict.port()),
            addresses: addresses.map(ToString::to_string).collect(),
            message: verdict.to_string(),
            guest_message: verdict.guest_message(),
        }
    }
}

fn port_number(port: Port) -> Option<u16> {
    match port {
        Port::Any => None,
        Port::Number(port) => Some(port),
    }
}

#[pymethods]
impl Verdict {
    /// Whether a connection is allowed. False for a name that depends on its addresses.
    #[getter]
    fn is_allowed(&self) -> bool {
        self.decision == Decision::Allow.as_str()
    }

    /// Whether a connection is denied. False for a name that depends on its addresses.
    #[getter]
    fn is_denied(&self) -> bool {
        self.decision == Decision::Deny.as_str()
    }

    fn __str__(&self) -> &str {
        &self.message
    }

    fn __repr__(&self) -> String {
        format!("<eryx.Verdict: {}>", self.message)
    }

    fn __bool__(&self) -> PyResult<bool> {
        Err(PyTypeError::new_err(
            "a verdict is neither true nor false, since a name may depend on its addresses: use .is_denied or \
             .is_allowed",
        ))
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
