use eryx::net::policy::{self, Decision, Port};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::pickle::{Reduced, reduce};

/// What a policy says about a host and a port.
///
/// ``str()`` of it is a sentence that names the host, the entry that decided, and what would change the
/// verdict. It is neither true nor false: a name may still depend on its addresses.
///
/// >>> import eryx
/// >>> verdict = eryx.NetConfig().check("127.0.0.1", 80)
/// >>> verdict.is_denied, verdict.reason, verdict.rule
/// (True, 'address-blocked', '127.*')
/// >>> print(verdict)
/// `127.0.0.1:80` is denied: `127.*` in blocked_hosts covers it; allow_localhost() lifts that
#[pyclass(module = "eryx", frozen, eq, from_py_object)]
#[derive(Clone, PartialEq)]
pub(crate) struct Verdict {
    decision: String,
    reason: String,
    rule: Option<String>,
    rule_list: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    addresses: Vec<String>,
    message: String,
    guest_message: String,
}

const ALLOW: &str = "allow";
const DENY: &str = "deny";
const NEEDS_ADDRESSES: &str = "needs-addresses";

impl From<&policy::Verdict> for Verdict {
    fn from(verdict: &policy::Verdict) -> Self {
        Self {
            decision: match verdict.decision() {
                Decision::Allow => ALLOW,
                Decision::NeedsAddresses => NEEDS_ADDRESSES,
                Decision::Deny => DENY,
            }
            .to_owned(),
            reason: verdict.reason().to_string(),
            rule: verdict.rule().map(|rule| rule.pattern().to_string()),
            rule_list: verdict.rule().map(|rule| rule.list().to_string()),
            host: verdict.host().map(ToString::to_string),
            port: match verdict.port() {
                Port::Any => None,
                Port::Number(port) => Some(port),
            },
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

type Parts = (
    (String, String, Option<String>, Option<String>),
    (Option<String>, Option<u16>, Vec<String>),
    (String, String),
);

#[pymethods]
impl Verdict {
    /// ``"allow"``, ``"deny"``, or ``"needs-addresses"`` for a name that may be resolved and is judged again
    /// with what it resolves to.
    #[getter]
    fn decision(&self) -> &str {
        &self.decision
    }

    /// Whether it may be dialled. Not so for a name without its addresses.
    #[getter]
    fn is_allowed(&self) -> bool {
        self.decision == ALLOW
    }

    /// Whether it is denied for good. Not so for a name that needs its addresses.
    #[getter]
    fn is_denied(&self) -> bool {
        self.decision == DENY
    }

    /// Why, a word for programs such as ``"host-blocked"``.
    #[getter]
    fn reason(&self) -> &str {
        &self.reason
    }

    /// The pattern that decided, a str, or ``None`` when it was the lack of one.
    #[getter]
    fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// The list that pattern stands in, a str such as ``"blocked_hosts"``, or ``None``.
    #[getter]
    fn rule_list(&self) -> Option<&str> {
        self.rule_list.as_deref()
    }

    /// The host in canonical form, a str, or ``None`` when it is malformed.
    #[getter]
    fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The port that was asked about, an int, or ``None`` for any.
    #[getter]
    fn port(&self) -> Option<u16> {
        self.port
    }

    /// The addresses that were judged, a list of str.
    #[getter]
    fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// The sentence the program gets to see. It tells nothing the program did not say itself.
    #[getter]
    fn guest_message(&self) -> &str {
        &self.guest_message
    }

    fn __str__(&self) -> &str {
        &self.message
    }

    fn __repr__(&self) -> String {
        format!("<eryx.Verdict: {}>", self.message)
    }

    fn __bool__(&self) -> PyResult<bool> {
        Err(PyTypeError::new_err(
            "a verdict is neither true nor false, since a name may depend on its addresses: ask for .is_denied or \
             .is_allowed",
        ))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Parts>> {
        let this = slf.get().clone();
        let parts: Parts = (
            (this.decision, this.reason, this.rule, this.rule_list),
            (this.host, this.port, this.addresses),
            (this.message, this.guest_message),
        );
        reduce(slf, parts)
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(parts: Parts) -> Self {
        let (
            (decision, reason, rule, rule_list),
            (host, port, addresses),
            (message, guest_message),
        ) = parts;
        Self {
            decision,
            reason,
            rule,
            rule_list,
            host,
            port,
            addresses,
            message,
            guest_message,
        }
    }
}
