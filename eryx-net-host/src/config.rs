//! What a sandbox may do on the network.

mod names;
mod rules;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use eryx_net_policy::{
    HostError, HostName, HostPattern, Policy, Port, Verdict, default_blocked_patterns,
};
use eryx_tls::{Connector, TrustStore};

use crate::fixed_hosts::Layered;
use crate::{ConfigError, Resolve};
use names::Names;
use rules::Rules;

/// The most connections a sandbox may hold at once, unless told otherwise.
const MAX_CONNECTIONS: usize = 10;
/// The same for [`NetConfig::permissive`].
const MAX_CONNECTIONS_PERMISSIVE: usize = 100;
/// How long establishing a connection may take, unless told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one read or write may take, unless told otherwise.
const IO_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest timeout there is. Nothing on a network is worth more than a day's wait, and the clock's
/// arithmetic stays far from its ends.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// What a sandbox may reach and how much of it: an immutable value. Every method that changes something
/// returns a new one and leaves the old alone.
///
/// The default reaches every public host and nothing internal:
///
/// | Setting | Default |
/// |---|---|
/// | [`max_connections`](Self::max_connections) | 10 |
/// | [`connect_timeout`](Self::connect_timeout) | 30 s |
/// | [`io_timeout`](Self::io_timeout) | 60 s |
/// | [`allowed_hosts`](Self::allowed_hosts) | none, which means every host |
/// | [`blocked_hosts`](Self::blocked_hosts) | `localhost`, `127.*` and every other host or network that is not public |
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
    max_connections: usize,
    connect_timeout: Duration,
    io_timeout: Duration,
    rules: Arc<Rules>,
    trust: TrustStore,
    allow_unverified_tls: bool,
    names: Names,
    policy: Arc<OnceLock<Policy>>,
    connector: Arc<OnceLock<Connector>>,
    resolver: Arc<OnceLock<Layered>>,
}

impl NetConfig {
    /// No restrictions but 100 connections: for tests and for code that is trusted. Nothing is blocked,
    /// this machine and its neighbours included.
    #[must_use]
    pub fn permissive() -> Self {
        Self {
            max_connections: MAX_CONNECTIONS_PERMISSIVE,
            ..Self::blocking(Vec::new())
        }
    }

    fn blocking(blocked: Vec<HostPattern>) -> Self {
        Self {
            max_connections: MAX_CONNECTIONS,
            connect_timeout: CONNECT_TIMEOUT,
            io_timeout: IO_TIMEOUT,
            rules: Arc::new(Rules::blocking(blocked)),
            trust: TrustStore::webpki(),
            allow_unverified_tls: false,
            names: Names::default(),
            policy: Arc::default(),
            connector: Arc::default(),
            resolver: Arc::default(),
        }
    }

    /// The most connections that may be open or opening at once.
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.max_connections
    }

    /// With another limit on connections; zero permits none.
    #[must_use]
    pub fn with_max_connections(&self, limit: usize) -> Self {
        Self {
            max_connections: limit,
            ..self.clone()
        }
    }

    /// How long establishing a connection may take: name lookup, every address tried and the TLS
    /// handshake together.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// With another bound on establishing a connection.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for zero and for more than 24 hours.
    pub fn with_connect_timeout(&self, limit: Duration) -> Result<Self, ConfigError> {
        Ok(Self {
            connect_timeout: in_range("connect_timeout", limit)?,
            ..self.clone()
        })
    }

    /// How long one read or write may take.
    #[must_use]
    pub fn io_timeout(&self) -> Duration {
        self.io_timeout
    }

    /// With another bound on one read or write.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for zero and for more than 24 hours.
    pub fn with_io_timeout(&self, limit: Duration) -> Result<Self, ConfigError> {
        Ok(Self {
            io_timeout: in_range("io_timeout", limit)?,
            ..self.clone()
        })
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
        self.max_connections == other.max_connections
            && self.connect_timeout == other.connect_timeout
            && self.io_timeout == other.io_timeout
            && self.rules == other.rules
            && self.trust == other.trust
            && self.allow_unverified_tls == other.allow_unverified_tls
            && self.names == other.names
    }
}

impl fmt::Debug for NetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetConfig")
            .field("max_connections", &self.max_connections)
            .field("connect_timeout", &self.connect_timeout)
            .field("io_timeout", &self.io_timeout)
            .field("allowed_hosts", &self.rules.allowed)
            .field("blocked_hosts", &self.rules.blocked)
            .field("allowed_networks", &self.rules.networks)
            .field("internal_hosts", &self.rules.internal)
            .field("trust", &self.trust)
            .field("allow_unverified_tls", &self.allow_unverified_tls)
            .field("names", &self.names)
            .finish()
    }
}

fn in_range(setting: &str, limit: Duration) -> Result<Duration, ConfigError> {
    if limit.is_zero() {
        return Err(ConfigError::OutOfRange(format!(
            "{setting} is zero, so nothing could ever succeed: give at least a millisecond"
        )));
    }
    if limit > LONGEST_TIMEOUT {
        return Err(ConfigError::OutOfRange(format!(
            "{setting} is {limit:?}: give at most 24 hours"
        )));
    }
    Ok(limit)
}
