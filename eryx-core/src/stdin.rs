//! The standard input of a program.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use eryx_net_host::{Charge, HostMemory, HostMemoryFull};
use eryx_sync::Mutex;
use tokio::io::{AsyncRead, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

/// The source of a program's standard input. By default it is empty.
#[derive(Default)]
pub(crate) enum Stdin {
    /// The end of the input.
    #[default]
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// The bytes that a reader returns.
    Reader(Box<dyn AsyncRead + Send + Unpin>),
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::Reader(_) => f.write_str("Reader"),
        }
    }
}

/// The standard input of an instance, whose programs read one input after another.
#[derive(Clone, Debug)]
pub(crate) struct GuestStdin(Arc<Mutex<Input>>);

#[derive(Debug)]
struct Input {
    source: Stdin,
    /// The bytes that were read from a reader, and not yet by the program.
    buffer: Bytes,
    /// The charge for the buffer of a reader.
    charge: Option<Charge>,
    host_memory: HostMemory,
}

impl GuestStdin {
    /// The most bytes that one read returns.
    const MAX_READ: usize = 64 * 1024;

    /// Returns an empty input, whose buffer is charged to `host_memory`.
    pub(crate) fn new(host_memory: HostMemory) -> Self {
        Self(Arc::new(Mutex::new(Input {
            source: Stdin::Empty,
            buffer: Bytes::new(),
            charge: None,
            host_memory,
        })))
    }

    /// Replaces what is left of the input by `source`.
    ///
    /// # Errors
    ///
    /// When the host memory does not suffice for a buffer.
    pub(crate) fn set(&self, source: Stdin) -> Result<(), HostMemoryFull> {
        let mut input = self.0.lock();
        input.buffer = Bytes::new();
        input.charge = match &source {
            Stdin::Reader(_) => Some(input.host_memory.charge(Self::MAX_READ as u64)?),
            Stdin::Empty | Stdin::Bytes(_) => None,
        };
        input.source = source;
        Ok(())
    }
}

impl GuestStdin {
    /// Ends the input here.
    pub(crate) fn clear(&self) {
        let mut input = self.0.lock();
        input.source = Stdin::Empty;
        input.buffer = Bytes::new();
        input.charge = None;
    }
}

impl Input {
    /// Takes at most `size` bytes of the input; none at its end.
    fn poll_read(&mut self, cx: &mut Context<'_>, size: usize) -> Poll<std::io::Result<Bytes>> {
        ready!(self.poll_ready(cx))?;
        let bytes = match &mut self.source {
            Stdin::Bytes(bytes) => bytes,
            Stdin::Empty | Stdin::Reader(_) => &mut self.buffer,
        };
        Poll::Ready(Ok(
            bytes.split_to(size.min(bytes.len()).min(GuestStdin::MAX_READ))
        ))
    }

    /// Waits until there are bytes to take, or the input has ended.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let Stdin::Reader(reader) = &mut self.source else {
            return Poll::Ready(Ok(()));
        };
        if self.buffer.is_empty() {
            let mut buffer = vec![0; GuestStdin::MAX_READ];
            let mut read = ReadBuf::new(&mut buffer);
            ready!(Pin::new(reader).poll_read(cx, &mut read))?;
            let length = read.filled().len();
            if length == 0 {
                self.source = Stdin::Empty;
            }
            buffer.truncate(length);
            self.buffer = buffer.into();
        }
        Poll::Ready(Ok(()))
    }
}

impl IsTerminal for GuestStdin {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for GuestStdin {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for GuestStdin {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match self.0.lock().poll_read(&mut cx, size) {
            Poll::Ready(Ok(bytes)) if bytes.is_empty() && size > 0 => Err(StreamError::Closed),
            Poll::Ready(Ok(bytes)) => Ok(bytes),
            Poll::Ready(Err(error)) => Err(StreamError::LastOperationFailed(error.into())),
            Poll::Pending => Ok(Bytes::new()),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestStdin {
    async fn ready(&mut self) {
        // The next read returns an error.
        let _ = poll_fn(|cx| self.0.lock().poll_ready(cx)).await;
    }
}

impl AsyncRead for GuestStdin {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let bytes = ready!(self.0.lock().poll_read(cx, buffer.remaining()))?;
        buffer.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(stdin: &mut GuestStdin, size: usize) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match stdin.read(size) {
                Ok(bytes) => all.extend_from_slice(&bytes),
                Err(StreamError::Closed) => return all,
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn every_input_is_read_to_its_end_and_the_next_replaces_what_is_left() {
        let memory = HostMemory::default();
        let mut stdin = GuestStdin::new(memory.clone());
        assert_eq!(read_all(&mut stdin, 3), b"");
        stdin.set(Stdin::Bytes("0123456789".into())).expect("room");
        assert_eq!(read_all(&mut stdin, 3), b"0123456789");
        stdin.set(Stdin::Bytes("left".into())).expect("room");
        assert_eq!(stdin.read(1).expect("a byte"), "l");
        stdin
            .set(Stdin::Reader(Box::new(&b"from a reader"[..])))
            .expect("room");
        assert_eq!(memory.used(), GuestStdin::MAX_READ as u64);
        assert_eq!(read_all(&mut stdin, 4), b"from a reader");
        stdin.set(Stdin::Empty).expect("room");
        assert_eq!(read_all(&mut stdin, 4), b"");
        assert_eq!(memory.used(), 0);
    }

    #[tokio::test]
    async fn a_program_waits_for_a_reader_that_has_nothing_yet() {
        let (mut writer, reader) = tokio::io::duplex(16);
        let mut stdin = GuestStdin::new(HostMemory::default());
        stdin.set(Stdin::Reader(Box::new(reader))).expect("room");
        assert_eq!(stdin.read(8).expect("open"), "");
        let written =
            tokio::spawn(
                async move { tokio::io::AsyncWriteExt::write_all(&mut writer, b"late").await },
            );
        stdin.ready().await;
        assert_eq!(stdin.read(8).expect("open"), "late");
        written.await.expect("no panic").expect("written");
        stdin.ready().await;
        assert!(matches!(stdin.read(8), Err(StreamError::Closed)));
    }
}
