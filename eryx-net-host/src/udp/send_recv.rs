//! Sending and receiving datagrams.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;

use crate::error::NetError;
use crate::socket_limits::Direction;
use crate::udp::destinations::Destination;
use crate::udp::socket::{Datagram, MAX_DATAGRAM, UdpSocket};

/// The most bytes of a datagram over IPv6, without jumbograms: 65,535, less the header of UDP.
const MAX_DATAGRAM_V6: usize = 65_527;

/// The receive buffer: larger than any datagram, whatever size the guest program requests.
const BUFFER: usize = 1 << 16;

/// How many datagrams from unknown sources one poll drops before it yields.
const MAX_DROPPED: usize = 64;

impl UdpSocket {
    /// Sends `data` as one datagram to the [connected](Self::connect) peer.
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] when there is no peer, and otherwise the errors of
    /// [`send_to`](Self::send_to).
    pub async fn send(&mut self, data: &[u8], timeout: Option<Duration>) -> Result<(), NetError> {
        self.limits.check_not_aborted()?;
        let peer = self.peer_endpoint()?;
        self.send_datagram(data, peer, timeout).await
    }

    /// Sends `data` as one datagram to an address. `host` is the same as for
    /// [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`], [`NetError::MessageTooLong`] for more than [`MAX_DATAGRAM`] bytes,
    /// [`NetError::LimitReached`], [`NetError::QuotaExceeded`], [`NetError::WouldBlock`],
    /// [`NetError::TimedOut`], [`NetError::ConnectionRefused`] when the connected peer has no
    /// socket on the port, or another error of the system.
    pub async fn send_to(
        &mut self,
        data: &[u8],
        host: &str,
        port: u16,
        timeout: Option<Duration>,
    ) -> Result<(), NetError> {
        self.limits.check_not_aborted()?;
        let peer = self.destination(host, port)?;
        self.send_datagram(data, peer, timeout).await
    }

    async fn send_datagram(
        &mut self,
        data: &[u8],
        peer: SocketAddr,
        timeout: Option<Duration>,
    ) -> Result<(), NetError> {
        let max = match peer {
            SocketAddr::V4(_) => MAX_DATAGRAM,
            SocketAddr::V6(_) => MAX_DATAGRAM_V6,
        };
        if data.len() > max {
            return Err(NetError::MessageTooLong);
        }
        self.limits
            .io_timeout(timeout)
            .run(|cx| self.poll_send(cx, data, peer))
            .await
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        peer: SocketAddr,
    ) -> Poll<Result<(), NetError>> {
        self.limits.check_not_aborted()?;
        if let Some(error) = self.deferred_error.take() {
            return Poll::Ready(Err(error));
        }
        ready!(self.poll_send_allowed(cx));
        let limiter = self.limits.limiter(Direction::Send);
        if !limiter.debit(billed(data.len())) {
            return Poll::Ready(Err(self.quota_error(Direction::Send, peer)));
        }
        let socket = self.socket()?;
        let address = self.socket_address(peer);
        let is_connected = self.connected == Some(peer);
        // The system call first: the reactor has not seen a new socket yet, and a program that does
        // not wait would lose its first datagram.
        let system_socket = SockRef::from(socket);
        let mut first = Some(if is_connected {
            system_socket.send(data)
        } else {
            system_socket.send_to(data, &address.into())
        });
        let outcome = loop {
            match first.take() {
                None => {}
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Some(sent) => break Poll::Ready(sent),
            }
            match socket.poll_send_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
            let sent = if is_connected {
                socket.try_send(data)
            } else {
                socket.try_send_to(data, address)
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => break Poll::Ready(sent),
            }
        };
        if !matches!(outcome, Poll::Ready(Ok(_))) {
            limiter.refund(billed(data.len()));
        }
        ready!(outcome)?;
        if let Some(destination) = self.destinations.find(peer) {
            destination.entry.add_sent(data.len());
        }
        Poll::Ready(Ok(()))
    }

    /// Receives one datagram from a destination of the socket, cut to `max` bytes.
    ///
    /// The buffer does not depend on `max`. Datagrams from any other address are dropped.
    ///
    /// # Errors
    ///
    /// [`NetError::WouldBlock`], [`NetError::TimedOut`], [`NetError::ConnectionRefused`] when the
    /// [connected](Self::connect) peer has no socket on the port, [`NetError::QuotaExceeded`] when
    /// a datagram has more bytes than the sandbox may still receive; that datagram is dropped.
    pub async fn receive(
        &mut self,
        max: usize,
        timeout: Option<Duration>,
    ) -> Result<Datagram, NetError> {
        self.limits
            .io_timeout(timeout)
            .run(|cx| self.poll_receive(cx, max))
            .await
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Datagram, NetError>> {
        self.limits.check_not_aborted()?;
        if let Some(error) = self.deferred_error.take() {
            return Poll::Ready(Err(error));
        }
        // No datagram can arrive before the socket exists.
        if self.socket.is_none() {
            return Poll::Pending;
        }
        ready!(self.poll_available(cx, Direction::Receive));
        if let Poll::Ready(error) = self.poll_icmp_error(cx) {
            return Poll::Ready(Err(error.into()));
        }
        let socket = self.socket()?;
        for _ in 0..MAX_DROPPED {
            let mut data = Vec::with_capacity(BUFFER);
            let source = loop {
                ready!(socket.poll_recv_ready(cx))?;
                match socket.try_recv_buf_from(&mut data) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    received => break canonical(received?.1),
                }
            };
            let Some(destination) = self.accepted_source(source) else {
                continue;
            };
            let size = data.len();
            data.truncate(max);
            let limiter = self.limits.limiter(Direction::Receive);
            if !limiter.debit(billed(data.len())) {
                return Poll::Ready(Err(self.quota_error(Direction::Receive, source)));
            }
            destination.entry.add_received(data.len());
            return Poll::Ready(Ok(Datagram { data, size, source }));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready with an ICMP error of the connected peer.
    pub(super) fn poll_icmp_error(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match &self.socket {
            Some(socket) if self.connected.is_some() => self.icmp_error.poll(socket, cx),
            _ => Poll::Pending,
        }
    }

    /// Returns the destination with this address, if the socket receives from it.
    fn accepted_source(&self, source: SocketAddr) -> Option<&Destination> {
        if self.connected.is_some_and(|peer| peer != source) {
            return None;
        }
        self.destinations.find(source)
    }

    /// Drops datagrams from unknown sources. Ready when another one, or an error, is next.
    pub(super) fn poll_accepted(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(socket) = &self.socket else {
            return Poll::Pending;
        };
        for _ in 0..MAX_DROPPED {
            let source = ready!(socket.poll_peek_sender(cx))?;
            if self.accepted_source(canonical(source)).is_some() {
                return Poll::Ready(Ok(()));
            }
            match socket.try_recv_from(&mut []) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                _ => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn quota_error(&self, direction: Direction, peer: SocketAddr) -> NetError {
        let destination = self.destinations.find(peer);
        let entry = destination.map(|destination| &*destination.entry);
        self.limits.quota_error(direction, entry)
    }
}

/// Returns the bytes that a datagram of `size` counts as. An empty one is still sent, so it counts
/// as one.
fn billed(size: usize) -> usize {
    size.max(1)
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
