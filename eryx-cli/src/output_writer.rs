//! Writes a script's output on a thread of its own, so that a reader who stalls delays neither the
//! script's time limit nor Ctrl-C.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use eryx::net::policy::escape;
use eryx::{CancelHandle, SandboxBuilder};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Bytes of one write: each chunk counts as progress.
const CHUNK: usize = 16 << 10;

/// The most time for writing the final message.
const FINAL_MESSAGE_TIMEOUT: Duration = Duration::from_millis(200);

/// The destination of output.
#[derive(Debug, Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// An entry of the queue.
enum Entry {
    Output(Stream, Vec<u8>),
    /// Everything before it is written.
    Flush(oneshot::Sender<()>),
    End,
}

/// The queue of output that is not written yet. A script's limit on output bounds it.
pub(crate) struct OutputWriter {
    chunks: Sender<Entry>,
    /// The length of the queue in bytes.
    unwritten: Arc<AtomicUsize>,
    finished: oneshot::Receiver<()>,
}

impl OutputWriter {
    /// Starts the thread. When writing fails, because the reader has gone, it cancels the script.
    pub(crate) fn start(cancel: &CancelHandle) -> io::Result<Self> {
        let (chunks, queue) = channel();
        let (finish, finished) = oneshot::channel();
        let unwritten = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&unwritten);
        let cancel = cancel.clone();
        thread::Builder::new()
            .name("eryx-output".to_owned())
            .spawn(move || {
                write_all(&queue, &counter, &cancel);
                // The receiver may be gone.
                let _ = finish.send(());
            })?;
        Ok(Self {
            chunks,
            unwritten,
            finished,
        })
    }

    /// Returns the builder of sandboxes whose output is written.
    pub(crate) fn connect(&self, builder: SandboxBuilder) -> SandboxBuilder {
        builder
            .on_stdout(self.handler(Stream::Out))
            .on_stderr(self.handler(Stream::Err))
    }

    /// Returns a function that queues output for `stream`.
    fn handler(&self, stream: Stream) -> impl Fn(&[u8]) + Send + Sync + 'static {
        let chunks = self.chunks.clone();
        let unwritten = Arc::clone(&self.unwritten);
        move |bytes| {
            unwritten.fetch_add(bytes.len(), Ordering::Relaxed);
            // Fails once the thread has ended because the reader has gone.
            let _ = chunks.send(Entry::Output(stream, bytes.to_vec()));
        }
    }

    /// Waits until all output so far is written, or the reader has gone.
    pub(crate) async fn flush(&self) {
        let (flush, flushed) = oneshot::channel();
        if self.chunks.send(Entry::Flush(flush)).is_ok() {
            let _ = flushed.await;
        }
    }

    /// Waits until everything is written, `message` on standard error included.
    pub(crate) async fn finish(self, message: String) {
        self.handler(Stream::Err)(message.as_bytes());
        let _ = self.chunks.send(Entry::End);
        let _ = self.finished.await;
    }

    /// As [`finish`](Self::finish), but gives up when nothing was written for `stall_timeout`:
    /// discards the rest of the output, and says so.
    pub(crate) async fn finish_within(mut self, stall_timeout: Duration, message: String) {
        let _ = self.chunks.send(Entry::End);
        let mut before = self.unwritten.load(Ordering::Relaxed);
        while timeout(stall_timeout, &mut self.finished).await.is_err() {
            let now = self.unwritten.load(Ordering::Relaxed);
            if now == before {
                let stalled =
                    format!("eryx: the output is not being read: {now} bytes were discarded\n");
                return write_final_message(message + &stalled).await;
            }
            before = now;
        }
        write_final_message(message).await;
    }
}

fn write_all(queue: &Receiver<Entry>, unwritten: &AtomicUsize, cancel: &CancelHandle) {
    while let Ok(entry) = queue.recv() {
        let (stream, bytes) = match entry {
            Entry::Output(stream, bytes) => (stream, bytes),
            Entry::Flush(written) => {
                // The receiver may be gone.
                let _ = written.send(());
                continue;
            }
            Entry::End => return,
        };
        for chunk in bytes.chunks(CHUNK) {
            let result = match stream {
                Stream::Out => write(io::stdout().lock(), chunk),
                Stream::Err => write(io::stderr().lock(), chunk),
            };
            if result.is_err() {
                cancel.cancel();
                return;
            }
            unwritten.fetch_sub(chunk.len(), Ordering::Relaxed);
        }
    }
}

/// Escapes the invisible characters in each line of a traceback, so that a terminal does not act on
/// them. The script's own output is passed on unchanged.
pub(crate) fn escape_lines(traceback: &str) -> String {
    let lines: Vec<String> = traceback.split('\n').map(escape).collect();
    lines.join("\n")
}

fn write(mut stream: impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

/// Writes to standard error on a thread of its own, since standard error may stall as well.
async fn write_final_message(message: String) {
    let (finish, finished) = oneshot::channel();
    thread::spawn(move || {
        // An error cannot be reported anywhere.
        let _ = write(io::stderr().lock(), message.as_bytes());
        let _ = finish.send(());
    });
    let _ = timeout(FINAL_MESSAGE_TIMEOUT, finished).await;
}
