//! Passing on what a script prints, on a thread of its own: a reader who does not read keeps neither the script's time
//! limit nor Ctrl-C from being noticed.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use eryx::CancelHandle;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How much is written at once: what was written counts as progress.
const PIECE: usize = 16 << 10;

/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Where output goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// What was printed and is not yet written. A script's limit on output bounds it.
pub(crate) struct Printer {
    /// `None` is the end.
    pieces: Sender<Option<(Stream, Vec<u8>)>>,
    /// Bytes.
    left: Arc<AtomicUsize>,
    over: oneshot::Receiver<()>,
}

impl Printer {
    /// Begins. Once nobody reads any more the script need not go on: that cancels it.
    pub(crate) fn begin(cancel: &CancelHandle) -> io::Result<Self> {
        let (pieces, next) = channel();
        let (ended, over) = oneshot::channel();
        let left = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&left);
        let cancel = cancel.clone();
        thread::Builder::new()
            .name("eryx-printer".to_owned())
            .spawn(move || {
                write_all(&next, &counter, &cancel);
                // Nobody may be waiting.
                let _ = ended.send(());
            })?;
        Ok(Self { pieces, left, over })
    }

    /// What passes output on to `stream`.
    pub(crate) fn handler(&self, stream: Stream) -> impl Fn(&[u8]) + Send + Sync + 'static {
        let pieces = self.pieces.clone();
        let left = Arc::clone(&self.left);
        move |bytes| {
            left.fetch_add(bytes.len(), Ordering::Relaxed);
            // The thread ends when a reader has gone, and then nobody wants it.
            let _ = pieces.send(Some((stream, bytes.to_vec())));
        }
    }

    /// Waits until everything is written, `text` on standard error included.
    pub(crate) async fn finish(self, text: String) {
        self.handler(Stream::Err)(text.as_bytes());
        let _ = self.pieces.send(None);
        let _ = self.over.await;
    }

    /// As [`finish`](Self::finish), but leaves when nothing was written for as long as `patience`. What nobody reads
    /// then is lost, and that is said.
    pub(crate) async fn leave(mut self, patience: Duration, text: String) {
        let _ = self.pieces.send(None);
        let mut before = self.left.load(Ordering::Relaxed);
        while timeout(patience, &mut self.over).await.is_err() {
            let now = self.left.load(Ordering::Relaxed);
            if now == before {
                let lost = format!("eryx: nobody reads the output: {now} bytes of it are lost\n");
                return last_words(text + &lost).await;
            }
            before = now;
        }
        last_words(text).await;
    }
}

fn write_all(
    next: &Receiver<Option<(Stream, Vec<u8>)>>,
    left: &AtomicUsize,
    cancel: &CancelHandle,
) {
    while let Ok(Some((stream, bytes))) = next.recv() {
        for piece in bytes.chunks(PIECE) {
            let written = match stream {
                Stream::Out => write(io::stdout().lock(), piece),
                Stream::Err => write(io::stderr().lock(), piece),
            };
            if written.is_err() {
                cancel.cancel();
                return;
            }
            left.fetch_sub(piece.len(), Ordering::Relaxed);
        }
    }
}

fn write(mut stream: impl Write, piece: &[u8]) -> io::Result<()> {
    stream.write_all(piece)?;
    stream.flush()
}

/// Standard error may be what nobody reads.
async fn last_words(text: String) {
    let (said, over) = oneshot::channel();
    thread::spawn(move || {
        // There is nobody left to tell that it did not work.
        let _ = write(io::stderr().lock(), text.as_bytes());
        let _ = said.send(());
    });
    let _ = timeout(LAST_WORDS, over).await;
}
