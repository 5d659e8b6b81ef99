//! The network of one sandbox.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use eryx_net_policy::Host;
use eryx_tls::{ClientSettings, Connector, SessionCache};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::attempts::Time;
use crate::connection::Start;
use crate::establish;
use crate::fixed_hosts::Layered;
use crate::judge::Carrier;
use crate::ledger::{Entry, Ledger};
use crate::meter::Meter;
use crate::pace::Pace;
use crate::per_host::PerHost;
use crate::permit::Allowance;
use crate::remembered::Remembered;
use crate::{
    Activity, Connection, Family, HostMemory, Lookup, NetConfig, NetError, NetLimit, NetworkReport,
    Observer, TlsSession, UdpSocket, footprint,
};

/// The network of one sandbox execution or session: what it may do, what it holds, what it did.
///
/// Made from a [`NetConfig`], which many networks may share. Cloning gives another handle to the same
/// network.
///
/// ```
/// use eryx_net_host::{NetConfig, NetError, Network};
///
/// let network = Network::new(&NetConfig::default());
/// let refused = network.connect("169.254.169.254", 80).unwrap_err();
/// assert!(matches!(refused, NetError::Denied(_)));
/// ```
#[derive(Clone)]
pub struct Network {
    ledger: Arc<Ledger>,
    memory: HostMemory,
    /// `None`: networking is off.
    shared: Option<Arc<Shared>>,
}

/// How many attempts to connect there may be at once beside the one that each connection has, all connections
/// together. They hold descriptors, as do the six questions to name servers: by default a sandbox has
/// 18 of them at most, so that ten sandboxes and their embedder get along with 256.
const SPARE_ATTEMPTS: usize = 2;

/// What connections and lookups share.
pub(crate) struct Shared {
    pub(crate) config: NetConfig,
    resolver: OnceLock<Layered>,
    pub(crate) remembered: Remembered,
    pub(crate) memory: HostMemory,
    pub(crate) sent: Meter,
    pub(crate) received: Meter,
    pub(crate) connections: Allowance,
    /// Attempts to connect beside the one that each connection has.
    pub(crate) spare_attempts: Allowance,
    pub(crate) per_host: PerHost,
    pub(crate) connects: Option<Pace>,
    lookups: Allowance,
    sessions: Allowance,
    connector: OnceLock<Connector>,
    aborted: AtomicBool,
    lingering: Mutex<Vec<AbortHandle>>,
}

impl Network {
    /// The most a network keeps for its report, in bytes. It does not count against [`HostMemory`], so that a program that
    /// has used up its budget is reported all the same: an embedder sets it aside.
    pub const REPORT_MEMORY: u64 = footprint::REPORT;

    /// A network under `config`, with [`HostMemory::DEFAULT`] bytes for what the host keeps.
    #[must_use]
    pub fn new(config: &NetConfig) -> Self {
        Self::build(Some(config), None, HostMemory::default())
    }

    /// No network: everything fails with [`NetError::Denied`] and a sentence that says how the embedder
    /// turns networking on.
    #[must_use]
    pub fn off() -> Self {
        Self::build(None, None, HostMemory::default())
    }

    /// The same network, not yet used, with `observer` to be told of every event.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn Observer>) -> Self {
        Self::build(
            self.shared.as_ref().map(|shared| &shared.config),
            Some(observer),
            self.memory.clone(),
        )
    }

    /// The same network, not yet used, with `memory` as the budget for what the host keeps.
    #[must_use]
    pub fn with_host_memory(mut self, memory: HostMemory) -> Self {
        if let Some(shared) = &mut self.shared {
            match Arc::get_mut(shared) {
                Some(shared) => shared.memory = memory.clone(),
                None => *shared = Arc::new(Shared::new(shared.config.clone(), memory.clone())),
            }
        }
        self.memory = memory;
        self
    }

    fn build(
        config: Option<&NetConfig>,
        observer: Option<Arc<dyn Observer>>,
        memory: HostMemory,
    ) -> Self {
        let ledger = Arc::new(Ledger::new(observer));
        Self {
            shared: config.map(|config| Arc::new(Shared::new(config.clone(), memory.clone()))),
            ledger,
            memory,
        }
    }

    /// Whether there is a network at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Begins to connect: judges `host` and `port`, then, while the connection is waited for, resolves,
    /// judges every answer and dials. Never blocks.
    ///
    /// `host` is a name or an address literal. An address that a lookup of this network returned counts as
    /// the name it was looked up under.
    ///
    /// # Errors
    ///
    /// What is known at once: [`NetError::Denied`] for a host that is malformed or that no rule allows
    /// (a name server is never asked about such a name), [`NetError::LimitReached`],
    /// [`NetError::InvalidArgument`] for a host longer than any host can be.
    pub fn connect(&self, host: &str, port: u16) -> Result<Connection, NetError> {
        let entry = self.open(Activity::Connection, host, Some(port));
        let result = self.begin_connect(&entry, host, port);
        if let Err(error) = &result {
            entry.refused(error);
        }
        result
    }

    fn begin_connect(
        &self,
        entry: &Arc<Entry>,
        host: &str,
        port: u16,
    ) -> Result<Connection, NetError> {
        let shared = self.on()?;
        let parsed = shared.parse(entry, host, Some(port))?;
        let verdict = match &parsed {
            Host::Name(_) => shared.config.policy().check_host(&parsed, port),
            Host::Address(address) => shared.judge_literal(*address, port.into()),
        };
        // An address that a lookup gave counts as the name.
        let counted = verdict.host().unwrap_or(&parsed).clone();
        shared.admit(entry, verdict)?;
        let place = shared.place(entry, &counted)?;
        let time = shared.time(&parsed, &counted);
        let turn = shared.turn(entry, time.until)?;
        let start = match parsed {
            Host::Name(name) => Start::Resolve {
                resolving: Box::pin(establish::resolve(
                    Arc::clone(shared),
                    Arc::clone(entry),
                    name,
                    Some(port),
                )),
                turn,
            },
            Host::Address(address) => Start::Dial {
                address: SocketAddr::new(address, port),
                turn,
            },
        };
        Ok(Connection::new(
            Arc::clone(shared),
            Arc::clone(entry),
            place,
            host,
            port,
            start,
            time,
        ))
    }

    /// Begins to look up `name`, for use with `port` (`None`: with any port). Never blocks.
    ///
    /// An address literal is judged and returned as it is.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub fn lookup(
        &self,
        name: &str,
        port: Option<u16>,
        family: Family,
    ) -> Result<Lookup, NetError> {
        let entry = self.open(Activity::Lookup, name, port);
        let result = self.begin_lookup(&entry, name, port, family);
        if let Err(error) = &result {
            entry.refused(error);
        }
        result
    }

    fn begin_lookup(
        &self,
        entry: &Arc<Entry>,
        host: &str,
        port: Option<u16>,
        family: Family,
    ) -> Result<Lookup, NetError> {
        let shared = self.on()?;
        let parsed = shared.parse(entry, host, port)?;
        shared.admit(entry, shared.config.policy().check_host(&parsed, port))?;
        let permit = shared.lookups.take().ok_or_else(|| {
            entry.limit_reached(NetLimit::LookupsInProgress);
            NetError::LimitReached(format!(
                "this sandbox has {} name lookups in progress, the most it may: wait for one to finish",
                shared.lookups.limit()
            ))
        })?;
        let memory = shared.charge(entry, footprint::LOOKUP)?;
        Ok(Lookup::new(
            Arc::clone(shared),
            Arc::clone(entry),
            (permit, memory),
            parsed,
            port,
            family,
        ))
    }

    /// A UDP socket for one family; one for IPv6 also speaks to IPv4 addresses. Nothing is sent, and nobody is
    /// judged yet.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`] when [`allowed_udp`](NetConfig::allowed_udp) is empty, also while denials are only reported:
    /// a sandbox without an entry has no datagrams to try a policy with.
    pub fn datagrams(&self, family: Family) -> Result<UdpSocket, NetError> {
        let shared = self.on()?;
        if shared.config.allowed_udp().is_empty() {
            return Err(NetError::Denied(
                "datagram sockets are not available in this sandbox: use TCP, or have the embedder say where \
                 datagrams may go (allow_udp)"
                    .into(),
            ));
        }
        Ok(UdpSocket::new(
            Arc::clone(shared),
            Arc::clone(&self.ledger),
            family,
        ))
    }

    /// Begins TLS over a transport the program carries itself.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`] when no rule allows the server name, [`NetError::LimitReached`], or
    /// [`NetError::Tls`] with [`Refused`](crate::TlsFailure::Refused) for settings that cannot be honoured.
    pub fn tls_session(&self, settings: &ClientSettings) -> Result<TlsSession, NetError> {
        let shared = self.on()?;
        let settings = shared.judge_server_name(
            settings,
            Carrier::Program {
                ledger: &self.ledger,
            },
        )?;
        let permit = shared.sessions.take().ok_or_else(|| {
            NetError::LimitReached(format!(
                "this sandbox already holds {} TLS sessions over its own transports, the most it may: \
                 close one first, or have the embedder raise max_connections",
                shared.sessions.limit()
            ))
        })?;
        let roots_count = shared.config.allows_unverified_tls();
        let bytes = footprint::TLS + footprint::settings(&settings, roots_count);
        let memory = shared.memory.charge(bytes).map_err(|full| {
            let name = settings.server_name.as_deref().unwrap_or_default();
            let entry = self.open(Activity::TlsSession, name, None);
            entry.limit_reached(NetLimit::MaxHostMemory);
            let error = NetError::from(full);
            entry.refused(&error);
            error
        })?;
        let session = shared.connector().session(&settings)?;
        Ok(TlsSession::new(session, permit, memory))
    }

    /// How many connections are open or opening, or are still sending their last bytes.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared
            .as_ref()
            .map_or(0, |shared| shared.connections.taken())
    }

    /// Counts what happens from now on as part of `execution`: its events carry that number. Repeated events are
    /// counted anew.
    pub fn begin_execution(&self, execution: u64) {
        self.ledger.begin(execution);
    }

    /// Returns `Pending` while the [observer](Observer::poll_ready) can take no more events: nothing should be begun
    /// meanwhile.
    pub fn poll_observer(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.ledger.poll_observer(cx)
    }

    /// What happened so far.
    #[must_use]
    pub fn report(&self) -> NetworkReport {
        self.ledger.report(false)
    }

    /// What happened since the last call; what still lasts will be told again.
    #[must_use]
    pub fn take_report(&self) -> NetworkReport {
        self.ledger.report(true)
    }

    /// Tears the network down: whatever is done from now on fails with [`NetError::ConnectionAborted`], and
    /// nothing is sent any more. An operation under way is not woken; drop it.
    pub fn abort(&self) {
        let Some(shared) = &self.shared else {
            return;
        };
        shared.aborted.store(true, Ordering::Release);
        for task in shared.lingering().drain(..) {
            task.abort();
        }
    }

    fn open(&self, activity: Activity, host: &str, port: Option<u16>) -> Arc<Entry> {
        self.ledger.open(activity, host, port)
    }

    fn on(&self) -> Result<&Arc<Shared>, NetError> {
        let shared = self.shared.as_ref().ok_or_else(|| {
            NetError::Denied(
                "networking is off in this sandbox: the program that embeds it turns it on by giving it a \
                 NetConfig (with_network in Rust, network= in Python, --net on the command line)"
                    .into(),
            )
        })?;
        if shared.is_aborted() {
            return Err(NetError::ConnectionAborted);
        }
        Ok(shared)
    }
}

impl Shared {
    /// Until when a connection to `host`, which counts as one to `counted`, may be established: one timeout covers the
    /// lookup that gave an address, and the attempts that follow it directly.
    fn time(&self, host: &Host, counted: &Host) -> Time {
        let timeout = self.config.connect_timeout();
        let attempts = match (host, counted) {
            (Host::Address(address), Host::Name(name)) => self.remembered.attempts(*address, name),
            _ => None,
        };
        match attempts {
            Some(attempts) => attempts.begin(timeout),
            None => Time {
                until: Instant::now() + timeout,
                attempt: None,
            },
        }
    }

    fn new(config: NetConfig, memory: HostMemory) -> Self {
        let connections = config.max_connections();
        Self {
            remembered: Remembered::default(),
            memory,
            sent: Meter::sending(&config),
            received: Meter::receiving(&config),
            connections: Allowance::new(connections),
            spare_attempts: Allowance::new(SPARE_ATTEMPTS),
            per_host: PerHost::new(config.max_connections_per_host()),
            connects: config
                .connects_per_second()
                .map(|rate| Pace::new(rate.into())),
            // Programs look up more names at a time than they connect to, and wrap connections in TLS of
            // their own; neither is free for the host.
            lookups: Allowance::new(connections.saturating_mul(2).max(64)),
            sessions: Allowance::new(connections.saturating_mul(2).max(32)),
            connector: OnceLock::new(),
            aborted: AtomicBool::new(false),
            lingering: Mutex::default(),
            resolver: OnceLock::new(),
            config,
        }
    }

    /// Begins the TLS handshakes of this network. What a server or a neighbour learns from a resumed session stays within
    /// the network, unless the embedder shares caches.
    pub(crate) fn connector(&self) -> &Connector {
        self.connector.get_or_init(|| {
            let connector = self.config.connector();
            let sessions = if self.config.shared_caches() {
                connector.sessions().clone()
            } else {
                SessionCache::new()
            };
            connector.scoped(sessions)
        })
    }

    /// What resolves names for this network. Most never ask.
    pub(crate) fn resolver(&self) -> &Layered {
        self.resolver
            .get_or_init(|| self.config.network_resolver(&self.memory))
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Keeps track of a task that sends a connection's last bytes, so that an abort stops it.
    pub(crate) fn linger(&self, task: AbortHandle) {
        let mut lingering = self.lingering();
        lingering.retain(|task| !task.is_finished());
        lingering.push(task);
    }

    fn lingering(&self) -> std::sync::MutexGuard<'_, Vec<AbortHandle>> {
        self.lingering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("on", &self.is_on())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}
