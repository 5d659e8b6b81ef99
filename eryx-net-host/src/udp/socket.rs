//! A UDP socket of the guest program.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use eryx_net_policy::Host;
use socket2::{Domain, Protocol, SockRef, Type};
use tokio::time::Instant;

use crate::audit::activity::{Activity, CloseReason};
use crate::audit::entry::AuditEntry;
use crate::audit::log::AuditLog;
use crate::context::NetworkContext;
use crate::error::NetError;
use crate::host_memory::{Charge, estimate};
use crate::limits::semaphore::Permit;
use crate::local_endpoint::masked_local_endpoint;
use crate::lookup::Family;
use crate::poll::deadline::Deadline;
use crate::socket_limits::SocketLimits;
use crate::udp::destinations::{Destination, Destinations};
use crate::udp::icmp_error::IcmpError;

/// The most bytes of a datagram over IPv4: 65,535, less the headers of IPv4 and UDP (RFC 768).
pub const MAX_DATAGRAM: usize = 65_507;

/// A received datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram {
    /// Its payload, cut to the size that the caller requested.
    pub data: Vec<u8>,
    /// The size of its whole payload.
    pub size: usize,
    /// The address of its sender.
    pub source: SocketAddr,
}

/// A UDP socket, from [`Network::udp_socket`](crate::Network::udp_socket).
///
/// A destination is checked against the policy when the socket first sends to it, and has an audit
/// entry from then on. Datagrams from any other address are dropped. The socket counts against the
/// sandbox's connection limit once it is bound, connected or used to send.
///
/// Timeouts work as those of a [`Connection`](crate::Connection) do.
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
/// let mut socket = Network::new(&config).udp_socket(Family::Ipv4)?;
/// socket.send_to(b"hello", "127.0.0.1", port, None).await?;
/// assert_eq!(server.recv(&mut [0; 16]).await?, 5);
/// # Ok(())
/// # }
/// ```
pub struct UdpSocket {
    pub(super) limits: SocketLimits,
    log: Arc<AuditLog>,
    domain: Domain,
    /// The socket's permit and memory; `None` before its first use, as is `socket`.
    counted: Option<(Permit, Charge)>,
    pub(super) socket: Option<Arc<tokio::net::UdpSocket>>,
    pub(super) destinations: Destinations,
    /// The peer of a connected socket, which receives from no other address.
    pub(super) connected: Option<SocketAddr>,
    pub(super) icmp_error: IcmpError,
    /// When the connect rate allows sending to a new destination.
    pub(super) send_at: Option<Deadline>,
    /// A deferred error: the next operation returns it.
    pub(super) deferred_error: Option<NetError>,
}

impl UdpSocket {
    pub(crate) fn new(context: Arc<NetworkContext>, log: Arc<AuditLog>, family: Family) -> Self {
        Self {
            limits: SocketLimits::new(context),
            log,
            domain: match family {
                Family::Ipv4 => Domain::IPV4,
                Family::Any | Family::Ipv6 => Domain::IPV6,
            },
            counted: None,
            socket: None,
            destinations: Destinations::default(),
            connected: None,
            icmp_error: IcmpError::default(),
            send_at: None,
            deferred_error: None,
        }
    }

    /// Binds the socket to a port that the system chooses, unless it is bound, and returns its
    /// local endpoint.
    ///
    /// # Errors
    ///
    /// [`NetError::LimitReached`], or the system's error.
    pub fn bind(&mut self) -> Result<SocketAddr, NetError> {
        self.limits.check_not_aborted()?;
        if self.socket.is_none() {
            let entry = self.log.begin(Activity::Datagrams, "", None);
            let opened = self.open(&entry);
            match &opened {
                Ok(()) => entry.close(CloseReason::LocalClose),
                Err(error) => entry.failed(error),
            }
            opened?;
        }
        self.local_endpoint()
    }

    /// Connects the socket to a peer, the only one that it then receives from: checks the peer
    /// against the policy, and sends nothing. Another call replaces the peer.
    ///
    /// `host` is an address literal. An address that a lookup of this network returned counts as
    /// the name of that lookup.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`], [`NetError::LimitReached`], [`NetError::InvalidArgument`] unless
    /// `host` is an address, [`NetError::NetworkUnreachable`], or another error of the system.
    pub fn connect(&mut self, host: &str, port: u16) -> Result<(), NetError> {
        self.limits.check_not_aborted()?;
        let peer = self.destination(host, port)?;
        let address = self.socket_address(peer);
        SockRef::from(self.socket()?).connect(&address.into())?;
        self.connected = Some(peer);
        Ok(())
    }

    /// Returns the local port, and the local address if it is loopback. Any other address is
    /// replaced by `0.0.0.0` or `::`, as for a [`Connection`](crate::Connection::local_endpoint).
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] before the socket is bound, or the system's error.
    pub fn local_endpoint(&self) -> Result<SocketAddr, NetError> {
        Ok(masked_local_endpoint(self.socket()?.local_addr()?))
    }

    /// Returns the peer that the socket is [connected](Self::connect) to.
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] when there is none.
    pub fn peer_endpoint(&self) -> Result<SocketAddr, NetError> {
        self.connected.ok_or(NetError::NotConnected)
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
        match self
            .socket
            .as_deref()
            .map(tokio::net::UdpSocket::take_error)
        {
            Some(Ok(Some(error)) | Err(error)) => Err(error.into()),
            Some(Ok(None)) | None => Ok(()),
        }
    }

    pub(super) fn socket(&self) -> Result<&tokio::net::UdpSocket, NetError> {
        self.socket.as_deref().ok_or(NetError::NotConnected)
    }

    /// Returns the address of a destination that the policy allows, and makes it the most recently
    /// used.
    pub(super) fn destination(&mut self, host: &str, port: u16) -> Result<SocketAddr, NetError> {
        let address: IpAddr = host.parse().map_err(|_| {
            NetError::InvalidArgument("datagrams are sent to addresses: look the name up".into())
        })?;
        // An IPv4-mapped address counts as its IPv4 address, which a lookup has returned.
        let address = address.to_canonical();
        let target = SocketAddr::new(route_of(address), port);
        if self.destinations.touch(target) {
            return Ok(target);
        }
        let entry = self.log.begin(Activity::Datagrams, host, Some(port));
        self.add_destination(&entry, address, target)
            .inspect_err(|error| entry.failed(error))?;
        Ok(target)
    }

    fn add_destination(
        &mut self,
        entry: &Arc<AuditEntry>,
        address: IpAddr,
        target: SocketAddr,
    ) -> Result<(), NetError> {
        let context = Arc::clone(&self.limits.context);
        let verdict = context.check_udp_literal(address, target.port());
        let policy_host = verdict.host().cloned().unwrap_or(Host::Address(address));
        context.admit(entry, verdict)?;
        if target.is_ipv6() && self.domain == Domain::IPV4 {
            return Err(NetError::InvalidArgument(
                "an IPv6 address on an IPv4 socket".into(),
            ));
        }
        let permit = context.acquire_host_permit(entry, &policy_host)?;
        let deadline = Instant::now() + context.config.connect_timeout();
        if let Some(send_at) = context.reserve_connect_time(entry, deadline)? {
            self.send_at = Some(Deadline::at(send_at));
        }
        self.open(entry)?;
        entry.connected(target, None);
        let destination = Destination {
            address: target,
            entry: Arc::clone(entry),
            _permit: permit,
        };
        self.destinations.add(destination, self.connected);
        Ok(())
    }

    /// Creates and binds the system's socket, unless it exists.
    fn open(&mut self, entry: &AuditEntry) -> Result<(), NetError> {
        if self.socket.is_some() {
            return Ok(());
        }
        let permit = self.limits.context.acquire_connection_permit(entry)?;
        let memory = self.limits.context.charge(entry, estimate::UDP_SOCKET)?;
        let socket = socket2::Socket::new(self.domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        let any: IpAddr = if self.domain == Domain::IPV6 {
            socket.set_only_v6(false)?;
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        socket.bind(&SocketAddr::new(any, 0).into())?;
        let socket = tokio::net::UdpSocket::from_std(socket.into())?;
        self.socket = Some(Arc::new(socket));
        self.counted = Some((permit, memory));
        Ok(())
    }

    /// Returns the address in the socket's family.
    pub(super) fn socket_address(&self, peer: SocketAddr) -> SocketAddr {
        match peer.ip() {
            IpAddr::V4(v4) if self.domain == Domain::IPV6 => {
                SocketAddr::new(v4.to_ipv6_mapped().into(), peer.port())
            }
            _ => peer,
        }
    }
}

/// Returns the address that the system sends to for `address`: loopback for the unspecified
/// address.
fn route_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        let close_reason = if self.limits.context.is_aborted() {
            CloseReason::Aborted
        } else {
            CloseReason::LocalClose
        };
        self.destinations.close(&close_reason);
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket")
            .field("connected", &self.connected)
            .finish_non_exhaustive()
    }
}
