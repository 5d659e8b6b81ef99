//! Which entries a report lists, so that what a program does for nothing never hides what it did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use super::cause::Cause;
use super::counts::Counts;
use super::entry::Entry;
use crate::{Attempt, NetworkReport, Refusals};

/// Most established connections, and destinations of datagrams, that a report lists. An entry is half a kilobyte, or
/// 4 KiB where a name has 256 addresses: the three bounds together are 7 MiB at most.
pub(super) const MAX_ESTABLISHED: usize = 1024;

/// Most lookups, and attempts the program gave up, that a report lists besides.
pub(super) const MAX_UNREFUSED: usize = 512;

/// Most refusals and failures that a report lists besides; all of them are counted. A program makes tens of thousands
/// a second, and the first few hundred say what it is after.
pub(super) const MAX_REFUSED: usize = 256;

/// The entries of one network, by their numbers.
#[derive(Default)]
pub(super) struct Listing {
    /// What has neither been established nor ended. Each belongs to a connection, a lookup or a socket that the
    /// program holds, and those are limited.
    opening: BTreeMap<u64, Arc<Entry>>,
    established: BTreeMap<u64, Arc<Entry>>,
    /// Those of the established ones that ended without a byte: they make room first.
    empty: BTreeSet<u64>,
    unrefused: BTreeMap<u64, Arc<Entry>>,
    refused: BTreeMap<u64, Arc<Entry>>,
    refusals: Counts<(), Counted>,
    dropped: u64,
}

/// How often something was refused for one cause.
#[derive(Debug)]
struct Counted {
    count: u64,
    first: Attempt,
    last: Attempt,
}

impl Listing {
    pub(super) fn open(&mut self, id: u64, entry: &Arc<Entry>) {
        self.opening.insert(id, Arc::clone(entry));
    }

    /// Notes that an entry is established.
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

    /// Notes that an established entry ended without a byte.
    pub(super) fn end_empty(&mut self, id: u64) {
        if self.established.contains_key(&id) {
            self.empty.insert(id);
        }
    }

    /// Notes that an entry ended without being established, because of `cause` if it was refused or failed.
    pub(super) fn end(&mut self, id: u64, cause: Option<&Cause>) {
        let entry = self.opening.remove(&id);
        let (list, most) = match cause {
            Some(_) => (&mut self.refused, MAX_REFUSED),
            None => (&mut self.unrefused, MAX_UNREFUSED),
        };
        if let Some(entry) = entry {
            if list.len() < most {
                list.insert(id, entry);
            } else {
                self.dropped += 1;
            }
        }
    }

    /// Counts a refusal or a failure.
    pub(super) fn refuse(&mut self, entry: &Entry, cause: Cause) {
        let now = SystemTime::now();
        let attempt = || Attempt {
            activity: entry.activity(),
            host: entry.host().to_owned(),
            port: entry.port(),
            time: now,
        };
        let counted = self.refusals.entry((), cause, || Counted {
            count: 0,
            first: attempt(),
            last: attempt(),
        });
        counted.count += 1;
        if counted.count > 1 {
            counted.last = attempt();
        }
    }

    /// Returns what happened, with the entries in the order they began. With `forget`, what has ended is left out of
    /// the next one.
    pub(super) fn report(&mut self, forget: bool) -> NetworkReport {
        let mut entries: Vec<&Arc<Entry>> = self
            .lists()
            .into_iter()
            .flat_map(BTreeMap::values)
            .collect();
        entries.sort_unstable_by_key(|entry| entry.id());
        let connections = entries.into_iter().map(|entry| entry.report()).collect();
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
            dropped: self.dropped,
            ..NetworkReport::default()
        };
        if forget {
            self.forget();
        }
        report
    }

    fn lists(&self) -> [&BTreeMap<u64, Arc<Entry>>; 4] {
        [
            &self.opening,
            &self.established,
            &self.unrefused,
            &self.refused,
        ]
    }

    fn forget(&mut self) {
        for list in [
            &mut self.opening,
            &mut self.established,
            &mut self.unrefused,
            &mut self.refused,
        ] {
            list.retain(|_, entry| !entry.has_ended());
        }
        self.empty.clear();
        self.refusals.clear();
        self.dropped = 0;
    }
}
