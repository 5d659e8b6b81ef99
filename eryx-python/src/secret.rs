//! The Python class `Secret`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use eryx::net::policy::{HostPattern, SecretBinding};
use eryx::net::{ConfigError as InvalidConfig, ProvideSecret, ProvideSecretError, Secret as Value};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{PyTraverseError, PyVisit};
use secrecy::SecretString;

use crate::arguments::{flag, no_other_keyword, str_list, string, text, wrong_type};
use crate::error::ConfigError;
use crate::execution_registry::RunningFunction;
use crate::runtime::allow_nested;
use crate::traced_functions::{TracedFunction, TracedFunctions, WeakFunction};

/// A credential that programs use without seeing it: an immutable value for
/// ``NetConfig(secrets={"NAME": ...})``.
///
/// A program finds a placeholder in the environment variable ``NAME``. In requests to ``hosts``,
/// over verified TLS, the value replaces it; a request that has it elsewhere is denied. A
/// ``Secret`` has no attribute with its value, and cannot be pickled.
///
/// Args:
///     value: the value, a str; or a function without arguments that returns it, which is called
///         for each request, on another thread, for tokens with a short lifetime.
///     hosts: patterns of the hosts that may get the value, a list of str.
///     headers: names of the header fields that may have it, a list of str.
///     query: names of the query parameters that may have it, a list of str.
///     body: whether bodies of requests may have it.
///     inject: the value of the header field for requests that do not set the field, a str with
///         ``{}`` in place of the secret, such as ``"Bearer {}"``.
///     plaintext_hosts: patterns of further hosts, which may get the value without TLS as well, a
///         list of str.
///
/// Raises:
///     ConfigError: for a malformed value; the message says what to write instead.
///
/// >>> import eryx
/// >>> token = eryx.Secret("ghp_0123456789", hosts=["api.github.com"])
/// >>> token
/// <eryx.Secret for api.github.com in authorization>
/// >>> config = eryx.NetConfig(allowed_hosts=["api.github.com"], secrets={"GITHUB_TOKEN": token})
#[pyclass(module = "eryx", frozen, eq)]
pub(crate) struct Secret {
    value: Value,
    /// The function that returns the value, or those of all secrets of a configuration.
    functions: TracedFunctions,
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// The arguments of the constructor.
const NAMES: [&str; 7] = [
    "value",
    "hosts",
    "headers",
    "query",
    "body",
    "inject",
    "plaintext_hosts",
];

/// The name of a secret before a configuration gives it one.
const UNNAMED: &str = "_";

#[pymethods]
impl Secret {
    #[new]
    #[pyo3(
        signature = (
            value, *, hosts, headers=None, query=None, body=None, inject=None, plaintext_hosts=None,
            **others
        ),
        text_signature = "(value, *, hosts, headers=['authorization'], query=(), body=False, \
                          inject=None, plaintext_hosts=())"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword")]
    fn new(
        value: &Bound<'_, PyAny>,
        hosts: &Bound<'_, PyAny>,
        headers: Option<&Bound<'_, PyAny>>,
        query: Option<&Bound<'_, PyAny>>,
        body: Option<&Bound<'_, PyAny>>,
        inject: Option<&Bound<'_, PyAny>>,
        plaintext_hosts: Option<&Bound<'_, PyAny>>,
        others: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        no_other_keyword("Secret", &NAMES, others)?;
        let hosts = patterns("hosts", hosts)?;
        let mut binding = SecretBinding::new(UNNAMED, hosts).map_err(unnamed_error)?;
        if let Some(headers) = headers {
            let headers = str_list("headers", headers)?;
            binding = binding.with_headers(headers).map_err(unnamed_error)?;
        }
        if let Some(query) = query {
            let query = str_list("query", query)?;
            binding = binding.with_query(query).map_err(unnamed_error)?;
        }
        if let Some(body) = body {
            binding = binding.with_body(flag("body", body)?);
        }
        if let Some(inject) = inject {
            let inject = text("inject", inject)?;
            binding = binding.with_inject(&inject).map_err(unnamed_error)?;
        }
        if let Some(hosts) = plaintext_hosts {
            let hosts = patterns("plaintext_hosts", hosts)?;
            binding = binding.with_plaintext_hosts(hosts).map_err(unnamed_error)?;
        }
        if value.is_callable() {
            let (function, weak) = TracedFunction::new(value)?;
            return Ok(Self {
                value: Value::with_provider(binding, Arc::new(Provider(Arc::new(weak)))),
                functions: TracedFunctions::new(value.py(), vec![function])?,
            });
        }
        let Ok(text) = value.cast::<PyString>() else {
            let wanted = "a str, or a function that returns one";
            return Err(wrong_type("value", wanted, value));
        };
        let text = string("value", text)?;
        Ok(Self {
            value: Value::new(binding, text).map_err(unnamed_error)?,
            functions: TracedFunctions::default(),
        })
    }

    /// The patterns of the hosts that may get the value, a list of str.
    #[getter]
    fn hosts(&self) -> Vec<String> {
        to_strings(self.value.binding().hosts())
    }

    /// The names of the header fields that may have the value, in lower case, a list of str.
    #[getter]
    fn headers(&self) -> Vec<String> {
        self.value.binding().headers().to_vec()
    }

    /// The names of the query parameters that may have the value, a list of str.
    #[getter]
    fn query(&self) -> Vec<String> {
        self.value.binding().query().to_vec()
    }

    /// Whether bodies of requests may have the value.
    #[getter]
    fn body(&self) -> bool {
        self.value.binding().body()
    }

    /// The value of the header field for requests that do not set it, a str with ``{}`` in place of
    /// the secret, or ``None``.
    #[getter]
    fn inject(&self) -> Option<&str> {
        self.value.binding().inject()
    }

    /// The patterns of further hosts, which may get the value without TLS as well, a list of str.
    #[getter]
    fn plaintext_hosts(&self) -> Vec<String> {
        to_strings(self.value.binding().plaintext_hosts())
    }

    fn __repr__(&self) -> String {
        let binding = self.value.binding();
        let hosts = to_strings(binding.hosts()).join(", ");
        let mut places = binding.headers().to_vec();
        places.extend(binding.query().iter().map(|name| format!("?{name}=")));
        if binding.body() {
            places.push("the body".to_owned());
        }
        format!("<eryx.Secret for {hosts} in {}>", places.join(", "))
    }

    /// Visits the references for the garbage collector. There is no `__clear__`: a secret is
    /// immutable, so that every reference cycle contains another, mutable object.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.functions.visit(&visit)
    }

    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "a Secret cannot be pickled, because a pickle would contain its value: create it where \
             it is used",
        ))
    }
}

impl Secret {
    /// Returns the secret of a configuration with these functions, without its name.
    fn from_config(secret: &Value, functions: TracedFunctions) -> PyResult<Self> {
        Ok(Self {
            value: secret.with_name(UNNAMED).map_err(unnamed_error)?,
            functions,
        })
    }
}

/// Secrets with their names, and the functions that return their values.
pub(crate) type NamedSecrets = (Vec<Value>, TracedFunctions);

/// Returns the secrets that a keyword names.
pub(crate) fn secrets(name: &str, value: &Bound<'_, PyAny>) -> PyResult<NamedSecrets> {
    let Ok(secrets) = value.cast::<PyDict>() else {
        return Err(wrong_type(
            name,
            "a dict from names to eryx.Secret objects",
            value,
        ));
    };
    let mut named = NamedSecrets::default();
    for (key, secret) in secrets {
        let key = text(&format!("a name in {name}"), &key)?;
        let (secret, functions) = named_secret(&key, &format!("{name}[{key:?}]"), &secret)?;
        named.0.push(secret);
        named.1 = named.1.and(value.py(), functions)?;
    }
    Ok(named)
}

/// Returns the secret that an argument is, with this name, and the functions that it needs.
pub(crate) fn named_secret(
    name: &str,
    argument: &str,
    secret: &Bound<'_, PyAny>,
) -> PyResult<(Value, TracedFunctions)> {
    let Ok(secret) = secret.cast::<Secret>() else {
        let wanted = "an eryx.Secret, as in eryx.Secret(value, hosts=[\"api.example.com\"])";
        return Err(wrong_type(argument, wanted, secret));
    };
    let functions = secret.get().functions.clone_ref(secret.py());
    match secret.get().value.with_name(name) {
        Ok(value) => Ok((value, functions)),
        Err(error) => Err(ConfigError::new_err(error.to_string())),
    }
}

/// Returns the secrets of a configuration with these functions by their names.
pub(crate) fn to_dict<'py, 'a>(
    py: Python<'py>,
    secrets: impl Iterator<Item = &'a Value>,
    functions: &TracedFunctions,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for value in secrets {
        let secret = Secret::from_config(value, functions.clone_ref(py))?;
        dict.set_item(value.binding().name(), Bound::new(py, secret)?)?;
    }
    Ok(dict)
}

/// Returns the bindings of the secrets of a configuration as plain values, by their names.
pub(crate) fn to_plain_dict<'py, 'a>(
    py: Python<'py>,
    secrets: impl Iterator<Item = &'a Value>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for secret in secrets {
        let binding = secret.binding();
        let plain = PyDict::new(py);
        plain.set_item("hosts", to_strings(binding.hosts()))?;
        plain.set_item("headers", binding.headers())?;
        plain.set_item("query", binding.query())?;
        plain.set_item("body", binding.body())?;
        plain.set_item("inject", binding.inject())?;
        plain.set_item("plaintext_hosts", to_strings(binding.plaintext_hosts()))?;
        dict.set_item(binding.name(), plain)?;
    }
    Ok(dict)
}

/// Calls a Python function for the value of a secret.
struct Provider(Arc<WeakFunction>);

impl ProvideSecret for Provider {
    /// Calls the function on another thread, because it may block. What it raises goes to
    /// `sys.unraisablehook`: the program must not see it.
    fn provide(
        &self,
    ) -> Pin<Box<dyn Future<Output = Result<SecretString, ProvideSecretError>> + Send>> {
        let function = Arc::clone(&self.0);
        let call =
            tokio::task::spawn_blocking(move || Python::try_attach(|py| call(py, &function)));
        Box::pin(async move {
            let value = call.await.ok().flatten().flatten();
            value.ok_or_else(|| ProvideSecretError("the function that supplies it failed".into()))
        })
    }
}

fn call(py: Python<'_>, function: &WeakFunction) -> Option<SecretString> {
    let _running = RunningFunction::begin();
    let _nested = allow_nested();
    let function = function.upgrade(py)?;
    let value = function
        .call0()
        .and_then(|value| match value.cast::<PyString>() {
            Ok(text) => string("the value of a secret", text),
            Err(_) => Err(wrong_type("the value of a secret", "a str", &value)),
        });
    match value {
        Ok(value) => Some(value.into()),
        Err(error) => {
            error.write_unraisable(py, Some(&function));
            None
        }
    }
}

fn patterns(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<HostPattern>> {
    let texts = str_list(name, value)?;
    let patterns = texts.iter().map(|text| {
        text.parse()
            .map_err(|error: eryx::net::policy::PatternError| {
                ConfigError::new_err(format!("{name}: {error}"))
            })
    });
    patterns.collect()
}

fn to_strings(patterns: &[HostPattern]) -> Vec<String> {
    patterns.iter().map(ToString::to_string).collect()
}

/// Returns the error of a secret that has no name yet.
fn unnamed_error(error: impl Into<InvalidConfig>) -> PyErr {
    let text = error.into().to_string();
    let text = text.replacen(&format!("the secret `{UNNAMED}`"), "the secret", 1);
    ConfigError::new_err(text.replacen(&format!("secrets.{UNNAMED}"), "Secret", 1))
}
