//! Sending and receiving.

use std::task::ready;

use super::*;
use crate::meter::Meter;

/// The most bytes a datagram carries over IPv6, without jumbograms: 65,535, less the header of UDP.
const MAX_DATAGRAM_V6: usize = 65_527;

/// What receiving makes room for: more than any datagram carries, whatever the program asks for.
const BUFFER: usize = 1 << 16;

/// How many datagrams of strangers one look drops before others have their turn.
const MAX_DROPPED: usize = 64;

impl UdpSocket {
    /// Sends `data` to the peer chosen with [`connect`](Self::connect), whole or not at all.
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] when there is none, and otherwise as [`send_to`](Self::send_to).
    pub async fn send(&mut self, data: &[u8], timeout: Option<Duration>) -> Result<(), NetError> {
        self.check_not_aborted()?;
        let peer = self.peer_endpoint()?;
        self.transmit(data, peer, timeout).await
    }

    /// Sends `data` to an address, whole or not at all. `host` is as for [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`], [`NetError::MessageTooLong`] for more than [`MAX_DATAGRAM`] bytes,
    /// [`NetError::LimitReached`], [`NetError::QuotaExceeded`], [`NetError::WouldBlock`], [`NetError::TimedOut`],
    /// [`NetError::ConnectionRefused`] when the peer chosen with [`connect`](Self::connect) has said that
    /// nobody is there, or what else the system says.
    pub async fn send_to(
        &mut self,
        data: &[u8],
        host: &str,
        port: u16,
        timeout: Option<Duration>,
    ) -> Result<(), NetError> {
        self.check_not_aborted()?;
        let peer = self.peer(host, port)?;
        self.transmit(data, peer, timeout).await
    }

    async fn transmit(
        &mut self,
        data: &[u8],
        peer: SocketAddr,
        timeout: Option<Duration>,
    ) -> Result<(), NetError> {
        let most = match peer {
            SocketAddr::V4(_) => MAX_DATAGRAM,
            SocketAddr::V6(_) => MAX_DATAGRAM_V6,
        };
        if data.len() > most {
            return Err(NetError::MessageTooLong);
        }
        self.patience(timeout)
            .wait(|cx| self.poll_transmit(cx, data, peer))
            .await
    }

    fn poll_transmit(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        peer: SocketAddr,
    ) -> Poll<Result<(), NetError>> {
        self.check_not_aborted()?;
        if let Some(error) = self.owed.take() {
            return Poll::Ready(Err(error));
        }
        ready!(self.poll_may_send(cx));
        let meter = &self.shared.sent;
        if !meter.charge(charged(data.len())) {
            return Poll::Ready(Err(self.spent(meter, peer)));
        }
        let socket = self.socket()?;
        let address = self.dialled(peer);
        let whole = self.connected == Some(peer);
        let outcome = loop {
            match socket.poll_send_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
            let sent = if whole {
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
            meter.give_back(charged(data.len()));
        }
        ready!(outcome)?;
        if let Some(peer) = self.peers.find(peer) {
            peer.entry.add_sent(data.len());
        }
        Poll::Ready(Ok(()))
    }

    /// Receives one datagram from a peer, cut to `max` bytes.
    ///
    /// What is allocated does not depend on `max`. What comes from anybody else is dropped.
    ///
    /// # Errors
    ///
    /// [`NetError::WouldBlock`], [`NetError::TimedOut`], [`NetError::ConnectionRefused`] when the peer chosen
    /// with [`connect`](Self::connect) has said that nobody is there, [`NetError::QuotaExceeded`] when a
    /// datagram is more than the sandbox may receive, which is then dropped.
    pub async fn receive(
        &mut self,
        max: usize,
        timeout: Option<Duration>,
    ) -> Result<Datagram, NetError> {
        self.patience(timeout)
            .wait(|cx| self.poll_receive(cx, max))
            .await
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Datagram, NetError>> {
        self.check_not_aborted()?;
        if let Some(error) = self.owed.take() {
            return Poll::Ready(Err(error));
        }
        // Nothing can arrive before there is a socket.
        if self.socket.is_none() {
            return Poll::Pending;
        }
        ready!(self.poll_may_receive(cx));
        if let Poll::Ready(error) = self.poll_refused(cx) {
            return Poll::Ready(Err(error.into()));
        }
        let socket = self.socket()?;
        for _ in 0..MAX_DROPPED {
            let mut buffer = Vec::with_capacity(BUFFER);
            let source = loop {
                ready!(socket.poll_recv_ready(cx))?;
                match socket.try_recv_buf_from(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    received => break canonical(received?.1),
                }
            };
            let Some(peer) = self.heard(source) else {
                continue;
            };
            let datagram = Datagram::cut(buffer, max, source);
            let meter = &self.shared.received;
            if !meter.charge(charged(datagram.data.len())) {
                return Poll::Ready(Err(self.spent(meter, source)));
            }
            peer.entry.add_received(datagram.data.len());
            return Poll::Ready(Ok(datagram));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready with the error that the peer's system has answered with.
    pub(super) fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match &self.socket {
            Some(socket) if self.connected.is_some() => self.refusal.poll(socket, cx),
            _ => Poll::Pending,
        }
    }

    /// The peer whose address this is, if it is to be heard.
    fn heard(&self, source: SocketAddr) -> Option<&Peer> {
        if self.connected.is_some_and(|peer| peer != source) {
            return None;
        }
        self.peers.find(source)
    }

    /// Drops what is there from others than peers. Ready when a peer's datagram is there, or an error.
    pub(super) fn poll_heard(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(socket) = &self.socket else {
            return Poll::Pending;
        };
        for _ in 0..MAX_DROPPED {
            let source = ready!(socket.poll_peek_sender(cx))?;
            if self.heard(canonical(source)).is_some() {
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

    /// The error for bytes that are more than the total.
    fn spent(&self, meter: &Meter, peer: SocketAddr) -> NetError {
        // A meter without a total takes every charge.
        let Some((limit, error)) = meter.spent() else {
            return NetError::Other("a limit was reached that is not set".into());
        };
        if let Some(peer) = self.peers.find(peer) {
            peer.entry.limit_reached(limit);
        }
        error
    }
}

/// What a datagram counts as. An empty one is not free: it is sent all the same.
fn charged(size: usize) -> usize {
    size.max(1)
}
