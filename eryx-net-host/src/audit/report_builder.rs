//! The report under construction: the entries that it lists, so that operations that cost a guest
//! program nothing never displace those that had an effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::audit::cause::Cause;
use crate::audit::cause_map::CauseMap;
use crate::audit::http_request::HttpRequestReport;
use crate::audit::report::{ConnectionReport, NetworkReport, Refusals, RefusedAttempt};

/// The most established connections and UDP destinations that a report lists. An entry takes half a
/// kilobyte, or 4 KiB if a name has 256 addresses: the three bounds together come to at most 7 MiB.
const MAX_ESTABLISHED: usize = 1024;

/// The most lookups and abandoned attempts that a report lists in addition.
pub(super) const MAX_FINISHED: usize = 512;

/// The most denials and failures that a report lists in addition. The report counts all of them. A
/// guest program can cause tens of thousands per second, and the first few hundred are enough to
/// recognise its purpose.
pub(super) const MAX_REJECTED: usize = 256;

/// The most HTTP requests that a report lists. A request takes at most 2 KiB.
const MAX_REQUESTS: usize = 512;

/// The most denied HTTP requests that a report lists in addition.
const MAX_DENIED_REQUESTS: usize = 256;

/// An entry that a report can list.
pub(super) trait ReportEntry: Send + Sync {
    fn has_ended(&self) -> bool;

    fn report(&self) -> ConnectionReport;
}

/// Entries by ID.
type Entries = BTreeMap<u64, Arc<dyn ReportEntry>>;

/// The entries of one network, bounded, and the counts of its denials and failures.
#[derive(Default)]
pub(super) struct ReportBuilder {
    /// Entries that are neither established nor ended. Each belongs to a connection, a lookup or a
    /// socket of the guest program, and those are limited.
    opening: Entries,
    established: Entries,
    /// The established entries that ended without a byte: they are evicted first.
    empty: BTreeSet<u64>,
    finished: Entries,
    rejected: Entries,
    refusals: CauseMap<(), Count>,
    dropped: u64,
    requests: Vec<HttpRequestReport>,
    /// How many of `requests` were denied.
    denied_requests: usize,
    dropped_requests: u64,
}

/// The denials and failures of one cause.
#[derive(Debug)]
struct Count {
    count: u64,
    first: RefusedAttempt,
    last: RefusedAttempt,
}

impl ReportBuilder {
    pub(super) fn begin(&mut self, id: u64, entry: Arc<dyn ReportEntry>) {
        self.opening.insert(id, entry);
    }

    /// Records that an entry is established.
    pub(super) fn establish(&mut self, id: u64) {
        let Some(entry) = self.opening.remove(&id) else {
            return;
        };
        if self.established.len() == MAX_ESTABLISHED {
            self.dropped += 1;
            let Some(empty) = self.empty.pop_first() else {
                return;
            };
            self.established.remove(&empty);
        }
        self.established.insert(id, entry);
    }

    /// Records that an established entry ended without a byte.
    pub(super) fn end_empty(&mut self, id: u64) {
        if self.established.contains_key(&id) {
            self.empty.insert(id);
        }
    }

    /// Records that an entry ended before it was established; `rejected` if it was denied or
    /// failed.
    pub(super) fn end(&mut self, id: u64, rejected: bool) {
        let entry = self.opening.remove(&id);
        let (list, max) = if rejected {
            (&mut self.rejected, MAX_REJECTED)
        } else {
            (&mut self.finished, MAX_FINISHED)
        };
        if let Some(entry) = entry {
            if list.len() < max {
                list.insert(id, entry);
            } else {
                self.dropped += 1;
            }
        }
    }

    /// Counts a denial or a failure.
    pub(super) fn count_refusal(&mut self, attempt: RefusedAttempt, cause: Cause) {
        let counted = self.refusals.entry((), cause, || Count {
            count: 0,
            first: attempt.clone(),
            last: attempt.clone(),
        });
        counted.count += 1;
        counted.last = attempt;
    }

    /// Adds an HTTP request that has ended.
    pub(super) fn add_request(&mut self, request: HttpRequestReport, is_denied: bool) {
        let is_full = match is_denied {
            true => self.denied_requests == MAX_DENIED_REQUESTS,
            false => self.requests.len() - self.denied_requests == MAX_REQUESTS,
        };
        if is_full {
            self.dropped_requests += 1;
            return;
        }
        self.denied_requests += usize::from(is_denied);
        self.requests.push(request);
    }

    /// Returns the report, with the entries in the order in which they began. With `reset`, the
    /// next report omits those that have ended.
    pub(super) fn build(&mut self, reset: bool) -> NetworkReport {
        let mut entries: Vec<_> = self.lists().into_iter().flatten().collect();
        entries.sort_unstable_by_key(|(id, _)| **id);
        let connections = entries
            .into_iter()
            .map(|(_, entry)| entry.report())
            .collect();
        let mut refusals: Vec<Refusals> = self
            .refusals
            .iter()
            .map(|(cause, counted)| Refusals {
                reason: cause.reason,
                rule: cause.rule.clone(),
                count: counted.count,
                first: counted.first.clone(),
                last: counted.last.clone(),
            })
            .collect();
        refusals.sort_by(|a, b| (a.first.time, a.reason).cmp(&(b.first.time, b.reason)));
        let report = NetworkReport {
            connections,
            refusals,
            requests: self.requests.clone(),
            dropped: self.dropped,
            dropped_requests: self.dropped_requests,
            ..NetworkReport::default()
        };
        if reset {
            self.reset();
        }
        report
    }

    fn lists(&self) -> [&Entries; 4] {
        [
            &self.opening,
            &self.established,
            &self.finished,
            &self.rejected,
        ]
    }

    fn reset(&mut self) {
        for list in [
            &mut self.opening,
            &mut self.established,
            &mut self.finished,
            &mut self.rejected,
        ] {
            list.retain(|_, entry| !entry.has_ended());
        }
        self.empty.clear();
        self.refusals.clear();
        self.dropped = 0;
        self.requests.clear();
        self.denied_requests = 0;
        self.dropped_requests = 0;
    }
}
