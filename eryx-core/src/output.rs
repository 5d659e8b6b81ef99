//! What a guest prints: captured, bounded while it is produced, and shown to the embedder as it comes.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// Receives output as it is printed, a piece at a time; a piece need not end where a line or a character does.
pub type OutputHandler = Arc<dyn Fn(&[u8]) + Send + Sync>;

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

/// The program printed more than it may.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the output limit is reached")]
pub(crate) struct OutputLimitReached;

/// Where output goes besides the capture.
#[derive(Clone, Default)]
pub(crate) struct Handlers {
    pub(crate) stdout: Option<OutputHandler>,
    pub(crate) stderr: Option<OutputHandler>,
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
    max: u64,
    exceeded: bool,
}

/// The capture of one instance, shared by its streams.
#[derive(Debug, Clone, Default)]
pub(crate) struct Capture {
    state: Arc<Mutex<State>>,
}

impl Capture {
    /// Start an execution that may print `max` bytes.
    pub(crate) fn begin(&self, max: u64) {
        *self.lock() = State {
            max,
            ..State::default()
        };
    }

    /// What has been printed since [`begin`](Self::begin).
    pub(crate) fn take(&self) -> Output {
        std::mem::take(&mut self.lock().output)
    }

    /// Whether the program tried to print more than it may.
    pub(crate) fn exceeded(&self) -> bool {
        self.lock().exceeded
    }

    /// The stream a guest writes its standard output or error to.
    pub(crate) fn stream(&self, kind: StreamKind, handler: Option<OutputHandler>) -> GuestStream {
        GuestStream {
            capture: self.clone(),
            kind,
            handler,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, kind: StreamKind, bytes: &[u8]) -> usize {
        let mut state = self.lock();
        let used = (state.output.stdout.len() + state.output.stderr.len()) as u64;
        let room = usize::try_from(state.max.saturating_sub(used)).unwrap_or(usize::MAX);
        let kept = bytes.len().min(room);
        match kind {
            StreamKind::Stdout => state.output.stdout.extend_from_slice(&bytes[..kept]),
            StreamKind::Stderr => state.output.stderr.extend_from_slice(&bytes[..kept]),
        }
        state.exceeded |= kept < bytes.len();
        kept
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
    handler: Option<OutputHandler>,
}

impl GuestStream {
    /// The most one write may carry.
    const WRITE: usize = 64 * 1024;

    fn print(&self, bytes: &[u8]) -> Result<(), OutputLimitReached> {
        let kept = self.capture.push(self.kind, bytes);
        if let Some(handler) = &self.handler
            && kept > 0
        {
            handler(&bytes[..kept]);
        }
        if kept < bytes.len() {
            return Err(OutputLimitReached);
        }
        Ok(())
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
    async fn ready(&mut self) {}
}

impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // A trap, not an error the program could ignore while it goes on printing.
        self.print(&bytes)
            .map_err(|limit| StreamError::Trap(limit.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(Self::WRITE)
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
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
    use super::*;

    #[test]
    fn output_is_kept_up_to_the_limit_over_both_streams_and_refused_past_it() {
        let capture = Capture::default();
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
