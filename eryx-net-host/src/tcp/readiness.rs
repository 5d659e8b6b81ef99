//! Precise readiness: what is reported ready does not then block.

use std::task::ready;

use super::*;
use crate::readiness::PollItem;

impl Connection {
    /// Ready when a read would return bytes, the end of the stream or an error, or when a handshake under
    /// way has come to its end.
    ///
    /// A connection that is still establishing makes progress here, and so does ciphertext that waits to
    /// be sent. Where bytes per second are limited, it is not ready before some may come.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !ready!(self.poll_settled(cx)) {
            return Poll::Ready(());
        }
        if self.halves.receive_shut || self.owed.is_some() || self.overrun {
            return Poll::Ready(());
        }
        ready!(self.poll_may_receive(cx));
        let outcome = match &mut self.state {
            State::Open(plain) => ready!(plain.poll_readable(cx)).map_err(NetError::from),
            State::Tls(encrypted) => ready!(encrypted.poll_readable(cx)),
            _ => Ok(()),
        };
        self.owe(outcome);
        Poll::Ready(())
    }

    /// Ready when a write would take bytes or fail, when a connect has come to its end, well or badly, or
    /// when a handshake under way has.
    ///
    /// A connection that is still establishing makes progress here, and so does ciphertext that waits to
    /// be sent.
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !ready!(self.poll_settled(cx)) {
            return Poll::Ready(());
        }
        if self.halves.send_shut || self.owed.is_some() {
            return Poll::Ready(());
        }
        ready!(self.poll_may_send(cx));
        let outcome = match &mut self.state {
            State::Open(plain) => ready!(plain.poll_writable(cx)).map_err(NetError::from),
            State::Tls(encrypted) => ready!(encrypted.poll_writable(cx)),
            _ => Ok(()),
        };
        self.owe(outcome);
        Poll::Ready(())
    }

    /// What to ask the kernel to know whether a read would wait. `None` when that is for
    /// [`poll_readable`](Self::poll_readable) to tell.
    #[must_use]
    pub fn poll_item_readable(&self) -> Option<PollItem<'_>> {
        if self.halves.receive_shut || self.overrun || self.shared.received.rate().is_some() {
            return None;
        }
        match &self.state {
            State::Open(plain) if !plain.has_early() => {
                self.question(plain.stream(), Event::Readable)
            }
            State::Tls(encrypted) if !encrypted.is_readable() => {
                self.question(encrypted.stream(), Event::Readable)
            }
            _ => None,
        }
    }

    /// What to ask the kernel to know whether a write would wait. `None` when that is for
    /// [`poll_writable`](Self::poll_writable) to tell.
    #[must_use]
    pub fn poll_item_writable(&self) -> Option<PollItem<'_>> {
        if self.halves.send_shut || self.shared.sent.rate().is_some() {
            return None;
        }
        match &self.state {
            State::Open(plain) => self.question(plain.stream(), Event::Writable),
            _ => None,
        }
    }

    /// Nothing but the kernel has a say, and there is nothing to do for the connection before.
    fn question<'a>(&self, stream: &'a Stream, event: Event) -> Option<PollItem<'a>> {
        let settled = match &self.state {
            State::Tls(encrypted) => !encrypted.handshake_untold() && !encrypted.wants_flush(),
            _ => true,
        };
        let idle = settled && !self.halves.end_owed && self.owed.is_none();
        (idle && !self.shared.is_aborted())
            .then(|| stream.question(event))
            .flatten()
    }

    /// Goes on with what comes before bytes can move. Ready with whether they can: `false` when there is
    /// something to hear about first.
    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.shared.is_aborted() {
            return Poll::Ready(false);
        }
        if matches!(self.state, State::Resolving(_) | State::Connecting(_)) {
            let _ = ready!(self.poll_connected(cx));
        }
        if matches!(self.state, State::Handshaking(_)) {
            let _ = ready!(self.poll_secured(cx));
        }
        match &self.state {
            State::Failed(_) | State::Gone => return Poll::Ready(false),
            State::Tls(encrypted) if encrypted.handshake_untold() => return Poll::Ready(false),
            _ => {}
        }
        self.poll_push(cx);
        Poll::Ready(true)
    }

    fn owe(&mut self, outcome: Result<(), NetError>) {
        if let Err(error) = outcome {
            self.note(&error);
            self.owed = Some(error);
        }
    }
}
