//! The audit log: records every connection, lookup and UDP destination, for events and for the
//! report.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use eryx_sync::Mutex;

use crate::audit::activity::Activity;
use crate::audit::entry::AuditEntry;
use crate::audit::event::Observer;
use crate::audit::event_sink::EventSink;
use crate::audit::report::NetworkReport;
use crate::audit::report_builder::ReportBuilder;

/// The entries of one network.
#[derive(Default)]
pub(crate) struct AuditLog {
    sink: Arc<EventSink>,
    last_id: AtomicU64,
    report: Arc<Mutex<ReportBuilder>>,
}

impl AuditLog {
    pub(crate) fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self {
            sink: Arc::new(EventSink::new(observer)),
            ..Self::default()
        }
    }

    /// Begins `execution`: later events belong to it.
    pub(crate) fn begin_execution(&self, execution: u64) {
        self.sink.begin_execution(execution);
    }

    pub(crate) fn poll_observer(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_observer(cx)
    }

    /// Begins the entry of an activity that the guest program starts.
    pub(crate) fn begin(
        &self,
        activity: Activity,
        host: &str,
        port: Option<u16>,
    ) -> Arc<AuditEntry> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Arc::new(AuditEntry::new(
            Arc::clone(&self.sink),
            Arc::downgrade(&self.report),
            id,
            activity,
            host,
            port,
        ));
        self.report.lock().begin(id, Arc::clone(&entry) as _);
        entry
    }

    /// Returns the report so far. With `reset`, the next report omits the activities that have
    /// ended by now.
    pub(crate) fn report(&self, reset: bool) -> NetworkReport {
        let mut report = self.report.lock().build(reset);
        let read = |total: &AtomicU64| {
            let bytes = total.load(Ordering::Relaxed);
            if reset {
                total.fetch_sub(bytes, Ordering::Relaxed);
            }
            bytes
        };
        report.sent = read(&self.sink.sent);
        report.received = read(&self.sink.received);
        report
    }
}
