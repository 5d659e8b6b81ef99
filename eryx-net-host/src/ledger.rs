//! The books: what every connection and lookup did, for events and for the report.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eryx_net_policy::Verdict;
use tokio::time::Instant;

use crate::{
    Activity, ConnectionReport, End, Event, EventKind, NetError, NetLimit, NetworkReport, Observer,
};

/// Most connections and lookups a report keeps.
const MAX_ENTRIES: usize = 1024;

/// Most addresses an entry keeps.
const MAX_ADDRESSES: usize = 16;

/// Most characters of a host an entry keeps; a DNS name has no more (RFC 1035, 2.3.4).
const MAX_HOST: usize = 255;

/// All entries of one network.
#[derive(Default)]
pub(crate) struct Ledger {
    totals: Arc<Totals>,
    last_id: AtomicU64,
    kept: Mutex<Kept>,
}

/// What every entry adds to, and whom it tells.
#[derive(Default)]
struct Totals {
    observer: Option<Arc<dyn Observer>>,
    sent: AtomicU64,
    received: AtomicU64,
}

#[derive(Default)]
struct Kept {
    entries: Vec<Arc<Entry>>,
    dropped: u64,
}

/// One connection or lookup.
pub(crate) struct Entry {
    totals: Arc<Totals>,
    id: u64,
    what: Activity,
    host: Arc<str>,
    port: Option<u16>,
    started: Instant,
    sent: AtomicU64,
    received: AtomicU64,
    /// The limits it was told of.
    limits: AtomicU16,
    facts: Mutex<Facts>,
}

#[derive(Default)]
struct Facts {
    addresses: Vec<IpAddr>,
    address: Option<SocketAddr>,
    verdict: Option<Verdict>,
    tls: Option<&'static str>,
    end: Option<(End, Duration)>,
}

impl Ledger {
    pub(crate) fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self {
            totals: Arc::new(Totals {
                observer,
                ..Totals::default()
            }),
            ..Self::default()
        }
    }

    /// Opens an entry for something the program asks for.
    pub(crate) fn open(&self, what: Activity, host: &str, port: Option<u16>) -> Arc<Entry> {
        let entry = Arc::new(Entry {
            totals: Arc::clone(&self.totals),
            id: self.last_id.fetch_add(1, Ordering::Relaxed) + 1,
            what,
            host: host.chars().take(MAX_HOST).collect::<String>().into(),
            port,
            started: Instant::now(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            limits: AtomicU16::new(0),
            facts: Mutex::default(),
        });
        let mut kept = self.lock();
        if kept.entries.len() < MAX_ENTRIES {
            kept.entries.push(Arc::clone(&entry));
        } else {
            kept.dropped += 1;
        }
        entry
    }

    /// The report so far. With `forget`, what has ended is left out of the next one.
    pub(crate) fn report(&self, forget: bool) -> NetworkReport {
        let mut kept = self.lock();
        let report = NetworkReport {
            connections: kept.entries.iter().map(|entry| entry.report()).collect(),
            dropped: kept.dropped,
            sent: self.totals.sent.load(Ordering::Relaxed),
            received: self.totals.received.load(Ordering::Relaxed),
        };
        if forget {
            kept.entries.retain(|entry| entry.lock().end.is_none());
            kept.dropped = 0;
            self.totals.sent.fetch_sub(report.sent, Ordering::Relaxed);
            self.totals
                .received
                .fetch_sub(report.received, Ordering::Relaxed);
        }
        report
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// How long ago the program asked.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.totals.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.totals
            .received
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A name was resolved, and the verdict allows all of its addresses.
    pub(crate) fn resolved(&self, aliases: Vec<String>, verdict: Verdict) {
        let addresses = verdict.addresses().to_vec();
        self.allowed(verdict);
        self.tell(EventKind::Resolved {
            aliases,
            addresses,
            elapsed: self.elapsed(),
        });
    }

    /// The policy said no, and that is the end of it.
    pub(crate) fn denied(&self, verdict: Verdict) {
        {
            let mut facts = self.lock();
            facts.note_addresses(&verdict);
            facts.end = Some((End::Denied, self.elapsed()));
        }
        self.objected(verdict);
    }

    /// The policy said no to something the program wanted to do with it.
    pub(crate) fn objected(&self, verdict: Verdict) {
        self.lock().verdict = Some(verdict.clone());
        self.tell(EventKind::Denied {
            verdict: Box::new(verdict),
        });
    }

    /// The policy said no, and is only reported.
    pub(crate) fn would_deny(&self, verdict: Verdict) {
        self.allowed(verdict.clone());
        self.tell(EventKind::WouldDeny {
            verdict: Box::new(verdict),
        });
    }

    /// Something fails because of a limit.
    pub(crate) fn limit_reached(&self, limit: NetLimit) {
        if self.first_time(limit) {
            self.tell(EventKind::LimitReached { limit });
        }
    }

    /// Something waits because of a limit.
    pub(crate) fn throttled(&self, limit: NetLimit) {
        if self.first_time(limit) {
            self.tell(EventKind::Throttled { limit });
        }
    }

    /// Whether this limit was not told of yet: a program that goes on trying must not fill the log.
    fn first_time(&self, limit: NetLimit) -> bool {
        self.limits.fetch_or(limit.bit(), Ordering::Relaxed) & limit.bit() == 0
    }

    /// The policy said yes.
    pub(crate) fn allowed(&self, verdict: Verdict) {
        let mut facts = self.lock();
        facts.note_addresses(&verdict);
        facts.verdict = Some(verdict);
    }

    /// The connection stands.
    pub(crate) fn connected(&self, address: SocketAddr) {
        let verdict = {
            let mut facts = self.lock();
            facts.address = Some(address);
            facts.verdict.clone()
        };
        // A connection is dialled only after a verdict allowed it.
        if let Some(verdict) = verdict {
            self.tell(EventKind::Connected {
                address,
                verdict: Box::new(verdict),
                elapsed: self.elapsed(),
            });
        }
    }

    /// The connection is encrypted from here on.
    pub(crate) fn secured(
        &self,
        version: &'static str,
        cipher: String,
        server_name: Option<String>,
    ) {
        self.lock().tls = Some(version);
        self.tell(EventKind::Tls {
            version,
            cipher,
            server_name,
        });
    }

    /// It could not even begin.
    pub(crate) fn refused(&self, error: &NetError) {
        self.close(match error {
            NetError::Denied(_) => End::Denied,
            NetError::ConnectionAborted => End::Aborted,
            error => End::Failed(error.clone()),
        });
    }

    /// It is over. Only the first call counts.
    pub(crate) fn close(&self, end: End) {
        let duration = self.elapsed();
        {
            let mut facts = self.lock();
            if facts.end.is_some() {
                return;
            }
            facts.end = Some((end.clone(), duration));
        }
        self.tell(EventKind::Closed {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            duration,
            end,
        });
    }

    fn report(&self) -> ConnectionReport {
        let facts = self.lock();
        ConnectionReport {
            id: self.id,
            what: self.what,
            host: self.host.to_string(),
            port: self.port,
            addresses: facts.addresses.clone(),
            address: facts.address,
            verdict: facts.verdict.clone(),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            tls: facts.tls,
            duration: match &facts.end {
                Some((_, duration)) => *duration,
                None => self.elapsed(),
            },
            end: facts.end.as_ref().map(|(end, _)| end.clone()),
        }
    }

    fn tell(&self, kind: EventKind) {
        let event = Event {
            id: self.id,
            what: self.what,
            host: Arc::clone(&self.host),
            port: self.port,
            kind,
        };
        match &event.kind {
            EventKind::Denied { .. }
            | EventKind::WouldDeny { .. }
            | EventKind::LimitReached { .. } => tracing::info!(target: "eryx::net", "{event}"),
            _ => tracing::debug!(target: "eryx::net", "{event}"),
        }
        if let Some(observer) = &self.totals.observer {
            observer.event(&event);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn note_addresses(&mut self, verdict: &Verdict) {
        // A verdict about a name alone says nothing about the addresses found before.
        if verdict.addresses().is_empty() {
            return;
        }
        self.addresses = verdict
            .addresses()
            .iter()
            .copied()
            .take(MAX_ADDRESSES)
            .collect();
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
