//! Admission control: parsing, policy, [connection limits](crate::connection_limits) and the
//! connect rate, before anything is dialled or looked up.

use std::net::{IpAddr, SocketAddr};

use eryx_net_policy::{Host, HostName, Reason, Verdict};
use tokio::time::Instant;

use crate::audit::entry::AuditEntry;
use crate::connect_budget::ConnectDeadline;
use crate::connection_limits::ConnectionSlot;
use crate::context::NetworkContext;
use crate::error::NetError;
use crate::host_memory::Charge;
use crate::host_memory::estimate;
use crate::limits::kind::NetLimit;
use crate::limits::semaphore::Permit;

/// The longest host that is parsed, in bytes. Each octet of the longest DNS name takes at most four
/// bytes of UTF-8.
const MAX_HOST: usize = 1024;

/// A connection that may be dialled.
pub(crate) struct AdmittedConnection {
    /// The host that the guest program wrote; in place of a placeholder address its name.
    pub(crate) host: Host,
    /// The host that the policy allowed: the name, if `host` is an address that a lookup returned.
    pub(crate) policy_host: Host,
    /// The placeholder address of `host`, if the proxy resolves that.
    pub(crate) placeholder: Option<IpAddr>,
    pub(crate) slot: ConnectionSlot,
    /// The time at which it may be dialled; `None` is now.
    pub(crate) connect_at: Option<Instant>,
    pub(crate) deadline: ConnectDeadline,
}

/// A lookup that may begin.
pub(crate) struct AdmittedLookup {
    /// The address that the guest program wrote, or the placeholder of a name that the proxy
    /// resolves; otherwise the name to resolve.
    pub(crate) host: Host,
    pub(crate) permit: Permit,
    pub(crate) memory: Charge,
}

impl NetworkContext {
    /// Takes a connection through all checks that need no waiting.
    pub(crate) fn admit_connection(
        &self,
        entry: &AuditEntry,
        host: &str,
        port: u16,
    ) -> Result<AdmittedConnection, NetError> {
        let parsed = self.parse_host(entry, host, Some(port))?;
        let host = self.without_placeholder(parsed);
        let policy = self.config.policy();
        let proxied_name = self.config.proxied_name(&host, Some(port));
        let verdict = match (proxied_name, &host) {
            (Some(name), _) => policy.check_unresolved(name, port),
            (None, Host::Name(_)) => policy.check_host(&host, port),
            (None, Host::Address(address)) => self.check_literal(*address, port.into()),
        };
        let policy_host = verdict.host().unwrap_or(&host).clone();
        self.admit(entry, verdict)?;
        let slot = self.acquire_slot(entry, &policy_host)?;
        let deadline = self.connect_deadline(&host, &policy_host, port);
        let connect_at = self.reserve_connect_time(entry, deadline.at)?;
        let placeholder = proxied_name
            .map(|name| self.placeholder(entry, name))
            .transpose()?;
        Ok(AdmittedConnection {
            host,
            policy_host,
            placeholder,
            slot,
            connect_at,
            deadline,
        })
    }

    /// Takes a lookup through all checks that need no waiting.
    pub(crate) fn admit_lookup(
        &self,
        entry: &AuditEntry,
        host: &str,
        port: Option<u16>,
    ) -> Result<AdmittedLookup, NetError> {
        let parsed = self.parse_host(entry, host, port)?;
        let host = self.without_placeholder(parsed);
        let policy = self.config.policy();
        let proxied_name = self.config.proxied_name(&host, port);
        let verdict = match proxied_name {
            Some(name) => policy.check_unresolved(name, port),
            None => policy.check_host(&host, port),
        };
        self.admit(entry, verdict)?;
        let permit = self.lookups.try_acquire().ok_or_else(|| {
            entry.limit_reached(NetLimit::LookupsInProgress);
            NetError::LimitReached(format!(
                "this sandbox has {} name lookups in progress, the most it may: wait for one to \
                 finish",
                self.lookups.limit()
            ))
        })?;
        let memory = self.charge(entry, estimate::LOOKUP)?;
        let host = match proxied_name {
            Some(name) => Host::Address(self.placeholder(entry, name)?),
            None => host,
        };
        Ok(AdmittedLookup {
            host,
            permit,
            memory,
        })
    }

    /// Parses a host that the guest program wrote. Records a denial if it is malformed.
    pub(crate) fn parse_host(
        &self,
        entry: &AuditEntry,
        host: &str,
        port: Option<u16>,
    ) -> Result<Host, NetError> {
        if host.len() > MAX_HOST {
            return Err(NetError::InvalidArgument(format!(
                "a host of {} bytes: no host name has more than 253 characters",
                host.len()
            )));
        }
        Host::parse(host).map_err(|_| {
            let verdict = self.config.check(host, port);
            let error = NetError::Denied(verdict.guest_message());
            entry.denied(verdict);
            error
        })
    }

    /// Enforces the verdict: records it, and fails unless it allows the host or report-only mode is
    /// on.
    pub(crate) fn admit(&self, entry: &AuditEntry, verdict: Verdict) -> Result<(), NetError> {
        let verdict = self.deny_own_addresses(verdict)?;
        if !verdict.is_denied() {
            entry.record_verdict(verdict);
            return Ok(());
        }
        // Multicast and broadcast are denied even in report-only mode.
        if self.config.report_only() && verdict.reason() != Reason::NotUnicast {
            entry.would_deny(verdict);
            return Ok(());
        }
        let error = NetError::Denied(verdict.guest_message());
        entry.denied(verdict);
        Err(error)
    }

    /// Returns the placeholder of a name that the proxy resolves.
    pub(crate) fn placeholder(
        &self,
        entry: &AuditEntry,
        name: &HostName,
    ) -> Result<IpAddr, NetError> {
        Ok(self
            .placeholder_addresses
            .of_name(name, &self.memory)
            .inspect_err(|_| entry.limit_reached(NetLimit::MaxHostMemory))?)
    }

    /// Returns the deadline of a connection to `host`; the policy allowed it as `policy_host`. One
    /// connect timeout covers the lookup that returned an address and the attempts that directly
    /// follow it.
    fn connect_deadline(&self, host: &Host, policy_host: &Host, port: u16) -> ConnectDeadline {
        let timeout = self.config.connect_timeout();
        let budget = match (host, policy_host) {
            (Host::Address(address), Host::Name(name)) => self
                .resolved_names
                .connect_budget(*address, name)
                .map(|budget| budget.begin(SocketAddr::new(*address, port), timeout)),
            _ => None,
        };
        budget.unwrap_or_else(|| ConnectDeadline::after(timeout))
    }

    /// Returns when a connection may be dialled under the connect rate; `None` is now.
    ///
    /// # Errors
    ///
    /// [`NetError::LimitReached`] when that is after `deadline`.
    pub(crate) fn reserve_connect_time(
        &self,
        entry: &AuditEntry,
        deadline: Instant,
    ) -> Result<Option<Instant>, NetError> {
        let Some(limiter) = &self.connect_rate else {
            return Ok(None);
        };
        let Some(connect_at) = limiter.reserve_slot(deadline) else {
            entry.limit_reached(NetLimit::ConnectsPerSecond);
            return Err(NetError::LimitReached(
                "another connection would have to wait longer than the connect timeout \
                 (connects_per_second): begin fewer, or have the embedder raise connects_per_second"
                    .into(),
            ));
        };
        if connect_at <= Instant::now() {
            return Ok(None);
        }
        entry.throttled(NetLimit::ConnectsPerSecond);
        Ok(Some(connect_at))
    }
}
