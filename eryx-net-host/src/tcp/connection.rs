//! A TCP connection of the guest program.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use eryx_net_policy::Host;

use crate::audit::activity::CloseReason;
use crate::audit::entry::AuditEntry;
use crate::connect_budget::BudgetedConnect;
use crate::connection_limits::ConnectionSlot;
use crate::error::NetError;
use crate::http::target::InspectionTarget;
use crate::local_endpoint::masked_local_endpoint;
use crate::poll::deadline::Deadline;
use crate::socket_limits::SocketLimits;
use crate::tcp::established::Endpoints;
use crate::tcp::keepalive::KeepaliveOption;
use crate::tcp::lazy_tcp_stream::ConnectionStatus;
use crate::tcp::state::{HalfClose, Phase, State};
use crate::tcp::transport::Transport;

/// A TCP connection, with TLS once [`start_tls`](Self::start_tls) has succeeded.
///
/// It begins in [`Network::connect`](crate::Network::connect) and counts against the sandbox's
/// connection limit until it is dropped. A connection makes progress only while one of its methods
/// is polled, [`poll_readable`](Self::poll_readable) and [`poll_writable`](Self::poll_writable)
/// included. Only two things run in a task: the queries of a name lookup, and sending the last
/// ciphertext of a connection that was dropped.
///
/// A timeout of `None` is the configured ceiling. A timeout of zero does not wait: the operation
/// returns [`NetError::WouldBlock`] if it cannot finish at once. Any other timeout is clamped to
/// the ceiling.
///
/// ```
/// use eryx_net_host::{NetConfig, Network};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let port = server.local_addr()?.port();
///
/// let network = Network::new(&NetConfig::default().allow_localhost());
/// let mut connection = network.connect("localhost", port)?;
/// connection.finish_connect(None).await?;
/// connection.write(b"hello", None).await?;
/// # Ok(())
/// # }
/// ```
pub struct Connection {
    pub(super) limits: SocketLimits,
    pub(super) entry: Arc<AuditEntry>,
    /// `None` once a lingering close owns it.
    pub(super) slot: Option<ConnectionSlot>,
    /// The host that the program named; in place of a placeholder address its name.
    pub(super) host: Host,
    /// The host that the verdict was about: the name, for an address that a lookup returned.
    pub(super) policy_host: Host,
    pub(super) port: u16,
    pub(super) state: State,
    /// The deadline of resolving and dialling together.
    pub(super) deadline: Deadline,
    /// For an address that a lookup returned, until the connection is established.
    pub(super) budgeted: Option<BudgetedConnect>,
    /// The rest of the connect timeout, for a handshake.
    pub(super) handshake_budget: Duration,
    pub(super) endpoints: Option<Endpoints>,
    /// The hosts whose requests are inspected, if the connection can be for one.
    pub(super) inspection: Option<InspectionTarget>,
    pub(super) half_close: HalfClose,
    /// Whether dropping the connection resets it.
    pub(super) resets_on_close: bool,
    /// A deferred error: the next operation returns it.
    pub(super) deferred_error: Option<NetError>,
    /// The peer has sent more than the quota of received bytes: the stream is incomplete from here
    /// on.
    pub(super) quota_exceeded: bool,
    /// Why the connection would be closed now, for the report.
    pub(super) close_reason: CloseReason,
}

impl Connection {
    /// Returns the current state.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let half_close = self.half_close;
        let receiving = !half_close.read_shutdown && !half_close.peer_eof;
        let sending = !half_close.write_shutdown;
        match &self.state {
            State::Resolving(_) => Phase::Resolving,
            State::Connecting(_) => Phase::Connecting,
            State::Handshaking(_) => Phase::Handshaking,
            State::Failed(_) => Phase::Failed,
            State::Taken => Phase::Closed,
            _ if !receiving && !sending => Phase::Closed,
            _ if !receiving || !sending => Phase::HalfClosed,
            State::Open(_) => Phase::Open,
            State::Tls(_) => Phase::Tls,
            State::Inspected(inspected) if inspected.is_tls() => Phase::Tls,
            State::Inspected(_) => Phase::Open,
        }
    }

    /// Returns the local port, and the local address if it is loopback. Any other address would
    /// reveal the machine's address on its networks to the guest program: it is replaced by
    /// `0.0.0.0` or `::`.
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] until the connection is established.
    pub fn local_endpoint(&self) -> Result<SocketAddr, NetError> {
        self.endpoints
            .map(|endpoints| masked_local_endpoint(endpoints.local))
            .ok_or(NetError::NotConnected)
    }

    /// Returns the peer's address. For a name that the embedder's proxy resolves, it is a
    /// placeholder in `198.18.0.0/15`, the address that a lookup of the name returns; the proxy's
    /// own address is never returned.
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] until the connection is established, and once it has ended in
    /// both directions.
    pub fn peer_endpoint(&self) -> Result<SocketAddr, NetError> {
        let endpoints = self.endpoints.ok_or(NetError::NotConnected)?;
        // The kernel knows whether the connection has ended.
        self.transport()?.tcp().peer_address()?;
        Ok(endpoints.peer)
    }

    /// Sets TCP_USER_TIMEOUT: for how many milliseconds sent data may stay without an answer before
    /// the connection ends; 0 for the system's default.
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] until the connection is established, or the system's error.
    pub fn set_user_timeout(&self, milliseconds: u32) -> Result<(), NetError> {
        let timeout = Duration::from_millis(milliseconds.into());
        let socket = self.transport()?.tcp().socket()?;
        Ok(socket.set_tcp_user_timeout(Some(timeout))?)
    }

    /// Sets whether dropping the connection resets it and discards what was not sent: SO_LINGER
    /// with a time of 0. Other times are not offered, as they block the caller of close(2).
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] until the connection is established, or the system's error.
    pub fn set_reset_on_close(&mut self, enabled: bool) -> Result<(), NetError> {
        let linger = enabled.then_some(Duration::ZERO);
        self.transport()?.tcp().socket()?.set_linger(linger)?;
        self.resets_on_close = enabled;
        Ok(())
    }

    /// Returns what poll(2) reports of the connection besides its readiness. Never waits.
    #[must_use]
    pub fn status(&self) -> ConnectionStatus {
        let Ok(transport) = self.transport() else {
            return ConnectionStatus::default();
        };
        let mut status = transport.tcp().status();
        status.has_error |= self.deferred_error.is_some();
        status.read_closed |= self.half_close.read_shutdown;
        status.hung_up |= self.half_close.read_shutdown && self.half_close.write_shutdown;
        status
    }

    /// Takes the pending error (SO_ERROR), which the next operation would return otherwise.
    ///
    /// # Errors
    ///
    /// The pending error.
    pub fn take_error(&mut self) -> Result<(), NetError> {
        if let Some(error) = self.deferred_error.take() {
            return Err(error);
        }
        let Ok(transport) = self.transport() else {
            return Ok(());
        };
        match transport.tcp().socket()?.take_error()? {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Sets TCP_NODELAY: whether small segments are sent at once. Through a proxy, this and the
    /// options of keepalive concern the connection to the proxy.
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] until the connection is established, or the system's error.
    pub fn set_no_delay(&self, enabled: bool) -> Result<(), NetError> {
        Ok(self.transport()?.tcp().socket()?.set_tcp_nodelay(enabled)?)
    }

    /// Sets SO_KEEPALIVE: whether an idle peer is probed.
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] until the connection is established, or the system's error.
    pub fn set_keep_alive(&self, enabled: bool) -> Result<(), NetError> {
        Ok(self.transport()?.tcp().socket()?.set_keepalive(enabled)?)
    }

    /// Sets an option of the probes that [`set_keep_alive`](Self::set_keep_alive) enables.
    ///
    /// # Errors
    ///
    /// [`NetError::InvalidArgument`] for a value out of range, [`NetError::NotConnected`] until the
    /// connection is established, or the system's error.
    pub fn set_keepalive_option(&self, option: KeepaliveOption) -> Result<(), NetError> {
        let option = option.to_socket_option()?;
        let socket = self.transport()?.tcp().socket()?;
        let enabled = socket.keepalive()?;
        // Setting an option enables the probes as well.
        socket.set_tcp_keepalive(&option)?;
        Ok(socket.set_keepalive(enabled)?)
    }

    fn transport(&self) -> Result<&Transport, NetError> {
        match &self.state {
            State::Open(plain) => Ok(plain.transport()),
            State::Handshaking(handshake) => handshake.transport().ok_or(NetError::NotConnected),
            State::Tls(tls) => Ok(tls.transport()),
            State::Inspected(inspected) => Ok(inspected.transport()),
            State::Resolving(_) | State::Connecting(_) | State::Failed(_) | State::Taken => {
                Err(NetError::NotConnected)
            }
        }
    }

    pub(super) fn transport_mut(&mut self) -> Option<&mut Transport> {
        match &mut self.state {
            State::Open(plain) => Some(plain.transport_mut()),
            State::Handshaking(handshake) => handshake.transport_mut(),
            State::Tls(tls) => Some(tls.transport_mut()),
            State::Inspected(inspected) => Some(inspected.transport_mut()),
            State::Resolving(_) | State::Connecting(_) | State::Failed(_) | State::Taken => None,
        }
    }

    /// Moves to `Failed`, which is final, and returns the error.
    pub(super) fn fail(&mut self, error: NetError) -> NetError {
        self.record_failure(&error);
        self.budgeted = None;
        self.state = State::Failed(error.clone());
        error
    }

    /// Does the same after a denied request, unless there are responses to earlier requests that
    /// the program has not read: the inspection returns the error after them, and to every write.
    pub(super) fn fail_after_responses(&mut self, error: NetError) -> NetError {
        match &self.state {
            State::Inspected(inspected) if inspected.has_responses() => {
                self.record_failure(&error);
                error
            }
            _ => self.fail(error),
        }
    }

    fn record_failure(&mut self, error: &NetError) {
        if self.close_reason == CloseReason::LocalClose {
            self.close_reason = match error {
                NetError::Denied(_) => CloseReason::Denied,
                _ => CloseReason::Error(error.clone()),
            };
        }
    }

    /// Records an error for the report. The connection stays as it is: the kernel or the TLS engine
    /// decides whether the next operation succeeds.
    pub(super) fn record_error(&mut self, error: &NetError) {
        let is_temporary = matches!(error, NetError::WouldBlock | NetError::TimedOut);
        if !is_temporary && self.close_reason == CloseReason::LocalClose {
            self.close_reason = CloseReason::Error(error.clone());
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("host", &self.host.to_string())
            .field("port", &self.port)
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}
