//! What the limits on bytes leave of a read or a write.

use std::task::ready;

use super::*;
use crate::meter::{Meter, Room};

impl Connection {
    /// Room to send up to `wanted` bytes. What is not sent has to be given back.
    pub(super) fn poll_send_room(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
    ) -> Poll<Result<usize, NetError>> {
        let meter = &self.shared.sent;
        let room = meter.poll_reserve(cx, &mut self.sending, wanted);
        Poll::Ready(match ready!(self.noticed(&self.shared.sent, room)) {
            Room::Bytes(count) => Ok(count),
            Room::Spent => Err(self.spent(&self.shared.sent)),
        })
    }

    /// Room to receive up to `wanted` bytes. What is not received has to be given back.
    pub(super) fn poll_receive_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Room> {
        let meter = &self.shared.received;
        let room = meter.poll_reserve(cx, &mut self.receiving, wanted);
        self.noticed(&self.shared.received, room)
    }

    /// Ready when there is room to send, or never will be.
    pub(super) fn poll_may_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let room = self.shared.sent.poll_room(cx, &mut self.sending);
        self.noticed(&self.shared.sent, room).map(drop)
    }

    /// Ready when there is room to receive, or never will be.
    pub(super) fn poll_may_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let room = self.shared.received.poll_room(cx, &mut self.receiving);
        self.noticed(&self.shared.received, room).map(drop)
    }

    /// The error for bytes that are more than the total.
    pub(super) fn spent(&self, meter: &Meter) -> NetError {
        // A meter without a total always has room.
        let Some((limit, error)) = meter.spent() else {
            return NetError::Other("a limit was reached that is not set".into());
        };
        self.entry.limit_reached(limit);
        error
    }

    /// Writes down that it has to wait.
    fn noticed(&self, meter: &Meter, room: Poll<Room>) -> Poll<Room> {
        if room.is_pending()
            && let Some(limit) = meter.rate()
        {
            self.entry.throttled(limit);
        }
        room
    }
}
