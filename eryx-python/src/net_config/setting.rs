//! The settings of a configuration, by their keywords.

use std::net::IpAddr;
use std::time::Duration;

use eryx::net::NetConfig as Config;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyString};

use crate::arguments::{flag, limit, text, texts, whole, wrong_type};
use crate::error::ConfigError;

/// All of them, in the order they are applied in: ``allow_localhost`` takes entries out of what is blocked before it.
pub(super) const NAMES: [&str; 22] = [
    "max_connections",
    "connect_timeout_ms",
    "io_timeout_ms",
    "allowed_hosts",
    "blocked_hosts",
    "allow_localhost",
    "also_blocked_hosts",
    "allowed_networks",
    "internal_hosts",
    "allowed_udp",
    "root_certs",
    "allow_unverified_tls",
    "hosts",
    "dns_server",
    "max_connections_per_host",
    "connects_per_second",
    "max_sent_bytes",
    "max_received_bytes",
    "sent_bytes_per_second",
    "received_bytes_per_second",
    "report_only",
    "shared_caches",
];

/// `config` with one setting changed.
pub(super) fn applied(config: &Config, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Config> {
    let changed = match name {
        "max_connections" => config.with_max_connections(size(whole(name, value, "connections")?)),
        "connect_timeout_ms" => named(
            name,
            config.with_connect_timeout(milliseconds(name, value)?),
        )?,
        "io_timeout_ms" => named(name, config.with_io_timeout(milliseconds(name, value)?))?,
        "allowed_hosts" => named(name, config.with_allowed_hosts(texts(name, value)?))?,
        "blocked_hosts" => named(name, config.with_blocked_hosts(texts(name, value)?))?,
        "allow_localhost" => match flag(name, value)? {
            true => config.allow_localhost(),
            false => config.clone(),
        },
        "also_blocked_hosts" => named(
            name,
            extended(config, &texts(name, value)?, Config::block_host),
        )?,
        "allowed_networks" => named(
            name,
            extended(config, &texts(name, value)?, Config::allow_network),
        )?,
        "internal_hosts" => named(
            name,
            extended(config, &texts(name, value)?, Config::allow_internal_host),
        )?,
        "allowed_udp" => named(name, config.with_allowed_udp(texts(name, value)?))?,
        "root_certs" => named(name, with_root_certs(config, name, value)?)?,
        "allow_unverified_tls" => config.allow_unverified_tls(flag(name, value)?),
        "hosts" => named(name, config.with_hosts(hosts(value)?))?,
        "dns_server" if value.is_none() => config.clone(),
        "dns_server" => named(name, config.with_dns_server_at(&text(name, value)?))?,
        "max_connections_per_host" => {
            config.with_max_connections_per_host(limit(name, value, "connections")?.map(size))
        }
        "connects_per_second" => {
            let count = limit(name, value, "connections a second")?;
            let count = count.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
            named(name, config.with_connects_per_second(count))?
        }
        "max_sent_bytes" => config.with_max_sent_bytes(limit(name, value, "bytes")?),
        "max_received_bytes" => config.with_max_received_bytes(limit(name, value, "bytes")?),
        "sent_bytes_per_second" => {
            let rate = limit(name, value, "bytes a second")?;
            named(name, config.with_sent_bytes_per_second(rate))?
        }
        "received_bytes_per_second" => {
            let rate = limit(name, value, "bytes a second")?;
            named(name, config.with_received_bytes_per_second(rate))?
        }
        "report_only" => config.with_report_only(flag(name, value)?),
        _ => config.with_shared_caches(flag(name, value)?),
    };
    Ok(changed)
}

/// `config` with each of `texts` added.
fn extended(
    config: &Config,
    texts: &[String],
    add: impl Fn(&Config, &str) -> Result<Config, eryx::net::ConfigError>,
) -> Result<Config, eryx::net::ConfigError> {
    texts
        .iter()
        .try_fold(config.clone(), |config, text| add(&config, text))
}

fn with_root_certs(
    config: &Config,
    name: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<Result<Config, eryx::net::ConfigError>> {
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
        return Err(wrong_type(name, "a list of certificates", value));
    }
    let Ok(items) = value.try_iter() else {
        return Err(wrong_type(name, "a list of certificates", value));
    };
    let mut config = config.clone();
    for item in items {
        config = match config.with_root_cert(&certificate_bytes(name, &item?)?) {
            Ok(config) => config,
            Err(error) => return Ok(Err(error)),
        };
    }
    Ok(Ok(config))
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
            "{name}: a str has to be PEM, and this one is not; for a file give what is in it, as in \
             pathlib.Path(\"ca.pem\").read_bytes()"
        )));
    }
    Err(wrong_type(name, "PEM or DER as bytes", certificate))
}

fn hosts(value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Vec<IpAddr>)>> {
    let Ok(hosts) = value.cast::<PyDict>() else {
        return Err(wrong_type(
            "hosts",
            "a dict from names to lists of addresses",
            value,
        ));
    };
    let mut list = Vec::new();
    for (name, addresses) in hosts.iter() {
        let name = text("a name in hosts", &name)?;
        let addresses = texts(&format!("hosts[{name:?}]"), &addresses)?;
        list.push((name, addresses_of(&addresses)?));
    }
    Ok(list)
}

/// More than there can be is as good as the most there can be.
fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn named(name: &str, config: Result<Config, eryx::net::ConfigError>) -> PyResult<Config> {
    config.map_err(|error| ConfigError::new_err(format!("{name}: {error}")))
}

fn milliseconds(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    Ok(Duration::from_millis(whole(name, value, "milliseconds")?))
}

pub(super) fn addresses_of(texts: &[String]) -> PyResult<Vec<IpAddr>> {
    texts
        .iter()
        .map(|text| {
            text.parse().map_err(|_| {
                ConfigError::new_err(format!(
                    "{text:?} is not an IP address: write one in full, as in \"192.0.2.7\" or \"2001:db8::7\""
                ))
            })
        })
        .collect()
}
