//! A socket whose sending side can be slowed down and cut off.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// A socket whose sending side keeps to a pace.
pub(crate) struct Wire {
    socket: TcpStream,
    pace: Pace,
    sent: u64,
    rest: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(crate) fn new(socket: TcpStream, pace: Pace) -> Self {
        Self {
            socket,
            pace,
            sent: 0,
            rest: None,
        }
    }

    /// Makes closing the connection reset it.
    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        self.socket.set_zero_linger()
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    pub(crate) piece: Option<usize>,
    pub(crate) every: Duration,
    pub(crate) stall_after: Option<u64>,
}

impl Pace {
    fn is_set(self) -> bool {
        self.piece.is_some() || self.stall_after.is_some()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut length = data.len();
        if let Some(limit) = this.pace.stall_after {
            let left = usize::try_from(limit.saturating_sub(this.sent)).unwrap_or(usize::MAX);
            if left == 0 {
                return this.poll_abandoned(cx);
            }
            length = length.min(left);
        }
        if let Some(piece) = this.pace.piece {
            if let Some(rest) = &mut this.rest {
                ready!(rest.as_mut().poll(cx));
            }
            length = length.min(piece);
        }
        let sent = ready!(Pin::new(&mut this.socket).poll_write(cx, &data[..length]))?;
        this.sent += sent as u64;
        if !this.pace.every.is_zero() {
            let until = Instant::now() + this.pace.every;
            match &mut this.rest {
                Some(rest) => rest.as_mut().reset(until),
                None => this.rest = Some(Box::pin(tokio::time::sleep_until(until))),
            }
        }
        Poll::Ready(Ok(sent))
    }

    /// rustls gives a failing handshake one write for all that is queued: the alert, which comes
    /// last, only leaves with a write that takes several buffers.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.pace.is_set() {
            let first = buffers.iter().find(|buffer| !buffer.is_empty());
            return self.poll_write(cx, first.map_or(&[], |buffer| buffer));
        }
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        !self.pace.is_set()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl Wire {
    /// Waits for the client to give up on a stalled connection.
    fn poll_abandoned(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut one = [0];
        match ready!(self.socket.poll_peek(cx, &mut ReadBuf::new(&mut one))) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            // Unread data hides the end behind it; such a connection lasts as long as its server.
            Ok(_) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}
