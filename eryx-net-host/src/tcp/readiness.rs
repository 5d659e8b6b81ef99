//! Precise readiness of a connection: an operation that is reported ready does not block.

use std::task::{Context, Poll, ready};

use crate::error::NetError;
use crate::poll::poll_set::PollItem;
use crate::socket_limits::Direction;
use crate::tcp::connection::Connection;
use crate::tcp::lazy_tcp_stream::Interest;
use crate::tcp::state::State;
use crate::tcp::transport::Transport;

impl Connection {
    /// Ready when a read would return bytes, the end of the stream or an error, or when a handshake
    /// in progress has completed or failed.
    ///
    /// Also drives connecting and the handshake, and sends buffered ciphertext. Under a rate limit
    /// it is ready only once bytes may be received.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !ready!(self.poll_io_ready(cx)) {
            return Poll::Ready(());
        }
        if self.half_close.read_shutdown || self.deferred_error.is_some() || self.quota_exceeded {
            return Poll::Ready(());
        }
        ready!(
            self.limits
                .poll_available(cx, Direction::Receive, Some(&self.entry))
        );
        match &mut self.state {
            State::Open(plain) => {
                let outcome = ready!(plain.poll_readable(cx)).map_err(NetError::from);
                self.defer_error(outcome);
            }
            State::Tls(tls) => ready!(tls.poll_readable(cx)),
            State::Inspected(inspected) => {
                let outcome = ready!(inspected.poll_readable(cx));
                self.defer_error(outcome);
            }
            _ => {}
        }
        Poll::Ready(())
    }

    /// Ready when a write would take bytes or fail, or when connecting or a handshake in progress
    /// has completed or failed.
    ///
    /// Also drives connecting and the handshake, and sends buffered ciphertext.
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !ready!(self.poll_io_ready(cx)) {
            return Poll::Ready(());
        }
        if self.half_close.write_shutdown || self.deferred_error.is_some() {
            return Poll::Ready(());
        }
        ready!(
            self.limits
                .poll_available(cx, Direction::Send, Some(&self.entry))
        );
        match &mut self.state {
            State::Open(plain) => {
                let outcome =
                    ready!(plain.transport_mut().poll_writable(cx)).map_err(NetError::from);
                self.defer_error(outcome);
            }
            State::Tls(tls) => ready!(tls.poll_writable(cx)),
            State::Inspected(inspected) => {
                let outcome = ready!(inspected.poll_writable(cx));
                self.defer_error(outcome);
            }
            _ => {}
        }
        Poll::Ready(())
    }

    /// Returns the socket and event by which poll(2) decides whether a read would block. `None`
    /// when only [`poll_readable`](Self::poll_readable) can decide.
    #[must_use]
    pub fn poll_item_readable(&self) -> Option<PollItem<'_>> {
        let limiter = self.limits.limiter(Direction::Receive);
        if self.half_close.read_shutdown || self.quota_exceeded || limiter.rate_limit().is_some() {
            return None;
        }
        match &self.state {
            State::Open(plain) if !plain.has_buffered_input() => {
                self.poll_item(plain.transport(), Interest::Readable)
            }
            State::Tls(tls) if !tls.has_buffered_input() => {
                self.poll_item(tls.transport(), Interest::Readable)
            }
            State::Inspected(inspected) if !inspected.has_buffered_input() => {
                self.poll_item(inspected.transport(), Interest::Readable)
            }
            _ => None,
        }
    }

    /// Returns the socket and event by which poll(2) decides whether a write would block. `None`
    /// when only [`poll_writable`](Self::poll_writable) can decide.
    #[must_use]
    pub fn poll_item_writable(&self) -> Option<PollItem<'_>> {
        let limiter = self.limits.limiter(Direction::Send);
        if self.half_close.write_shutdown || limiter.rate_limit().is_some() {
            return None;
        }
        match &self.state {
            State::Open(plain) => self.poll_item(plain.transport(), Interest::Writable),
            _ => None,
        }
    }

    /// Returns `None` if the connection has work that does not depend on the socket's readiness.
    fn poll_item<'a>(&self, transport: &'a Transport, interest: Interest) -> Option<PollItem<'a>> {
        let has_work = match &self.state {
            State::Tls(tls) => tls.handshake_unreported() || tls.wants_flush(),
            State::Inspected(inspected) => {
                inspected.handshake_unreported() || inspected.wants_flush()
            }
            _ => transport.wants_flush(),
        };
        let idle = !has_work && !self.half_close.fin_pending && self.deferred_error.is_none();
        (idle && !self.limits.context.is_aborted())
            .then(|| transport.tcp().poll_item(interest))
            .flatten()
    }

    /// Drives connecting and the handshake. Ready with whether bytes can be transferred: `false` if
    /// an operation has a result to return first.
    fn poll_io_ready(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.limits.context.is_aborted() {
            return Poll::Ready(false);
        }
        if matches!(self.state, State::Resolving(_) | State::Connecting(_)) {
            let _ = ready!(self.poll_connect(cx));
        }
        if matches!(self.state, State::Handshaking(_)) {
            let _ = ready!(self.poll_handshake(cx));
        }
        match &self.state {
            State::Failed(_) | State::Taken => return Poll::Ready(false),
            State::Tls(tls) if tls.handshake_unreported() => return Poll::Ready(false),
            State::Inspected(inspected) if inspected.handshake_unreported() => {
                return Poll::Ready(false);
            }
            _ => {}
        }
        self.poll_flush_pending(cx);
        Poll::Ready(true)
    }

    /// Defers an error to the next operation.
    fn defer_error(&mut self, outcome: Result<(), NetError>) {
        if let Err(error) = outcome {
            self.record_error(&error);
            self.deferred_error = Some(error);
        }
    }
}
