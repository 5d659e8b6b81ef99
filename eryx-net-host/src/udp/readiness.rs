//! Precise readiness of a UDP socket: an operation that is reported ready does not block.

use std::task::{Context, Poll, ready};

use crate::socket_limits::Direction;
use crate::udp::socket::UdpSocket;

impl UdpSocket {
    /// Ready when [`receive`](Self::receive) would return a datagram or an error.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.limits.context.is_aborted() || self.deferred_error.is_some() {
            return Poll::Ready(());
        }
        ready!(self.poll_available(cx, Direction::Receive));
        if let Poll::Ready(error) = self.poll_icmp_error(cx) {
            self.deferred_error = Some(error.into());
            return Poll::Ready(());
        }
        if let Err(error) = ready!(self.poll_accepted(cx)) {
            self.deferred_error = Some(error.into());
        }
        Poll::Ready(())
    }

    /// Ready when [`send`](Self::send) and [`send_to`](Self::send_to) would not block.
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.limits.context.is_aborted() || self.deferred_error.is_some() {
            return Poll::Ready(());
        }
        ready!(self.poll_send_allowed(cx));
        if let Some(socket) = &self.socket
            && let Err(error) = ready!(socket.poll_send_ready(cx))
        {
            self.deferred_error = Some(error.into());
        }
        Poll::Ready(())
    }

    /// Ready when the connect rate and the limits on sent bytes allow sending, or when the quota is
    /// exhausted.
    pub(super) fn poll_send_allowed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(send_at) = &mut self.send_at {
            ready!(send_at.poll(cx));
            self.send_at = None;
        }
        self.poll_available(cx, Direction::Send)
    }

    /// Ready when the limits in `direction` allow a transfer, or when the quota is exhausted.
    pub(super) fn poll_available(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<()> {
        let latest = self.destinations.latest();
        let entry = latest.map(|destination| &*destination.entry);
        self.limits.poll_available(cx, direction, entry)
    }
}
