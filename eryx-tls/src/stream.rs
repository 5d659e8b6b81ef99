use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::channel::Channel;
use crate::intake::Intake;
use crate::{Info, TlsError};

/// A transport that carries TLS, its handshake complete.
///
/// Every operation is a plain `poll_` method, for callers that poll once and come back; the `tokio` traits are
/// there too, with errors turned into [`io::Error`].
///
/// None takes in more than [`POLL_LIMIT`](crate::POLL_LIMIT) bytes of ciphertext that lead to no plaintext: it is pending
/// then, and has woken its task.
///
/// Any of them also pushes ciphertext that is still waiting to be sent. A write returns once its bytes are
/// encrypted, which is not when they are sent: [`wants_flush`](Self::wants_flush) tells, and
/// [`poll_flush`](Self::poll_flush) waits.
#[derive(Debug)]
pub struct TlsStream<S> {
    channel: Channel<S>,
    info: Info,
}

impl<S> TlsStream<S> {
    pub(crate) fn new(channel: Channel<S>, info: Info) -> Self {
        Self { channel, info }
    }

    /// What the handshake agreed on.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// How many bytes of plaintext can be read without any input or output, at least: zero only if there are
    /// none. At most [`INCOMING_LIMIT`](crate::INCOMING_LIMIT).
    pub fn pending(&self) -> usize {
        self.channel.engine.pending()
    }

    /// Whether the last poll was pending because it had taken in [`POLL_LIMIT`](crate::POLL_LIMIT) bytes that led to no
    /// plaintext, or as many small reads: the task was woken, and there may be more to take in at once.
    #[must_use]
    pub fn gave_way(&self) -> bool {
        self.channel.gave_way()
    }

    /// Whether ciphertext waits to be sent.
    pub fn wants_flush(&self) -> bool {
        self.channel.wants_flush()
    }

    /// Whether the peer's close_notify has arrived and everything before it was read.
    pub fn is_peer_closed(&self) -> bool {
        self.channel.engine.peer_closed() && self.pending() == 0
    }

    /// The transport.
    pub fn get_ref(&self) -> &S {
        self.channel.io()
    }

    /// The transport. Reading from it or writing to it breaks the TLS session.
    pub fn get_mut(&mut self) -> &mut S {
        self.channel.io_mut()
    }

    /// The transport, and the bytes already read from it that come after the peer's close_notify: what a peer
    /// that goes back to plain text has to say first.
    ///
    /// Meant for after [`poll_end`](Self::poll_end); before it, whatever is buffered is lost.
    pub fn into_inner(self) -> (S, Bytes) {
        let rest = Bytes::copy_from_slice(self.channel.engine.remainder());
        (self.channel.into_io(), rest)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// Reads plaintext into `buf`. Zero is the peer's close_notify (or an empty `buf`).
    ///
    /// # Errors
    ///
    /// [`TlsError::UnexpectedEof`] when the transport ended without close_notify; [`TlsError::Io`] when it
    /// failed; [`TlsError::Alert`] and [`TlsError::Protocol`] for what the peer did. Plaintext received before
    /// is returned first, and an error repeats.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        mut buf: &mut [u8],
    ) -> Poll<Result<usize, TlsError>> {
        self.poll_read_buf(cx, &mut buf)
    }

    /// [`poll_read`](Self::poll_read) into any buffer, as much as it has room for. Use
    /// [`BufMut::limit`] for one that grows: then nothing is zeroed or reserved beyond what arrived.
    ///
    /// # Errors
    ///
    /// Those of [`poll_read`](Self::poll_read).
    pub fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut impl BufMut,
    ) -> Poll<Result<usize, TlsError>> {
        self.channel.push(cx);
        let mut intake = Intake::new();
        loop {
            if let Poll::Ready(outcome) = self.channel.engine.read(buf) {
                return Poll::Ready(outcome);
            }
            ready!(self.channel.poll_fill(cx, &mut intake));
        }
    }

    /// Waits until a read would not wait: plaintext, the end, or an error is there. Holds at most
    /// [`INCOMING_LIMIT`](crate::INCOMING_LIMIT) bytes for it.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.channel.push(cx);
        let mut intake = Intake::new();
        while !self.channel.engine.is_readable() {
            ready!(self.channel.poll_fill(cx, &mut intake));
        }
        Poll::Ready(())
    }

    /// Whether a read would not wait, from what was received so far.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.channel.engine.is_readable()
    }

    /// Encrypts up to [`OUTGOING_LIMIT`](crate::OUTGOING_LIMIT) bytes of `data` and begins to send them.
    /// Returns how many were taken; pending while ciphertext of an earlier write waits.
    ///
    /// # Errors
    ///
    /// [`TlsError::Io`] when the transport failed, `BrokenPipe` after
    /// [`poll_close_notify`](Self::poll_close_notify); whatever else ended the connection before.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, TlsError>> {
        ready!(self.channel.poll_flush(cx))?;
        let taken = ready!(self.channel.engine.write(data))?;
        if let Poll::Ready(Err(error)) = self.channel.poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    /// Waits until a write would not wait: nothing is left to be sent, or sending failed.
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.channel.poll_flush(cx).map(drop)
    }

    /// Sends everything that was written.
    ///
    /// # Errors
    ///
    /// [`TlsError::Io`] when the transport failed.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        self.channel.poll_flush(cx)
    }

    /// Sends close_notify behind everything that was written. Nothing can be written afterwards; reading goes
    /// on until the peer closes as well.
    ///
    /// # Errors
    ///
    /// [`TlsError::Io`] when the transport failed; whatever else ended the connection before.
    pub fn poll_close_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        if let Err(error) = self.channel.engine.close_notify() {
            return Poll::Ready(Err(error));
        }
        self.channel.poll_flush(cx)
    }

    /// Ends TLS on both sides: sends close_notify and waits for the peer's. Then
    /// [`into_inner`](Self::into_inner) gives the plain transport back.
    ///
    /// # Errors
    ///
    /// Those of [`poll_close_notify`](Self::poll_close_notify) and [`poll_read`](Self::poll_read); and
    /// [`TlsError::Protocol`] when the peer sends data instead, which can still be read.
    pub fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        ready!(self.poll_close_notify(cx))?;
        let mut intake = Intake::new();
        loop {
            if let Poll::Ready(outcome) = self.channel.engine.ended() {
                return Poll::Ready(outcome);
            }
            ready!(self.channel.poll_fill(cx, &mut intake));
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = ready!(self.get_mut().poll_read_buf(cx, buf));
        Poll::Ready(outcome.map(drop).map_err(io::Error::from))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = ready!(TlsStream::poll_write(self.get_mut(), cx, data));
        Poll::Ready(outcome.map_err(io::Error::from))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = ready!(TlsStream::poll_flush(self.get_mut(), cx));
        Poll::Ready(outcome.map_err(io::Error::from))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_close_notify(cx))?;
        Pin::new(this.channel.io_mut()).poll_shutdown(cx)
    }
}
