//! The limits a program can run into.

use std::fmt;

/// A limit that stopped a program, or made it wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NetLimit {
    /// Connections open or opening at once.
    MaxConnections,
    /// Connections open or opening at once to one host.
    MaxConnectionsPerHost,
    /// Connections begun a second.
    ConnectsPerSecond,
    /// Bytes sent by all connections together.
    MaxSentBytes,
    /// Bytes received by all connections together.
    MaxReceivedBytes,
    /// Bytes sent a second.
    SentBytesPerSecond,
    /// Bytes received a second.
    ReceivedBytesPerSecond,
    /// Name lookups in progress at once: twice as many as connections, and 64 at least.
    LookupsInProgress,
    /// Bytes the host keeps on behalf of the sandbox: a [`HostMemory`](crate::HostMemory).
    MaxHostMemory,
}

impl NetLimit {
    /// The setting that would change it, by its name in configuration files.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::MaxConnections | Self::LookupsInProgress => "max_connections",
            Self::MaxConnectionsPerHost => "max_connections_per_host",
            Self::ConnectsPerSecond => "connects_per_second",
            Self::MaxSentBytes => "max_sent_bytes",
            Self::MaxReceivedBytes => "max_received_bytes",
            Self::SentBytesPerSecond => "sent_bytes_per_second",
            Self::ReceivedBytesPerSecond => "received_bytes_per_second",
            Self::MaxHostMemory => "max_host_memory",
        }
    }

    /// A place for it in a set of limits.
    pub(crate) fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for NetLimit {
    /// The name of the [`setting`](Self::setting).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.setting())
    }
}
