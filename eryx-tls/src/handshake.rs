//! A handshake over a transport, as a future.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::engine::Engine;
use crate::error::TlsError;
use crate::stream::TlsStream;
use crate::transport_io::TlsIo;

/// A handshake in progress: a future that can be stored, and polled again when its transport is
/// ready.
///
/// Dropping it drops the transport. Nothing is sent before the first poll.
#[derive(Debug)]
#[must_use = "a handshake does nothing unless it is polled"]
pub struct Handshake<S> {
    io: Option<TlsIo<S>>,
}

impl<S> Handshake<S> {
    pub(crate) fn new(engine: Engine, transport: S) -> Self {
        Self {
            io: Some(TlsIo::new(engine, transport)),
        }
    }

    /// Returns the transport; `None` once the handshake has ended.
    pub fn get_ref(&self) -> Option<&S> {
        self.io.as_ref().map(TlsIo::transport)
    }

    /// Returns the transport; `None` once the handshake has ended.
    ///
    /// Reading from it or writing to it breaks the handshake.
    pub fn get_mut(&mut self) -> Option<&mut S> {
        self.io.as_mut().map(TlsIo::transport_mut)
    }

    /// Returns whether the last poll yielded, as [`TlsStream::yielded`] does.
    #[must_use]
    pub fn yielded(&self) -> bool {
        self.io.as_ref().is_some_and(TlsIo::yielded)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Handshake<S> {
    /// Continues the handshake as far as the transport allows.
    ///
    /// # Errors
    ///
    /// The errors of the future: [`TlsError::Certificate`] only for a certificate that was not
    /// accepted, [`TlsError::Alert`] when the peer sent a fatal alert, [`TlsError::Protocol`] when
    /// the peer does not speak TLS, [`TlsError::UnexpectedEof`] when it closed the connection,
    /// [`TlsError::Io`] when the transport failed.
    ///
    /// # Panics
    ///
    /// Panics when polled after completion.
    pub fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<TlsStream<S>, TlsError>> {
        let io = self
            .io
            .as_mut()
            .expect("a handshake is not polled after completion");
        let outcome = ready!(io.poll_handshake(cx));
        let io = self.io.take();
        Poll::Ready(match (outcome, io) {
            (Ok(info), Some(io)) => Ok(TlsStream::new(io, info)),
            (Ok(_), None) => unreachable!("the handshake was polled above"),
            (Err(error), _) => Err(error),
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Handshake<S> {
    type Output = Result<TlsStream<S>, TlsError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_handshake(cx)
    }
}
