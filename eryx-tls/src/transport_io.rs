use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::engine::Engine;
use crate::intake::Intake;
use crate::{Info, TlsError};

/// An [`Engine`] and the transport it speaks over.
#[derive(Debug)]
pub(crate) struct Channel<S> {
    pub(crate) engine: Engine,
    io: S,
    /// Bytes were handed to the transport that it may itself be holding back.
    unflushed: bool,
    /// Sending failed. Reading may still succeed: a server that refuses an upload answers, then closes.
    broken: Option<TlsError>,
    /// The last read was put off, since the poll had taken in what one may.
    gave_way: bool,
}

impl<S> Channel<S> {
    pub(crate) fn new(engine: Engine, io: S) -> Self {
        Self {
            engine,
            io,
            unflushed: false,
            broken: None,
            gave_way: false,
        }
    }

    pub(crate) fn io(&self) -> &S {
        &self.io
    }

    pub(crate) fn io_mut(&mut self) -> &mut S {
        &mut self.io
    }

    pub(crate) fn into_io(self) -> S {
        self.io
    }

    /// Whether the last read was put off to give others a turn, and may find something at once.
    pub(crate) fn gave_way(&self) -> bool {
        self.gave_way
    }

    /// Whether ciphertext waits to be sent.
    pub(crate) fn wants_flush(&self) -> bool {
        self.broken.is_none() && (self.unflushed || !self.engine.outgoing().is_empty())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Channel<S> {
    /// Drives the handshake to its end, all of it sent.
    pub(crate) fn poll_establish(&mut self, cx: &mut Context<'_>) -> Poll<Result<Info, TlsError>> {
        let mut intake = Intake::new();
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
                // When sending failed too, that came first.
                return Poll::Ready(Err(self.broken.clone().unwrap_or(TlsError::UnexpectedEof)));
            }
            // Even when sending failed: the alert that says why may be there to be read.
            match (self.poll_fill(cx, &mut intake), flushed) {
                (Poll::Ready(()), _) => {}
                (Poll::Pending, Poll::Ready(Err(error))) => return Poll::Ready(Err(error)),
                (Poll::Pending, _) => return Poll::Pending,
            }
        }
    }

    /// Reads ciphertext once. What became of it (an end or an error included) is the engine's to tell.
    ///
    /// Pending, and woken at once, when this poll has taken in what one may: then others get their turn first.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, intake: &mut Intake) -> Poll<()> {
        let Some(room) = intake.room() else {
            self.gave_way = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        self.gave_way = false;
        let Ok(space) = self.engine.space() else {
            return Poll::Ready(());
        };
        let room = room.min(space.len());
        let mut buf = ReadBuf::new(&mut space[..room]);
        let outcome = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf));
        let count = buf.filled().len();
        intake.count(count);
        match outcome {
            Ok(()) if count == 0 => self.engine.set_eof(),
            Ok(()) => self.engine.fill(count),
            Err(error) => self.engine.fail(error.into()),
        }
        // What came in may have to be answered, with an alert for one.
        self.push(cx);
        Poll::Ready(())
    }

    /// Sends as much waiting ciphertext as the transport takes now.
    pub(crate) fn push(&mut self, cx: &mut Context<'_>) {
        if self.wants_flush() {
            // Pending is fine, and an error is kept for the next write.
            let _ = self.poll_flush(cx);
        }
    }

    /// Sends everything there is to send. An error stays.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        if let Some(error) = &self.broken {
            return Poll::Ready(Err(error.clone()));
        }
        let outcome = ready!(self.poll_send(cx));
        if let Err(error) = &outcome {
            self.broken = Some(error.clone());
        }
        Poll::Ready(outcome)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        while !self.engine.outgoing().is_empty() {
            let io = Pin::new(&mut self.io);
            match ready!(io.poll_write(cx, self.engine.outgoing()))? {
                0 => return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into())),
                sent => self.engine.sent(sent),
            }
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}
