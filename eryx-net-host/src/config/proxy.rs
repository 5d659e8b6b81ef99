//! The proxy of a configuration: the server, its trust, and what it carries.

use std::net::IpAddr;
use std::sync::Arc;

use eryx_net_policy::{Host, HostName, HostPattern, PortRange, reached_addresses};
use eryx_tls::{Connector, TrustStore};

use super::NetConfig;
use crate::config_error::ConfigError;
use crate::dns::chain::is_localhost;
use crate::proxy::server::{ProxyProtocol, ProxyServer};
use crate::proxy::setting::Proxy;

/// The proxy, and the certificates that only it is verified against.
#[derive(Clone, Debug)]
pub(super) struct ProxySettings {
    pub(super) proxy: Option<Proxy>,
    /// In addition to the trust of the configuration.
    pub(super) trust: TrustStore,
}

impl Default for ProxySettings {
    fn default() -> Self {
        Self {
            proxy: None,
            trust: TrustStore::empty(),
        }
    }
}

impl PartialEq for ProxySettings {
    fn eq(&self, other: &Self) -> bool {
        self.proxy == other.proxy && self.trust == other.trust
    }
}

impl NetConfig {
    /// Returns the proxy through which connections are made, if there is one.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.proxy.as_ref()
    }

    /// Returns a copy whose connections are made through `proxy`.
    ///
    /// Eryx resolves and checks a name as without a proxy, and asks the proxy to connect to the
    /// addresses that the policy allows, unless [`proxy_resolves`](Self::proxy_resolves) is set.
    /// The policy does not apply to the proxy's own address, and a program can reach the proxy only
    /// as far as its connections pass through it. Loopback addresses and hosts in
    /// [`no_proxy`](Self::no_proxy) are connected to directly.
    ///
    /// ```
    /// use eryx_net_host::NetConfig;
    ///
    /// let config = NetConfig::default()
    ///     .with_proxy("http://proxy.example:3128".parse()?)
    ///     .bypass_proxy("*.corp")?;
    /// assert!(config.validate().is_ok());
    /// # Ok::<(), eryx_net_host::ConfigError>(())
    /// ```
    #[must_use]
    pub fn with_proxy(&self, proxy: Proxy) -> Self {
        self.with_proxy_settings(|settings| settings.proxy = Some(proxy))
    }

    /// Returns a copy that connects without a proxy.
    #[must_use]
    pub fn without_proxy(&self) -> Self {
        self.with_proxy_settings(|settings| settings.proxy = None)
    }

    /// Returns the certificates that the proxy is verified against in addition to
    /// [`trust`](Self::trust).
    #[must_use]
    pub fn proxy_trust(&self) -> &TrustStore {
        &self.proxy.trust
    }

    /// Returns a copy that verifies an `https` proxy against further certificates: a PEM bundle, or
    /// one certificate in DER. They have no effect on the servers behind the proxy.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Trust`] for anything else.
    pub fn with_proxy_root_cert(&self, pem_or_der: &[u8]) -> Result<Self, ConfigError> {
        let trust = self.proxy.trust.with_root_cert(pem_or_der)?;
        Ok(self.with_proxy_settings(|settings| settings.trust = trust))
    }

    fn with_proxy_settings(&self, change: impl FnOnce(&mut ProxySettings)) -> Self {
        let mut config = self.clone();
        change(&mut config.proxy);
        config.proxy_connector = Arc::default();
        config
    }

    /// Checks that the settings can be honoured together. A sandbox with settings that cannot is an
    /// error, and so is a policy file.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Refused`], which names the settings:
    ///
    /// - [`allowed_udp`](Self::allowed_udp) with a proxy, which carries no UDP;
    /// - [`proxy_resolves`](Self::proxy_resolves) without a proxy, or with
    ///   [`allowed_hosts`](Self::allowed_hosts) that has addresses and networks only: no name could
    ///   be allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let refused = |text: &str| Err(ConfigError::Refused(text.to_owned()));
        if self.proxy_resolves() && self.proxy().is_none() {
            return refused("proxy_resolves has no effect without a proxy: set proxy, too");
        }
        if self.proxy_server().is_none() {
            return Ok(());
        }
        if !self.allowed_udp().is_empty() {
            return refused(
                "allowed_udp cannot be combined with proxy: the proxy carries no UDP, and datagrams \
                 would be sent around it; leave one of them out",
            );
        }
        let is_network = |pattern: &HostPattern| pattern.network().is_some();
        let allowed = self.allowed_hosts();
        if self.proxy_resolves() && !allowed.is_empty() && allowed.iter().all(is_network) {
            return refused(
                "allowed_hosts has only addresses and networks, and with proxy_resolves the addresses \
                 of a name are not known: no name would be allowed; add names to allowed_hosts, or \
                 leave proxy_resolves out",
            );
        }
        Ok(())
    }

    /// Returns the proxy server, unless there is none.
    pub(crate) fn proxy_server(&self) -> Option<&Arc<ProxyServer>> {
        self.proxy.proxy.as_ref()?.server()
    }

    /// Returns whether the proxy is an `https` one; one from the environment may be.
    pub(super) fn may_use_https_proxy(&self) -> bool {
        self.proxy().is_some_and(|proxy| {
            let is_https = |server: &Arc<ProxyServer>| server.protocol == ProxyProtocol::Https;
            proxy.is_from_env() || proxy.server().is_some_and(is_https)
        })
    }

    /// Returns the connector for TLS to the proxy.
    pub(crate) fn proxy_connector(&self) -> &Connector {
        self.proxy_connector.get_or_init(|| {
            let mut trust = self.trust.clone();
            for root in self.proxy.trust.extra_roots() {
                // It was accepted before.
                trust = trust.with_root_cert(root).unwrap_or(trust);
            }
            Connector::new(trust, false)
        })
    }

    /// Returns whether a connection to `address`, an address of `host`, is made without the proxy.
    /// Without an address, decides by `host` alone; without a port, for all ports.
    ///
    /// A loopback address always is: at the proxy it would be the proxy's own machine, which the
    /// embedder did not allow.
    pub(crate) fn is_direct(
        &self,
        host: &Host,
        address: Option<IpAddr>,
        port: Option<u16>,
    ) -> bool {
        if address.is_some_and(|address| reached_addresses(address).any(|a| a.is_loopback())) {
            return true;
        }
        let address = address.map(Host::Address);
        let from_env = self.proxy.proxy.as_ref().map_or(&[][..], Proxy::bypass);
        self.no_proxy().iter().chain(from_env).any(|pattern| {
            let ports = pattern.ports();
            port.map_or(ports == PortRange::ALL, |port| ports.contains(port))
                && (pattern.matches(host) || address.as_ref().is_some_and(|a| pattern.matches(a)))
        })
    }

    /// Returns the name of `host` if the proxy resolves it: a name without fixed addresses that is
    /// not connected to directly.
    pub(crate) fn proxied_name<'a>(
        &self,
        host: &'a Host,
        port: Option<u16>,
    ) -> Option<&'a HostName> {
        if !self.proxy_resolves() || self.proxy_server().is_none() {
            return None;
        }
        let name = host.name()?;
        let is_local = is_localhost(name) || self.hosts().contains(name);
        (!is_local && !self.is_direct(host, None, port)).then_some(name)
    }
}
