//! A program's output, and the sinks that receive it while it is printed.

use std::task::{Context, Poll};

/// Receives output while it is printed. A sink can make the program wait. A function of `&[u8]` is
/// a sink that never makes it wait.
pub trait OutputSink: Send + Sync {
    /// Takes a piece of output, which need not end at the end of a line or a character.
    ///
    /// It must not block: the program, its timeout and its cancellation wait for it.
    fn write(&self, bytes: &[u8]);

    /// Returns `Pending` while the sink can take no more output, and wakes `cx` when it can.
    ///
    /// The program waits meanwhile; its timeout and its cancellation do not. At most 4 KiB are
    /// written after a `Pending`, so a sink that bounds its memory needs that much more.
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

/// The output of one execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// Standard output, byte for byte.
    pub stdout: Vec<u8>,
    /// Standard error, byte for byte.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Returns standard output as text; bytes that are not UTF-8 become U+FFFD.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns standard error as text; bytes that are not UTF-8 become U+FFFD.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}
