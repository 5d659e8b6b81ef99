//! A UDP socket of the guest.

mod peers;
mod ready;
mod refusal;
mod transfer;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use eryx_net_policy::Host;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket as TokioUdpSocket;
use tokio::time::Instant;

use crate::connection::withheld;
use crate::ledger::{Entry, Ledger};
use crate::network::Shared;
use crate::pace::Turn;
use crate::patience::{Deadline, Patience};
use crate::permit::Permit;
use crate::{
    Activity, Charge, CloseReason, Datagram, Family, MAX_DATAGRAM, NetError, NetLimit, footprint,
};
use peers::{Peer, Peers};
use refusal::Refusal;

/// A UDP socket, from [`Network::datagrams`](crate::Network::datagrams).
///
/// Every destination is judged when something is first sent to it, and is an entry of the report and of the
/// events from then on. What comes from anybody else is dropped unseen. The socket counts against the
/// sandbox's connection limit from the first time it is bound, connected or sent with.
///
/// Timeouts are as those of a [`Connection`](crate::Connection).
///
/// ```
/// use eryx_net_host::{Family, NetConfig, Network};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
/// let port = server.local_addr()?.port();
///
/// let config = NetConfig::default().allow_localhost().allow_udp(&format!("127.0.0.1:{port}"))?;
/// let mut socket = Network::new(&config).datagrams(Family::Ipv4)?;
/// socket.send_to(b"hello", "127.0.0.1", port, None).await?;
/// assert_eq!(server.recv(&mut [0; 16]).await?, 5);
/// # Ok(())
/// # }
/// ```
pub struct UdpSocket {
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
    domain: Domain,
    /// Both there from the first use on.
    counted: Option<(Permit, Charge)>,
    socket: Option<Arc<TokioUdpSocket>>,
    peers: Peers,
    /// The one peer the program hears, once it has chosen one.
    connected: Option<SocketAddr>,
    refusal: Refusal,
    /// Until when it has to wait before it sends to a new destination.
    turn: Option<Deadline>,
    sending: Turn,
    receiving: Turn,
    /// An error that was met while looking whether there is anything to receive.
    owed: Option<NetError>,
}

impl UdpSocket {
    pub(crate) fn new(shared: Arc<Shared>, ledger: Arc<Ledger>, family: Family) -> Self {
        Self {
            shared,
            ledger,
            domain: match family {
                Family::Ipv4 => Domain::IPV4,
                Family::Any | Family::Ipv6 => Domain::IPV6,
            },
            counted: None,
            socket: None,
            peers: Peers::default(),
            connected: None,
            refusal: Refusal::default(),
            turn: None,
            sending: Turn::default(),
            receiving: Turn::default(),
            owed: None,
        }
    }

    /// Takes a port, which the system chooses, and returns this side's address. What is bound already stays.
    ///
    /// # Errors
    ///
    /// [`NetError::LimitReached`], or what the system says.
    pub fn bind(&mut self) -> Result<SocketAddr, NetError> {
        self.check_not_aborted()?;
        if self.socket.is_none() {
            let entry = self.ledger.open(Activity::Datagrams, "", None);
            let opened = self.open(&entry);
            match &opened {
                Ok(()) => entry.close(CloseReason::LocalClose),
                Err(error) => entry.refused(error),
            }
            opened?;
        }
        self.local_endpoint()
    }

    /// Chooses the one peer to send to and to hear: judges it, and sends nothing. Another call chooses
    /// another one.
    ///
    /// `host` is an address literal. One that a lookup of this network returned counts as the name it was
    /// looked up under.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`], [`NetError::LimitReached`], [`NetError::InvalidArgument`] for what is no
    /// address, [`NetError::NetworkUnreachable`], or what else the system says.
    pub fn connect(&mut self, host: &str, port: u16) -> Result<(), NetError> {
        self.check_not_aborted()?;
        let peer = self.peer(host, port)?;
        let address = self.dialled(peer);
        SockRef::from(self.socket()?).connect(&address.into())?;
        self.connected = Some(peer);
        Ok(())
    }

    /// Returns this side's port, and its address where that is a loopback address. Any other is `0.0.0.0` or `::`, as for
    /// a [`Connection`](crate::Connection::local_endpoint).
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] before it is bound, or what the system says.
    pub fn local_endpoint(&self) -> Result<SocketAddr, NetError> {
        Ok(withheld(self.socket()?.local_addr()?))
    }

    /// The peer chosen with [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] when there is none.
    pub fn peer_endpoint(&self) -> Result<SocketAddr, NetError> {
        self.connected.ok_or(NetError::NotConnected)
    }

    fn socket(&self) -> Result<&TokioUdpSocket, NetError> {
        self.socket.as_deref().ok_or(NetError::NotConnected)
    }

    /// The address of a destination the policy allows, which is a peer from then on.
    fn peer(&mut self, host: &str, port: u16) -> Result<SocketAddr, NetError> {
        let address: IpAddr = host.parse().map_err(|_| {
            NetError::InvalidArgument("datagrams are sent to addresses: look the name up".into())
        })?;
        // Whatever form it is written in, it is one address: the one it was looked up as.
        let address = address.to_canonical();
        let target = SocketAddr::new(reached(address), port);
        if self.peers.renew(target) {
            return Ok(target);
        }
        let entry = self.ledger.open(Activity::Datagrams, host, Some(port));
        match self.admit(&entry, address, target) {
            Ok(()) => Ok(target),
            Err(error) => {
                entry.refused(&error);
                Err(error)
            }
        }
    }

    fn admit(
        &mut self,
        entry: &Arc<Entry>,
        address: IpAddr,
        target: SocketAddr,
    ) -> Result<(), NetError> {
        let shared = Arc::clone(&self.shared);
        let verdict = shared.judge_datagrams(address, target.port());
        let counted = verdict.host().cloned().unwrap_or(Host::Address(address));
        shared.admit(entry, verdict)?;
        if target.is_ipv6() && self.domain == Domain::IPV4 {
            return Err(NetError::InvalidArgument(
                "an IPv6 address on an IPv4 socket".into(),
            ));
        }
        let to_host = shared.place_at(entry, &counted)?;
        let deadline = Instant::now() + shared.config.connect_timeout();
        if let Some(turn) = shared.turn(entry, deadline)? {
            self.turn = Some(Deadline::at(turn));
        }
        self.open(entry)?;
        entry.connected(target);
        let peer = Peer::new(target, Arc::clone(entry), to_host);
        self.peers.add(peer, self.connected);
        Ok(())
    }

    /// Makes the system's socket, unless it is there.
    fn open(&mut self, entry: &Entry) -> Result<(), NetError> {
        if self.socket.is_some() {
            return Ok(());
        }
        let permit = self.shared.connection_permit(entry)?;
        let memory = self.shared.charge(entry, footprint::DATAGRAMS)?;
        let socket = Socket::new(self.domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        let any: IpAddr = if self.domain == Domain::IPV6 {
            socket.set_only_v6(false)?;
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        socket.bind(&SocketAddr::new(any, 0).into())?;
        self.socket = Some(Arc::new(TokioUdpSocket::from_std(socket.into())?));
        self.counted = Some((permit, memory));
        Ok(())
    }

    /// The address as the socket's family has it.
    fn dialled(&self, peer: SocketAddr) -> SocketAddr {
        match peer.ip() {
            IpAddr::V4(v4) if self.domain == Domain::IPV6 => {
                SocketAddr::new(v4.to_ipv6_mapped().into(), peer.port())
            }
            _ => peer,
        }
    }

    fn patience(&self, timeout: Option<Duration>) -> Patience {
        Patience::new(timeout, self.shared.config.io_timeout())
    }

    fn check_not_aborted(&self) -> Result<(), NetError> {
        if self.shared.is_aborted() {
            return Err(NetError::ConnectionAborted);
        }
        Ok(())
    }
}

/// Where the system sends what is for `address`: the unspecified one is this machine's.
fn reached(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.peers.close(if self.shared.is_aborted() {
            CloseReason::Aborted
        } else {
            CloseReason::LocalClose
        });
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket")
            .field("connected", &self.connected)
            .finish_non_exhaustive()
    }
}
