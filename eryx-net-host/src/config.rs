//! What a sandbox may do on the network.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use eryx_net_policy::{
    HostError, HostName, HostPattern, Network as Cidr, Policy, Port, Verdict,
    default_blocked_patterns, loopback_patterns,
};
use eryx_tls::{Connector, TrustStore};

use crate::fixed_hosts::Layered;
use crate::{ConfigError, FixedHosts, NameServers, Resolve};

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

#[derive(Clone, PartialEq)]
struct Rules {
    allowed: Vec<HostPattern>,
    blocked: Vec<HostPattern>,
    networks: Vec<Cidr>,
    internal: Vec<HostPattern>,
    /// Whether the default entry for all of `::/3` leaves out `::1`.
    loopback: bool,
}

#[derive(Clone)]
struct Names {
    fixed: FixedHosts,
    source: Source,
}

#[derive(Clone)]
enum Source {
    System,
    Server(SocketAddr),
    Custom(Arc<dyn Resolve>),
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
            rules: Arc::new(Rules {
                allowed: Vec::new(),
                blocked,
                networks: Vec::new(),
                internal: Vec::new(),
                loopback: false,
            }),
            trust: TrustStore::webpki(),
            allow_unverified_tls: false,
            names: Names {
                fixed: FixedHosts::default(),
                source: Source::System,
            },
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

    /// The patterns of which a host must match one, unless there are none.
    #[must_use]
    pub fn allowed_hosts(&self) -> &[HostPattern] {
        &self.rules.allowed
    }

    /// With these allowed hosts in place of those so far. None means every host.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] for the first pattern that is malformed.
    pub fn with_allowed_hosts<P: AsRef<str>>(
        &self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, ConfigError> {
        let allowed = parse_all(patterns)?;
        Ok(self.with_rules(|rules| rules.allowed = allowed))
    }

    /// With one more allowed host: a name, `*.` and a name, an address, a network, or `*` for everything,
    /// each with a port or a range of ports if wanted. The first one restricts the sandbox to it. What is
    /// blocked stays blocked.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] when the pattern is malformed.
    pub fn allow_host(&self, pattern: &str) -> Result<Self, ConfigError> {
        let pattern = pattern.parse()?;
        Ok(self.with_rules(|rules| rules.allowed.push(pattern)))
    }

    /// The patterns that are refused whatever allows them.
    #[must_use]
    pub fn blocked_hosts(&self) -> &[HostPattern] {
        &self.rules.blocked
    }

    /// With these blocked hosts in place of those so far, the default ones included.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] for the first pattern that is malformed.
    pub fn with_blocked_hosts<P: AsRef<str>>(
        &self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, ConfigError> {
        let blocked = parse_all(patterns)?;
        Ok(self.with_rules(|rules| {
            rules.blocked = blocked;
            rules.loopback = false;
        }))
    }

    /// With one more blocked host.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] when the pattern is malformed.
    pub fn block_host(&self, pattern: &str) -> Result<Self, ConfigError> {
        let pattern = pattern.parse()?;
        Ok(self.with_rules(|rules| rules.blocked.push(pattern)))
    }

    /// With the loopback entries taken out of the blocked hosts, and nothing else: `localhost`, `127.*`,
    /// `::1` and the other names of this machine.
    #[must_use]
    pub fn allow_localhost(&self) -> Self {
        self.with_rules(|rules| {
            rules
                .blocked
                .retain(|pattern| !loopback_patterns().contains(pattern));
            rules.loopback = true;
        })
    }

    /// The networks whose addresses the default blocked hosts do not refuse.
    #[must_use]
    pub fn allowed_networks(&self) -> &[Cidr] {
        &self.rules.networks
    }

    /// With the addresses of one more network, such as `10.20.0.0/16`, exempt from the blocked hosts.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Network`] when it is no network.
    pub fn allow_network(&self, network: &str) -> Result<Self, ConfigError> {
        let network = network.parse()?;
        Ok(self.with_rules(|rules| rules.networks.push(network)))
    }

    /// The names that may resolve to blocked addresses.
    #[must_use]
    pub fn internal_hosts(&self) -> &[HostPattern] {
        &self.rules.internal
    }

    /// With one more pattern of names that may resolve to blocked addresses, such as `db.corp:5432`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] when the pattern is malformed.
    pub fn allow_internal_host(&self, pattern: &str) -> Result<Self, ConfigError> {
        let pattern = pattern.parse()?;
        Ok(self.with_rules(|rules| rules.internal.push(pattern)))
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

    /// The names with fixed addresses.
    #[must_use]
    pub fn hosts(&self) -> &FixedHosts {
        &self.names.fixed
    }

    /// With fixed addresses for some names, in place of those so far. They are judged like any others;
    /// other names are resolved as before.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Host`] for the first name that is none.
    pub fn with_hosts<N: AsRef<str>>(
        &self,
        hosts: impl IntoIterator<Item = (N, Vec<IpAddr>)>,
    ) -> Result<Self, ConfigError> {
        let fixed = FixedHosts::new(hosts)?;
        Ok(self.with_names(|names| names.fixed = fixed))
    }

    /// The one name server to ask, if it was set.
    #[must_use]
    pub fn dns_server(&self) -> Option<SocketAddr> {
        match &self.names.source {
            Source::Server(address) => Some(*address),
            Source::System | Source::Custom(_) => None,
        }
    }

    /// With one name server in place of those the system is configured for.
    #[must_use]
    pub fn with_dns_server(&self, address: SocketAddr) -> Self {
        self.with_names(|names| names.source = Source::Server(address))
    }

    /// With a resolver of the embedder's own.
    #[must_use]
    pub fn with_resolver(&self, resolver: Arc<dyn Resolve>) -> Self {
        self.with_names(|names| names.source = Source::Custom(resolver))
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
        self.policy.get_or_init(|| {
            let rules = &*self.rules;
            let mut builder = Policy::builder();
            if rules.loopback {
                // Before anything is blocked, so that only the part of `::/3` is lifted: the list is
                // what it is, and a loopback entry added since counts.
                builder = builder.allow_localhost();
            }
            builder = builder
                .allow_hosts(rules.allowed.iter().cloned())
                .block_hosts(rules.blocked.iter().cloned());
            for network in &rules.networks {
                builder = builder.allow_network(*network);
            }
            for pattern in &rules.internal {
                builder = builder.allow_internal_host(pattern.clone());
            }
            builder.build()
        })
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
        self.resolver.get_or_init(|| Layered {
            fixed: self.names.fixed.clone(),
            next: match &self.names.source {
                Source::System => Arc::new(NameServers::system()),
                Source::Server(address) => Arc::new(NameServers::server(*address)),
                Source::Custom(resolver) => Arc::clone(resolver),
            },
        })
    }

    fn with_rules(&self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut config = self.clone();
        change(Arc::make_mut(&mut config.rules));
        config.policy = Arc::default();
        config
    }

    fn with_names(&self, change: impl FnOnce(&mut Names)) -> Self {
        let mut config = self.clone();
        change(&mut config.names);
        config.resolver = Arc::default();
        config
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
            && self.names.fixed == other.names.fixed
            && match (&self.names.source, &other.names.source) {
                (Source::System, Source::System) => true,
                (Source::Server(own), Source::Server(theirs)) => own == theirs,
                (Source::Custom(own), Source::Custom(theirs)) => Arc::ptr_eq(own, theirs),
                _ => false,
            }
    }
}

impl fmt::Debug for NetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("NetConfig");
        debug
            .field("max_connections", &self.max_connections)
            .field("connect_timeout", &self.connect_timeout)
            .field("io_timeout", &self.io_timeout)
            .field("allowed_hosts", &self.rules.allowed)
            .field("blocked_hosts", &self.rules.blocked)
            .field("allowed_networks", &self.rules.networks)
            .field("internal_hosts", &self.rules.internal)
            .field("trust", &self.trust)
            .field("allow_unverified_tls", &self.allow_unverified_tls)
            .field("hosts", &self.names.fixed);
        match &self.names.source {
            Source::System => debug.field("resolver", &"the system's name servers"),
            Source::Server(address) => debug.field("dns_server", address),
            Source::Custom(resolver) => debug.field("resolver", resolver),
        };
        debug.finish()
    }
}

fn parse_all<P: AsRef<str>>(
    patterns: impl IntoIterator<Item = P>,
) -> Result<Vec<HostPattern>, ConfigError> {
    patterns
        .into_iter()
        .map(|pattern| Ok(pattern.as_ref().parse()?))
        .collect()
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
