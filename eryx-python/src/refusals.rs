//! What a program was refused, by reason and rule: the class `Refusals`.

use std::time::UNIX_EPOCH;

use eryx::net::policy::quote_word;
use pyo3::prelude::*;

use crate::pickle::{Reduced, reduce};

/// How often something a program wanted was refused, or failed, for one reason.
///
/// >>> import eryx
/// >>> result = eryx.Sandbox(network=eryx.NetConfig()).execute('''
/// ... import socket
/// ... for port in range(1000):
/// ...     try:
/// ...         socket.create_connection(("10.0.0.1", port))
/// ...     except PermissionError:
/// ...         pass
/// ... ''')
/// >>> [refusals] = result.network.refusals
/// >>> refusals.reason, refusals.rule, refusals.count, refusals.last_port
/// ('address-blocked', '10.0.0.0/8', 1000, 999)
#[pyclass(module = "eryx", frozen, eq, from_py_object)]
#[derive(Clone, PartialEq)]
pub(crate) struct Refusals {
    reason: String,
    rule: Option<String>,
    rule_list: Option<String>,
    count: u64,
    first: Attempt,
    last: Attempt,
}

/// What was wanted, the host, the port, and when: seconds since 1970.
type Attempt = (String, String, Option<u16>, f64);

impl From<eryx::net::Refusals> for Refusals {
    fn from(refusals: eryx::net::Refusals) -> Self {
        let attempt = |attempt: eryx::net::Attempt| {
            let time = attempt.time.duration_since(UNIX_EPOCH);
            let time = time.map_or(0.0, |since| since.as_secs_f64());
            (
                attempt.activity.name().to_owned(),
                attempt.host,
                attempt.port,
                time,
            )
        };
        Self {
            reason: refusals.reason.to_owned(),
            rule: refusals
                .rule
                .as_ref()
                .map(|rule| rule.pattern().to_string()),
            rule_list: refusals.rule.as_ref().map(|rule| rule.list().to_string()),
            count: refusals.count,
            first: attempt(refusals.first),
            last: attempt(refusals.last),
        }
    }
}

type Counted = (
    (String, Option<String>, Option<String>),
    (u64, Attempt, Attempt),
);

#[pymethods]
impl Refusals {
    /// Why, a str: the ``reason`` of a :class:`Verdict`, the name of a limit such as ``"max_connections"``, or an
    /// error such as ``"connection-refused"``.
    #[getter]
    fn reason(&self) -> &str {
        &self.reason
    }

    /// The pattern that decided, a str, or ``None``. Beyond 64 patterns they are counted together, without one.
    #[getter]
    fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// The list that pattern stands in, a str such as ``"blocked_hosts"``, or ``None``.
    #[getter]
    fn rule_list(&self) -> Option<&str> {
        self.rule_list.as_deref()
    }

    /// How often, an int.
    #[getter]
    fn count(&self) -> u64 {
        self.count
    }

    /// What was wanted the first time, as ``ConnectionReport.activity`` has it: a str.
    #[getter]
    fn first_activity(&self) -> &str {
        &self.first.0
    }

    /// The host the first time, as the untrusted program wrote it: a str of 255 characters at most.
    #[getter]
    fn first_host(&self) -> &str {
        &self.first.1
    }

    /// The port the first time, an int, or ``None``.
    #[getter]
    fn first_port(&self) -> Option<u16> {
        self.first.2
    }

    /// When it was the first time, in seconds since 1970: a float.
    #[getter]
    fn first_time(&self) -> f64 {
        self.first.3
    }

    /// What was wanted the latest time: a str.
    #[getter]
    fn last_activity(&self) -> &str {
        &self.last.0
    }

    /// The host the latest time, as the untrusted program wrote it: a str of 255 characters at most.
    #[getter]
    fn last_host(&self) -> &str {
        &self.last.1
    }

    /// The port the latest time, an int, or ``None``.
    #[getter]
    fn last_port(&self) -> Option<u16> {
        self.last.2
    }

    /// When it was the latest time, in seconds since 1970: a float.
    #[getter]
    fn last_time(&self) -> f64 {
        self.last.3
    }

    fn __repr__(&self) -> String {
        let rule = match (&self.rule, &self.rule_list) {
            (Some(rule), Some(list)) => format!(" by {} in {list}", quote_word(rule)),
            _ => String::new(),
        };
        format!("<eryx.Refusals: {} {}{rule}>", self.count, self.reason)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Counted>> {
        let this = slf.get().clone();
        let parts: Counted = (
            (this.reason, this.rule, this.rule_list),
            (this.count, this.first, this.last),
        );
        reduce(slf, parts)
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(parts: Counted) -> Self {
        let ((reason, rule, rule_list), (count, first, last)) = parts;
        Self {
            reason,
            rule,
            rule_list,
            count,
            first,
            last,
        }
    }
}
