//! The server's side of an accepted connection, with TLS or without.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::wire::Wire;

/// The accepted side of a connection, as the protocol above sees it.
pub(crate) enum Stream {
    Plain(Wire),
    Tls(Box<TlsStream<Wire>>),
}

impl Stream {
    pub(crate) fn tls(&self) -> Option<&rustls::ServerConnection> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.get_ref().1),
        }
    }

    /// Below TLS: what is shut down here is not announced by close_notify.
    pub(crate) fn wire(&mut self) -> &mut Wire {
        match self {
            Self::Plain(wire) => wire,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }

    /// Makes closing the connection reset it; what the client has not been sent yet is lost.
    pub(crate) fn reset_on_close(&mut self) -> io::Result<()> {
        self.wire().reset_on_close()
    }
}

/// A handshake that failed.
pub(crate) struct Refusal {
    pub(crate) error: io::Error,
    pub(crate) wire: Wire,
}

impl Refusal {
    /// The reason, and the leave-taking: the sending side is ended and what still comes is taken
    /// in. Closing with data unread would make the kernel send a reset, which can overtake the
    /// alert that says what was wrong.
    pub(crate) fn split(self) -> (io::Error, impl Future<Output = ()> + Send) {
        let Self { error, mut wire } = self;
        let leave = async move {
            let rest = async {
                let mut scratch = [0; 4096];
                wire.shutdown().await?;
                while wire.read(&mut scratch).await? > 0 {}
                io::Result::Ok(())
            };
            // The client has been told; how it hangs up changes nothing.
            let _ = tokio::time::timeout(LEAVE_LIMIT, rest).await;
        };
        (error, leave)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// How long a server waits for a client it has turned away to hang up.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);
