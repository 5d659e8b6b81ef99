//! A configuration as data: what serde reads and writes.

mod fields;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use eryx_net_policy::{
    HostName, HostPattern, IpNetwork, UdpPattern, default_blocked_patterns, loopback_patterns,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::NetConfig;
use crate::ConfigError;
use fields::Certificates;

impl Serialize for NetConfig {
    /// Writes every setting, the default ones included; limits that are not set are left out.
    ///
    /// A resolver of the embedder's own is an error: it is no data.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written::of(self)
            .map_err(ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NetConfig {
    /// Reads settings by the names of the manual. What is absent takes its default, and what is unknown
    /// is an error.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Written::deserialize(deserializer)?
            .configure(&|_| Err(ConfigError::Refused(NO_FILES.into())))
            .map_err(de::Error::custom)
    }
}

/// Whoever hands in settings must not make this process read files for them.
const NO_FILES: &str = "root_cert_files is read only from a policy file (NetConfig::from_toml_file), which \
                        says where its paths begin: give the certificates themselves, in root_certs";

/// A configuration by the names of its settings.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    #[serde(deserialize_with = "fields::number")]
    max_connections: usize,
    #[serde(
        deserialize_with = "fields::limit",
        skip_serializing_if = "Option::is_none"
    )]
    max_connections_per_host: Option<usize>,
    #[serde(
        deserialize_with = "fields::rate",
        skip_serializing_if = "Option::is_none"
    )]
    connects_per_second: Option<u32>,
    #[serde(with = "fields::milliseconds")]
    connect_timeout_ms: Duration,
    #[serde(with = "fields::milliseconds")]
    io_timeout_ms: Duration,
    #[serde(
        deserialize_with = "fields::limit",
        skip_serializing_if = "Option::is_none"
    )]
    max_sent_bytes: Option<u64>,
    #[serde(
        deserialize_with = "fields::limit",
        skip_serializing_if = "Option::is_none"
    )]
    max_received_bytes: Option<u64>,
    #[serde(
        deserialize_with = "fields::rate",
        skip_serializing_if = "Option::is_none"
    )]
    sent_bytes_per_second: Option<u64>,
    #[serde(
        deserialize_with = "fields::rate",
        skip_serializing_if = "Option::is_none"
    )]
    received_bytes_per_second: Option<u64>,
    report_only: bool,
    shared_caches: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_hosts: Option<Vec<HostPattern>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_hosts: Option<Vec<HostPattern>>,
    allow_localhost: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also_blocked_hosts: Vec<HostPattern>,
    allowed_networks: Vec<IpNetwork>,
    internal_hosts: Vec<HostPattern>,
    allowed_udp: Vec<UdpPattern>,
    allow_unverified_tls: bool,
    root_certs: Vec<Certificates>,
    #[serde(skip_serializing)]
    root_cert_files: Vec<PathBuf>,
    #[serde(
        deserialize_with = "fields::name_server",
        skip_serializing_if = "Option::is_none"
    )]
    dns_server: Option<SocketAddr>,
    // Last: a table ends the settings above it in TOML.
    #[serde(
        deserialize_with = "fields::hosts",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    hosts: BTreeMap<HostName, Vec<IpAddr>>,
}

impl Default for Written {
    fn default() -> Self {
        // The default configuration has no resolver of anybody's own, and so it can be written.
        let mut written = Self::of(&NetConfig::default()).unwrap_or_else(|_| unreachable!());
        written.allowed_hosts = None;
        written.blocked_hosts = None;
        written
    }
}

impl Written {
    pub(super) fn of(config: &NetConfig) -> Result<Self, ConfigError> {
        if config.names.is_custom() {
            return Err(ConfigError::Refused(
                "a configuration with a resolver of its own (with_resolver) cannot be written down: leave \
                 the resolver out, and set it after reading"
                    .into(),
            ));
        }
        let limits = &config.limits;
        let rules = &config.rules;
        // `allow_localhost` takes out of what is blocked at that point: what stands there again came later.
        let later = match rules.loopback {
            true => rules.blocked.iter().position(is_loopback),
            false => None,
        };
        let (blocked, also_blocked) = rules.blocked.split_at(later.unwrap_or(rules.blocked.len()));
        Ok(Self {
            max_connections: limits.max_connections,
            max_connections_per_host: limits.max_connections_per_host,
            connects_per_second: limits.connects_per_second,
            connect_timeout_ms: limits.connect_timeout,
            io_timeout_ms: limits.io_timeout,
            max_sent_bytes: limits.max_sent_bytes,
            max_received_bytes: limits.max_received_bytes,
            sent_bytes_per_second: limits.sent_bytes_per_second,
            received_bytes_per_second: limits.received_bytes_per_second,
            report_only: config.report_only,
            shared_caches: config.shared_caches,
            allowed_hosts: Some(rules.allowed.clone()),
            blocked_hosts: Some(blocked.to_vec()),
            allow_localhost: rules.loopback,
            also_blocked_hosts: also_blocked.to_vec(),
            allowed_networks: rules.networks.clone(),
            internal_hosts: rules.internal.clone(),
            allowed_udp: rules.udp.clone(),
            allow_unverified_tls: config.allow_unverified_tls,
            root_certs: config
                .trust
                .extra_roots()
                .map(Certificates::from_der)
                .collect(),
            root_cert_files: Vec::new(),
            dns_server: config.dns_server(),
            hosts: config
                .hosts()
                .iter()
                .map(|(name, addresses)| (name.clone(), addresses.to_vec()))
                .collect(),
        })
    }

    /// The configuration, with `read` to get the bytes of certificate files.
    pub(super) fn configure(
        self,
        read: &dyn Fn(&Path) -> Result<Vec<u8>, ConfigError>,
    ) -> Result<NetConfig, ConfigError> {
        let mut config = NetConfig::default();
        let limits = &mut config.limits;
        limits.max_connections = self.max_connections;
        limits.max_connections_per_host = self.max_connections_per_host;
        limits.connects_per_second = self.connects_per_second;
        limits.connect_timeout = self.connect_timeout_ms;
        limits.io_timeout = self.io_timeout_ms;
        limits.max_sent_bytes = self.max_sent_bytes;
        limits.max_received_bytes = self.max_received_bytes;
        limits.sent_bytes_per_second = self.sent_bytes_per_second;
        limits.received_bytes_per_second = self.received_bytes_per_second;
        config.report_only = self.report_only;
        config.shared_caches = self.shared_caches;
        config.allow_unverified_tls = self.allow_unverified_tls;

        let rules = Arc::make_mut(&mut config.rules);
        rules.open_list = matches!(self.allowed_hosts.as_deref(), Some([]));
        rules.allowed = self.allowed_hosts.unwrap_or_default();
        rules.blocked = self
            .blocked_hosts
            .unwrap_or_else(|| default_blocked_patterns().to_vec());
        if self.allow_localhost {
            rules.allow_localhost();
        }
        rules.blocked.extend(self.also_blocked_hosts);
        rules.networks = self.allowed_networks;
        rules.internal = self.internal_hosts;
        rules.udp = self.allowed_udp;

        for certificates in &self.root_certs {
            config = config.with_root_cert(certificates.as_bytes())?;
        }
        for path in &self.root_cert_files {
            config = config.with_root_cert(&read(path)?).map_err(|error| {
                ConfigError::Refused(format!("root_cert_files, {}: {error}", path.display()))
            })?;
        }
        config = config.with_hosts(self.hosts)?;
        Ok(match self.dns_server {
            Some(server) => config.with_dns_server(server),
            None => config,
        })
    }
}

fn is_loopback(pattern: &HostPattern) -> bool {
    loopback_patterns().contains(pattern)
}
