//! What happened at a server so far.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// How long a request waits for its companions before the server calls the test off.
const TOGETHER_LIMIT: Duration = Duration::from_secs(10);

/// Handshake failures kept.
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
        lock(&self.handshake_failures).clone()
    }

    /// Counts a connection, from one, until the gauge is dropped.
    pub(super) fn connected(&self) -> (usize, Gauge) {
        (
            self.connections.fetch_add(1, Ordering::SeqCst) + 1,
            Gauge::up(&self.open).1,
        )
    }

    pub(super) fn request(&self) -> Gauge {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let (now, gauge) = Gauge::up(&self.in_flight);
        self.max_concurrent.fetch_max(now, Ordering::SeqCst);
        gauge
    }

    pub(super) fn handshake_resumed(&self) {
        self.resumed.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn handshake_failed(&self, why: String) {
        let mut failures = lock(&self.handshake_failures);
        if failures.len() < MAX_FAILURES {
            failures.push(why);
        }
    }

    /// Waits until `size` callers wait here at once; false if that took too long.
    pub(super) async fn gather(&self, size: usize) -> bool {
        let (goal, mut arrivals) = {
            let mut gatherings = lock(&self.gatherings);
            let arrivals = gatherings
                .entry(size)
                .or_insert_with(|| watch::Sender::new(0));
            let mut arrived = 0;
            arrivals.send_modify(|count| {
                *count += 1;
                arrived = *count;
            });
            // Arrivals are only ever added, so that no one who leaves early can be missed.
            (arrived.div_ceil(size) * size, arrivals.subscribe())
        };
        let complete = arrivals.wait_for(|arrived| *arrived >= goal);
        matches!(
            tokio::time::timeout(TOGETHER_LIMIT, complete).await,
            Ok(Ok(_))
        )
    }
}

/// One more until dropped.
#[derive(Debug)]
pub(super) struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    fn up(count: &Arc<AtomicUsize>) -> (usize, Self) {
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

/// What a panicking holder leaves behind is whole: every critical section is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
