//! Reading, writing, and shutting down either direction.

use std::net;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::audit::activity::CloseReason;
use crate::error::NetError;
use crate::limits::traffic::Grant;
use crate::poll::noop_waker::noop_waker;
use crate::socket_limits::Direction;
use crate::tcp::connection::Connection;
use crate::tcp::read_size::MAX_READ;
use crate::tcp::state::{Shutdown, State};

impl Connection {
    /// Reads up to `max` bytes as soon as some are available. An empty vector is the end of the
    /// stream.
    ///
    /// Returns at most [`MAX_READ`] bytes, and of a plaintext connection all that have arrived. The
    /// buffer grows with the bytes that arrive, not with `max`.
    ///
    /// # Errors
    ///
    /// [`NetError::WouldBlock`], [`NetError::TimedOut`], [`NetError::NotConnected`] before the
    /// connection is established, [`NetError::ConnectionReset`], [`NetError::Tls`] with
    /// [`UnexpectedEof`](crate::TlsFailure::UnexpectedEof) when a TLS stream ends without
    /// close_notify, [`NetError::QuotaExceeded`] when the peer has sent more than the sandbox may
    /// receive.
    pub async fn read(
        &mut self,
        max: usize,
        timeout: Option<Duration>,
    ) -> Result<Vec<u8>, NetError> {
        let max = max.min(MAX_READ);
        let ceiling = self.limits.context.config.io_timeout();
        self.run_inline_first(timeout, ceiling, |connection, cx| {
            connection.poll_read(cx, max)
        })
        .await
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Vec<u8>, NetError>> {
        self.check_io_ready()?;
        self.poll_flush_pending(cx);
        if max == 0 {
            return Poll::Ready(Ok(Vec::new()));
        }
        if let Some(error) = self.deferred_error.take() {
            return Poll::Ready(Err(error));
        }
        if self.quota_exceeded {
            return Poll::Ready(Err(self.quota_error(Direction::Receive)));
        }
        let (outcome, exhausted) = {
            let grant = self
                .limits
                .poll_reserve(cx, Direction::Receive, &self.entry, max);
            let mut grant = ready!(grant);
            // Where the quota is exhausted, EOF costs nothing: read one byte to tell the two apart.
            let allowed = grant.as_ref().map_or(1, Grant::unspent);
            let outcome = match &mut self.state {
                State::Open(plain) => plain.poll_read_vec(cx, allowed).map_err(NetError::from),
                State::Tls(tls) => tls.poll_read_vec(cx, allowed),
                State::Inspected(inspected) => inspected.poll_read_vec(cx, allowed),
                _ => Poll::Ready(Err(NetError::NotConnected)),
            };
            if let (Some(grant), Poll::Ready(Ok(bytes))) = (&mut grant, &outcome) {
                grant.spend(bytes.len());
            }
            (outcome, grant.is_none())
        };
        let outcome = match outcome {
            // Bytes that arrived before reading was shut down are still read, as on Linux.
            Poll::Pending if self.half_close.read_shutdown => Ok(Vec::new()),
            outcome => ready!(outcome),
        };
        let outcome = match outcome {
            Ok(bytes) if exhausted && !bytes.is_empty() => {
                self.quota_exceeded = true;
                Err(self.quota_error(Direction::Receive))
            }
            outcome => outcome,
        };
        match &outcome {
            Ok(bytes) if bytes.is_empty() => {
                self.half_close.peer_eof = true;
                if self.close_reason == CloseReason::LocalClose {
                    self.close_reason = CloseReason::PeerClose;
                }
            }
            Ok(bytes) => self.entry.add_received(bytes.len()),
            Err(error) => self.record_error(error),
        }
        Poll::Ready(outcome)
    }

    /// Writes `data` and returns how many bytes of it were taken.
    ///
    /// With a zero timeout, takes the bytes that can be taken now. Otherwise takes all of them and
    /// returns once the kernel has them, or returns how many were taken when the timeout passed,
    /// unless that is none. Writing an empty slice waits until all earlier writes are with the
    /// kernel, and returns the error of a connection that has ended.
    ///
    /// # Errors
    ///
    /// [`NetError::WouldBlock`] or [`NetError::TimedOut`] when no byte was taken,
    /// [`NetError::QuotaExceeded`] when the sandbox has sent all that it may,
    /// [`NetError::BrokenPipe`] after writing was shut down on either end,
    /// [`NetError::ConnectionReset`], [`NetError::NotConnected`] before the connection is
    /// established. The next operation returns an error that occurs after some bytes were taken.
    pub async fn write(
        &mut self,
        data: &[u8],
        timeout: Option<Duration>,
    ) -> Result<usize, NetError> {
        let mut taken = 0;
        let outcome = self
            .limits
            .io_timeout(timeout)
            .run(|cx| self.poll_write_all(cx, data, &mut taken))
            .await;
        self.entry.add_sent(taken);
        match outcome {
            Ok(()) => Ok(taken),
            // The next write reaches a limit again, and these errors do not concern reads.
            Err(NetError::WouldBlock | NetError::TimedOut | NetError::QuotaExceeded(_))
                if taken > 0 =>
            {
                Ok(taken)
            }
            // Nothing of a denied request was sent, even if some of its bytes were taken.
            Err(error @ NetError::Denied(_)) => Err(self.fail_after_responses(error)),
            Err(error) => {
                self.record_error(&error);
                if taken == 0 {
                    return Err(error);
                }
                self.deferred_error = Some(error);
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
        self.check_io_ready()?;
        if self.half_close.write_shutdown {
            if matches!(&self.state, State::Open(plain) if !plain.transport().is_tls()) {
                // Linux returns the pending error of a socket first.
                self.take_error()?;
            }
            return Poll::Ready(Err(NetError::BrokenPipe));
        }
        if let Some(error) = self.deferred_error.take() {
            return Poll::Ready(Err(error));
        }
        loop {
            let rest = &data[*taken..];
            // Take bytes only when none are buffered, so that the buffer is bounded, and every
            // write first sends the rest of the one before it.
            match &mut self.state {
                State::Open(plain) => ready!(plain.transport_mut().poll_flush(cx))?,
                State::Tls(tls) => ready!(tls.poll_flush(cx))?,
                State::Inspected(inspected) => ready!(inspected.poll_flush(cx))?,
                _ => {}
            }
            if rest.is_empty() {
                if data.is_empty()
                    && let State::Open(plain) = &mut self.state
                    && !plain.transport().is_tls()
                {
                    // No bytes to send, but an error to return.
                    ready!(plain.transport_mut().poll_send(cx, data))?;
                }
                return Poll::Ready(Ok(()));
            }
            let outcome = {
                let grant = self
                    .limits
                    .poll_reserve(cx, Direction::Send, &self.entry, rest.len());
                ready!(grant).map(|mut grant| {
                    let outcome = poll_send(&mut self.state, cx, &rest[..grant.unspent()]);
                    if let Poll::Ready(Ok(sent)) = &outcome {
                        grant.spend(*sent);
                    }
                    outcome
                })
            };
            let Some(outcome) = outcome else {
                return Poll::Ready(Err(self.quota_error(Direction::Send)));
            };
            *taken += ready!(outcome)?;
        }
    }

    /// Shuts down one direction or both.
    ///
    /// After reading is shut down, reads return what has arrived and then the end of the stream.
    /// After both are, a plaintext connection is reset when bytes arrive.
    /// Shutting down writing over TLS sends close_notify first. Never waits: bytes that the kernel
    /// does not take at once are sent when a later operation waits on this connection, or when it
    /// is dropped.
    ///
    /// # Errors
    ///
    /// [`NetError::NotConnected`] unless the connection is established, and once it has ended in
    /// both directions.
    pub fn shutdown(&mut self, how: Shutdown) -> Result<(), NetError> {
        match self.check_io_ready() {
            Err(NetError::ConnectionAborted) => return Err(NetError::ConnectionAborted),
            Err(_) => return Err(NetError::NotConnected),
            Ok(()) => {}
        }
        // A connection that has ended, before close_notify makes a peer that has closed reset it.
        let is_connected = self.peer_endpoint().is_ok();
        if how != Shutdown::Send {
            self.half_close.read_shutdown = true;
            if let State::Open(plain) = &self.state
                && !plain.transport().is_tls()
            {
                // The kernel resets the connection when bytes arrive after both shutdowns. The
                // error is that of `is_connected`.
                let _ = plain.transport().tcp().shutdown(net::Shutdown::Read);
            }
        }
        if how != Shutdown::Receive && !self.half_close.write_shutdown {
            self.half_close.write_shutdown = true;
            self.half_close.fin_pending = true;
            self.poll_flush_pending(&mut Context::from_waker(noop_waker()));
            if self.deferred_error == Some(NetError::NotConnected) {
                self.deferred_error = None;
            }
        }
        if is_connected {
            Ok(())
        } else {
            Err(NetError::NotConnected)
        }
    }

    /// Sends the pending bytes: buffered ciphertext, then the end of the stream. Defers an error to
    /// the next operation.
    pub(super) fn poll_flush_pending(&mut self, cx: &mut Context<'_>) {
        let fin_pending = self.half_close.fin_pending;
        let outcome = match &mut self.state {
            State::Tls(tls) if fin_pending => tls.poll_shutdown(cx),
            State::Tls(tls) if tls.wants_flush() => tls.poll_flush(cx),
            State::Inspected(inspected) if fin_pending => inspected.poll_shutdown(cx),
            State::Inspected(inspected) if inspected.wants_flush() => inspected.poll_flush(cx),
            State::Open(plain) if fin_pending => plain
                .transport_mut()
                .poll_shutdown(cx)
                .map_err(NetError::from),
            State::Open(plain) if plain.transport().wants_flush() => {
                plain.transport_mut().poll_flush(cx).map_err(NetError::from)
            }
            _ => return,
        };
        let Poll::Ready(outcome) = outcome else {
            return;
        };
        self.half_close.fin_pending = false;
        if let Err(error) = outcome {
            self.record_error(&error);
            self.deferred_error.get_or_insert(error);
        }
    }

    /// Checks that bytes can be transferred: the connection is established, and no handshake is in
    /// progress.
    pub(super) fn check_io_ready(&self) -> Result<(), NetError> {
        self.limits.check_not_aborted()?;
        match &self.state {
            State::Open(_) | State::Tls(_) | State::Inspected(_) => Ok(()),
            State::Failed(error) => Err(error.clone()),
            State::Handshaking(_) => Err(NetError::InvalidArgument(
                "the TLS handshake has begun and has to be finished first".into(),
            )),
            State::Resolving(_) | State::Connecting(_) | State::Taken => {
                Err(NetError::NotConnected)
            }
        }
    }

    fn quota_error(&self, direction: Direction) -> NetError {
        self.limits.quota_error(direction, Some(&self.entry))
    }
}

/// Sends bytes, or encrypts them if the connection uses TLS. Returns how many were taken.
fn poll_send(
    state: &mut State,
    cx: &mut Context<'_>,
    data: &[u8],
) -> Poll<Result<usize, NetError>> {
    match state {
        State::Open(plain) => plain
            .transport_mut()
            .poll_send(cx, data)
            .map_err(NetError::from),
        State::Tls(tls) => tls.poll_write(cx, data),
        State::Inspected(inspected) => inspected.poll_write(cx, data),
        _ => Poll::Ready(Err(NetError::NotConnected)),
    }
}
