//! The Python class `HttpRule`.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use eryx::net::policy::{HostPattern, HttpRule as Rule, HttpRuleError, QueryRule};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::arguments::{
    flag, no_other_keyword, optional_int, str_list, string, text, unknown_name_hint, wrong_type,
};
use crate::error::ConfigError;
use crate::pickle::{Reduced, reduce};

/// A rule for HTTP requests to a host: an immutable value for ``NetConfig(http_rules=[...])``.
///
/// A host with rules gets only the requests that one of its rules allows. ``str()`` returns the
/// rule in one line, ``"[METHODS ]HOST[:PORT][/PATH]"``, without the query and the limits.
///
/// Args:
///     host: the host pattern, a str such as ``"api.example.com"``, with a port if the rule is for
///         one port.
///     methods: the allowed methods, a list of str in upper case; ``None`` for every method.
///     paths: patterns of the allowed paths, a list of str; ``None`` for every path. A ``*`` is one
///         segment, and ``**`` at the end is the rest.
///     query: a dict from parameters of the query to ``True`` if they must be there, and ``False``
///         if they must not.
///     max_request_bytes: the limit on the body of one request, in bytes.
///     max_response_bytes: the limit on the body of one response, in bytes.
///     upgrade: whether a request may change the protocol, such as to websockets.
///
/// Raises:
///     ConfigError: for a malformed value; the message says what to write instead.
///
/// >>> import eryx
/// >>> rule = eryx.HttpRule("api.example.com", methods=["GET"], paths=["/repos/acme/*"])
/// >>> str(rule)
/// 'GET api.example.com/repos/acme/*'
/// >>> config = eryx.NetConfig(http_rules=[rule])
/// >>> config.check_http("PUT", "https://api.example.com/repos/acme/site").is_denied
/// True
#[pyclass(module = "eryx", frozen, eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct HttpRule(pub(crate) Rule);

#[pymethods]
impl HttpRule {
    #[new]
    #[pyo3(
        signature = (
            host, *, methods=None, paths=None, query=None, max_request_bytes=None,
            max_response_bytes=None, upgrade=None, **others
        ),
        text_signature = "(host, *, methods=None, paths=None, query=None, max_request_bytes=None, \
                          max_response_bytes=None, upgrade=False)"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword")]
    fn new(
        host: &Bound<'_, PyAny>,
        methods: Option<&Bound<'_, PyAny>>,
        paths: Option<&Bound<'_, PyAny>>,
        query: Option<&Bound<'_, PyAny>>,
        max_request_bytes: Option<&Bound<'_, PyAny>>,
        max_response_bytes: Option<&Bound<'_, PyAny>>,
        upgrade: Option<&Bound<'_, PyAny>>,
        others: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        no_other_keyword("HttpRule", &NAMES, others)?;
        let host: HostPattern = text("host", host)?.parse().map_err(config_error)?;
        let mut rule = Rule::new(host);
        for (name, value) in [
            ("methods", methods),
            ("paths", paths),
            ("query", query),
            ("max_request_bytes", max_request_bytes),
            ("max_response_bytes", max_response_bytes),
            ("upgrade", upgrade),
        ] {
            if let Some(value) = value {
                let setting = Setting {
                    rule: None,
                    key: name,
                };
                rule = with_setting(rule, &setting, value)?;
            }
        }
        Ok(Self(rule))
    }

    /// The host pattern, a str.
    #[getter]
    fn host(&self) -> String {
        self.0.host().to_string()
    }

    /// The allowed methods, a list of str, or ``None`` for every method.
    #[getter]
    fn methods(&self) -> Option<Vec<String>> {
        self.0.methods().map(<[String]>::to_vec)
    }

    /// The patterns of the allowed paths, a list of str, or ``None`` for every path.
    #[getter]
    fn paths(&self) -> Option<Vec<String>> {
        let paths = self.0.paths()?;
        Some(paths.iter().map(ToString::to_string).collect())
    }

    /// The parameters that must be in the query, with ``True``, and that must not, with ``False``:
    /// a dict.
    #[getter]
    fn query(&self) -> BTreeMap<String, bool> {
        let query = self.0.query();
        let required = query.required().map(|name| (name.to_owned(), true));
        let forbidden = query.forbidden().map(|name| (name.to_owned(), false));
        required.chain(forbidden).collect()
    }

    /// The limit on the body of one request in bytes, an int, or ``None``.
    #[getter]
    fn max_request_bytes(&self) -> Option<u64> {
        self.0.max_request_bytes()
    }

    /// The limit on the body of one response in bytes, an int, or ``None``.
    #[getter]
    fn max_response_bytes(&self) -> Option<u64> {
        self.0.max_response_bytes()
    }

    /// Whether a request may change the protocol.
    #[getter]
    fn upgrade(&self) -> bool {
        self.0.allows_upgrade()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let mut arguments = slf.getattr("host")?.repr()?.to_string();
        for name in [
            "methods",
            "paths",
            "query",
            "max_request_bytes",
            "max_response_bytes",
            "upgrade",
        ] {
            let value = slf.getattr(name)?;
            let is_default = match name {
                "query" | "upgrade" => !value.is_truthy()?,
                _ => value.is_none(),
            };
            if !is_default {
                arguments.push_str(&format!(", {name}={}", value.repr()?));
            }
        }
        Ok(format!("eryx.HttpRule({arguments})"))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.to_string().hash(&mut hasher);
        hasher.finish()
    }

    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, String>> {
        let json = serde_json::to_string(&slf.get().0).map_err(config_error)?;
        reduce(slf, json)
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(json: &str) -> PyResult<Self> {
        serde_json::from_str(json).map(Self).map_err(config_error)
    }
}

/// The settings of a rule.
const NAMES: [&str; 7] = [
    "host",
    "methods",
    "paths",
    "query",
    "max_request_bytes",
    "max_response_bytes",
    "upgrade",
];

/// Returns a rule that is given as an `HttpRule`, in its text form, or as a dict of its settings.
pub(crate) fn rule(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Rule> {
    if let Ok(rule) = value.cast::<HttpRule>() {
        return Ok(rule.get().0.clone());
    }
    if let Ok(text) = value.cast::<PyString>() {
        let parsed: Result<Rule, HttpRuleError> = string(name, text)?.parse();
        return parsed.map_err(|error| ConfigError::new_err(format!("{name}: {error}")));
    }
    if let Ok(settings) = value.cast::<PyDict>() {
        return from_dict(name, settings);
    }
    Err(wrong_type(
        name,
        "an HttpRule, a str such as \"GET api.example.com/user\", or a dict of the settings of an \
         HttpRule",
        value,
    ))
}

/// Returns a rule with the settings in a dict. Errors begin with `name`.
fn from_dict(name: &str, settings: &Bound<'_, PyDict>) -> PyResult<Rule> {
    let Some(host) = settings.get_item("host")? else {
        return Err(ConfigError::new_err(format!(
            "{name} has no \"host\": add one, as in {{\"host\": \"api.example.com\"}}"
        )));
    };
    let host: Result<HostPattern, _> = text(&key_of(name, "host"), &host)?.parse();
    let host = host.map_err(|error| ConfigError::new_err(format!("{name}: {error}")))?;
    let mut rule = Rule::new(host);
    for (key, value) in settings {
        let key = text(&format!("a key of {name}"), &key)?;
        if !NAMES.contains(&&*key) {
            let hint = unknown_name_hint(&NAMES, &key, settings.py());
            return Err(ConfigError::new_err(format!(
                "{name} has no key {key:?}: {hint}"
            )));
        }
        let setting = Setting {
            rule: Some(name),
            key: &key,
        };
        rule = with_setting(rule, &setting, &value)?;
    }
    Ok(rule)
}

/// Returns how messages name the value of a key.
fn key_of(name: &str, key: &str) -> String {
    format!("{name}[{key:?}]")
}

/// A setting of a rule, for messages.
struct Setting<'a> {
    /// The name of the rule, where it is a dict.
    rule: Option<&'a str>,
    key: &'a str,
}

impl Setting<'_> {
    /// Returns how messages name the value.
    fn argument(&self) -> String {
        match self.rule {
            Some(rule) => key_of(rule, self.key),
            None => self.key.to_owned(),
        }
    }

    /// Returns the exception for a value of the right type that is invalid.
    fn error(&self, error: impl ToString) -> PyErr {
        match self.rule {
            Some(rule) => ConfigError::new_err(format!("{rule}: {}", error.to_string())),
            None => config_error(error),
        }
    }
}

/// Returns a rule with one setting.
fn with_setting(rule: Rule, setting: &Setting<'_>, value: &Bound<'_, PyAny>) -> PyResult<Rule> {
    let argument = setting.argument();
    let bytes = || optional_int(&argument, value, "bytes");
    match setting.key {
        "methods" | "paths" | "query" if value.is_none() => Ok(rule),
        "methods" => {
            let methods = str_list(&argument, value)?;
            rule.with_methods(methods)
                .map_err(|error| setting.error(error))
        }
        "paths" => {
            let paths = str_list(&argument, value)?;
            rule.with_paths(paths).map_err(|error| setting.error(error))
        }
        "query" => Ok(rule.with_query(query_rule(setting, value)?)),
        "max_request_bytes" => Ok(rule.with_max_request_bytes(bytes()?)),
        "max_response_bytes" => Ok(rule.with_max_response_bytes(bytes()?)),
        "upgrade" => Ok(rule.with_upgrade(flag(&argument, value)?)),
        _ => Ok(rule),
    }
}

fn query_rule(setting: &Setting<'_>, value: &Bound<'_, PyAny>) -> PyResult<QueryRule> {
    let argument = setting.argument();
    let Ok(parameters) = value.cast::<PyDict>() else {
        return Err(wrong_type(
            &argument,
            "a dict from parameters to True or False",
            value,
        ));
    };
    let parameters = parameters.iter().map(|(name, is_required)| {
        let name = text(&format!("a name in {argument}"), &name)?;
        let is_required = flag(&format!("{argument}[{name:?}]"), &is_required)?;
        Ok((name, is_required))
    });
    let parameters: Vec<(String, bool)> = parameters.collect::<PyResult<_>>()?;
    QueryRule::new(parameters).map_err(|error| setting.error(error))
}

fn config_error(error: impl ToString) -> PyErr {
    ConfigError::new_err(error.to_string())
}
