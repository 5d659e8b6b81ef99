//! A guest's standard output and standard error: captured, bounded, and written to the embedder's
//! sinks.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use eryx_net_host::{Charge, HostMemory, HostMemoryFull};
use eryx_sync::{Mutex, MutexGuard};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::output::{Output, OutputSink};
use crate::signals;
use crate::stream_kind::StreamKind;

/// The program printed more than its limit.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the output limit is reached")]
pub(crate) struct OutputLimitReached;

/// The embedder's sinks, which receive the output that is captured.
#[derive(Clone, Default)]
pub(crate) struct Sinks {
    pub(crate) stdout: Option<Arc<dyn OutputSink>>,
    pub(crate) stderr: Option<Arc<dyn OutputSink>>,
}

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sinks")
            .field("stdout", &self.stdout.is_some())
            .field("stderr", &self.stderr.is_some())
            .finish()
    }
}

#[derive(Debug, Default)]
struct Captured {
    output: Output,
    /// The charge for the bytes in `output`.
    charge: Option<Charge>,
    max: u64,
    exceeded: bool,
}

/// The captured output of one instance, shared by its streams.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    captured: Arc<Mutex<Captured>>,
    host_memory: HostMemory,
}

impl Capture {
    /// Returns a capture that charges the bytes it holds to `host_memory`.
    pub(crate) fn new(host_memory: HostMemory) -> Self {
        Self {
            captured: Arc::default(),
            host_memory,
        }
    }

    /// Returns the budget that the captured bytes are charged to.
    pub(crate) fn host_memory(&self) -> &HostMemory {
        &self.host_memory
    }

    /// Starts an execution that may print `max` bytes.
    pub(crate) fn begin(&self, max: u64) {
        *self.lock() = Captured {
            max,
            ..Captured::default()
        };
    }

    /// Takes the output since [`begin`](Self::begin). Its bytes are the embedder's from then on and
    /// no longer charged.
    pub(crate) fn take(&self) -> Output {
        let mut captured = self.lock();
        captured.charge = None;
        std::mem::take(&mut captured.output)
    }

    /// Returns whether the program tried to print more than its limit.
    pub(crate) fn exceeded(&self) -> bool {
        self.lock().exceeded
    }

    /// Returns the stream that a guest writes its standard output or standard error to.
    pub(crate) fn stream(
        &self,
        kind: StreamKind,
        sink: Option<Arc<dyn OutputSink>>,
    ) -> GuestStream {
        GuestStream {
            capture: self.clone(),
            kind,
            sink,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Captured> {
        self.captured.lock()
    }

    /// Appends as many of `bytes` as the limit allows, and returns how many.
    fn append(&self, kind: StreamKind, bytes: &[u8]) -> Result<usize, HostMemoryFull> {
        let mut captured = self.lock();
        let used = (captured.output.stdout.len() + captured.output.stderr.len()) as u64;
        let left = usize::try_from(captured.max.saturating_sub(used)).unwrap_or(usize::MAX);
        let appended = bytes.len().min(left);
        match &mut captured.charge {
            Some(charge) => charge.grow(appended as u64)?,
            none => *none = Some(self.host_memory.charge(appended as u64)?),
        }
        match kind {
            StreamKind::Stdout => captured.output.stdout.extend_from_slice(&bytes[..appended]),
            StreamKind::Stderr => captured.output.stderr.extend_from_slice(&bytes[..appended]),
        }
        captured.exceeded |= appended < bytes.len();
        Ok(appended)
    }
}

/// A guest's standard output or standard error.
#[derive(Clone)]
pub(crate) struct GuestStream {
    capture: Capture,
    kind: StreamKind,
    sink: Option<Arc<dyn OutputSink>>,
}

impl GuestStream {
    /// The most bytes that one write may have.
    const MAX_WRITE: usize = 64 * 1024;

    fn print(&self, bytes: &[u8]) -> wasmtime::Result<()> {
        let appended = self.capture.append(self.kind, bytes)?;
        if let Some(sink) = &self.sink
            && appended > 0
        {
            sink.write(&bytes[..appended]);
            // The sink is the embedder's code, which may have replaced the signal handlers.
            signals::check()?;
        }
        if appended < bytes.len() {
            return Err(OutputLimitReached.into());
        }
        Ok(())
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.sink {
            Some(sink) => sink.poll_ready(cx),
            None => Poll::Ready(()),
        }
    }
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {
        poll_fn(|cx| self.poll_ready(cx)).await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // A trap, not an error that the program could ignore while it goes on printing.
        self.print(&bytes).map_err(StreamError::Trap)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        // A guest that gets 0 waits for `ready`, which registers a real waker.
        let ready = self.poll_ready(&mut Context::from_waker(Waker::noop()));
        Ok(if ready.is_ready() { Self::MAX_WRITE } else { 0 })
    }

    // Every write of a program arrives here. This is one future, where the provided method has
    // five.
    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        poll_fn(|cx| self.poll_ready(cx)).await;
        self.write(bytes)
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        ready!(GuestStream::poll_ready(&self, cx));
        Poll::Ready(
            self.print(bytes)
                .map(|()| bytes.len())
                .map_err(std::io::Error::other),
        )
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A sink that takes one piece, and no more until it is emptied.
    #[derive(Default)]
    struct OnePiece {
        full: AtomicBool,
        waker: Mutex<Option<Waker>>,
    }

    impl OnePiece {
        fn empty(&self) {
            self.full.store(false, Ordering::SeqCst);
            if let Some(waker) = self.waker.lock().take() {
                waker.wake();
            }
        }
    }

    impl OutputSink for OnePiece {
        fn write(&self, _bytes: &[u8]) {
            assert!(!self.full.swap(true, Ordering::SeqCst), "it was full");
        }

        fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
            if !self.full.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            *self.waker.lock() = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_guest_waits_while_the_sink_is_full_and_goes_on_once_it_is_emptied() {
        let capture = Capture::new(HostMemory::default());
        capture.begin(100);
        let sink = Arc::new(OnePiece::default());
        let mut stream = capture.stream(StreamKind::Stdout, Some(Arc::clone(&sink) as _));
        assert_eq!(stream.check_write().expect("open"), GuestStream::MAX_WRITE);
        stream.write(Bytes::from_static(b"first")).expect("written");
        assert_eq!(stream.check_write().expect("open"), 0);
        let emptied = tokio::spawn(async move { sink.empty() });
        stream.ready().await;
        emptied.await.expect("emptied");
        stream
            .write(Bytes::from_static(b"second"))
            .expect("written");
        assert_eq!(capture.take().stdout, b"firstsecond");
    }

    #[test]
    fn output_past_the_host_memory_is_refused_and_taking_the_output_frees_its_memory() {
        let memory = HostMemory::new(10);
        let capture = Capture::new(memory.clone());
        capture.begin(100);
        let stdout = capture.stream(StreamKind::Stdout, None);
        stdout.print(b"12345678").expect("fits");
        let full = stdout.print(b"9ab").expect_err("three are too many");
        assert!(full.is::<HostMemoryFull>());
        assert_eq!(capture.take().stdout, b"12345678");
        assert_eq!(memory.used(), 0);
        stdout.print(b"9ab").expect("fits now");
        assert_eq!(memory.used(), 3);
    }

    #[test]
    fn output_is_captured_up_to_the_limit_over_both_streams_and_refused_past_it() {
        let capture = Capture::new(HostMemory::default());
        capture.begin(5);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let stdout = capture.stream(
            StreamKind::Stdout,
            Some(Arc::new(move |bytes: &[u8]| {
                sink.lock().extend_from_slice(bytes)
            })),
        );
        let stderr = capture.stream(StreamKind::Stderr, None);
        stdout.print(b"abc").expect("fits");
        stderr.print(b"d").expect("fits");
        assert!(!capture.exceeded());
        stdout.print(b"ef").expect_err("one byte too many");
        assert!(capture.exceeded());
        assert_eq!(*seen.lock(), b"abce");
        assert_eq!(
            capture.take(),
            Output {
                stdout: b"abce".to_vec(),
                stderr: b"d".to_vec()
            }
        );
        capture.begin(1);
        assert!(!capture.exceeded());
        stdout.print(b"x").expect("fits");
    }
}
