//! Precise readiness: what is reported ready does not then block.

use std::task::ready;

use super::*;

impl UdpSocket {
    /// Ready when [`receive`](Self::receive) would return a datagram or an error.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.is_aborted() || self.owed.is_some() {
            return Poll::Ready(());
        }
        ready!(self.poll_may_receive(cx));
        if let Poll::Ready(error) = self.poll_refused(cx) {
            self.owed = Some(error.into());
            return Poll::Ready(());
        }
        if let Err(error) = ready!(self.poll_heard(cx)) {
            self.owed = Some(error.into());
        }
        Poll::Ready(())
    }

    /// Ready when [`send`](Self::send) and [`send_to`](Self::send_to) would not wait.
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.is_aborted() || self.owed.is_some() {
            return Poll::Ready(());
        }
        ready!(self.poll_may_send(cx));
        if let Some(socket) = &self.socket
            && let Err(error) = ready!(socket.poll_send_ready(cx))
        {
            self.owed = Some(error.into());
        }
        Poll::Ready(())
    }

    /// Ready when it is this socket's turn to send, or when there is nothing left to send with.
    pub(super) fn poll_may_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(turn) = &mut self.turn {
            ready!(turn.poll(cx));
            self.turn = None;
        }
        let room = self.shared.sent.poll_room(cx, &mut self.sending);
        self.noticed(room.map(drop), self.shared.sent.rate())
    }

    /// Ready when something may be received, or nothing any more.
    pub(super) fn poll_may_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let room = self.shared.received.poll_room(cx, &mut self.receiving);
        self.noticed(room.map(drop), self.shared.received.rate())
    }

    /// Writes down that it has to wait.
    fn noticed(&self, room: Poll<()>, limit: Option<NetLimit>) -> Poll<()> {
        if room.is_pending()
            && let Some(limit) = limit
            && let Some(peer) = self.peers.latest()
        {
            peer.entry.throttled(limit);
        }
        room
    }
}
