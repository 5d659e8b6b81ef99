//! A TCP connection of the guest, and the states it goes through.

mod bytes;
mod closing;
mod encryption;
mod establishing;
mod metering;
mod ready;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::attempts::{Attempt, Time};
use crate::dial::Dialled;
use crate::encrypted::{Encrypted, Upgrade};
use crate::ledger::Entry;
use crate::network::Shared;
use crate::pace::Turn;
use crate::patience::{Deadline, Patience};
use crate::permit::Place;
use crate::plain::Plain;
use crate::prompt;
use crate::stream::{Event, Stream};
use crate::{Answer, CloseReason, KeepaliveOption, NetError};

/// The most bytes one [`Connection::read`] returns.
pub const MAX_READ: usize = 1 << 20;

/// For how many arrivals one operation lingers: the parts of a record or of a handshake.
const ARRIVALS: u32 = 4;

/// A TCP connection, optionally turned into TLS in place.
///
/// It starts in [`Network::connect`](crate::Network::connect) and counts against the sandbox's connection
/// limit until it is dropped. Nothing runs behind its back: a connection that is establishing or
/// shaking hands makes progress while somebody waits for it, through one of its own methods or through
/// [`poll_readable`](Self::poll_readable) and [`poll_writable`](Self::poll_writable).
///
/// Every timeout is `None` for as long as the host allows, zero for an answer at once
/// ([`NetError::WouldBlock`] if there is none), and otherwise a bound that the host's own still clamps.
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
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    /// `None` once a lingering close has taken it over.
    place: Option<Place>,
    host: Arc<str>,
    port: u16,
    state: State,
    /// The one deadline over resolving and dialling.
    deadline: Deadline,
    /// For an address that was looked up, until it is established.
    attempt: Option<Attempt>,
    /// What establishing has left of the connect timeout, for a handshake.
    budget: Duration,
    endpoints: Option<Endpoints>,
    halves: Halves,
    /// An error that was met on the way to a result, to be told by the next operation.
    owed: Option<NetError>,
    /// Where sending and receiving wait when there is a limit to how much may go a second.
    sending: Turn,
    receiving: Turn,
    /// The peer sent more than may be received: what follows is not the whole of it.
    overrun: bool,
    /// How it went so far, for the report.
    close_reason: CloseReason,
}

/// What a connection is doing.
///
/// Legal transitions, each named where it happens:
///
/// - `Resolving -> Connecting` when every answer was allowed; a literal address begins here
/// - `Connecting -> Open` when one address answered
/// - `Open -> Handshaking` in `start_tls`, `Handshaking -> Tls` when the handshake is complete
/// - `Tls -> Open` when `end_tls` has seen the peer's close_notify
/// - `Resolving | Connecting | Handshaking -> Failed`, for good
/// - `Open | Tls -> HalfClosed -> Closed` as the two directions end, in either order
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Its name is being looked up.
    Resolving,
    /// Its addresses are being dialled.
    Connecting,
    /// Bytes go in the clear.
    Open,
    /// A TLS handshake is under way.
    Handshaking,
    /// Bytes go encrypted.
    Tls,
    /// One direction has ended; the other goes on, in the clear or encrypted.
    HalfClosed,
    /// Both directions have ended.
    Closed,
    /// It could not be established or secured. Every operation repeats why.
    Failed,
}

/// Which half of a connection to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// No more reading.
    Receive,
    /// No more writing; the peer sees the end of the stream.
    Send,
    /// Both.
    Both,
}

/// A [`Phase`] with what it needs.
enum State {
    Resolving(BoxFuture<'static, Result<Answer, NetError>>),
    Connecting(BoxFuture<'static, io::Result<Dialled>>),
    Open(Plain),
    Handshaking(Box<Upgrade>),
    Tls(Box<Encrypted>),
    Failed(NetError),
    /// Taken apart: only ever seen inside a transition, and after `drop`.
    Gone,
}

#[derive(Clone, Copy)]
struct Endpoints {
    local: SocketAddr,
    peer: SocketAddr,
}

/// Which directions have ended.
#[derive(Clone, Copy, Debug, Default)]
struct Halves {
    /// The program wants no more bytes.
    receive_shut: bool,
    /// The peer will send no more bytes.
    peer_ended: bool,
    /// The program will send no more bytes.
    send_shut: bool,
    /// The end of the stream still has to be sent, behind what waits before it.
    end_owed: bool,
}

impl Connection {
    pub(crate) fn new(
        shared: Arc<Shared>,
        entry: Arc<Entry>,
        place: Place,
        host: &str,
        port: u16,
        start: Start,
        time: Time,
    ) -> Self {
        let budget = shared.config.connect_timeout();
        Self {
            entry,
            place: Some(place),
            host: host.into(),
            port,
            state: match start {
                Start::Resolve { resolving, turn } => {
                    State::Resolving(establishing::in_turn(turn, resolving))
                }
                Start::Dial { address, turn } => State::Connecting(establishing::in_turn(
                    turn,
                    establishing::dialling(vec![address], &shared),
                )),
            },
            deadline: Deadline::at(time.until),
            attempt: time.attempt,
            budget,
            endpoints: None,
            halves: Halves::default(),
            owed: None,
            sending: Turn::default(),
            receiving: Turn::default(),
            overrun: false,
            close_reason: CloseReason::LocalClose,
            shared,
        }
    }

    /// What the connection is doing now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let halves = self.halves;
        let receiving = !halves.receive_shut && !halves.peer_ended;
        match &self.state {
            State::Resolving(_) => Phase::Resolving,
            State::Connecting(_) => Phase::Connecting,
            State::Handshaking(_) => Phase::Handshaking,
            State::Failed(_) => Phase::Failed,
            State::Gone => Phase::Closed,
            State::Open(_) | State::Tls(_) if !receiving && halves.send_shut => Phase::Closed,
            State::Open(_) | State::Tls(_) if !receiving || halves.send_shut => Phase::HalfClosed,
            State::Open(_) => Phase::Open,
            State::Tls(_) => Phase::Tls,
        }
    }

    /// Returns this side's port, and its address where that is a loopback address. Any other tells the program what the
    /// host is called on the networks it is on: there it is `0.0.0.0` or `::`.
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] until the connection is established.
    pub fn local_endpoint(&self) -> Result<SocketAddr, NetError> {
        self.endpoints
            .map(|ends| withheld(ends.local))
            .ok_or(NetError::NotConnected)
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] until the connection is established.
    pub fn peer_endpoint(&self) -> Result<SocketAddr, NetError> {
        self.endpoints
            .map(|ends| ends.peer)
            .ok_or(NetError::NotConnected)
    }

    /// Sends small segments at once, or lets them gather (TCP_NODELAY).
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] until the connection is established, or what the system says.
    pub fn set_no_delay(&self, enabled: bool) -> Result<(), NetError> {
        Ok(self.stream()?.socket()?.set_tcp_nodelay(enabled)?)
    }

    /// Probes an idle peer, or does not (SO_KEEPALIVE).
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] until the connection is established, or what the system says.
    pub fn set_keep_alive(&self, enabled: bool) -> Result<(), NetError> {
        Ok(self.stream()?.socket()?.set_keepalive(enabled)?)
    }

    /// How an idle peer is probed, where [`set_keep_alive`](Self::set_keep_alive) says that it is.
    ///
    /// # Errors
    ///
    /// [`NetError::InvalidArgument`] for a value out of its range, [`NetError::NotConnected`] until the connection is
    /// established, or what the system says.
    pub fn set_keepalive_option(&self, setting: KeepaliveOption) -> Result<(), NetError> {
        let settings = setting.settings()?;
        let socket = self.stream()?.socket()?;
        let probed = socket.keepalive()?;
        // Setting how it is done switches it on.
        socket.set_tcp_keepalive(&settings)?;
        Ok(socket.set_keepalive(probed)?)
    }

    fn stream(&self) -> Result<&Stream, NetError> {
        match &self.state {
            State::Open(plain) => Ok(plain.stream()),
            State::Handshaking(upgrade) => upgrade.stream().ok_or(NetError::NotConnected),
            State::Tls(encrypted) => Ok(encrypted.stream()),
            State::Resolving(_) | State::Connecting(_) | State::Failed(_) | State::Gone => {
                Err(NetError::NotConnected)
            }
        }
    }

    fn stream_mut(&mut self) -> Option<&mut Stream> {
        match &mut self.state {
            State::Open(plain) => Some(plain.stream_mut()),
            State::Handshaking(upgrade) => upgrade.stream_mut(),
            State::Tls(encrypted) => Some(encrypted.stream_mut()),
            State::Resolving(_) | State::Connecting(_) | State::Failed(_) | State::Gone => None,
        }
    }

    /// What `poll` comes to at once, or with what arrives while this thread lingers.
    fn soon<T>(
        &mut self,
        timeout: Option<Duration>,
        mut poll: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<Result<T, NetError>>,
    ) -> Option<Result<T, NetError>> {
        // Whoever does not want to wait that long is not made to.
        if timeout.is_some_and(|timeout| timeout < prompt::LINGER * ARRIVALS) {
            return None;
        }
        let mut cx = Context::from_waker(prompt::nobody());
        for _ in 0..ARRIVALS {
            if let Poll::Ready(outcome) = poll(self, &mut cx) {
                return Some(outcome);
            }
            if self.gave_way() {
                // There is more at once, and the operation has its turn when it waits.
                return None;
            }
            if !self.stream_mut()?.linger(Event::Readable) {
                return None;
            }
        }
        None
    }

    /// Whether the last poll took in what one may, and there may be more.
    fn gave_way(&self) -> bool {
        match &self.state {
            State::Handshaking(upgrade) => upgrade.gave_way(),
            State::Tls(encrypted) => encrypted.gave_way(),
            _ => false,
        }
    }

    /// How long an operation on an open connection may take.
    fn patience(&self, timeout: Option<Duration>) -> Patience {
        Patience::new(timeout, self.shared.config.io_timeout())
    }

    /// Moves to `Failed`, for good, and says why.
    fn fail(&mut self, error: NetError) -> NetError {
        if self.close_reason == CloseReason::LocalClose {
            self.close_reason = match &error {
                NetError::Denied(_) => CloseReason::Denied,
                _ => CloseReason::Error(error.clone()),
            };
        }
        self.attempt = None;
        self.state = State::Failed(error.clone());
        error
    }

    /// Notes an error that does not end the connection by itself: the kernel, or TLS, says what comes next.
    fn note(&mut self, error: &NetError) {
        let passing = matches!(error, NetError::WouldBlock | NetError::TimedOut);
        if !passing && self.close_reason == CloseReason::LocalClose {
            self.close_reason = CloseReason::Error(error.clone());
        }
    }

    fn check_not_aborted(&self) -> Result<(), NetError> {
        if self.shared.is_aborted() {
            return Err(NetError::ConnectionAborted);
        }
        Ok(())
    }
}

/// The endpoint, without an address that says which machine this is.
pub(crate) fn withheld(local: SocketAddr) -> SocketAddr {
    let address = match local.ip().to_canonical() {
        loopback if loopback.is_loopback() => loopback,
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(address, local.port())
}

/// How a connection begins, now or when it is its turn.
pub(crate) enum Start {
    /// With a name whose addresses have to be found and judged.
    Resolve {
        resolving: BoxFuture<'static, Result<Answer, NetError>>,
        turn: Option<Instant>,
    },
    /// With an address that was judged.
    Dial {
        address: SocketAddr,
        turn: Option<Instant>,
    },
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}
