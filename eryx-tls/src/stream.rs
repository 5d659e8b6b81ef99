//! A TLS stream over a transport, after its handshake.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::TlsError;
use crate::info::Info;
use crate::read_budget::ReadBudget;
use crate::transport_io::TlsIo;

/// TLS over a transport, after the handshake.
///
/// Every operation is a plain `poll_` method, for callers that poll once and return later. The
/// `tokio` traits are implemented too; they convert errors into [`io::Error`].
///
/// No operation reads more than [`POLL_LIMIT`](crate::POLL_LIMIT) bytes of ciphertext that lead to
/// no plaintext. At the limit it wakes its task and returns `Pending`.
///
/// Every operation also sends ciphertext that is still waiting. A write returns once its bytes are
/// encrypted, which may be before they are sent: [`wants_flush`](Self::wants_flush) returns whether
/// bytes are waiting, and [`poll_flush`](Self::poll_flush) sends them.
#[derive(Debug)]
pub struct TlsStream<S> {
    io: TlsIo<S>,
    info: Info,
}

impl<S> TlsStream<S> {
    pub(crate) fn new(io: TlsIo<S>, info: Info) -> Self {
        Self { io, info }
    }

    /// Returns the result of the handshake.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Returns the number of plaintext bytes that can be read without any I/O. It is a lower bound,
    /// 0 only if there are none, and at most [`INCOMING_LIMIT`](crate::INCOMING_LIMIT).
    pub fn pending(&self) -> usize {
        self.io.engine.pending()
    }

    /// Returns whether the last poll yielded to other tasks: it had read
    /// [`POLL_LIMIT`](crate::POLL_LIMIT) bytes that led to no plaintext, or made too many small
    /// reads. Its task was woken, and the transport may have more bytes.
    #[must_use]
    pub fn yielded(&self) -> bool {
        self.io.yielded()
    }

    /// Returns whether ciphertext is waiting to be sent.
    pub fn wants_flush(&self) -> bool {
        self.io.wants_flush()
    }

    /// Returns whether the peer's close_notify has arrived and all plaintext before it was read.
    pub fn is_peer_closed(&self) -> bool {
        self.io.engine.peer_closed() && self.pending() == 0
    }

    /// Returns the transport.
    pub fn get_ref(&self) -> &S {
        self.io.transport()
    }

    /// Returns the transport. Reading from it or writing to it breaks the TLS session.
    pub fn get_mut(&mut self) -> &mut S {
        self.io.transport_mut()
    }

    /// Returns the transport, and the bytes already read from it after the peer's close_notify: the
    /// start of the plain text of a peer that ends TLS but not the connection.
    ///
    /// Call it after [`poll_close`](Self::poll_close); otherwise buffered data is lost.
    pub fn into_inner(self) -> (S, Bytes) {
        let rest = Bytes::copy_from_slice(self.io.engine.remainder());
        (self.io.into_transport(), rest)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// Reads plaintext into `buf`. A result of 0 is the peer's close_notify, unless `buf` is empty.
    ///
    /// # Errors
    ///
    /// [`TlsError::UnexpectedEof`] when the transport ended without close_notify; [`TlsError::Io`]
    /// when it failed; [`TlsError::Alert`] and [`TlsError::Protocol`] for errors of the peer.
    /// Plaintext that was received earlier is returned first, and later calls return the error
    /// again.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        mut buf: &mut [u8],
    ) -> Poll<Result<usize, TlsError>> {
        self.poll_read_buf(cx, &mut buf)
    }

    /// Reads plaintext into any buffer, as much as fits. Use [`BufMut::limit`] for a buffer that
    /// grows: no memory is zeroed or reserved beyond the bytes that arrived.
    ///
    /// # Errors
    ///
    /// Those of [`poll_read`](Self::poll_read).
    pub fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut impl BufMut,
    ) -> Poll<Result<usize, TlsError>> {
        self.io.try_flush(cx);
        let mut budget = ReadBudget::new();
        loop {
            if let Poll::Ready(outcome) = self.io.engine.read(buf) {
                return Poll::Ready(outcome);
            }
            ready!(self.io.poll_fill(cx, &mut budget));
        }
    }

    /// Waits until a read can return plaintext, the end or an error. Buffers at most
    /// [`INCOMING_LIMIT`](crate::INCOMING_LIMIT) bytes for that.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.try_flush(cx);
        let mut budget = ReadBudget::new();
        while !self.io.engine.is_readable() {
            ready!(self.io.poll_fill(cx, &mut budget));
        }
        Poll::Ready(())
    }

    /// Returns whether a read can return without any I/O.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.io.engine.is_readable()
    }

    /// Encrypts up to [`OUTGOING_LIMIT`](crate::OUTGOING_LIMIT) bytes of `data` and starts to send
    /// them. Returns the number of bytes taken; pending while ciphertext of an earlier write is
    /// waiting.
    ///
    /// # Errors
    ///
    /// [`TlsError::Io`] when the transport failed, `BrokenPipe` after
    /// [`poll_close_notify`](Self::poll_close_notify); any earlier error that ended the connection.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, TlsError>> {
        ready!(self.io.poll_flush(cx))?;
        let taken = ready!(self.io.engine.write(data))?;
        if let Poll::Ready(Err(error)) = self.io.poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    /// Waits until a write can return: no ciphertext is waiting, or sending failed.
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_flush(cx).map(drop)
    }

    /// Sends all written data.
    ///
    /// # Errors
    ///
    /// [`TlsError::Io`] when the transport failed.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        self.io.poll_flush(cx)
    }

    /// Sends close_notify after all written data. Writing is over then; reading continues until the
    /// peer's close_notify.
    ///
    /// # Errors
    ///
    /// [`TlsError::Io`] when the transport failed; any earlier error that ended the connection.
    pub fn poll_close_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        if let Err(error) = self.io.engine.close_notify() {
            return Poll::Ready(Err(error));
        }
        self.io.poll_flush(cx)
    }

    /// Ends TLS in both directions: sends close_notify and waits for the peer's. After that,
    /// [`into_inner`](Self::into_inner) returns the plain transport.
    ///
    /// # Errors
    ///
    /// Those of [`poll_close_notify`](Self::poll_close_notify) and [`poll_read`](Self::poll_read);
    /// and [`TlsError::Protocol`] when the peer sends data instead, which can still be read.
    pub fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        ready!(self.poll_close_notify(cx))?;
        let mut budget = ReadBudget::new();
        loop {
            if let Poll::Ready(outcome) = self.io.engine.poll_peer_closed() {
                return Poll::Ready(outcome);
            }
            ready!(self.io.poll_fill(cx, &mut budget));
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
        Pin::new(this.io.transport_mut()).poll_shutdown(cx)
    }
}
