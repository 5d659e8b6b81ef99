//! Reading, writing, and ending either direction.

use std::task::ready;

use super::*;
use crate::meter::Room;
use crate::prompt;

impl Connection {
    /// Reads up to `max` bytes as soon as any are there. Nothing is the end of the stream.
    ///
    /// At most [`MAX_READ`] bytes are returned. What is allocated follows what arrives, whatever `max` says.
    ///
    /// # Errors
    ///
    /// [`NetError::WouldBlock`], [`NetError::TimedOut`], [`NetError::NotConnected`] before the connection
    /// is established, [`NetError::ConnectionReset`], [`NetError::Tls`] with
    /// [`UnexpectedEof`](crate::TlsFailure::UnexpectedEof) when an encrypted stream ends without
    /// close_notify, [`NetError::QuotaExceeded`] when there is more than the sandbox may receive.
    pub async fn read(
        &mut self,
        max: usize,
        timeout: Option<Duration>,
    ) -> Result<Vec<u8>, NetError> {
        let max = max.min(MAX_READ);
        let soon = self.soon(timeout, |connection, cx| connection.poll_read(cx, max));
        if let Some(outcome) = soon {
            return outcome;
        }
        self.patience(timeout)
            .wait(|cx| self.poll_read(cx, max))
            .await
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Vec<u8>, NetError>> {
        self.check_usable()?;
        self.poll_push(cx);
        if self.halves.receive_shut || max == 0 {
            return Poll::Ready(Ok(Vec::new()));
        }
        if let Some(error) = self.owed.take() {
            return Poll::Ready(Err(error));
        }
        if self.overrun {
            return Poll::Ready(Err(self.spent(&self.shared.received)));
        }
        let (room, spent) = match ready!(self.poll_receive_room(cx, max)) {
            Room::Bytes(room) => (room, false),
            // The end of the stream is no byte: only a look tells whether this is it.
            Room::Spent => (1, true),
        };
        let outcome = match &mut self.state {
            State::Open(plain) => plain.poll_read(cx, room).map_err(NetError::from),
            State::Tls(encrypted) => encrypted.poll_read(cx, room),
            _ => Poll::Ready(Err(NetError::NotConnected)),
        };
        let received = match &outcome {
            Poll::Ready(Ok(bytes)) => bytes.len(),
            _ => 0,
        };
        let outcome = if spent && received > 0 {
            self.overrun = true;
            Err(self.spent(&self.shared.received))
        } else {
            if !spent {
                self.shared.received.give_back(room - received);
            }
            ready!(outcome)
        };
        match &outcome {
            Ok(bytes) if bytes.is_empty() => {
                self.halves.peer_ended = true;
                if self.close_reason == CloseReason::LocalClose {
                    self.close_reason = CloseReason::PeerClose;
                }
            }
            Ok(bytes) => self.entry.add_received(bytes.len()),
            Err(error) => self.note(error),
        }
        Poll::Ready(outcome)
    }

    /// Writes `data` and returns how many bytes of it were taken.
    ///
    /// With a zero timeout: what can be taken now. Otherwise all of it, sent and not merely kept, or as
    /// much as could be written before time ran out, if that is more than nothing. Writing nothing waits
    /// until everything written before is sent.
    ///
    /// # Errors
    ///
    /// [`NetError::WouldBlock`] or [`NetError::TimedOut`] when nothing was taken,
    /// [`NetError::QuotaExceeded`] when the sandbox has sent all it may, [`NetError::BrokenPipe`]
    /// after the sending side was shut down on either end, [`NetError::ConnectionReset`],
    /// [`NetError::NotConnected`] before the connection is established. An error that comes up after some
    /// bytes were taken is told by the next operation.
    pub async fn write(
        &mut self,
        data: &[u8],
        timeout: Option<Duration>,
    ) -> Result<usize, NetError> {
        let mut taken = 0;
        let outcome = self
            .patience(timeout)
            .wait(|cx| self.poll_write_all(cx, data, &mut taken))
            .await;
        self.entry.add_sent(taken);
        match outcome {
            Ok(()) => Ok(taken),
            // The next write meets a limit again, and reads have nothing to do with it.
            Err(NetError::WouldBlock | NetError::TimedOut | NetError::QuotaExceeded(_))
                if taken > 0 =>
            {
                Ok(taken)
            }
            Err(error) => {
                self.note(&error);
                if taken == 0 {
                    return Err(error);
                }
                self.owed = Some(error);
                Ok(taken)
            }
        }
    }

    fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        taken: &mut usize,
    ) -> Poll<Result<(), NetError>> {
        self.check_usable()?;
        if self.halves.send_shut {
            return Poll::Ready(Err(NetError::BrokenPipe));
        }
        if let Some(error) = self.owed.take() {
            return Poll::Ready(Err(error));
        }
        loop {
            let rest = &data[*taken..];
            if let State::Tls(encrypted) = &mut self.state {
                // Bytes are taken only when nothing waits to be sent, so that what the kernel does
                // not take is bounded and every write pushes what the one before it left.
                ready!(encrypted.poll_flush(cx))?;
            }
            if rest.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let room = ready!(self.poll_send_room(cx, rest.len()))?;
            let rest = &rest[..room];
            let outcome = match &mut self.state {
                State::Open(plain) => plain.poll_write(cx, rest).map_err(NetError::from),
                State::Tls(encrypted) => encrypted.poll_write(cx, rest),
                _ => Poll::Ready(Err(NetError::NotConnected)),
            };
            let sent = match &outcome {
                Poll::Ready(Ok(sent)) => *sent,
                _ => 0,
            };
            self.shared.sent.give_back(room - sent);
            *taken += ready!(outcome)?;
        }
    }

    /// Ends one half or both.
    ///
    /// Ending the receiving half makes later reads return the end of the stream. Ending the sending half
    /// of an encrypted connection sends close_notify first. Never waits: what the kernel does not take at
    /// once is sent when anything is waited for on this connection, or when it is dropped.
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] unless the connection is established.
    pub fn shutdown(&mut self, how: Shutdown) -> Result<(), NetError> {
        match self.check_usable() {
            Err(NetError::ConnectionAborted) => return Err(NetError::ConnectionAborted),
            Err(_) => return Err(NetError::NotConnected),
            Ok(()) => {}
        }
        if how != Shutdown::Send {
            self.halves.receive_shut = true;
        }
        if how != Shutdown::Receive && !self.halves.send_shut {
            self.halves.send_shut = true;
            self.halves.end_owed = true;
            self.poll_push(&mut Context::from_waker(prompt::nobody()));
            if let Some(error @ NetError::NotConnected) = self.owed.clone() {
                self.owed = None;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Sends what waits: ciphertext, and the end of the stream behind it. An error is owed to the next
    /// operation.
    pub(super) fn poll_push(&mut self, cx: &mut Context<'_>) {
        let outcome = match &mut self.state {
            State::Tls(encrypted) if self.halves.end_owed => encrypted.poll_close_notify(cx),
            State::Tls(encrypted) if encrypted.wants_flush() => encrypted.poll_flush(cx),
            State::Open(_) if self.halves.end_owed => Poll::Ready(Ok(())),
            _ => return,
        };
        let Poll::Ready(outcome) = outcome else {
            return;
        };
        let outcome = outcome.and_then(|()| {
            if std::mem::take(&mut self.halves.end_owed) {
                self.stream()?.shutdown()?;
            }
            Ok(())
        });
        if let Err(error) = outcome {
            self.halves.end_owed = false;
            self.note(&error);
            self.owed.get_or_insert(error);
        }
    }

    /// Whether bytes can go either way: established, and not in the middle of a handshake.
    pub(super) fn check_usable(&self) -> Result<(), NetError> {
        self.check_not_aborted()?;
        match &self.state {
            State::Open(_) | State::Tls(_) => Ok(()),
            State::Failed(error) => Err(error.clone()),
            State::Handshaking(_) => Err(NetError::InvalidArgument(
                "the TLS handshake has begun and has to be finished first".into(),
            )),
            State::Resolving(_) | State::Connecting(_) | State::Gone => Err(NetError::NotConnected),
        }
    }
}
