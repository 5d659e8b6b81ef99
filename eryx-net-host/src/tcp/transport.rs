//! The transport of a connection: TCP, or TLS to the embedder's proxy over TCP.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::tcp::lazy_tcp_stream::LazyTcpStream;
use crate::tcp::proxy_tls::ProxyTls;

/// The transport of a connection. Whatever it is, the guest program's own TLS may run over it.
pub(super) enum Transport {
    /// TCP to the peer, or to a proxy.
    Tcp(LazyTcpStream),
    /// TLS to a proxy.
    ProxyTls(Box<ProxyTls>),
}

impl Transport {
    /// Returns the TCP stream, for its options and its readiness.
    pub(super) fn tcp(&self) -> &LazyTcpStream {
        match self {
            Self::Tcp(stream) => stream,
            Self::ProxyTls(tls) => tls.tcp(),
        }
    }

    pub(super) fn tcp_mut(&mut self) -> &mut LazyTcpStream {
        match self {
            Self::Tcp(stream) => stream,
            Self::ProxyTls(tls) => tls.tcp_mut(),
        }
    }

    /// Returns whether it is TLS.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::ProxyTls(_))
    }

    /// Receives into the spare capacity of `buffer`, as [`LazyTcpStream::poll_receive`] does.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => stream.poll_receive(cx, buffer),
            Self::ProxyTls(tls) => tls.poll_receive(cx, buffer),
        }
    }

    /// Returns how many bytes can be received at once, 0 if that is unknown before a receive.
    pub(super) fn available(&self) -> usize {
        match self {
            Self::Tcp(stream) => stream.available(),
            Self::ProxyTls(_) => 0,
        }
    }

    /// Begins to send some of `data`, and returns the number of bytes. They may have to be
    /// [flushed](Self::poll_flush).
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => stream.poll_send(cx, data),
            Self::ProxyTls(tls) => tls.poll_send(cx, data),
        }
    }

    /// Passes all bytes to the kernel that [`poll_send`](Self::poll_send) took.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::ProxyTls(tls) => tls.poll_flush(cx),
        }
    }

    /// Returns whether bytes have to be flushed.
    pub(super) fn wants_flush(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::ProxyTls(tls) => tls.wants_flush(),
        }
    }

    /// Ready when there are bytes to receive, the end of the stream, or an error. Returns an error
    /// that the kernel reports only once.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_readable(cx),
            Self::ProxyTls(tls) => tls.poll_readable(cx).map(Ok),
        }
    }

    /// Ready when there is space to send, or an error.
    pub(super) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_writable(cx),
            Self::ProxyTls(tls) => tls.poll_writable(cx).map(Ok),
        }
    }

    /// Returns whether bytes can be received that the kernel no longer has.
    pub(super) fn has_buffered_input(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::ProxyTls(tls) => tls.is_readable(),
        }
    }

    /// Returns whether the last poll stopped at its work limit, so that more may be available at
    /// once.
    pub(super) fn yielded(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::ProxyTls(tls) => tls.yielded(),
        }
    }

    /// Sends close_notify of the TLS to a proxy, if there is one, after all bytes before it.
    pub(super) fn poll_close_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::ProxyTls(tls) => tls.poll_close_notify(cx),
        }
    }

    /// Sends the end of the stream, after all bytes before it.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_close_notify(cx))?;
        Poll::Ready(self.tcp().shutdown(Shutdown::Write))
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::ProxyTls(tls) => tls.poll_read(cx, buf),
        }
    }
}
