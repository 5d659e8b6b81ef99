//! A TLS connection, and the handshake that leads to it.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BufMut;
use eryx_tls::{Handshake, Info, Prepared, SettingsDigest, TlsStream};

use crate::error::NetError;
use crate::http::target::Peer;
use crate::poll::deadline::Deadline;
use crate::tcp::prefixed_stream::PrefixedStream;
use crate::tcp::read_size::ReadSize;
use crate::tcp::transport::Transport;

/// The identity of the settings of a handshake. The settings themselves can be large, and many
/// connections use the same.
#[derive(Clone)]
pub(super) struct HandshakeSettings {
    pub(super) digest: SettingsDigest,
    /// As the guest program wrote it.
    pub(super) server_name: Option<String>,
}

/// A handshake in progress.
pub(super) struct TlsHandshake {
    handshake: Handshake<PrefixedStream>,
    settings: HandshakeSettings,
    deadline: Deadline,
    /// The peer whose requests are inspected.
    inspected: Option<Peer>,
}

/// A stream whose handshake is complete.
pub(super) struct TlsConnection {
    stream: TlsStream<PrefixedStream>,
    settings: HandshakeSettings,
    /// The handshake completed inside `poll`; `start_tls` has not returned `Ok` for it yet.
    unreported: bool,
    read_size: ReadSize,
}

impl TlsHandshake {
    /// Returns a handshake that may take `budget`. Sends nothing before it is polled.
    pub(super) fn new(
        prepared: Prepared,
        settings: HandshakeSettings,
        stream: PrefixedStream,
        budget: Duration,
        inspected: Option<Peer>,
    ) -> Self {
        Self {
            handshake: prepared.upgrade(stream),
            settings,
            deadline: Deadline::after(budget),
            inspected,
        }
    }

    pub(super) fn settings(&self) -> &HandshakeSettings {
        &self.settings
    }

    pub(super) fn transport(&self) -> Option<&Transport> {
        self.handshake.get_ref().map(PrefixedStream::transport)
    }

    pub(super) fn transport_mut(&mut self) -> Option<&mut Transport> {
        self.handshake.get_mut().map(PrefixedStream::transport_mut)
    }

    /// Returns whether the last poll stopped at its work limit, so that more may be available at
    /// once.
    pub(super) fn yielded(&self) -> bool {
        self.handshake.yielded() || self.transport().is_some_and(Transport::yielded)
    }

    /// Returns the peer whose requests are inspected, once.
    pub(super) fn take_inspected(&mut self) -> Option<Peer> {
        self.inspected.take()
    }

    /// Returns the rest of the budget.
    pub(super) fn remaining(&self) -> Duration {
        self.deadline.remaining()
    }

    /// Drives the handshake. Ready when it is complete or has failed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<TlsConnection, NetError>> {
        match self.handshake.poll_handshake(cx) {
            Poll::Ready(Ok(stream)) => Poll::Ready(Ok(TlsConnection {
                stream,
                settings: self.settings.clone(),
                unreported: true,
                read_size: ReadSize::default(),
            })),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => {
                ready!(self.deadline.poll(cx));
                Poll::Ready(Err(NetError::TimedOut))
            }
        }
    }
}

impl TlsConnection {
    pub(super) fn settings(&self) -> &HandshakeSettings {
        &self.settings
    }

    /// Returns whether `start_tls` has yet to return `Ok` for the handshake.
    pub(super) fn handshake_unreported(&self) -> bool {
        self.unreported
    }

    pub(super) fn mark_reported(&mut self) {
        self.unreported = false;
    }

    pub(super) fn transport(&self) -> &Transport {
        self.stream.get_ref().transport()
    }

    pub(super) fn transport_mut(&mut self) -> &mut Transport {
        self.stream.get_mut().transport_mut()
    }

    pub(super) fn info(&self) -> &Info {
        self.stream.info()
    }

    pub(super) fn pending(&self) -> usize {
        self.stream.pending()
    }

    /// Returns whether the last poll stopped at its work limit, so that more may be available at
    /// once.
    pub(super) fn yielded(&self) -> bool {
        self.stream.yielded() || self.transport().yielded()
    }

    /// Returns whether bytes can be read, or processed, that the kernel no longer has.
    pub(super) fn has_buffered_input(&self) -> bool {
        self.stream.is_readable() || self.stream.get_ref().has_buffered_input()
    }

    pub(super) fn wants_flush(&self) -> bool {
        self.stream.wants_flush()
    }

    /// Reads up to `max` bytes; an empty vector follows the peer's close_notify.
    pub(super) fn poll_read_vec(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Vec<u8>, NetError>> {
        ready!(self.stream.poll_readable(cx));
        let capacity = max.min(self.read_size.get().max(self.stream.pending()));
        let mut buffer = Vec::with_capacity(capacity);
        ready!(
            self.stream
                .poll_read_buf(cx, &mut (&mut buffer).limit(capacity))
        )?;
        self.read_size.adapt(buffer.len(), capacity);
        Poll::Ready(Ok(buffer))
    }

    /// Ready when a read would return bytes, the end of the stream or an error.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_readable(cx)
    }

    /// Encrypts some of `data` and begins to send it.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, NetError>> {
        self.stream.poll_write(cx, data).map_err(NetError::from)
    }

    /// Sends the buffered ciphertext.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.stream.poll_flush(cx).map_err(NetError::from)
    }

    /// Ready when a write would take bytes or fail.
    pub(super) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_writable(cx)
    }

    /// Sends close_notify after all bytes that were written.
    pub(super) fn poll_close_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.stream.poll_close_notify(cx).map_err(NetError::from)
    }

    /// Sends close_notify and the end of the stream, after all bytes that were written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        ready!(self.poll_close_notify(cx))?;
        Poll::Ready(ready!(self.transport_mut().poll_shutdown(cx)).map_err(NetError::from))
    }

    /// Sends close_notify and waits for the peer's.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.stream.poll_close(cx).map_err(NetError::from)
    }

    /// Returns the plaintext stream, once [`poll_close`](Self::poll_close) has succeeded.
    pub(super) fn into_plaintext(self) -> PrefixedStream {
        let (transport, after) = self.stream.into_inner();
        let (transport, prefix) = transport.into_parts();
        PrefixedStream::new(transport, [&after[..], &prefix].concat())
    }
}
