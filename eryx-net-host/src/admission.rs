//! What a connection or a lookup has to pass before it begins.

use eryx_net_policy::{Host, Reason, Verdict};
use tokio::time::Instant;

use crate::ledger::Entry;
use crate::network::Shared;
use crate::own_addresses::OwnAddresses;
use crate::per_host::HostPermit;
use crate::permit::{Permit, Place};
use crate::{Charge, NetError, NetLimit, footprint};

/// The longest host name that is looked at, in bytes: four for each octet a DNS name can have.
const MAX_HOST: usize = 1024;

impl Shared {
    pub(crate) fn parse(
        &self,
        entry: &Entry,
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

    /// Returns the verdict, or the denial of the first address that it allows and that is this machine's own.
    ///
    /// The system is asked only about addresses that loopback's entries would deny: not where loopback is allowed.
    pub(crate) fn refuse_own(&self, verdict: Verdict) -> Result<Verdict, NetError> {
        let mut own = OwnAddresses::default();
        for address in verdict.dialable_addresses() {
            if let Some(denial) = self.config.policy().check_own(&verdict, *address)
                && own.contains(*address)?
            {
                return Ok(denial);
            }
        }
        Ok(verdict)
    }

    /// Goes on if the verdict allows it, or is only to be reported, and writes down what it was.
    pub(crate) fn admit(&self, entry: &Entry, verdict: Verdict) -> Result<(), NetError> {
        let verdict = self.refuse_own(verdict)?;
        // What goes to everybody is no host, either.
        let a_host = verdict.reason() != Reason::NotUnicast;
        if verdict.is_denied() && self.config.report_only() && a_host {
            entry.would_deny(verdict);
            return Ok(());
        }
        if verdict.is_denied() {
            let error = NetError::Denied(verdict.guest_message());
            entry.denied(verdict);
            return Err(error);
        }
        entry.allowed(verdict);
        Ok(())
    }

    /// A place for one more connection to `host`.
    pub(crate) fn place(&self, entry: &Entry, host: &Host) -> Result<Place, NetError> {
        let connection = self.connection_permit(entry)?;
        let to_host = self.place_at(entry, host)?;
        let memory = self.charge(entry, footprint::CONNECTION)?;
        Ok(Place::new(connection, to_host, memory))
    }

    /// Host memory for something that is kept.
    pub(crate) fn charge(&self, entry: &Entry, bytes: u64) -> Result<Charge, NetError> {
        Ok(self
            .memory
            .charge(bytes)
            .inspect_err(|_| entry.limit_reached(NetLimit::MaxHostMemory))?)
    }

    /// One more of the connections there may be.
    pub(crate) fn connection_permit(&self, entry: &Entry) -> Result<Permit, NetError> {
        self.connections.take().ok_or_else(|| {
            entry.limit_reached(NetLimit::MaxConnections);
            NetError::LimitReached(format!(
                "this sandbox already holds {} connections, the most it may (max_connections): close one \
                 first, or have the embedder raise max_connections",
                self.connections.limit()
            ))
        })
    }

    /// One more of the connections there may be to `host`.
    pub(crate) fn place_at(&self, entry: &Entry, host: &Host) -> Result<HostPermit, NetError> {
        self.per_host.take(host).map_err(|limit| {
            entry.limit_reached(NetLimit::MaxConnectionsPerHost);
            NetError::LimitReached(format!(
                "this sandbox already holds {limit} connections to `{host}`, the most it may hold to one \
                 host (max_connections_per_host): close one first, or have the embedder raise \
                 max_connections_per_host"
            ))
        })
    }

    /// When a connection may begin; `None` is now.
    pub(crate) fn turn(
        &self,
        entry: &Entry,
        deadline: Instant,
    ) -> Result<Option<Instant>, NetError> {
        let Some(pace) = &self.connects else {
            return Ok(None);
        };
        let Some(turn) = pace.book(deadline) else {
            entry.limit_reached(NetLimit::ConnectsPerSecond);
            return Err(NetError::LimitReached(
                "this sandbox has begun so many connections that the turn of another would come after the \
                 connect timeout (connects_per_second): begin fewer, or have the embedder raise \
                 connects_per_second"
                    .into(),
            ));
        };
        if turn <= Instant::now() {
            return Ok(None);
        }
        entry.throttled(NetLimit::ConnectsPerSecond);
        Ok(Some(turn))
    }
}
