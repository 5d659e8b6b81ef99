//! A stream with a prefix: bytes that were already read are served before the transport's own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::poll::noop_waker::noop_waker;
use crate::tcp::read_size::ReadSize;
use crate::tcp::transport::Transport;

/// A transport, preceded by bytes that were read from it before TLS began or ended, or behind a
/// proxy's answer. It is the stream of a plaintext connection and the transport of a TLS
/// connection.
pub(super) struct PrefixedStream {
    transport: Transport,
    prefix: Vec<u8>,
    read_size: ReadSize,
}

impl PrefixedStream {
    pub(super) fn new(transport: Transport, prefix: Vec<u8>) -> Self {
        Self {
            transport,
            prefix,
            read_size: ReadSize::default(),
        }
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(super) fn transport_mut(&mut self) -> &mut Transport {
        &mut self.transport
    }

    pub(super) fn into_parts(self) -> (Transport, Vec<u8>) {
        (self.transport, self.prefix)
    }

    /// Returns whether bytes can be read that the kernel no longer has.
    pub(super) fn has_buffered_input(&self) -> bool {
        self.has_prefix() || self.transport.has_buffered_input()
    }

    fn has_prefix(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// Reads up to `max` bytes; an empty vector is the end of the stream.
    pub(super) fn poll_read_vec(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<io::Result<Vec<u8>>> {
        if self.has_prefix() {
            return Poll::Ready(Ok(self.take_prefix(max)));
        }
        let capacity = max.min(self.read_size.get());
        // Never larger than `max`: the transport fills the whole buffer.
        let mut buffer = Vec::with_capacity(capacity);
        let count = ready!(self.transport.poll_receive(cx, &mut buffer))?;
        self.read_size.adapt(count, capacity);
        if count == capacity && capacity < max {
            self.receive_rest(&mut buffer, max);
        }
        Poll::Ready(Ok(buffer))
    }

    /// Receives what else has arrived after a full `buffer`, which grows to at most `max` bytes.
    #[cold]
    fn receive_rest(&mut self, buffer: &mut Vec<u8>, max: usize) {
        let available = self.transport.available().min(max - buffer.len());
        if available == 0 {
            return;
        }
        buffer.reserve_exact(available);
        // The kernel returns bytes before an error or the end of the stream, so that nothing is
        // lost here.
        let _ = self
            .transport
            .poll_receive(&mut Context::from_waker(noop_waker()), buffer);
    }

    /// Ready when a read would return bytes, the end of the stream or an error. Returns an error
    /// that the kernel reports only once.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_prefix() {
            return Poll::Ready(Ok(()));
        }
        self.transport.poll_readable(cx)
    }

    fn take_prefix(&mut self, max: usize) -> Vec<u8> {
        let rest = self.prefix.split_off(max.min(self.prefix.len()));
        std::mem::replace(&mut self.prefix, rest)
    }
}

impl AsyncRead for PrefixedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.has_prefix() {
            let prefix = self.take_prefix(buf.remaining());
            buf.put_slice(&prefix);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.transport).poll_read(cx, buf)
    }
}

impl AsyncWrite for PrefixedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.transport.poll_send(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_shutdown(cx)
    }
}
