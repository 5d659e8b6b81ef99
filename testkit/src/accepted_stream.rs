//! The server's side of an accepted connection, with TLS or without.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::throttled_socket::ThrottledSocket;

/// How long a server waits for a client whose handshake failed to close the connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// An accepted connection, as the application protocol sees it.
pub(crate) enum AcceptedStream {
    Plain(ThrottledSocket),
    Tls(Box<TlsStream<ThrottledSocket>>),
}

impl AcceptedStream {
    pub(crate) fn tls(&self) -> Option<&rustls::ServerConnection> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.get_ref().1),
        }
    }

    /// Returns the socket below TLS. Shutting it down sends no close_notify.
    pub(crate) fn socket(&mut self) -> &mut ThrottledSocket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }

    /// Makes closing the connection reset it. Bytes not yet sent to the client are lost.
    pub(crate) fn reset_on_close(&mut self) -> io::Result<()> {
        self.socket().reset_on_close()
    }
}

/// A handshake that failed.
pub(crate) struct FailedHandshake {
    pub(crate) error: io::Error,
    pub(crate) socket: ThrottledSocket,
}

impl FailedHandshake {
    /// Returns the reason, and a future that closes the connection in order: it ends the sending
    /// side and reads until the client closes. Closing with data unread would make the kernel send
    /// a reset, which can overtake the alert that names the failure.
    pub(crate) fn split(self) -> (io::Error, impl Future<Output = ()> + Send) {
        let Self { error, mut socket } = self;
        let close = async move {
            let drain = async {
                let mut scratch = [0; 4096];
                socket.shutdown().await?;
                while socket.read(&mut scratch).await? > 0 {}
                io::Result::Ok(())
            };
            // The client has its alert; how it closes changes nothing.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, drain).await;
        };
        (error, close)
    }
}

impl AsyncRead for AcceptedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for AcceptedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
