//! The keywords and properties of `NetConfig`, made from the table of settings.

use eryx::net::{NetConfig as Config, SETTINGS, Setting, SettingKind};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyCFunction, PyDict, PyString, PyTuple};
use serde_json::{Value, json};

use super::NetConfig;
use crate::arguments::{
    flag, for_each_keyword, non_negative_int, optional_int, str_list, text, wrong_type,
};
use crate::error::ConfigError;

/// Returns the settings that a keyword has: all but the one that only a policy file can have.
fn settings() -> impl Iterator<Item = &'static Setting> {
    SETTINGS
        .iter()
        .filter(|setting| setting.kind != SettingKind::CertificateFiles)
}

/// Returns all keywords, in the order in which they apply.
pub(super) fn names() -> Vec<&'static str> {
    settings().map(|setting| setting.name).collect()
}

/// Returns the configuration with these keywords.
pub(super) fn from_keywords(keywords: Option<&Bound<'_, PyDict>>) -> PyResult<NetConfig> {
    let mut config = Config::default();
    for_each_keyword("NetConfig", &names(), keywords, |name, value| {
        for setting in settings().filter(|setting| setting.name == name) {
            config = with_keyword(&config, setting, value)?;
        }
        Ok(())
    })?;
    Ok(NetConfig(config))
}

fn with_keyword(config: &Config, setting: &Setting, value: &Bound<'_, PyAny>) -> PyResult<Config> {
    let name = setting.name;
    let unit = setting.unit.unwrap_or_default();
    let value = match setting.kind {
        SettingKind::Limit | SettingKind::Rate => json!(optional_int(name, value, unit)?),
        SettingKind::Flag => json!(flag(name, value)?),
        SettingKind::Patterns | SettingKind::Networks => json!(str_list(name, value)?),
        SettingKind::NameServer if value.is_none() => Value::Null,
        SettingKind::NameServer => json!(text(name, value)?),
        SettingKind::Hosts => hosts(value)?,
        SettingKind::Certificates => return with_root_certs(config, name, value),
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
    let mut config = config.clone();
    for item in items {
        config = config
            .with_root_cert(&certificate_bytes(name, &item?)?)
            .map_err(|error| ConfigError::new_err(format!("{name}: {error}")))?;
    }
    Ok(config)
}

pub(super) fn certificate_bytes(name: &str, certificate: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = certificate.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    if let Ok(bytes) = certificate.cast::<PyByteArray>() {
        return Ok(bytes.to_vec());
    }
    if let Ok(pem) = certificate.cast::<PyString>() {
        let pem = pem.to_cow()?;
        if pem.contains("-----BEGIN") {
            return Ok(pem.as_bytes().to_vec());
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

fn value_of(config: &NetConfig, setting: &Setting, py: Python<'_>) -> PyResult<Py<PyAny>> {
    if setting.name == "blocked_hosts" {
        // A dict has the entries added after `allow_localhost` under another name.
        let patterns = config.0.blocked_hosts().iter().map(ToString::to_string);
        return Ok(patterns.collect::<Vec<_>>().into_pyobject(py)?.unbind());
    }
    match config.to_dict(py)?.get_item(setting.name)? {
        Some(value) => Ok(value.unbind()),
        None if setting.kind == SettingKind::Hosts => Ok(PyDict::new(py).into_any().unbind()),
        None => Ok(py.None()),
    }
}
