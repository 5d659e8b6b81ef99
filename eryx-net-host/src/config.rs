//! `NetConfig`: the network configuration of a sandbox, with its policy, trust, DNS and limits.

mod dns;
#[cfg(feature = "serde")]
mod file_values;
#[cfg(feature = "toml")]
mod from_toml;
pub(crate) mod http;
#[cfg(feature = "serde")]
mod policy_file;
mod proxy;
mod rules;
mod scalar;
pub(crate) mod settings;
pub(crate) mod settings_macros;
mod warnings;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use eryx_net_policy::{
    Host, HostError, HostName, HostPattern, Inspection, Policy, Port, Verdict,
    default_blocked_patterns,
};
use eryx_tls::{Connector, TrustStore};

use crate::config_error::ConfigError;
use crate::dns::chain::ResolverChain;
use crate::dns::resolver::Resolve;
use crate::host_memory::HostMemory;
use dns::DnsSettings;
use http::HttpSettings;
use proxy::ProxySettings;
use rules::Rules;
use settings_macros::ScalarSettings;

/// The network configuration of a sandbox: the hosts that it may reach, and its limits. The value
/// is immutable; methods that change a setting return a copy.
///
/// The default reaches every public host and nothing internal. [`SETTINGS`](crate::SETTINGS) lists
/// all settings with their defaults.
///
/// Clones share the compiled policy, the TLS configuration and the resolver, which are built at
/// first use. Use one configuration for many sandboxes.
///
/// ```
/// use eryx_net_host::NetConfig;
///
/// let config = NetConfig::default()
///     .allow_host("api.example.com")?
///     .allow_host("*.example.org:443")?
///     .with_max_connections(4);
/// assert!(config.check("other.example", 443).is_denied());
/// assert!(NetConfig::default().allow_host("api.*.com").is_err());
/// # Ok::<(), eryx_net_host::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct NetConfig {
    scalars: ScalarSettings,
    rules: Arc<Rules>,
    trust: TrustStore,
    dns: DnsSettings,
    http: Arc<HttpSettings>,
    proxy: ProxySettings,
    policy: Arc<OnceLock<Policy>>,
    connector: Arc<OnceLock<Connector>>,
    proxy_connector: Arc<OnceLock<Connector>>,
    resolver: Arc<OnceLock<ResolverChain>>,
}

impl NetConfig {
    /// Returns a configuration for tests and trusted code, without restrictions but a limit of 100
    /// connections. Nothing is blocked: this machine and internal networks can be reached.
    #[must_use]
    pub fn permissive() -> Self {
        Self::blocking(Vec::new()).with_max_connections(100)
    }

    fn blocking(blocked: Vec<HostPattern>) -> Self {
        Self {
            scalars: ScalarSettings::default(),
            rules: Arc::new(Rules::blocking(blocked)),
            trust: TrustStore::webpki(),
            dns: DnsSettings::default(),
            http: Arc::default(),
            proxy: ProxySettings::default(),
            policy: Arc::default(),
            connector: Arc::default(),
            proxy_connector: Arc::default(),
            resolver: Arc::default(),
        }
    }

    /// Returns the trust anchors that server certificates are verified against.
    #[must_use]
    pub fn trust(&self) -> &TrustStore {
        &self.trust
    }

    /// Returns a copy that trusts further certificates in addition to the public root
    /// certificates: a PEM bundle, or one certificate in DER.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Trust`] for anything else.
    pub fn with_root_cert(&self, pem_or_der: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self {
            trust: self.trust.with_root_cert(pem_or_der)?,
            connector: Arc::default(),
            proxy_connector: Arc::default(),
            ..self.clone()
        })
    }

    /// Returns the policy's verdict on a host, without using the network. The verdict on an address
    /// is final; that on a name that may pass says that it depends on the addresses, unless the
    /// proxy resolves the name ([`proxy_resolves`](Self::proxy_resolves)).
    ///
    /// ```
    /// use eryx_net_host::NetConfig;
    ///
    /// let verdict = NetConfig::default().check("127.1", 80);
    /// assert!(verdict.is_denied());
    /// println!("{verdict}");
    /// ```
    #[must_use]
    pub fn check(&self, host: &str, port: impl Into<Port>) -> Verdict {
        let port = port.into();
        if self.proxy_resolves()
            && let Ok(host) = Host::parse(host)
            && let Some(name) = self.proxied_name(&host, port.number())
        {
            return self.policy().check_unresolved(name, port);
        }
        self.policy().check(host, port)
    }

    /// Returns the policy's verdict on a name that resolves to these addresses.
    ///
    /// # Errors
    ///
    /// [`HostError`] when `name` is not a name. Pass an address to [`check`](Self::check).
    pub fn check_resolved(
        &self,
        name: &str,
        addresses: &[IpAddr],
        port: impl Into<Port>,
    ) -> Result<Verdict, HostError> {
        let name = HostName::parse(name)?;
        Ok(self.policy().check_resolved(&name, &[], addresses, port))
    }

    /// Returns the policy's verdict on UDP to a host, as [`check`](Self::check) does for TCP. A
    /// host whose requests are inspected, because of [`http_rules`](Self::http_rules) or
    /// [`secrets`](Self::secrets), is denied: HTTP/3 would not be inspected.
    ///
    /// ```
    /// use eryx_net_host::NetConfig;
    ///
    /// let config = NetConfig::default().allow_udp("9.9.9.9:53")?;
    /// assert!(config.check_udp("9.9.9.9", 53).is_allowed());
    /// assert!(config.check_udp("8.8.8.8", 53).is_denied());
    /// # Ok::<(), eryx_net_host::ConfigError>(())
    /// ```
    #[must_use]
    pub fn check_udp(&self, host: &str, port: impl Into<Port>) -> Verdict {
        self.without_http3(self.policy().check_udp(host, port))
    }

    /// Returns the policy's verdict on UDP to a name that resolves to these addresses.
    ///
    /// # Errors
    ///
    /// As for [`check_resolved`](Self::check_resolved).
    pub fn check_udp_resolved(
        &self,
        name: &str,
        addresses: &[IpAddr],
        port: impl Into<Port>,
    ) -> Result<Verdict, HostError> {
        let name = HostName::parse(name)?;
        let verdict = self
            .policy()
            .check_udp_resolved(&name, &[], addresses, port);
        Ok(self.without_http3(verdict))
    }

    /// Returns a verdict on UDP, or its denial if requests to the host on the port are inspected.
    fn without_http3(&self, verdict: Verdict) -> Verdict {
        let (Some(host), Some(port)) = (verdict.host(), verdict.port().number()) else {
            return verdict;
        };
        let policy = &self.http.policy;
        let hosts = std::iter::once(host.clone());
        let addresses = verdict.addresses().iter().copied().map(Host::from);
        let is_inspected = hosts
            .chain(addresses)
            .any(|host| policy.inspection(&host, port) == Inspection::Enforced);
        match is_inspected {
            true => verdict.deny_inspected_udp(),
            false => verdict,
        }
    }

    /// Returns the policy, which is compiled on first use.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.policy.get_or_init(|| self.rules.compile())
    }

    /// Returns the TLS connector of this configuration.
    #[must_use]
    pub fn connector(&self) -> &Connector {
        self.connector
            .get_or_init(|| Connector::new(self.trust.clone(), self.allows_unverified_tls()))
    }

    /// Returns the resolver of this configuration.
    #[must_use]
    pub fn resolver(&self) -> &dyn Resolve {
        self.layered()
    }

    /// Returns the resolver for one network.
    pub(crate) fn network_resolver(&self, memory: &HostMemory) -> ResolverChain {
        let memory = (!self.shared_caches()).then(|| memory.clone());
        self.layered().for_network(memory)
    }

    fn layered(&self) -> &ResolverChain {
        self.resolver.get_or_init(|| self.dns.resolver())
    }
}

impl Default for NetConfig {
    /// Returns a configuration that allows every public host and nothing internal.
    fn default() -> Self {
        Self::blocking(default_blocked_patterns().to_vec())
    }
}

impl PartialEq for NetConfig {
    /// Returns whether all settings are equal. Two custom resolvers are equal if they are one
    /// object.
    fn eq(&self, other: &Self) -> bool {
        self.scalars == other.scalars
            && self.rules == other.rules
            && self.trust == other.trust
            && self.dns == other.dns
            && self.http == other.http
            && self.proxy == other.proxy
    }
}

impl fmt::Debug for NetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetConfig")
            .field("scalars", &self.scalars)
            .field("lists", &self.rules.lists)
            .field("trust", &self.trust)
            .field("dns", &self.dns)
            .field("http", &self.http)
            .field("proxy", &self.proxy)
            .finish()
    }
}
