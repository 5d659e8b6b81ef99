//! Serde support for `NetConfig`: the model of a policy file.

use std::path::Path;
use std::sync::Arc;

use eryx_net_policy::{HostPattern, loopback_patterns};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::NetConfig;
use super::file_values::references::References;
use super::file_values::secrets::Secrets;
use super::file_values::{Certificate, Hosts, NameServer, Proxy};
use super::scalar::Flag;
use super::settings_macros::NetConfigFile;
use crate::config_error::ConfigError;

impl Serialize for NetConfig {
    /// Writes every setting, the defaults included; limits that are not set are left out.
    ///
    /// Fails for a configuration with a resolver of the embedder's own, which is not data, for one
    /// whose proxy has a password, and for one with a secret whose value is in no environment
    /// variable or file: passwords and values are not written.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        NetConfigFile::new(self)
            .map_err(ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NetConfig {
    /// Reads settings by the names of a policy file. An absent setting takes its default; an
    /// unknown one is an error, and so are settings that cannot be
    /// [combined](NetConfig::validate).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let config = NetConfig::default().with_settings(deserializer)?;
        config.validate().map_err(de::Error::custom)?;
        Ok(config)
    }
}

impl NetConfig {
    /// Returns a copy with the settings that a map holds, by the names of a policy file; the others
    /// stay. A list replaces the one before it, except `also_blocked_hosts` and `root_certs`, which
    /// add to the blocked hosts and the trusted certificates, as `proxy_root_certs` does. The
    /// settings cannot have secrets and certificate files, which only a policy file has. Does not
    /// check whether the settings can be [combined](Self::validate).
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
        NetConfigFile::deserialize(settings)?
            .apply_to(self.clone(), &References::Refused)
            .map_err(de::Error::custom)
    }
}

impl NetConfigFile {
    pub(super) fn new(config: &NetConfig) -> Result<Self, ConfigError> {
        if config.dns.is_custom() {
            return Err(ConfigError::Refused(
                "a configuration with a resolver of its own (with_resolver) cannot be written down: \
                 leave the resolver out, and set it after reading"
                    .into(),
            ));
        }
        if let Some(proxy) = config.proxy() {
            proxy.to_setting()?;
        }
        let rules = &config.rules;
        // `allow_localhost` removes the loopback entries from the list. A loopback entry in the
        // list was therefore added later.
        let later = match rules.allows_loopback {
            true => rules.lists.blocked_hosts.iter().position(is_loopback),
            false => None,
        };
        let blocked = &rules.lists.blocked_hosts;
        let (blocked, also_blocked) = blocked.split_at(later.unwrap_or(blocked.len()));
        let hosts = Hosts::new(config.hosts());
        let secrets = Secrets::new(config.secrets())?;
        Ok(Self {
            blocked_hosts: Some(blocked.to_vec()),
            allow_localhost: Some(Flag(rules.allows_loopback)),
            also_blocked_hosts: Some(also_blocked.to_vec()).filter(|list| !list.is_empty()),
            root_certs: Some(
                config
                    .trust
                    .extra_roots()
                    .map(Certificate::from_der)
                    .collect(),
            ),
            proxy: config.proxy().cloned().map(Proxy),
            proxy_root_certs: Some(
                config
                    .proxy
                    .trust
                    .extra_roots()
                    .map(Certificate::from_der)
                    .collect(),
            ),
            dns_server: config.dns_server().map(NameServer),
            inspect: Some(config.inspect().to_vec()).filter(|list| !list.is_empty()),
            http_denials: Some(config.http_denials()),
            hosts: Some(hosts).filter(|hosts| !hosts.0.is_empty()),
            http_rules: Some(config.http_rules().to_vec()).filter(|list| !list.is_empty()),
            secrets: Some(secrets).filter(|secrets| !secrets.is_empty()),
            ..Self::of_scalars_and_lists(config)
        })
    }

    /// Returns `config` with these settings.
    pub(super) fn apply_to(
        mut self,
        mut config: NetConfig,
        references: &References<'_>,
    ) -> Result<NetConfig, ConfigError> {
        let rules = Arc::make_mut(&mut config.rules);
        if let Some(allowed) = &self.allowed_hosts {
            rules.allowed_hosts_given_empty = allowed.is_empty();
        }
        if self.blocked_hosts.is_some() {
            rules.allows_loopback = false;
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
            config = config
                .with_root_cert(&references.certificate("root_cert_files", path)?)
                .map_err(|error| certificate_error("root_cert_files", path, &error))?;
        }
        for certificate in self.proxy_root_certs.iter().flatten() {
            config = config.with_proxy_root_cert(certificate.as_bytes())?;
        }
        for path in self.proxy_root_cert_files.iter().flatten() {
            config = config
                .with_proxy_root_cert(&references.certificate("proxy_root_cert_files", path)?)
                .map_err(|error| certificate_error("proxy_root_cert_files", path, &error))?;
        }
        if let Some(proxy) = self.proxy {
            config = config.with_proxy(proxy.0);
        }
        if let Some(denials) = self.http_denials {
            config = config.with_http_denials(denials);
        }
        let secrets = self.secrets.map(|secrets| secrets.into_secrets(references));
        let (rules, secrets, inspect) = (self.http_rules, secrets.transpose()?, self.inspect);
        if rules.is_some() || secrets.is_some() || inspect.is_some() {
            config = config.with_http(|http| {
                http.rules = rules.unwrap_or_else(|| http.rules.clone());
                http.secrets = secrets.unwrap_or_else(|| http.secrets.clone());
                http.inspect = inspect.unwrap_or_else(|| http.inspect.clone());
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

fn certificate_error(setting: &str, path: &Path, error: &ConfigError) -> ConfigError {
    ConfigError::Refused(format!("{setting}, {}: {error}", path.display()))
}

fn is_loopback(pattern: &HostPattern) -> bool {
    loopback_patterns().contains(pattern)
}
