//! The engine together with the transport below it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::engine::Engine;
use crate::error::TlsError;
use crate::info::Info;
use crate::read_budget::ReadBudget;

/// An [`Engine`] and its transport.
#[derive(Debug)]
pub(crate) struct TlsIo<S> {
    pub(crate) engine: Engine,
    transport: S,
    /// Whether the transport may hold written bytes that it has not flushed.
    unflushed: bool,
    /// The error of sending. Reading may still succeed: a server that rejects an upload responds,
    /// and then closes.
    send_error: Option<TlsError>,
    /// Whether the last read was postponed because the budget of the poll was used up.
    yielded: bool,
}

impl<S> TlsIo<S> {
    pub(crate) fn new(engine: Engine, transport: S) -> Self {
        Self {
            engine,
            transport,
            unflushed: false,
            send_error: None,
            yielded: false,
        }
    }

    pub(crate) fn transport(&self) -> &S {
        &self.transport
    }

    pub(crate) fn transport_mut(&mut self) -> &mut S {
        &mut self.transport
    }

    pub(crate) fn into_transport(self) -> S {
        self.transport
    }

    /// Returns whether the last read was postponed so that other tasks run. The transport may have
    /// more bytes.
    pub(crate) fn yielded(&self) -> bool {
        self.yielded
    }

    /// Returns whether ciphertext is waiting to be sent.
    pub(crate) fn wants_flush(&self) -> bool {
        self.send_error.is_none() && (self.unflushed || !self.engine.outgoing().is_empty())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsIo<S> {
    /// Completes the handshake, and sends all of it.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<Info, TlsError>> {
        let mut budget = ReadBudget::new();
        loop {
            let flushed = self.poll_flush(cx);
            if let Some(error) = self.engine.failure() {
                return Poll::Ready(Err(error.clone()));
            }
            if self.engine.is_established() {
                ready!(flushed)?;
                return Poll::Ready(self.engine.info().ok_or_else(|| {
                    TlsError::protocol("internal error", "no version or cipher was agreed on")
                }));
            }
            if self.engine.peer_closed() || self.engine.is_eof() {
                // Sending failed before the stream ended: that error says more.
                let error = self.send_error.clone();
                return Poll::Ready(Err(error.unwrap_or(TlsError::UnexpectedEof)));
            }
            // Reads even when sending failed: the peer's alert may explain the failure.
            match (self.poll_fill(cx, &mut budget), flushed) {
                (Poll::Ready(()), _) => {}
                (Poll::Pending, Poll::Ready(Err(error))) => return Poll::Ready(Err(error)),
                (Poll::Pending, _) => return Poll::Pending,
            }
        }
    }

    /// Reads ciphertext once. EOF and errors are recorded in the engine.
    ///
    /// When the budget of the poll is used up, returns `Pending` and wakes the task at once, so
    /// that other tasks run first.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, budget: &mut ReadBudget) -> Poll<()> {
        let Some(remaining) = budget.remaining() else {
            self.yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        self.yielded = false;
        let Ok(space) = self.engine.space() else {
            return Poll::Ready(());
        };
        let len = remaining.min(space.len());
        let mut buf = ReadBuf::new(&mut space[..len]);
        let outcome = ready!(Pin::new(&mut self.transport).poll_read(cx, &mut buf));
        let count = buf.filled().len();
        budget.deduct(count);
        match outcome {
            Ok(()) if count == 0 => self.engine.set_eof(),
            Ok(()) => self.engine.fill(count),
            Err(error) => self.engine.fail(error.into()),
        }
        // The received bytes may need a response, such as an alert.
        self.try_flush(cx);
        Poll::Ready(())
    }

    /// Sends as much of the waiting ciphertext as the transport accepts now.
    pub(crate) fn try_flush(&mut self, cx: &mut Context<'_>) {
        if self.wants_flush() {
            // `poll_flush` keeps an error for the next write.
            let _ = self.poll_flush(cx);
        }
    }

    /// Sends all of the waiting ciphertext. An error is returned again by later calls.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        if let Some(error) = &self.send_error {
            return Poll::Ready(Err(error.clone()));
        }
        let outcome = ready!(self.poll_send(cx));
        if let Err(error) = &outcome {
            self.send_error = Some(error.clone());
        }
        Poll::Ready(outcome)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        while !self.engine.outgoing().is_empty() {
            let transport = Pin::new(&mut self.transport);
            match ready!(transport.poll_write(cx, self.engine.outgoing()))? {
                0 => return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into())),
                sent => self.engine.sent(sent),
            }
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.transport).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}
