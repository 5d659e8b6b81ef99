use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::channel::Channel;
use crate::engine::Engine;
use crate::{TlsError, TlsStream};

/// A handshake under way: a future that can be kept, and polled again when its transport has news.
///
/// Dropping it drops the transport. Nothing is sent before the first poll.
#[derive(Debug)]
#[must_use = "a handshake does nothing unless it is polled"]
pub struct Handshake<S> {
    channel: Option<Channel<S>>,
}

impl<S> Handshake<S> {
    pub(crate) fn new(engine: Engine, io: S) -> Self {
        Self {
            channel: Some(Channel::new(engine, io)),
        }
    }

    /// The transport; `None` once the handshake has ended.
    pub fn get_ref(&self) -> Option<&S> {
        self.channel.as_ref().map(Channel::io)
    }

    /// The transport; `None` once the handshake has ended. What is read or written here is missed by the handshake.
    pub fn get_mut(&mut self) -> Option<&mut S> {
        self.channel.as_mut().map(Channel::io_mut)
    }
}

impl<S> Handshake<S> {
    /// As [`TlsStream::gave_way`].
    #[must_use]
    pub fn gave_way(&self) -> bool {
        self.channel.as_ref().is_some_and(Channel::gave_way)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Handshake<S> {
    /// Goes on with the handshake as far as the transport lets it.
    ///
    /// # Errors
    ///
    /// As the future's output: [`TlsError::Certificate`] only ever for a certificate that was not accepted,
    /// [`TlsError::Alert`] when the peer said no, [`TlsError::Protocol`] when it does not speak TLS,
    /// [`TlsError::UnexpectedEof`] when it hung up, [`TlsError::Io`] when the transport failed.
    ///
    /// # Panics
    ///
    /// When polled after it was ready.
    pub fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<TlsStream<S>, TlsError>> {
        let channel = self
            .channel
            .as_mut()
            .expect("a handshake is not polled after it was ready");
        let outcome = ready!(channel.poll_establish(cx));
        let channel = self.channel.take();
        Poll::Ready(match (outcome, channel) {
            (Ok(info), Some(channel)) => Ok(TlsStream::new(channel, info)),
            (Ok(_), None) => unreachable!("the channel was there a moment ago"),
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
