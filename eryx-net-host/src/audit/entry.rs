//! One connection, one lookup, one destination of datagrams, or one TLS session.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use eryx_net_policy::{HostName, Verdict};
use tokio::time::Instant;
use tracing::Level;

use super::announcer::{Price, Totals};
use super::cause::Cause;
use super::listing::Listing;
use crate::{Activity, CloseReason, ConnectionReport, Event, EventKind, NetError, NetLimit};

/// Most addresses an entry keeps.
const MAX_ADDRESSES: usize = 16;

/// Most characters of a host an entry keeps; a DNS name has no more (RFC 1035, 2.3.4).
const MAX_HOST: usize = 255;

/// Most characters of a resolver's reason that an event repeats: a name server may have chosen them.
const MAX_REASON: usize = 255;

/// What is known of one activity.
pub(crate) struct Entry {
    totals: Arc<Totals>,
    /// What lists it, which is gone when the network is.
    listing: Weak<Mutex<Listing>>,
    id: u64,
    activity: Activity,
    host: Arc<str>,
    port: Option<u16>,
    started: Instant,
    sent: AtomicU64,
    received: AtomicU64,
    /// The limits that an event was made of.
    limits: AtomicU16,
    facts: Mutex<Facts>,
}

#[derive(Default)]
struct Facts {
    addresses: Vec<IpAddr>,
    address: Option<SocketAddr>,
    verdict: Option<Verdict>,
    tls: Option<&'static str>,
    /// The latest limit it failed for.
    limit: Option<NetLimit>,
    close_reason: Option<(CloseReason, Duration)>,
}

impl Entry {
    pub(super) fn new(
        totals: Arc<Totals>,
        listing: Weak<Mutex<Listing>>,
        id: u64,
        activity: Activity,
        host: &str,
        port: Option<u16>,
    ) -> Self {
        Self {
            totals,
            listing,
            id,
            activity,
            host: host.chars().take(MAX_HOST).collect::<String>().into(),
            port,
            started: Instant::now(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            limits: AtomicU16::new(0),
            facts: Mutex::default(),
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn activity(&self) -> Activity {
        self.activity
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().close_reason.is_some()
    }

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

    /// Notes that a name was resolved, and that the verdict allows all of its addresses or is only reported.
    pub(crate) fn resolved(&self, aliases: &[HostName], verdict: Verdict) {
        let event = self
            .totals
            .is_heard(Level::DEBUG)
            .then(|| EventKind::Resolved {
                aliases: aliases.iter().map(HostName::to_string).collect(),
                addresses: verdict.addresses().to_vec(),
                elapsed: self.elapsed(),
            });
        self.allowed(verdict);
        if let Some(event) = event {
            self.announce(Price::Free, Level::DEBUG, event);
        }
    }

    /// Notes that a name could not be resolved for a reason that the program does not hear.
    pub(crate) fn unresolved(&self, reason: &str) {
        self.tell(Price::Refused, Level::INFO, || EventKind::Unresolved {
            reason: reason.chars().take(MAX_REASON).collect(),
        });
    }

    /// Notes that the policy refused it, and that this is the end of it.
    pub(crate) fn denied(&self, verdict: Verdict) {
        let cause = Cause::verdict(&verdict);
        {
            let mut facts = self.lock();
            facts.note_addresses(&verdict);
            facts.close_reason = Some((CloseReason::Denied, self.elapsed()));
        }
        self.list(|listing| listing.end(self.id, Some(&cause)));
        self.objected(verdict);
    }

    /// Notes that the policy refused something the program wanted to do with it.
    pub(crate) fn objected(&self, verdict: Verdict) {
        let cause = Cause::verdict(&verdict);
        self.list(|listing| listing.refuse(self, cause));
        self.tell(Price::Refused, Level::INFO, || EventKind::Denied {
            verdict: Box::new(verdict.clone()),
        });
        self.lock().verdict = Some(verdict);
    }

    /// Notes that the policy would refuse it, which is only reported.
    pub(crate) fn would_deny(&self, verdict: Verdict) {
        self.tell(Price::Refused, Level::INFO, || EventKind::WouldDeny {
            verdict: Box::new(verdict.clone()),
        });
        self.allowed(verdict);
    }

    /// Notes that something fails because of a limit.
    pub(crate) fn limit_reached(&self, limit: NetLimit) {
        self.lock().limit = Some(limit);
        if self.first_time(limit) {
            self.tell(Price::Refused, Level::INFO, || EventKind::LimitReached {
                limit,
            });
        }
    }

    /// Notes that something waits because of a limit.
    pub(crate) fn throttled(&self, limit: NetLimit) {
        if self.first_time(limit) {
            self.tell(Price::Refused, Level::DEBUG, || EventKind::Throttled {
                limit,
            });
        }
    }

    /// Whether there was no event about this limit yet: a program that goes on trying must not fill the log.
    fn first_time(&self, limit: NetLimit) -> bool {
        self.limits.fetch_or(limit.bit(), Ordering::Relaxed) & limit.bit() == 0
    }

    /// Notes a verdict that lets it go on.
    pub(crate) fn allowed(&self, verdict: Verdict) {
        let mut facts = self.lock();
        facts.note_addresses(&verdict);
        facts.verdict = Some(verdict);
    }

    /// Notes that the connection is established, or that datagrams to a destination begin.
    pub(crate) fn connected(&self, address: SocketAddr) {
        self.lock().address = Some(address);
        self.list(|listing| listing.establish(self.id));
        if !self.totals.is_heard(Level::DEBUG) {
            return;
        }
        // A connection is dialled only after a verdict allowed it.
        let verdict = self.lock().verdict.clone();
        if let Some(verdict) = verdict {
            let event = EventKind::Connected {
                address,
                verdict: Box::new(verdict),
                elapsed: self.elapsed(),
            };
            self.announce(self.price(), Level::DEBUG, event);
        }
    }

    /// Notes that the connection is encrypted from here on.
    pub(crate) fn secured(
        &self,
        version: &'static str,
        cipher: String,
        server_name: Option<String>,
    ) {
        self.lock().tls = Some(version);
        self.tell(self.price(), Level::DEBUG, || EventKind::Tls {
            version,
            cipher,
            server_name,
        });
    }

    /// Notes that it could not even begin.
    pub(crate) fn refused(&self, error: &NetError) {
        self.close(match error {
            NetError::Denied(_) => CloseReason::Denied,
            NetError::ConnectionAborted => CloseReason::Aborted,
            error => CloseReason::Error(error.clone()),
        });
    }

    /// Notes how it ended. Only the first call counts.
    pub(crate) fn close(&self, close_reason: CloseReason) {
        let duration = self.elapsed();
        let (established, limit) = {
            let mut facts = self.lock();
            if facts.close_reason.is_some() {
                return;
            }
            facts.close_reason = Some((close_reason.clone(), duration));
            (facts.address.is_some(), facts.limit)
        };
        let sent = self.sent.load(Ordering::Relaxed);
        let received = self.received.load(Ordering::Relaxed);
        let price = if established {
            if sent == 0 && received == 0 {
                self.list(|listing| listing.end_empty(self.id));
            }
            self.price()
        } else {
            let cause = Cause::of_end(&close_reason, limit);
            let price = match &cause {
                Some(_) => Price::Refused,
                None => Price::Free,
            };
            self.list(|listing| {
                listing.end(self.id, cause.as_ref());
                if let Some(cause) = cause {
                    listing.refuse(self, cause);
                }
            });
            price
        };
        self.tell(price, Level::DEBUG, || EventKind::Closed {
            sent,
            received,
            duration,
            close_reason,
        });
    }

    /// What the program pays for an event of something that is established.
    fn price(&self) -> Price {
        match self.activity {
            Activity::Connection => Price::Connection,
            Activity::Datagrams | Activity::Lookup | Activity::TlsSession => Price::Free,
        }
    }

    pub(super) fn report(&self) -> ConnectionReport {
        let facts = self.lock();
        ConnectionReport {
            id: self.id,
            activity: self.activity,
            host: self.host.to_string(),
            port: self.port,
            addresses: facts.addresses.clone(),
            address: facts.address,
            verdict: facts.verdict.clone(),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            tls: facts.tls,
            duration: match &facts.close_reason {
                Some((_, duration)) => *duration,
                None => self.elapsed(),
            },
            close_reason: facts.close_reason.as_ref().map(|(end, _)| end.clone()),
        }
    }

    /// Makes an event, if anything hears of it.
    fn tell(&self, price: Price, level: Level, kind: impl FnOnce() -> EventKind) {
        if self.totals.is_heard(level) {
            self.announce(price, level, kind());
        }
    }

    fn announce(&self, price: Price, level: Level, kind: EventKind) {
        let event = Event {
            execution: 0,
            id: self.id,
            activity: self.activity,
            host: Arc::clone(&self.host),
            port: self.port,
            count: None,
            kind,
        };
        self.totals.announce(price, level, event);
    }

    fn list(&self, act: impl FnOnce(&mut Listing)) {
        if let Some(listing) = self.listing.upgrade() {
            act(&mut listing.lock().unwrap_or_else(PoisonError::into_inner));
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
