//! The network of one sandbox, as the embedder holds it.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use eryx_net_policy::Host;
use eryx_tls::ClientSettings;

use crate::audit::activity::Activity;
use crate::audit::entry::AuditEntry;
use crate::audit::event::Observer;
use crate::audit::log::AuditLog;
use crate::audit::report::NetworkReport;
use crate::config::NetConfig;
use crate::context::NetworkContext;
use crate::error::NetError;
use crate::host_memory::HostMemory;
use crate::host_memory::estimate;
use crate::limits::kind::NetLimit;
use crate::lookup::{Family, Lookup};
use crate::server_name_check::HandshakeTransport;
use crate::socket_limits::SocketLimits;
use crate::tcp::connection::Connection;
use crate::tls_session::{Inspected, TlsSession};
use crate::udp::socket::UdpSocket;

/// The network of one sandbox execution or session: its policy, its connections and its audit log.
///
/// Created from a [`NetConfig`], which many networks may share. Clones are handles to the same
/// network.
///
/// ```
/// use eryx_net_host::{NetConfig, NetError, Network};
///
/// let network = Network::new(&NetConfig::default());
/// let error = network.connect("169.254.169.254", 80).unwrap_err();
/// assert!(matches!(error, NetError::Denied(_)));
/// ```
#[derive(Clone)]
pub struct Network {
    log: Arc<AuditLog>,
    memory: HostMemory,
    /// `None`: networking is off.
    context: Option<Arc<NetworkContext>>,
}

impl Network {
    /// The most memory that the report of a network takes, in bytes. It does not count against
    /// [`HostMemory`], so that the activity of a guest program that has exhausted its budget is
    /// still reported: the embedder has to reserve it in addition.
    pub const MAX_REPORT_MEMORY: u64 = estimate::REPORT;

    /// Returns a network under `config`, with a host-memory budget of [`HostMemory::DEFAULT`]
    /// bytes.
    #[must_use]
    pub fn new(config: &NetConfig) -> Self {
        Self::build(Some(config), None, HostMemory::default())
    }

    /// Returns a network that is off: every operation fails with [`NetError::Denied`], whose
    /// message says how the embedder turns networking on.
    #[must_use]
    pub fn off() -> Self {
        Self::build(None, None, HostMemory::default())
    }

    /// Returns the same network, unused, with `observer` as the receiver of its events.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn Observer>) -> Self {
        Self::build(
            self.context.as_ref().map(|context| &context.config),
            Some(observer),
            self.memory.clone(),
        )
    }

    /// Returns the same network, unused, with `memory` as its host-memory budget.
    #[must_use]
    pub fn with_host_memory(mut self, memory: HostMemory) -> Self {
        if let Some(context) = &mut self.context {
            match Arc::get_mut(context) {
                Some(context) => context.set_memory(memory.clone()),
                None => {
                    let config = context.config.clone();
                    *context = Arc::new(NetworkContext::new(config, memory.clone()));
                }
            }
        }
        self.memory = memory;
        self
    }

    /// Returns the network of a fork of the session, with `observer` as the receiver of its events.
    ///
    /// It has no connections, and an empty report. The byte quotas and the rate limits are those of
    /// this network: both use them up. The placeholders of secrets are the same, and an address
    /// that a lookup of this network returned counts as the name of that lookup.
    #[must_use]
    pub fn fork(&self, observer: Option<Arc<dyn Observer>>) -> Self {
        let memory = HostMemory::default();
        Self {
            context: self
                .context
                .as_ref()
                .map(|context| Arc::new(context.fork(memory.clone()))),
            log: Arc::new(AuditLog::new(observer)),
            memory,
        }
    }

    fn build(
        config: Option<&NetConfig>,
        observer: Option<Arc<dyn Observer>>,
        memory: HostMemory,
    ) -> Self {
        Self {
            context: config
                .map(|config| Arc::new(NetworkContext::new(config.clone(), memory.clone()))),
            log: Arc::new(AuditLog::new(observer)),
            memory,
        }
    }

    /// Returns whether networking is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.context.is_some()
    }

    /// Begins to connect to `host` and `port`. Never blocks.
    ///
    /// Checks the policy first. The rest happens while the caller waits for the connection:
    /// resolving the name, checking every address against the policy, and dialling.
    ///
    /// `host` is a name or an address literal. An address that a lookup of this network returned
    /// counts as the name of that lookup. With a [proxy](NetConfig::proxy), the addresses are
    /// dialled through it.
    ///
    /// # Errors
    ///
    /// The errors that need no waiting: [`NetError::Denied`] for a host that is malformed or that
    /// no rule allows (such a name is never sent to a name server), [`NetError::LimitReached`], and
    /// [`NetError::InvalidArgument`] for a host longer than any host name can be.
    pub fn connect(&self, host: &str, port: u16) -> Result<Connection, NetError> {
        let entry = self.log.begin(Activity::Connection, host, Some(port));
        self.begin_connect(&entry, host, port)
            .inspect_err(|error| entry.failed(error))
    }

    fn begin_connect(
        &self,
        entry: &Arc<AuditEntry>,
        host: &str,
        port: u16,
    ) -> Result<Connection, NetError> {
        let context = self.context()?;
        let admitted = context.admit_connection(entry, host, port)?;
        Ok(Connection::connect(
            Arc::clone(context),
            Arc::clone(entry),
            admitted,
            port,
        ))
    }

    /// Begins to look up `name`, for use with `port` (`None`: with any port). Never blocks.
    ///
    /// An address literal is checked against the policy and returned unchanged. For a name that the
    /// proxy resolves ([`proxy_resolves`](NetConfig::proxy_resolves)), a placeholder is returned,
    /// an address that stands for the name.
    ///
    /// # Errors
    ///
    /// The same as those of [`connect`](Self::connect).
    pub fn lookup(
        &self,
        name: &str,
        port: Option<u16>,
        family: Family,
    ) -> Result<Lookup, NetError> {
        let entry = self.log.begin(Activity::Lookup, name, port);
        self.begin_lookup(&entry, name, port, family)
            .inspect_err(|error| entry.failed(error))
    }

    fn begin_lookup(
        &self,
        entry: &Arc<AuditEntry>,
        host: &str,
        port: Option<u16>,
        family: Family,
    ) -> Result<Lookup, NetError> {
        let context = self.context()?;
        let admitted = context.admit_lookup(entry, host, port)?;
        Ok(Lookup::new(
            Arc::clone(context),
            Arc::clone(entry),
            admitted,
            port,
            family,
        ))
    }

    /// Returns a UDP socket of one family; an IPv6 socket also sends to IPv4 addresses. Sends
    /// nothing and checks no destination yet.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`] when [`allowed_udp`](NetConfig::allowed_udp) is empty, even in
    /// report-only mode: that mode is for trying out a policy, and an empty list means that UDP is
    /// off. Also when there is a [proxy](NetConfig::proxy), which carries no UDP.
    pub fn udp_socket(&self, family: Family) -> Result<UdpSocket, NetError> {
        let context = self.context()?;
        // UDP would bypass the proxy.
        if context.config.proxy_server().is_some() {
            return Err(NetError::Denied(
                "datagram sockets are not available in this sandbox, whose connections go through a \
                 proxy: use TCP"
                    .into(),
            ));
        }
        if context.config.allowed_udp().is_empty() {
            return Err(NetError::Denied(
                "datagram sockets are not available in this sandbox: use TCP, or have the embedder say \
                 where datagrams may go (allow_udp)"
                    .into(),
            ));
        }
        Ok(UdpSocket::new(
            Arc::clone(context),
            Arc::clone(&self.log),
            family,
        ))
    }

    /// Begins TLS over a transport of the guest program.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`] when no rule allows the server name, [`NetError::LimitReached`], or
    /// [`NetError::Tls`] with [`Refused`](crate::TlsFailure::Refused) for settings that cannot be
    /// honoured.
    pub fn tls_session(&self, settings: &ClientSettings) -> Result<TlsSession, NetError> {
        let context = self.context()?;
        let mut settings =
            context.check_server_name(settings, HandshakeTransport::Guest { log: &self.log })?;
        let trusts_guest_roots = context.config.allows_unverified_tls();
        let inspected = match &context.http {
            Some(http) => {
                let hosts_of = |host: &Host| context.hosts_of(host);
                http.tls_peer(&mut settings, None, trusts_guest_roots, hosts_of)?
                    .map(|peer| (http, peer))
            }
            None => None,
        };
        let permit = context.tls_sessions.try_acquire().ok_or_else(|| {
            NetError::LimitReached(format!(
                "this sandbox already holds {} TLS sessions over its own transports, the most it \
                 may: close one first, or have the embedder raise max_connections",
                context.tls_sessions.limit()
            ))
        })?;
        let mut bytes = estimate::tls(&settings, trusts_guest_roots);
        if inspected.is_some() {
            bytes += context.inspection_memory();
        }
        let memory = context.memory.charge(bytes).map_err(|full| {
            let name = settings.server_name.as_deref().unwrap_or_default();
            let entry = self.log.begin(Activity::TlsSession, name, None);
            entry.limit_reached(NetLimit::MaxHostMemory);
            let error = NetError::from(full);
            entry.failed(&error);
            error
        })?;
        let session = context.connector().session(&settings)?;
        let inspected = inspected.map(|(http, peer)| {
            let name = peer.host.to_string();
            let entry = self.log.begin(Activity::TlsSession, &name, None);
            let limits = SocketLimits::new(Arc::clone(context));
            Box::new(Inspected::new(Arc::clone(http), peer, entry, limits))
        });
        Ok(TlsSession::new(session, inspected, permit, memory))
    }

    /// Returns the environment variables that the guest program needs: a placeholder for each
    /// secret.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let http = self
            .context
            .as_ref()
            .and_then(|context| context.http.as_ref());
        http.map(|http| {
            let placeholders = http.secrets.placeholders();
            placeholders
                .map(|(name, placeholder)| (name.to_owned(), placeholder.to_owned()))
                .collect()
        })
        .unwrap_or_default()
    }

    /// Returns how many connections are open or opening, or are still sending their last bytes.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.context
            .as_ref()
            .map_or(0, |context| context.connections.in_use())
    }

    /// Begins `execution`: later events carry that number, and the counts of repeated events
    /// restart.
    pub fn begin_execution(&self, execution: u64) {
        self.log.begin_execution(execution);
    }

    /// Returns `Pending` while the [observer](Observer::poll_ready) cannot take more events. The
    /// caller should begin no operation meanwhile.
    pub fn poll_observer(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.log.poll_observer(cx)
    }

    /// Returns the report of everything since the last [`take_report`](Self::take_report).
    #[must_use]
    pub fn report(&self) -> NetworkReport {
        self.log.report(false)
    }

    /// Returns the report of everything since the last call. The next report repeats the activities
    /// that have not ended.
    #[must_use]
    pub fn take_report(&self) -> NetworkReport {
        self.log.report(true)
    }

    /// Tears the network down: every later operation fails with [`NetError::ConnectionAborted`],
    /// and no more bytes are sent. Does not wake an operation in progress; the caller has to drop
    /// it.
    pub fn abort(&self) {
        if let Some(context) = &self.context {
            context.abort();
        }
    }

    fn context(&self) -> Result<&Arc<NetworkContext>, NetError> {
        let context = self.context.as_ref().ok_or_else(|| {
            NetError::Denied(
                "networking is off in this sandbox: the program that embeds it turns it on by giving \
                 it a NetConfig (with_network in Rust, network= in Python, --net on the command line)"
                    .into(),
            )
        })?;
        if context.is_aborted() {
            return Err(NetError::ConnectionAborted);
        }
        Ok(context)
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
