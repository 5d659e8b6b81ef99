//! The books: what every connection and lookup did, for events and for the report.

mod announcer;
mod cause;
mod counts;
mod entry;
mod listing;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use crate::{Activity, NetworkReport, Observer};
use announcer::Totals;
use listing::Listing;

pub(crate) use entry::Entry;

/// All entries of one network.
#[derive(Default)]
pub(crate) struct Ledger {
    totals: Arc<Totals>,
    last_id: AtomicU64,
    listing: Arc<Mutex<Listing>>,
}

impl Ledger {
    pub(crate) fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self {
            totals: Arc::new(Totals::new(observer)),
            ..Self::default()
        }
    }

    /// Counts what follows as part of `execution`.
    pub(crate) fn begin(&self, execution: u64) {
        self.totals.begin(execution);
    }

    pub(crate) fn poll_observer(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.totals.poll_observer(cx)
    }

    /// Opens an entry for something the program asks for.
    pub(crate) fn open(&self, activity: Activity, host: &str, port: Option<u16>) -> Arc<Entry> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Arc::new(Entry::new(
            Arc::clone(&self.totals),
            Arc::downgrade(&self.listing),
            id,
            activity,
            host,
            port,
        ));
        self.listing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .open(id, &entry);
        entry
    }

    /// Returns the report so far. With `forget`, what has ended is left out of the next one.
    pub(crate) fn report(&self, forget: bool) -> NetworkReport {
        let mut report = self
            .listing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .report(forget);
        let take = |total: &AtomicU64| {
            let bytes = total.load(Ordering::Relaxed);
            if forget {
                total.fetch_sub(bytes, Ordering::Relaxed);
            }
            bytes
        };
        report.sent = take(&self.totals.sent);
        report.received = take(&self.totals.received);
        report
    }
}
