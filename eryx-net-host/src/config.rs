//! What a sandbox may do on the network.

#[cfg(feature = "toml")]
mod file;
mod limits;
mod names;
mod rules;
#[cfg(feature = "serde")]
mod written;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use eryx_net_policy::{
    HostError, HostName, HostPattern, Policy, Port, Verdict, default_blocked_patterns,
};
use eryx_tls::{Connector, TrustStore};

use crate::dns::chain::ResolverChain;
use crate::{ConfigError, HostMemory, Resolve};
use limits::Limits;
use names::Names;
use rules::Rules;

/// What a sandbox may reach and how much of it: an immutable value. Every method that changes something
/// returns a new one and leaves the old alone.
///
/// The default reaches every public host and nothing internal:
///
/// | Setting | Default |
/// |---|---|
/// | [`max_connections`](Self::max_connections) | 10 |
/// | [`max_connections_per_host`](Self::max_connections_per_host), [`connects_per_second`](Self::connects_per_second) | no limit |
/// | [`connect_timeout`](Self::connect_timeout) | 30 s |
/// | [`io_timeout`](Self::io_timeout) | 60 s |
/// | [`max_sent_bytes`](Self::max_sent_bytes), [`max_received_bytes`](Self::max_received_bytes) | no limit |
/// | [`sent_bytes_per_second`](Self::sent_bytes_per_second), [`received_bytes_per_second`](Self::received_bytes_per_second) | no limit |
/// | [`allowed_hosts`](Self::allowed_hosts) | none, which means every host |
/// | [`blocked_hosts`](Self::blocked_hosts) | `localhost`, `127.*` and every other host or network that is not public |
/// | [`allowed_udp`](Self::allowed_udp) | none, which means no datagrams |
/// | [`report_only`](Self::report_only) | no: what is denied fails |
/// | [`shared_caches`](Self::shared_caches) | no: each [`Network`](crate::Network) keeps its own |
///
/// Clones share the compiled policy, the TLS configuration and the resolver, which are made when they are
/// first needed. Use one configuration for many sandboxes.
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
    limits: Limits,
    rules: Arc<Rules>,
    report_only: bool,
    shared_caches: bool,
    trust: TrustStore,
    allow_unverified_tls: bool,
    names: Names,
    policy: Arc<OnceLock<Policy>>,
    connector: Arc<OnceLock<Connector>>,
    resolver: Arc<OnceLock<ResolverChain>>,
}

impl NetConfig {
    /// No restrictions but 100 connections: for tests and for code that is trusted. Nothing is blocked,
    /// this machine and its neighbours included.
    #[must_use]
    pub fn permissive() -> Self {
        Self::blocking(Vec::new()).with_max_connections(Limits::MAX_CONNECTIONS_PERMISSIVE)
    }

    fn blocking(blocked: Vec<HostPattern>) -> Self {
        Self {
            limits: Limits::default(),
            rules: Arc::new(Rules::blocking(blocked)),
            report_only: false,
            shared_caches: false,
            trust: TrustStore::webpki(),
            allow_unverified_tls: false,
            names: Names::default(),
            policy: Arc::default(),
            connector: Arc::default(),
            resolver: Arc::default(),
        }
    }

    /// Whom TLS connections trust.
    #[must_use]
    pub fn trust(&self) -> &TrustStore {
        &self.trust
    }

    /// With more certificates to trust besides the public web's: a PEM bundle, or one certificate in DER.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Trust`] for anything that is not certificates.
    pub fn with_root_cert(&self, pem_or_der: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self {
            trust: self.trust.with_root_cert(pem_or_der)?,
            connector: Arc::default(),
            ..self.clone()
        })
    }

    /// Whether the untrusted program may turn certificate verification off.
    #[must_use]
    pub fn allows_unverified_tls(&self) -> bool {
        self.allow_unverified_tls
    }

    /// With TLS verification left to the untrusted program, or not.
    #[must_use]
    pub fn allow_unverified_tls(&self, allow: bool) -> Self {
        Self {
            allow_unverified_tls: allow,
            connector: Arc::default(),
            ..self.clone()
        }
    }

    /// Whether what the policy denies is told and goes on all the same.
    #[must_use]
    pub fn report_only(&self) -> bool {
        self.report_only
    }

    /// With a policy that is only reported, or is enforced.
    ///
    /// Reported only, it denies no host: what it would deny is an [event](crate::EventKind::WouldDeny), and
    /// goes on, whatever it reaches. For trying out a policy with code that is trusted. What is no host at
    /// all still fails, datagrams need an entry in [`allowed_udp`](Self::allowed_udp), and [`check`](Self::check) tells
    /// what the policy says.
    #[must_use]
    pub fn with_report_only(&self, report_only: bool) -> Self {
        Self {
            report_only,
            ..self.clone()
        }
    }

    /// Whether all sandboxes made from this configuration share DNS answers and TLS sessions.
    #[must_use]
    pub fn shared_caches(&self) -> bool {
        self.shared_caches
    }

    /// With DNS answers and TLS sessions shared by all sandboxes made from this configuration and its
    /// clones, or kept by each [`Network`](crate::Network) for itself, which is the default.
    ///
    /// Shared caches save round trips where many short programs reach the same hosts. In return a program
    /// can tell, from how long a lookup takes and from whether a TLS session is resumed, which hosts other
    /// sandboxes reached, and a server can link sandboxes by the session they resume. Share caches only
    /// between programs of one tenant.
    ///
    /// ```
    /// use eryx_net_host::NetConfig;
    ///
    /// assert!(!NetConfig::default().shared_caches());
    /// assert!(NetConfig::default().with_shared_caches(true).shared_caches());
    /// ```
    #[must_use]
    pub fn with_shared_caches(&self, shared: bool) -> Self {
        Self {
            shared_caches: shared,
            connector: Arc::default(),
            resolver: Arc::default(),
            ..self.clone()
        }
    }

    /// Judges a host without touching the network. An address gets its final verdict; for a name that may
    /// pass, the verdict says that it depends on the addresses.
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
        self.policy().check(host, port)
    }

    /// Judges a name together with the addresses it is said to resolve to.
    ///
    /// # Errors
    ///
    /// [`HostError`] when `name` is no name. An address has no addresses: [`check`](Self::check) it.
    pub fn check_resolved(
        &self,
        name: &str,
        addresses: &[IpAddr],
        port: impl Into<Port>,
    ) -> Result<Verdict, HostError> {
        let name = HostName::parse(name)?;
        Ok(self.policy().check_resolved(&name, &[], addresses, port))
    }

    /// [`check`](Self::check) for datagrams (UDP).
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
        self.policy().check_udp(host, port)
    }

    /// [`check_resolved`](Self::check_resolved) for datagrams (UDP).
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
        Ok(self
            .policy()
            .check_udp_resolved(&name, &[], addresses, port))
    }

    /// The compiled policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.policy.get_or_init(|| self.rules.compile())
    }

    /// What begins TLS handshakes under this configuration.
    #[must_use]
    pub fn connector(&self) -> &Connector {
        self.connector
            .get_or_init(|| Connector::new(self.trust.clone(), self.allow_unverified_tls))
    }

    /// What resolves names under this configuration.
    #[must_use]
    pub fn resolver(&self) -> &dyn Resolve {
        self.layered()
    }

    /// What resolves names for one network.
    pub(crate) fn network_resolver(&self, memory: &HostMemory) -> ResolverChain {
        let memory = (!self.shared_caches).then(|| memory.clone());
        self.layered().for_network(memory)
    }

    fn layered(&self) -> &ResolverChain {
        self.resolver.get_or_init(|| self.names.resolver())
    }
}

impl Default for NetConfig {
    /// Every public host, nothing internal, the limits of the table above.
    fn default() -> Self {
        Self::blocking(default_blocked_patterns().to_vec())
    }
}

impl PartialEq for NetConfig {
    /// Whether both say the same. Resolvers of the embedder's own are the same if they are one object.
    fn eq(&self, other: &Self) -> bool {
        self.limits == other.limits
            && self.rules == other.rules
            && self.report_only == other.report_only
            && self.shared_caches == other.shared_caches
            && self.trust == other.trust
            && self.allow_unverified_tls == other.allow_unverified_tls
            && self.names == other.names
    }
}

impl fmt::Debug for NetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetConfig")
            .field("limits", &self.limits)
            .field("allowed_hosts", &self.rules.allowed)
            .field("blocked_hosts", &self.rules.blocked)
            .field("allowed_networks", &self.rules.networks)
            .field("internal_hosts", &self.rules.internal)
            .field("allowed_udp", &self.rules.udp)
            .field("report_only", &self.report_only)
            .field("shared_caches", &self.shared_caches)
            .field("trust", &self.trust)
            .field("allow_unverified_tls", &self.allow_unverified_tls)
            .field("names", &self.names)
            .finish()
    }
}
