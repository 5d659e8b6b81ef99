//! What a guest prints: captured, bounded while it is produced, and shown to the embedder as it comes.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use eryx_net_host::{Charge, HostMemory, HostMemoryFull};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::signals;

/// Receives output as it is printed, and says when it can take more. A function of a piece of output is one that
/// always can.
pub trait OutputSink: Send + Sync {
    /// Takes a piece of output, which need not end where a line or a character does. Does not wait: the program, its
    /// timeout and its cancellation wait for it.
    fn write(&self, bytes: &[u8]);

    /// Returns `Pending` while no more output can be taken, and has `cx` woken when it can. The program waits
    /// meanwhile; its timeout and its cancellation do not. At most 4 KiB come after a `Pending`, so a sink that
    /// bounds its memory needs that much more.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }
}

impl<F: Fn(&[u8]) + Send + Sync> OutputSink for F {
    fn write(&self, bytes: &[u8]) {
        self(bytes);
    }
}

/// Everything one execution printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output, byte for byte.
    pub stdout: Vec<u8>,
    /// Standard error, byte for byte.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text; what is not UTF-8 becomes U+FFFD.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text; what is not UTF-8 becomes U+FFFD.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// The most that [`LastWords`] quotes, in characters.
const MAX_LAST_WORDS: usize = 200;

/// What an interpreter that gave up said last: the end of an error's sentence. The line is quoted, with control
/// characters escaped, since the program may have chosen it.
pub(crate) struct LastWords<'a>(pub(crate) &'a Output);

impl fmt::Display for LastWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.stderr.len().saturating_sub(4 * MAX_LAST_WORDS);
        let text = String::from_utf8_lossy(&self.0.stderr[end..]);
        let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) else {
            return Ok(());
        };
        let line: String = line.trim().chars().take(MAX_LAST_WORDS).collect();
        write!(f, "; its last words on standard error: {line:?}")
    }
}

/// The program printed more than it may.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the output limit is reached")]
pub(crate) struct OutputLimitReached;

/// Where output goes besides the capture.
#[derive(Clone, Default)]
pub(crate) struct Handlers {
    pub(crate) stdout: Option<Arc<dyn OutputSink>>,
    pub(crate) stderr: Option<Arc<dyn OutputSink>>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("stdout", &self.stdout.is_some())
            .field("stderr", &self.stderr.is_some())
            .finish()
    }
}

#[derive(Debug, Default)]
struct State {
    output: Output,
    /// For what is in `output`.
    charge: Option<Charge>,
    max: u64,
    exceeded: bool,
}

/// The capture of one instance, shared by its streams.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    state: Arc<Mutex<State>>,
    memory: HostMemory,
}

impl Capture {
    /// A capture that counts what it holds against `memory`.
    pub(crate) fn new(memory: HostMemory) -> Self {
        Self {
            state: Arc::default(),
            memory,
        }
    }

    /// What it counts against.
    pub(crate) fn host_memory(&self) -> &HostMemory {
        &self.memory
    }

    /// Start an execution that may print `max` bytes.
    pub(crate) fn begin(&self, max: u64) {
        *self.lock() = State {
            max,
            ..State::default()
        };
    }

    /// What has been printed since [`begin`](Self::begin).
    pub(crate) fn take(&self) -> Output {
        let mut state = self.lock();
        // The embedder's from here on.
        state.charge = None;
        std::mem::take(&mut state.output)
    }

    /// Whether the program tried to print more than it may.
    pub(crate) fn exceeded(&self) -> bool {
        self.lock().exceeded
    }

    /// The stream a guest writes its standard output or error to.
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

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, kind: StreamKind, bytes: &[u8]) -> Result<usize, HostMemoryFull> {
        let mut state = self.lock();
        let used = (state.output.stdout.len() + state.output.stderr.len()) as u64;
        let room = usize::try_from(state.max.saturating_sub(used)).unwrap_or(usize::MAX);
        let kept = bytes.len().min(room);
        match &mut state.charge {
            Some(charge) => charge.grow(kept as u64)?,
            none => *none = Some(self.memory.charge(kept as u64)?),
        }
        match kind {
            StreamKind::Stdout => state.output.stdout.extend_from_slice(&bytes[..kept]),
            StreamKind::Stderr => state.output.stderr.extend_from_slice(&bytes[..kept]),
        }
        state.exceeded |= kept < bytes.len();
        Ok(kept)
    }
}

/// Which of a guest's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamKind {
    Stdout,
    Stderr,
}

/// A guest's standard output or standard error.
#[derive(Clone)]
pub(crate) struct GuestStream {
    capture: Capture,
    kind: StreamKind,
    sink: Option<Arc<dyn OutputSink>>,
}

impl GuestStream {
    /// The most one write may carry.
    const WRITE: usize = 64 * 1024;

    fn print(&self, bytes: &[u8]) -> wasmtime::Result<()> {
        let kept = self.capture.push(self.kind, bytes)?;
        if let Some(sink) = &self.sink
            && kept > 0
        {
            sink.write(&bytes[..kept]);
            // It is the embedder's code, and may have done anything.
            signals::check()?;
        }
        if kept < bytes.len() {
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
        // A trap, not an error the program could ignore while it goes on printing.
        self.print(&bytes).map_err(StreamError::Trap)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        // A guest that is told of no room waits for `ready`, which leaves a waker that counts.
        let ready = self.poll_ready(&mut Context::from_waker(Waker::noop()));
        Ok(if ready.is_ready() { Self::WRITE } else { 0 })
    }

    // What a program's writes come down to: one future, where the provided method makes five.
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

    /// Takes one piece, and then none until it is emptied.
    #[derive(Default)]
    struct OnePiece {
        full: AtomicBool,
        waker: Mutex<Option<Waker>>,
    }

    impl OnePiece {
        fn empty(&self) {
            self.full.store(false, Ordering::SeqCst);
            if let Some(waker) = self.waker.lock().expect("whole").take() {
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
            *self.waker.lock().expect("whole") = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_guest_waits_for_a_sink_that_is_full_and_goes_on_when_it_has_room() {
        let capture = Capture::new(HostMemory::default());
        capture.begin(100);
        let sink = Arc::new(OnePiece::default());
        let mut stream = capture.stream(StreamKind::Stdout, Some(Arc::clone(&sink) as _));
        assert_eq!(stream.check_write().expect("open"), GuestStream::WRITE);
        stream.write(Bytes::from_static(b"first")).expect("room");
        assert_eq!(stream.check_write().expect("open"), 0);
        let emptied = tokio::spawn(async move { sink.empty() });
        stream.ready().await;
        emptied.await.expect("emptied");
        stream.write(Bytes::from_static(b"second")).expect("room");
        assert_eq!(capture.take().stdout, b"firstsecond");
    }

    #[test]
    fn last_words_are_the_last_line_quoted_and_cut() {
        let told = |stderr: &str| {
            let output = Output {
                stderr: stderr.into(),
                ..Output::default()
            };
            LastWords(&output).to_string()
        };
        assert_eq!(told(""), "");
        assert_eq!(told("\n \n"), "");
        assert_eq!(
            told("Traceback\n  boom: \x1b[31m\n\n"),
            "; its last words on standard error: \"boom: \\u{1b}[31m\""
        );
        assert_eq!(told(&"é".repeat(10_000)).matches('é').count(), 200);
    }

    #[test]
    fn output_beyond_the_host_memory_is_refused_and_what_was_taken_frees_it() {
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
    fn output_is_kept_up_to_the_limit_over_both_streams_and_refused_past_it() {
        let capture = Capture::new(HostMemory::default());
        capture.begin(5);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let stdout = capture.stream(
            StreamKind::Stdout,
            Some(Arc::new(move |bytes: &[u8]| {
                sink.lock().expect("whole").extend_from_slice(bytes)
            })),
        );
        let stderr = capture.stream(StreamKind::Stderr, None);
        stdout.print(b"abc").expect("fits");
        stderr.print(b"d").expect("fits");
        assert!(!capture.exceeded());
        stdout.print(b"ef").expect_err("one byte too many");
        assert!(capture.exceeded());
        assert_eq!(*seen.lock().expect("whole"), b"abce");
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
