//! The keywords and properties of `NetConfig`, made from the table of settings.

use eryx::net::{NetConfig as Config, Proxy, SETTINGS, Setting, SettingKind};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyCFunction, PyDict, PyList, PyString, PyTuple};
use serde_json::{Value, json};

use super::NetConfig;
use crate::arguments::{
    flag, for_each_keyword, non_negative_int, optional_int, str_list, string_bytes, text,
    wrong_type,
};
use crate::error::ConfigError;
use crate::http_rule::{self, HttpRule};
use crate::secret;
use crate::traced_functions::TracedFunctions;

/// Returns the settings that a keyword has: all but those that only a policy file can have.
fn settings() -> impl Iterator<Item = &'static Setting> {
    SETTINGS
        .iter()
        .filter(|setting| setting.kind != SettingKind::CertificateFiles)
}

/// Returns all keywords, in the order in which they apply.
pub(crate) fn names() -> Vec<&'static str> {
    settings().map(|setting| setting.name).collect()
}

/// Returns the configuration with these keywords.
pub(super) fn from_keywords(keywords: Option<&Bound<'_, PyDict>>) -> PyResult<NetConfig> {
    from_keywords_with(keywords, None)
}

/// Returns the configuration with these keywords, and with `proxy` unless they have one.
pub(super) fn from_keywords_with(
    keywords: Option<&Bound<'_, PyDict>>,
    proxy: Option<Proxy>,
) -> PyResult<NetConfig> {
    let mut config = Config::default();
    let mut functions = TracedFunctions::default();
    if let Some(proxy) = proxy {
        config = config.with_proxy(proxy);
    }
    for_each_keyword("NetConfig", &names(), keywords, |name, value| {
        for setting in settings().filter(|setting| setting.name == name) {
            config = match setting.kind {
                SettingKind::Secrets => {
                    let secrets;
                    (secrets, functions) = secret::secrets(name, value)?;
                    config.with_secrets(secrets).map_err(config_error)?
                }
                _ => with_keyword(&config, setting, value)?,
            };
        }
        Ok(())
    })?;
    validated(NetConfig(config, functions))
}

/// Returns the configuration, unless its settings cannot be combined.
pub(super) fn validated(config: NetConfig) -> PyResult<NetConfig> {
    match config.0.validate() {
        Ok(()) => Ok(config),
        Err(error) => Err(ConfigError::new_err(error.to_string())),
    }
}

fn with_keyword(config: &Config, setting: &Setting, value: &Bound<'_, PyAny>) -> PyResult<Config> {
    let name = setting.name;
    let unit = setting.unit.unwrap_or_default();
    let value = match setting.kind {
        SettingKind::Limit | SettingKind::Rate => json!(optional_int(name, value, unit)?),
        SettingKind::Flag => json!(flag(name, value)?),
        SettingKind::Patterns | SettingKind::Networks => json!(str_list(name, value)?),
        SettingKind::NameServer | SettingKind::Proxy if value.is_none() => Value::Null,
        SettingKind::NameServer | SettingKind::Proxy => json!(text(name, value)?),
        SettingKind::Hosts => hosts(value)?,
        SettingKind::HttpDenials => json!(text(name, value)?),
        SettingKind::Certificates => return with_root_certs(config, name, value),
        SettingKind::HttpRules => return with_http_rules(config, name, value),
        _ => json!(non_negative_int(name, value, unit)?),
    };
    with_setting(config, name, &value)
}

/// Returns a copy of `config` with one setting, whose error names it.
pub(super) fn with_setting(config: &Config, name: &str, value: &Value) -> PyResult<Config> {
    config
        .with_settings(json!({ name: value }))
        .map_err(|error| ConfigError::new_err(format!("{name}: {error}")))
}

fn with_root_certs(config: &Config, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Config> {
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
        return Err(wrong_type(name, "a list of certificates", value));
    }
    let Ok(items) = value.try_iter() else {
        return Err(wrong_type(name, "a list of certificates", value));
    };
    let add = match name {
        "proxy_root_certs" => Config::with_proxy_root_cert,
        _ => Config::with_root_cert,
    };
    let mut config = config.clone();
    for item in items {
        config = add(&config, &certificate_bytes(name, &item?)?)
            .map_err(|error| ConfigError::new_err(format!("{name}: {error}")))?;
    }
    Ok(config)
}

fn with_http_rules(config: &Config, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Config> {
    let is_one_rule = value.is_instance_of::<PyString>() || value.is_instance_of::<PyDict>();
    let (false, Ok(items)) = (is_one_rule, value.try_iter()) else {
        return Err(wrong_type(name, "a list of eryx.HttpRule objects", value));
    };
    let rules: PyResult<Vec<_>> = items
        .enumerate()
        .map(|(index, item)| http_rule::rule(&format!("{name}[{index}]"), &item?))
        .collect();
    config.with_http_rules(rules?).map_err(config_error)
}

pub(super) fn config_error(error: eryx::net::ConfigError) -> PyErr {
    ConfigError::new_err(error.to_string())
}

pub(super) fn certificate_bytes(name: &str, certificate: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = certificate.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    if let Ok(bytes) = certificate.cast::<PyByteArray>() {
        return Ok(bytes.to_vec());
    }
    if let Ok(pem) = certificate.cast::<PyString>() {
        let pem = string_bytes(name, pem)?;
        if pem.windows(10).any(|part| part == b"-----BEGIN") {
            return Ok(pem);
        }
        return Err(ConfigError::new_err(format!(
            "{name}: a str has to be PEM, and this one is not; to use a file pass its contents, as in \
             pathlib.Path(\"ca.pem\").read_bytes()"
        )));
    }
    Err(wrong_type(name, "PEM or DER as bytes", certificate))
}

pub(super) fn hosts(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    let Ok(hosts) = value.cast::<PyDict>() else {
        return Err(wrong_type(
            "hosts",
            "a dict from names to lists of addresses",
            value,
        ));
    };
    let hosts = hosts.iter().map(|(name, addresses)| {
        let name = text("a name in hosts", &name)?;
        let addresses = str_list(&format!("hosts[{name:?}]"), &addresses)?;
        Ok((name, json!(addresses)))
    });
    hosts.collect::<PyResult<_>>().map(Value::Object)
}

/// Adds a read-only property for every setting to the class.
pub(crate) fn add_properties(py: Python<'_>) -> PyResult<()> {
    let class = py.get_type::<NetConfig>();
    let property = py.import("builtins")?.getattr("property")?;
    for setting in settings() {
        let Some(name) = setting.property() else {
            continue;
        };
        let get = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            let config = arguments.get_item(0)?.cast_into::<NetConfig>()?;
            value_of(config.get(), setting, arguments.py())
        };
        let get = PyCFunction::new_closure(py, None, None, get)?;
        class.setattr(
            name,
            property.call1((get, py.None(), py.None(), setting.doc))?,
        )?;
    }
    Ok(())
}

/// Returns the value of the property of a setting.
pub(super) fn property(config: &NetConfig, name: &str, py: Python<'_>) -> PyResult<Py<PyAny>> {
    match settings().find(|setting| setting.name == name) {
        Some(setting) => value_of(config, setting, py),
        None => Ok(py.None()),
    }
}

fn value_of(config: &NetConfig, setting: &Setting, py: Python<'_>) -> PyResult<Py<PyAny>> {
    match (setting.name, setting.kind) {
        // A dict has the entries added after `allow_localhost` under another name.
        ("blocked_hosts", _) => {
            let patterns = config.0.blocked_hosts().iter().map(ToString::to_string);
            return Ok(patterns.collect::<Vec<_>>().into_pyobject(py)?.unbind());
        }
        (_, SettingKind::HttpRules) => {
            let rules = config.0.http_rules().iter().cloned().map(HttpRule);
            return Ok(rules.collect::<Vec<_>>().into_pyobject(py)?.unbind());
        }
        (_, SettingKind::Secrets) => {
            let secrets = secret::to_dict(py, config.0.secrets(), &config.1)?;
            return Ok(secrets.into_any().unbind());
        }
        _ => {}
    }
    match (config.shown_dict(py)?.get_item(setting.name)?, setting.kind) {
        (Some(value), _) => Ok(value.unbind()),
        (None, SettingKind::Hosts) => Ok(PyDict::new(py).into_any().unbind()),
        (None, SettingKind::Patterns) => Ok(PyList::empty(py).into_any().unbind()),
        (None, _) => Ok(py.None()),
    }
}
