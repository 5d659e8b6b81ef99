//! A TCP stream with bytes put back in front of it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::Stream;

/// What TLS speaks over: the stream, behind bytes that were read from it before the handshake began.
pub(crate) struct Rewound {
    stream: Stream,
    early: Vec<u8>,
}

impl Rewound {
    pub(crate) fn new(stream: Stream, early: Vec<u8>) -> Self {
        Self { stream, early }
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    pub(crate) fn stream_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }

    pub(crate) fn into_parts(self) -> (Stream, Vec<u8>) {
        (self.stream, self.early)
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            let count = ready!(self.stream.poll_receive_into(cx, buf.initialize_unfilled()))?;
            buf.advance(count);
            return Poll::Ready(Ok(()));
        }
        let count = buf.remaining().min(self.early.len());
        let rest = self.early.split_off(count);
        buf.put_slice(&self.early);
        self.early = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_send(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown())
    }
}
