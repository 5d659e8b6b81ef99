//! The Python class `Refusals`: denied and failed activities, by reason and rule.

use std::time::UNIX_EPOCH;

use eryx::net::policy::quote_word;
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};

use crate::pickle::{Pickled, Reduced, from_pickle, to_pickle};

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
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refusals {
    /// The reason, a str: the ``reason`` of a :class:`Verdict`, the name of a limit such as
    /// ``"max_connections"``, or an error such as ``"connection-refused"``.
    #[pyo3(get)]
    reason: String,
    /// The pattern that decided, a str, or ``None``. Beyond 64 patterns, the others are counted
    /// together with ``None``.
    #[pyo3(get)]
    rule: Option<String>,
    /// The setting that contains the pattern, a str such as ``"blocked_hosts"``, or ``None``.
    #[pyo3(get)]
    rule_list: Option<String>,
    /// The number of activities, an int.
    #[pyo3(get)]
    count: u64,
    first: RefusedAttempt,
    last: RefusedAttempt,
}

/// One of the activities.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct RefusedAttempt {
    activity: String,
    host: String,
    port: Option<u16>,
    /// The time in seconds since 1970.
    time: f64,
}

impl From<eryx::net::Refusals> for Refusals {
    fn from(refusals: eryx::net::Refusals) -> Self {
        let attempt = |attempt: eryx::net::RefusedAttempt| {
            let time = attempt.time.duration_since(UNIX_EPOCH);
            RefusedAttempt {
                activity: attempt.activity.as_str().to_owned(),
                host: attempt.host,
                port: attempt.port,
                time: time.map_or(0.0, |since| since.as_secs_f64()),
            }
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

#[pymethods]
impl Refusals {
    /// The first activity, a str with the values of ``ConnectionReport.activity``.
    #[getter]
    fn first_activity(&self) -> &str {
        &self.first.activity
    }

    /// The host of the first activity as the untrusted program wrote it, a str of at most 255
    /// characters.
    #[getter]
    fn first_host(&self) -> &str {
        &self.first.host
    }

    /// The port of the first activity, an int, or ``None``.
    #[getter]
    fn first_port(&self) -> Option<u16> {
        self.first.port
    }

    /// The time of the first activity in seconds since 1970, a float.
    #[getter]
    fn first_time(&self) -> f64 {
        self.first.time
    }

    /// The last activity, a str with the values of ``ConnectionReport.activity``.
    #[getter]
    fn last_activity(&self) -> &str {
        &self.last.activity
    }

    /// The host of the last activity as the untrusted program wrote it, a str of at most 255
    /// characters.
    #[getter]
    fn last_host(&self) -> &str {
        &self.last.host
    }

    /// The port of the last activity, an int, or ``None``.
    #[getter]
    fn last_port(&self) -> Option<u16> {
        self.last.port
    }

    /// The time of the last activity in seconds since 1970, a float.
    #[getter]
    fn last_time(&self) -> f64 {
        self.last.time
    }

    fn __repr__(&self) -> String {
        let rule = match (&self.rule, &self.rule_list) {
            (Some(rule), Some(list)) => format!(" by {} in {list}", quote_word(rule)),
            _ => String::new(),
        };
        format!("<eryx.Refusals: {} {}{rule}>", self.count, self.reason)
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
