//! The log of a peer's connections.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// A connection that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Application bytes sent by the client.
    pub received: u64,
    /// The error that interrupted the peer, if any. `UnexpectedEof`: the client closed without
    /// close_notify or before the peer had finished. `ConnectionReset`, `BrokenPipe`: the client is
    /// gone. An error of rustls: the handshake failed.
    pub error: Option<Arc<io::Error>>,
}

impl Ended {
    /// Returns the kind of `error`, for comparisons.
    #[must_use]
    pub fn kind(&self) -> Option<io::ErrorKind> {
        self.error.as_ref().map(|error| error.kind())
    }
}

#[derive(Debug, Default)]
pub(super) struct Log {
    connections: AtomicUsize,
    received: AtomicU64,
    ended: watch::Sender<Vec<Ended>>,
}

impl Log {
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    pub(super) fn ended(&self) -> Vec<Ended> {
        self.ended.borrow().clone()
    }

    pub(super) async fn wait_for(&self, count: usize) -> Vec<Ended> {
        let mut changes = self.ended.subscribe();
        let enough = changes.wait_for(|ended| ended.len() >= count);
        let enough = tokio::time::timeout(TIMEOUT, enough).await;
        // The sender is `self`, so the only possible failure is the timeout.
        if let Ok(Ok(ended)) = enough {
            return ended.clone();
        }
        let (ended, all) = (self.ended().len(), self.connections());
        panic!("waited {TIMEOUT:?} for {count} connections to end: {ended} of {all} have")
    }

    pub(super) fn connected(&self) -> Entry<'_> {
        self.connections.fetch_add(1, Ordering::SeqCst);
        Entry(self)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::SeqCst);
    }
}

/// An open connection.
pub(super) struct Entry<'a>(&'a Log);

impl Entry<'_> {
    pub(super) fn ended(self, received: u64, outcome: io::Result<()>) {
        let error = outcome.err().map(Arc::new);
        self.0
            .ended
            .send_modify(|ended| ended.push(Ended { received, error }));
    }
}

/// The timeout of [`Log::wait_for`]: only a client that never closes reaches it.
const TIMEOUT: Duration = Duration::from_secs(10);
