//! The state that all connections, lookups and sockets of one network share.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use eryx_net_policy::Host;
use eryx_sync::Mutex;
use eryx_tls::{Connector, SessionCache};
use tokio::task::AbortHandle;

use crate::audit::entry::AuditEntry;
use crate::config::NetConfig;
use crate::dns::chain::ResolverChain;
use crate::dns::resolved_names::ResolvedNames;
use crate::error::NetError;
use crate::host_memory::{Charge, HostMemory, estimate};
use crate::http::context::HttpContext;
use crate::http::target::InspectionTarget;
use crate::limits::kind::NetLimit;
use crate::limits::per_host::PerHost;
use crate::limits::rate_limiter::RateLimiter;
use crate::limits::semaphore::Semaphore;
use crate::limits::traffic::TrafficLimiter;
use crate::proxy::placeholder_addresses::PlaceholderAddresses;

/// The most connection attempts that may run in parallel in addition to one per connection, for all
/// connections together.
///
/// Each attempt holds a file descriptor, and so does each of the six queries to name servers. By
/// default a sandbox therefore has at most 18 descriptors, and ten sandboxes and their embedder
/// need no more than 256.
const MAX_SPARE_ATTEMPTS: usize = 2;

/// The configuration, the limits and the caches of one network.
pub(crate) struct NetworkContext {
    pub(crate) config: NetConfig,
    resolver: OnceLock<ResolverChain>,
    pub(crate) resolved_names: ResolvedNames,
    pub(crate) memory: HostMemory,
    /// `None` if no host is inspected.
    pub(crate) http: Option<Arc<HttpContext>>,
    /// The memory of the request log. `None` without inspection, and if the budget was full.
    log_memory: Option<Charge>,
    pub(crate) sent: Arc<TrafficLimiter>,
    pub(crate) received: Arc<TrafficLimiter>,
    pub(crate) connections: Semaphore,
    /// Connection attempts in addition to one per connection.
    pub(crate) spare_attempts: Semaphore,
    pub(crate) per_host: PerHost,
    pub(crate) connect_rate: Option<Arc<RateLimiter>>,
    pub(crate) lookups: Semaphore,
    pub(crate) tls_sessions: Semaphore,
    connector: OnceLock<Connector>,
    proxy_connector: OnceLock<Connector>,
    /// The placeholder addresses of names that the proxy resolves.
    pub(crate) placeholder_addresses: Arc<PlaceholderAddresses>,
    aborted: AtomicBool,
    lingering: Mutex<Vec<AbortHandle>>,
}

impl NetworkContext {
    pub(crate) fn new(config: NetConfig, memory: HostMemory) -> Self {
        let connections = config.max_connections();
        let mut context = Self {
            resolved_names: ResolvedNames::default(),
            memory: memory.clone(),
            log_memory: None,
            http: HttpContext::new(&config, memory.clone()).map(Arc::new),
            sent: Arc::new(TrafficLimiter::sending(
                config.max_sent_bytes(),
                config.sent_bytes_per_second(),
            )),
            received: Arc::new(TrafficLimiter::receiving(
                config.max_received_bytes(),
                config.received_bytes_per_second(),
            )),
            connections: Semaphore::new(connections),
            spare_attempts: Semaphore::new(MAX_SPARE_ATTEMPTS),
            per_host: PerHost::new(config.max_connections_per_host()),
            connect_rate: config
                .connects_per_second()
                .map(|rate| Arc::new(RateLimiter::new(rate.into()))),
            // A guest program looks up more names at a time than it connects to, and runs TLS over
            // transports of its own; both use host memory.
            lookups: Semaphore::new(connections.saturating_mul(2).max(64)),
            tls_sessions: Semaphore::new(connections.saturating_mul(2).max(32)),
            connector: OnceLock::new(),
            proxy_connector: OnceLock::new(),
            placeholder_addresses: Arc::default(),
            aborted: AtomicBool::new(false),
            lingering: Mutex::default(),
            resolver: OnceLock::new(),
            config,
        };
        context.set_memory(memory);
        context
    }

    /// Returns the context of a fork of the session. Both share the byte quotas, rate limits and
    /// placeholders, and the fork has a copy of the names that addresses were resolved from.
    pub(crate) fn fork(&self, memory: HostMemory) -> Self {
        let mut fork = Self::new(self.config.clone(), memory.clone());
        fork.resolved_names = self.resolved_names.fork();
        let http = self.http.as_ref();
        fork.http = http.map(|http| Arc::new(http.fork(memory)));
        fork.sent = Arc::clone(&self.sent);
        fork.received = Arc::clone(&self.received);
        fork.connect_rate.clone_from(&self.connect_rate);
        fork.placeholder_addresses = Arc::clone(&self.placeholder_addresses);
        fork
    }

    /// Sets the budget of the network, and charges the request log to it.
    pub(crate) fn set_memory(&mut self, memory: HostMemory) {
        self.log_memory = match self.http {
            Some(_) => memory.charge(estimate::REQUEST_LOG).ok(),
            None => None,
        };
        if let Some(http) = self.http.as_mut().and_then(Arc::get_mut) {
            http.memory = memory.clone();
        }
        self.memory = memory;
    }

    /// Returns the memory that the inspection of one more connection takes. If the budget had
    /// no room for the request log, that includes the log.
    pub(crate) fn inspection_memory(&self) -> u64 {
        match self.log_memory {
            Some(_) => estimate::INSPECTION,
            None => estimate::INSPECTION + estimate::REQUEST_LOG,
        }
    }

    /// Returns the [hosts](Self::hosts_of) that a connection to `host` at `address` can be for, if
    /// requests to one of them are inspected. `address` is `None` if the embedder's proxy resolved
    /// the name.
    pub(crate) fn inspection_target(
        &self,
        host: Host,
        address: Option<IpAddr>,
        port: u16,
    ) -> Option<InspectionTarget> {
        let http = self.http.as_ref()?;
        InspectionTarget::new(http, self.hosts_of(&host), address, port)
    }

    /// Returns the hosts that a connection to `host` can be for: for an address, first the names
    /// that lookups of this sandbox resolved to it.
    pub(crate) fn hosts_of(&self, host: &Host) -> Vec<Host> {
        let names = match host {
            Host::Address(address) => self.resolved_names.names_of(*address),
            Host::Name(_) => Vec::new(),
        };
        let names = names.iter();
        let names = names.map(|resolved| Host::Name(resolved.name.clone()));
        names.chain([host.clone()]).collect()
    }

    /// Charges `bytes` to the sandbox's host memory.
    pub(crate) fn charge(&self, entry: &AuditEntry, bytes: u64) -> Result<Charge, NetError> {
        Ok(self
            .memory
            .charge(bytes)
            .inspect_err(|_| entry.limit_reached(NetLimit::MaxHostMemory))?)
    }

    /// Returns the connector for TLS handshakes of this network.
    ///
    /// Its session cache belongs to this network, unless the embedder shares caches: a resumed
    /// session reveals to a server, or to another sandbox, that the network was there before.
    pub(crate) fn connector(&self) -> &Connector {
        self.connector
            .get_or_init(|| self.scoped(self.config.connector()))
    }

    /// Returns the connector for TLS to the proxy, with sessions of its own in the same way.
    pub(crate) fn proxy_connector(&self) -> &Connector {
        self.proxy_connector
            .get_or_init(|| self.scoped(self.config.proxy_connector()))
    }

    fn scoped(&self, connector: &Connector) -> Connector {
        let sessions = if self.config.shared_caches() {
            connector.sessions().clone()
        } else {
            SessionCache::new()
        };
        connector.scoped(sessions)
    }

    /// Returns `host`, or the name that it is the placeholder of.
    pub(crate) fn without_placeholder(&self, host: Host) -> Host {
        let name = match &host {
            Host::Address(address) if self.config.proxy_resolves() => {
                self.placeholder_addresses.name_of(*address)
            }
            _ => None,
        };
        name.map_or(host, Host::Name)
    }

    /// Returns the resolver of this network, which is built on first use.
    pub(crate) fn resolver(&self) -> &ResolverChain {
        self.resolver
            .get_or_init(|| self.config.network_resolver(&self.memory))
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Makes every operation fail from now on, and stops the lingering closes.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        for task in self.lingering.lock().drain(..) {
            task.abort();
        }
    }

    /// Records a task that sends a connection's last bytes, so that [`abort`](Self::abort) stops
    /// it.
    pub(crate) fn track_lingering(&self, task: AbortHandle) {
        let mut lingering = self.lingering.lock();
        lingering.retain(|task| !task.is_finished());
        lingering.push(task);
    }
}
