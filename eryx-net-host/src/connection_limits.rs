//! The limits on the number of connections: of a sandbox (`max_connections`), and of a sandbox to
//! one remote host (`max_connections_per_host`).

use eryx_net_policy::Host;

use crate::audit::entry::AuditEntry;
use crate::context::NetworkContext;
use crate::error::NetError;
use crate::host_memory::Charge;
use crate::host_memory::estimate;
use crate::limits::kind::NetLimit;
use crate::limits::per_host::HostPermit;
use crate::limits::semaphore::Permit;

/// A connection's slot: one permit of the sandbox's limit, one of the remote host's, and its
/// host memory. Released on drop.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    _connection: Permit,
    _host: HostPermit,
    _memory: Charge,
    tls: Option<Charge>,
    inspection: Option<Charge>,
    tunnel: Option<Charge>,
}

impl ConnectionSlot {
    /// Holds `charge` for the connection's tunnel through a proxy until it is closed.
    pub(crate) fn set_tunnel(&mut self, charge: Charge) {
        self.tunnel = Some(charge);
    }

    /// Holds `charge` for the connection's TLS until it is closed, or begins another handshake.
    pub(crate) fn set_tls(&mut self, charge: Charge) {
        self.tls = Some(charge);
    }

    /// Holds `charge` for the inspection of the connection until it is closed.
    pub(crate) fn set_inspection(&mut self, charge: Charge) {
        self.inspection = Some(charge);
    }
}

impl NetworkContext {
    /// Returns the slot of one more connection to `host`.
    pub(crate) fn acquire_slot(
        &self,
        entry: &AuditEntry,
        host: &Host,
    ) -> Result<ConnectionSlot, NetError> {
        Ok(ConnectionSlot {
            _connection: self.acquire_connection_permit(entry)?,
            _host: self.acquire_host_permit(entry, host)?,
            _memory: self.charge(entry, estimate::CONNECTION)?,
            tls: None,
            inspection: None,
            tunnel: None,
        })
    }

    /// Returns a permit for one more connection of the sandbox.
    pub(crate) fn acquire_connection_permit(&self, entry: &AuditEntry) -> Result<Permit, NetError> {
        self.connections.try_acquire().ok_or_else(|| {
            entry.limit_reached(NetLimit::MaxConnections);
            NetError::LimitReached(format!(
                "this sandbox already holds {} connections, the most it may (max_connections): \
                 close one first, or have the embedder raise max_connections",
                self.connections.limit()
            ))
        })
    }

    /// Returns a permit for one more connection to `host`.
    pub(crate) fn acquire_host_permit(
        &self,
        entry: &AuditEntry,
        host: &Host,
    ) -> Result<HostPermit, NetError> {
        self.per_host.try_acquire(host).map_err(|limit| {
            entry.limit_reached(NetLimit::MaxConnectionsPerHost);
            NetError::LimitReached(format!(
                "this sandbox already holds {limit} connections to `{host}`, the most it may hold to \
                 one host (max_connections_per_host): close one first, or have the embedder raise \
                 max_connections_per_host"
            ))
        })
    }
}
