//! Serde support for `NetConfig`: the model of a policy file.

pub(super) mod fields;

use std::path::Path;
use std::sync::Arc;

use eryx_net_policy::{HostPattern, loopback_patterns};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::NetConfig;
use super::error::ConfigError;
use super::generated::NetConfigDef;
use super::scalar::Flag;
use fields::{Certificate, Hosts, NameServer};

impl Serialize for NetConfig {
    /// Writes every setting, the defaults included; limits that are not set are left out.
    ///
    /// Fails for a configuration with a resolver of the embedder's own: it is not data.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        NetConfigDef::new(self)
            .map_err(ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NetConfig {
    /// Reads settings by the names of a policy file. An absent setting takes its default; an
    /// unknown one is an error.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NetConfig::default().with_settings(deserializer)
    }
}

impl NetConfig {
    /// Returns a copy with the settings that a map holds, by the names of a policy file; the others
    /// stay. A list replaces the one before it, except `also_blocked_hosts` and `root_certs`, which
    /// add to the blocked hosts and the trusted certificates.
    ///
    /// # Errors
    ///
    /// The deserializer's error, for an unknown setting and for a value that is malformed or out of
    /// its range.
    ///
    /// ```
    /// use eryx_net_host::NetConfig;
    /// use serde_json::json;
    ///
    /// let config = NetConfig::default().with_settings(json!({"max_connections": 3}))?;
    /// assert_eq!(config, NetConfig::default().with_max_connections(3));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn with_settings<'de, D: Deserializer<'de>>(&self, settings: D) -> Result<Self, D::Error> {
        NetConfigDef::deserialize(settings)?
            .apply_to(self.clone(), &|_| {
                Err(ConfigError::Refused(NO_FILES.into()))
            })
            .map_err(de::Error::custom)
    }
}

/// Deserialised settings may come from an untrusted place and must not make this process read
/// files.
const NO_FILES: &str = "root_cert_files is read only from a policy file (NetConfig::from_toml_file), \
                        whose place its paths are relative to: give the certificates themselves, in \
                        root_certs";

impl NetConfigDef {
    pub(super) fn new(config: &NetConfig) -> Result<Self, ConfigError> {
        if config.dns.is_custom() {
            return Err(ConfigError::Refused(
                "a configuration with a resolver of its own (with_resolver) cannot be written down: \
                 leave the resolver out, and set it after reading"
                    .into(),
            ));
        }
        let rules = &config.rules;
        // `allow_localhost` removes the loopback entries from the list. A loopback entry in the
        // list was therefore added later.
        let later = match rules.loopback {
            true => rules.lists.blocked_hosts.iter().position(is_loopback),
            false => None,
        };
        let blocked = &rules.lists.blocked_hosts;
        let (blocked, also_blocked) = blocked.split_at(later.unwrap_or(blocked.len()));
        let hosts = Hosts::new(config.hosts());
        Ok(Self {
            blocked_hosts: Some(blocked.to_vec()),
            allow_localhost: Some(Flag(rules.loopback)),
            also_blocked_hosts: Some(also_blocked.to_vec()).filter(|list| !list.is_empty()),
            root_certs: Some(
                config
                    .trust
                    .extra_roots()
                    .map(Certificate::from_der)
                    .collect(),
            ),
            dns_server: config.dns_server().map(NameServer),
            hosts: Some(hosts).filter(|hosts| !hosts.0.is_empty()),
            ..Self::of_scalars_and_lists(config)
        })
    }

    /// Returns `config` with these settings. `read` returns the bytes of a certificate file.
    pub(super) fn apply_to(
        mut self,
        mut config: NetConfig,
        read: &dyn Fn(&Path) -> Result<Vec<u8>, ConfigError>,
    ) -> Result<NetConfig, ConfigError> {
        let rules = Arc::make_mut(&mut config.rules);
        if let Some(allowed) = &self.allowed_hosts {
            rules.open_list = allowed.is_empty();
        }
        if self.blocked_hosts.is_some() {
            rules.loopback = false;
        }
        self.apply_scalars_and_lists(&mut config);
        let rules = Arc::make_mut(&mut config.rules);
        if self.allow_localhost == Some(Flag(true)) {
            rules.allow_localhost();
        }
        let also_blocked = self.also_blocked_hosts.unwrap_or_default();
        rules.lists.blocked_hosts.extend(also_blocked);
        config.policy = Arc::default();

        for certificate in self.root_certs.iter().flatten() {
            config = config.with_root_cert(certificate.as_bytes())?;
        }
        for path in self.root_cert_files.iter().flatten() {
            config = config.with_root_cert(&read(path)?).map_err(|error| {
                ConfigError::Refused(format!("root_cert_files, {}: {error}", path.display()))
            })?;
        }
        if let Some(hosts) = self.hosts {
            config = config.with_hosts(hosts.0)?;
        }
        Ok(match self.dns_server {
            Some(NameServer(address)) => config.with_dns_server(address),
            None => config,
        })
    }
}

fn is_loopback(pattern: &HostPattern) -> bool {
    loopback_patterns().contains(pattern)
}
