//! The statistics of an HTTP server.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eryx_sync::Mutex;
use tokio::sync::watch;

/// The timeout of a request to `/together`.
const TOGETHER_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum number of recorded handshake failures.
const MAX_FAILURES: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Stats {
    connections: AtomicUsize,
    open: Arc<AtomicUsize>,
    requests: AtomicUsize,
    in_flight: Arc<AtomicUsize>,
    max_concurrent: AtomicUsize,
    resumed: AtomicUsize,
    handshake_failures: Mutex<Vec<String>>,
    gatherings: Mutex<HashMap<usize, watch::Sender<usize>>>,
}

impl Stats {
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub(super) fn max_concurrent(&self) -> usize {
        self.max_concurrent.load(Ordering::SeqCst)
    }

    pub(super) fn resumed(&self) -> usize {
        self.resumed.load(Ordering::SeqCst)
    }

    pub(super) fn handshake_failures(&self) -> Vec<String> {
        self.handshake_failures.lock().clone()
    }

    /// Counts a connection as open until the gauge is dropped. Returns its number, from 1.
    pub(super) fn connected(&self) -> (usize, Gauge) {
        (
            self.connections.fetch_add(1, Ordering::SeqCst) + 1,
            Gauge::increment(&self.open).1,
        )
    }

    pub(super) fn request(&self) -> Gauge {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let (now, gauge) = Gauge::increment(&self.in_flight);
        self.max_concurrent.fetch_max(now, Ordering::SeqCst);
        gauge
    }

    pub(super) fn handshake_resumed(&self) {
        self.resumed.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn handshake_failed(&self, reason: String) {
        let mut failures = self.handshake_failures.lock();
        if failures.len() < MAX_FAILURES {
            failures.push(reason);
        }
    }

    /// Waits until `size` callers wait at the same time. Returns `false` after
    /// [`TOGETHER_TIMEOUT`].
    pub(super) async fn gather(&self, size: usize) -> bool {
        let (goal, mut arrivals) = {
            let mut gatherings = self.gatherings.lock();
            let arrivals = gatherings
                .entry(size)
                .or_insert_with(|| watch::Sender::new(0));
            let mut arrived = 0;
            arrivals.send_modify(|count| {
                *count += 1;
                arrived = *count;
            });
            // The count never decreases, so a caller that stops waiting is not missed.
            (arrived.div_ceil(size) * size, arrivals.subscribe())
        };
        let complete = arrivals.wait_for(|arrived| *arrived >= goal);
        matches!(
            tokio::time::timeout(TOGETHER_TIMEOUT, complete).await,
            Ok(Ok(_))
        )
    }
}

/// Increments a counter until it is dropped.
#[derive(Debug)]
pub(super) struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    fn increment(count: &Arc<AtomicUsize>) -> (usize, Self) {
        (
            count.fetch_add(1, Ordering::SeqCst) + 1,
            Self(Arc::clone(count)),
        )
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
