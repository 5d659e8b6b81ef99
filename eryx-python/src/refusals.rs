//! The Python class `Refusals`: denied and failed activities, by reason and rule.

use std::time::UNIX_EPOCH;

use eryx::net::policy::quote_word;
use pyo3::prelude::*;

use crate::pickle::{Reduced, reduce};

/// The number of activities of a program that were denied or failed for one reason.
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

/// The activity, the host, the port, and the time in seconds since 1970.
type Attempt = (String, String, Option<u16>, f64);

impl From<eryx::net::Refusals> for Refusals {
    fn from(refusals: eryx::net::Refusals) -> Self {
        let attempt = |attempt: eryx::net::Attempt| {
            let time = attempt.time.duration_since(UNIX_EPOCH);
            let time = time.map_or(0.0, |since| since.as_secs_f64());
            (
                attempt.activity.as_str().to_owned(),
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

type Parts = (
    (String, Option<String>, Option<String>),
    (u64, Attempt, Attempt),
);

#[pymethods]
impl Refusals {
    /// The reason, a str: the ``reason`` of a :class:`Verdict`, the name of a limit such as
    /// ``"max_connections"``, or an error such as ``"connection-refused"``.
    #[getter]
    fn reason(&self) -> &str {
        &self.reason
    }

    /// The pattern that decided, a str, or ``None``. Beyond 64 patterns, the others are counted
    /// together with ``None``.
    #[getter]
    fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// The setting that contains the pattern, a str such as ``"blocked_hosts"``, or ``None``.
    #[getter]
    fn rule_list(&self) -> Option<&str> {
        self.rule_list.as_deref()
    }

    /// The number of activities, an int.
    #[getter]
    fn count(&self) -> u64 {
        self.count
    }

    /// The first activity, a str with the values of ``ConnectionReport.activity``.
    #[getter]
    fn first_activity(&self) -> &str {
        &self.first.0
    }

    /// The host of the first activity as the untrusted program wrote it, a str of at most 255
    /// characters.
    #[getter]
    fn first_host(&self) -> &str {
        &self.first.1
    }

    /// The port of the first activity, an int, or ``None``.
    #[getter]
    fn first_port(&self) -> Option<u16> {
        self.first.2
    }

    /// The time of the first activity in seconds since 1970, a float.
    #[getter]
    fn first_time(&self) -> f64 {
        self.first.3
    }

    /// The last activity, a str with the values of ``ConnectionReport.activity``.
    #[getter]
    fn last_activity(&self) -> &str {
        &self.last.0
    }

    /// The host of the last activity as the untrusted program wrote it, a str of at most 255
    /// characters.
    #[getter]
    fn last_host(&self) -> &str {
        &self.last.1
    }

    /// The port of the last activity, an int, or ``None``.
    #[getter]
    fn last_port(&self) -> Option<u16> {
        self.last.2
    }

    /// The time of the last activity in seconds since 1970, a float.
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

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Parts>> {
        let this = slf.get().clone();
        let parts: Parts = (
            (this.reason, this.rule, this.rule_list),
            (this.count, this.first, this.last),
        );
        reduce(slf, parts)
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(parts: Parts) -> Self {
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
