//! A socket whose sending side can be throttled or stalled.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// How often a socket with unread data is checked for the end of the stream.
const CLOSED_INTERVAL: Duration = Duration::from_millis(20);

/// A socket whose sending side obeys a [`Throttle`].
pub(crate) struct ThrottledSocket {
    socket: TcpStream,
    throttle: Throttle,
    sent: u64,
    delay: Option<Pin<Box<Sleep>>>,
}

impl ThrottledSocket {
    pub(crate) fn new(socket: TcpStream, throttle: Throttle) -> Self {
        Self {
            socket,
            throttle,
            sent: 0,
            delay: None,
        }
    }

    /// Makes closing the connection reset it.
    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        self.socket.set_zero_linger()
    }
}

/// Limits of what a socket sends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Throttle {
    /// Bytes of one write at most.
    pub(crate) piece: Option<usize>,
    /// The delay after each write.
    pub(crate) every: Duration,
    /// Bytes after which nothing more is sent.
    pub(crate) stall_after: Option<u64>,
}

impl Throttle {
    fn is_set(self) -> bool {
        self.piece.is_some() || self.stall_after.is_some()
    }
}

impl AsyncRead for ThrottledSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ThrottledSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut length = data.len();
        if let Some(limit) = this.throttle.stall_after {
            let left = usize::try_from(limit.saturating_sub(this.sent)).unwrap_or(usize::MAX);
            if left == 0 {
                return this.poll_client_closed(cx).map(Err);
            }
            length = length.min(left);
        }
        if let Some(piece) = this.throttle.piece {
            if let Some(delay) = &mut this.delay {
                ready!(delay.as_mut().poll(cx));
            }
            length = length.min(piece);
        }
        let sent = ready!(Pin::new(&mut this.socket).poll_write(cx, &data[..length]))?;
        this.sent += sent as u64;
        if !this.throttle.every.is_zero() {
            let until = Instant::now() + this.throttle.every;
            match &mut this.delay {
                Some(delay) => delay.as_mut().reset(until),
                None => this.delay = Some(Box::pin(tokio::time::sleep_until(until))),
            }
        }
        Poll::Ready(Ok(sent))
    }

    /// Pitfall: in a failing handshake rustls makes one write of all that is queued. The alert
    /// comes last, so it is only sent by a write that takes several buffers.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.throttle.is_set() {
            let first = buffers.iter().find(|buffer| !buffer.is_empty());
            return self.poll_write(cx, first.map_or(&[], |buffer| buffer));
        }
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        !self.throttle.is_set()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl ThrottledSocket {
    /// Waits until the client closes its sending side of a connection that is not read from.
    pub(crate) fn poll_client_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let mut byte = [0];
        loop {
            match ready!(self.socket.poll_peek(cx, &mut ReadBuf::new(&mut byte))) {
                Ok(0) => return Poll::Ready(io::ErrorKind::BrokenPipe.into()),
                Ok(_) => {}
                Err(error) => return Poll::Ready(error),
            }
            // Unread data hides the end of the stream behind it from a peek, but not from epoll.
            // The socket stays readable, so no wake-up would come from it.
            match pin!(self.socket.ready(Interest::READABLE)).poll(cx) {
                Poll::Ready(Ok(ready)) if ready.is_read_closed() => {
                    return Poll::Ready(io::ErrorKind::BrokenPipe.into());
                }
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Ready(Ok(_)) | Poll::Pending => {}
            }
            let delay = self
                .delay
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSED_INTERVAL)));
            ready!(delay.as_mut().poll(cx));
            delay.as_mut().reset(Instant::now() + CLOSED_INTERVAL);
        }
    }
}
