//! The audit entry of one connection, one lookup, one UDP destination or one TLS session.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use eryx_net_policy::{HostName, HttpVerdict, Verdict};
use eryx_sync::Mutex;
use tokio::time::Instant;
use tracing::Level;

use crate::audit::activity::{Activity, CloseReason};
use crate::audit::cause::Cause;
use crate::audit::event::{Event, EventKind};
use crate::audit::event_sink::{EventClass, EventSink};
use crate::audit::http_request::HttpRequestReport;
use crate::audit::report::{ConnectionReport, RefusedAttempt};
use crate::audit::report_builder::{ReportBuilder, ReportEntry};
use crate::error::NetError;
use crate::limits::kind::NetLimit;

/// The most addresses that an entry stores.
const MAX_ADDRESSES: usize = 16;

/// The most characters of a host that an entry stores. A DNS name has no more (RFC 1035, 2.3.4).
const MAX_HOST: usize = 255;

/// The most characters of a message of the resolver, or about the proxy, that an event repeats. A
/// name server or the proxy may have chosen them.
const MAX_REASON: usize = 255;

/// The record of one activity, which emits its events.
pub(crate) struct AuditEntry {
    sink: Arc<EventSink>,
    /// The report that lists the entry; dropped with the network.
    report: Weak<Mutex<ReportBuilder>>,
    id: u64,
    activity: Activity,
    host: Arc<str>,
    port: Option<u16>,
    started: Instant,
    sent: AtomicU64,
    received: AtomicU64,
    /// The limits for which an event was emitted.
    reported_limits: AtomicU16,
    details: Mutex<Details>,
}

#[derive(Default)]
struct Details {
    addresses: Vec<IpAddr>,
    address: Option<SocketAddr>,
    proxy: Option<Arc<str>>,
    verdict: Option<Verdict>,
    tls: Option<&'static str>,
    /// The last limit that made an operation fail.
    limit: Option<NetLimit>,
    closed: Option<(CloseReason, Duration)>,
}

impl AuditEntry {
    pub(super) fn new(
        sink: Arc<EventSink>,
        report: Weak<Mutex<ReportBuilder>>,
        id: u64,
        activity: Activity,
        host: &str,
        port: Option<u16>,
    ) -> Self {
        Self {
            sink,
            report,
            id,
            activity,
            host: host.chars().take(MAX_HOST).collect::<String>().into(),
            port,
            started: Instant::now(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            reported_limits: AtomicU16::new(0),
            details: Mutex::default(),
        }
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.sink.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.sink
            .received
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Records that a name was resolved. The verdict allows all addresses, or report-only mode is
    /// on.
    pub(crate) fn resolved(&self, aliases: &[HostName], verdict: Verdict) {
        let event = self
            .sink
            .is_enabled(Level::DEBUG)
            .then(|| EventKind::Resolved {
                aliases: aliases.iter().map(HostName::to_string).collect(),
                addresses: verdict.addresses().to_vec(),
                elapsed: self.elapsed(),
            });
        self.record_verdict(verdict);
        if let Some(event) = event {
            self.emit(EventClass::Cheap, Level::DEBUG, event);
        }
    }

    /// Records that a name could not be resolved, for a reason that the guest program does not see.
    pub(crate) fn unresolved(&self, reason: &str) {
        self.emit_with(EventClass::Rejected, Level::INFO, || {
            EventKind::Unresolved {
                reason: reason.chars().take(MAX_REASON).collect(),
            }
        });
    }

    /// Records that the embedder's proxy is asked for a tunnel. `proxy` has no credentials.
    pub(crate) fn begin_tunnel(&self, proxy: &Arc<str>) {
        self.details.lock().proxy = Some(Arc::clone(proxy));
    }

    /// Records that the embedder's proxy made no tunnel, for a reason that the guest program does
    /// not see. `proxy` has no credentials.
    pub(crate) fn proxy_failed(&self, proxy: &Arc<str>, reason: &str) {
        self.begin_tunnel(proxy);
        self.emit_with(EventClass::Rejected, Level::INFO, || {
            EventKind::ProxyFailed {
                proxy: Arc::clone(proxy),
                reason: reason.chars().take(MAX_REASON).collect(),
            }
        });
    }

    /// Records a denial that ends the activity.
    pub(crate) fn denied(&self, verdict: Verdict) {
        {
            let mut details = self.details.lock();
            details.set_addresses(&verdict);
            details.closed = Some((CloseReason::Denied, self.elapsed()));
        }
        self.with_report(|report| report.end(self.id, true));
        self.denied_operation(verdict);
    }

    /// Records the denial of one operation. The activity goes on.
    pub(crate) fn denied_operation(&self, verdict: Verdict) {
        let cause = Cause::of_verdict(&verdict);
        self.with_report(|report| report.count_refusal(self.attempt(), cause));
        self.emit_with(EventClass::Rejected, Level::INFO, || EventKind::Denied {
            verdict: Box::new(verdict.clone()),
        });
        self.details.lock().verdict = Some(verdict);
    }

    /// Records that the policy would deny the activity, which goes on because of report-only mode.
    pub(crate) fn would_deny(&self, verdict: Verdict) {
        self.emit_with(EventClass::Rejected, Level::INFO, || EventKind::WouldDeny {
            verdict: Box::new(verdict.clone()),
        });
        self.record_verdict(verdict);
    }

    /// Records that an operation failed because of a limit.
    pub(crate) fn limit_reached(&self, limit: NetLimit) {
        self.details.lock().limit = Some(limit);
        if self.is_first(limit) {
            self.emit_with(EventClass::Rejected, Level::INFO, || {
                EventKind::LimitReached { limit }
            });
        }
    }

    /// Records that an operation waits because of a limit.
    pub(crate) fn throttled(&self, limit: NetLimit) {
        if self.is_first(limit) {
            self.emit_with(EventClass::Rejected, Level::DEBUG, || {
                EventKind::Throttled { limit }
            });
        }
    }

    /// Returns whether this is the first event for `limit`: a guest program that retries in a loop
    /// must not flood the log.
    fn is_first(&self, limit: NetLimit) -> bool {
        let bit = limit.bit();
        self.reported_limits.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// Records a verdict with which the activity goes on.
    pub(crate) fn record_verdict(&self, verdict: Verdict) {
        let mut details = self.details.lock();
        details.set_addresses(&verdict);
        details.verdict = Some(verdict);
    }

    /// Records that the connection, or the UDP destination, is established; through `proxy`, which
    /// is without credentials, or directly.
    pub(crate) fn connected(&self, address: SocketAddr, proxy: Option<Arc<str>>) {
        {
            let mut details = self.details.lock();
            details.address = Some(address);
            details.proxy.clone_from(&proxy);
        }
        self.with_report(|report| report.establish(self.id));
        if !self.sink.is_enabled(Level::DEBUG) {
            return;
        }
        // There always is one: an address is dialled only after a verdict about it.
        let verdict = self.details.lock().verdict.clone();
        if let Some(verdict) = verdict {
            let event = EventKind::Connected {
                address,
                proxy,
                verdict: Box::new(verdict),
                elapsed: self.elapsed(),
            };
            self.emit(self.established_class(), Level::DEBUG, event);
        }
    }

    /// Records that the TLS handshake is complete.
    pub(crate) fn tls_established(
        &self,
        version: &'static str,
        cipher: String,
        server_name: Option<String>,
    ) {
        self.details.lock().tls = Some(version);
        self.emit_with(self.established_class(), Level::DEBUG, || EventKind::Tls {
            version,
            cipher,
            server_name,
        });
    }

    /// Records an HTTP request that has ended, or failed.
    pub(crate) fn request_ended(&self, mut request: HttpRequestReport) {
        request.connection = self.id;
        self.emit_with(EventClass::Connection, Level::DEBUG, || {
            EventKind::HttpRequest {
                request: Box::new(request.clone()),
            }
        });
        self.with_report(|report| report.add_request(request, false));
    }

    /// Records an HTTP request that was denied for `reason`.
    pub(crate) fn request_denied(&self, reason: &'static str, mut request: HttpRequestReport) {
        request.connection = self.id;
        self.emit_with(EventClass::Rejected, Level::INFO, || {
            EventKind::HttpDenied {
                request: Box::new(request.clone()),
            }
        });
        self.with_report(|report| {
            report.count_refusal(self.attempt(), Cause::without_rule(reason));
            report.add_request(request, true);
        });
    }

    /// Records that the HTTP rules would deny a request, which goes on because of report-only mode.
    pub(crate) fn request_would_be_denied(&self, verdict: &HttpVerdict) {
        self.emit_with(EventClass::Rejected, Level::INFO, || {
            EventKind::HttpWouldDeny {
                verdict: Box::new(verdict.clone()),
            }
        });
    }

    /// Records that the activity failed before it could begin.
    pub(crate) fn failed(&self, error: &NetError) {
        self.close(match error {
            NetError::Denied(_) => CloseReason::Denied,
            NetError::ConnectionAborted => CloseReason::Aborted,
            error => CloseReason::Error(error.clone()),
        });
    }

    /// Records the end of the activity. Only the first call has an effect.
    pub(crate) fn close(&self, close_reason: CloseReason) {
        let duration = self.elapsed();
        let (established, limit) = {
            let mut details = self.details.lock();
            if details.closed.is_some() {
                return;
            }
            details.closed = Some((close_reason.clone(), duration));
            (details.address.is_some(), details.limit)
        };
        let sent = self.sent.load(Ordering::Relaxed);
        let received = self.received.load(Ordering::Relaxed);
        let class = if established {
            if sent == 0 && received == 0 {
                self.with_report(|report| report.end_empty(self.id));
            }
            self.established_class()
        } else {
            let cause = Cause::of_close(&close_reason, limit);
            let class = match &cause {
                Some(_) => EventClass::Rejected,
                None => EventClass::Cheap,
            };
            self.with_report(|report| {
                report.end(self.id, cause.is_some());
                if let Some(cause) = cause {
                    report.count_refusal(self.attempt(), cause);
                }
            });
            class
        };
        self.emit_with(class, Level::DEBUG, || EventKind::Closed {
            sent,
            received,
            duration,
            close_reason,
        });
    }

    /// Returns the class of events of the activity once it is established.
    fn established_class(&self) -> EventClass {
        match self.activity {
            Activity::Connection => EventClass::Connection,
            Activity::Datagrams | Activity::Lookup | Activity::TlsSession => EventClass::Cheap,
        }
    }

    fn attempt(&self) -> RefusedAttempt {
        RefusedAttempt {
            activity: self.activity,
            host: self.host.to_string(),
            port: self.port,
            time: SystemTime::now(),
        }
    }

    /// Emits the event that `kind` returns, if anything receives it.
    fn emit_with(&self, class: EventClass, level: Level, kind: impl FnOnce() -> EventKind) {
        if self.sink.is_enabled(level) {
            self.emit(class, level, kind());
        }
    }

    fn emit(&self, class: EventClass, level: Level, kind: EventKind) {
        let event = Event {
            execution: 0,
            id: self.id,
            activity: self.activity,
            host: Arc::clone(&self.host),
            port: self.port,
            count: None,
            kind,
        };
        self.sink.emit(class, level, event);
    }

    fn with_report(&self, update: impl FnOnce(&mut ReportBuilder)) {
        if let Some(report) = self.report.upgrade() {
            update(&mut report.lock());
        }
    }
}

impl ReportEntry for AuditEntry {
    fn has_ended(&self) -> bool {
        self.details.lock().closed.is_some()
    }

    fn report(&self) -> ConnectionReport {
        let details = self.details.lock();
        ConnectionReport {
            id: self.id,
            activity: self.activity,
            host: self.host.to_string(),
            port: self.port,
            addresses: details.addresses.clone(),
            address: details.address,
            proxy: details.proxy.as_deref().map(str::to_owned),
            verdict: details.verdict.clone(),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            tls: details.tls,
            duration: match &details.closed {
                Some((_, duration)) => *duration,
                None => self.elapsed(),
            },
            close_reason: details.closed.as_ref().map(|(reason, _)| reason.clone()),
        }
    }
}

impl Details {
    fn set_addresses(&mut self, verdict: &Verdict) {
        // A verdict about a name alone does not change the addresses of an earlier one.
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

impl std::fmt::Debug for AuditEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditEntry")
            .field("id", &self.id)
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
