//! A TCP stream with bytes put back in front of it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::prompt;

/// What TLS speaks over: the stream, behind bytes that were read from it before the handshake began.
pub(crate) struct Rewound {
    stream: TcpStream,
    early: Vec<u8>,
}

impl Rewound {
    pub(crate) fn new(stream: TcpStream, early: Vec<u8>) -> Self {
        Self { stream, early }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn into_parts(self) -> (TcpStream, Vec<u8>) {
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
            let count = ready!(prompt::poll_receive_into(
                &self.stream,
                cx,
                buf.initialize_unfilled()
            ))?;
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
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        prompt::poll_send(&self.stream, cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
