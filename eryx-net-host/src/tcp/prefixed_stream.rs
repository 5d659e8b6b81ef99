//! A connection in the clear.

use std::io;
use std::task::{Context, Poll, ready};

use crate::MAX_READ;
use crate::stream::Stream;

/// The buffer a connection's first read gets. It grows with what arrives, not with what is asked for.
const FIRST_READ: usize = 16 * 1024;

/// A TCP stream, behind bytes that were read from it too early.
pub(crate) struct Plain {
    stream: Stream,
    early: Vec<u8>,
    /// How large a buffer the next read gets.
    expected: usize,
}

impl Plain {
    pub(crate) fn new(stream: Stream, early: Vec<u8>) -> Self {
        Self {
            stream,
            early,
            expected: FIRST_READ,
        }
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

    pub(crate) fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// Up to `max` bytes; none at the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<io::Result<Vec<u8>>> {
        if !self.early.is_empty() {
            let rest = self.early.split_off(max.min(self.early.len()));
            return Poll::Ready(Ok(std::mem::replace(&mut self.early, rest)));
        }
        let room = max.min(self.expected);
        // As much as was asked for, and nothing more.
        let mut buffer = Vec::with_capacity(room);
        let count = ready!(self.stream.poll_receive(cx, &mut buffer))?;
        self.learn(count, room);
        Poll::Ready(Ok(buffer))
    }

    /// Ready when a read would find bytes, the end of the stream or an error. An error the kernel tells
    /// only once is returned here.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.stream.poll_readable(cx)
    }

    /// Writes some of `data`.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_send(cx, data)
    }

    /// Ready when a write would take bytes or fail.
    pub(crate) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_writable(cx)
    }

    fn learn(&mut self, count: usize, room: usize) {
        if count == self.expected {
            self.expected = (self.expected * 2).min(MAX_READ);
        } else if count < self.expected / 4 && room == self.expected {
            self.expected = (self.expected / 2).max(FIRST_READ);
        }
    }
}
