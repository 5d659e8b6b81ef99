//! The kinds of network limits.

use std::fmt;

/// A limit that stopped a guest program, or made it wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NetLimit {
    /// TCP connections that are open or opening at the same time, and UDP sockets in use.
    MaxConnections,
    /// TCP connections and UDP destinations of one host at the same time.
    MaxConnectionsPerHost,
    /// Connections and UDP destinations begun per second.
    ConnectsPerSecond,
    /// Bytes that all connections and UDP sockets send together.
    MaxSentBytes,
    /// Bytes that all connections and UDP sockets receive together.
    MaxReceivedBytes,
    /// Bytes sent per second.
    SentBytesPerSecond,
    /// Bytes received per second.
    ReceivedBytesPerSecond,
    /// Name lookups in progress at the same time: twice as many as connections, but at least 64.
    LookupsInProgress,
    /// Bytes of host memory that the sandbox may use: a [`HostMemory`](crate::HostMemory).
    MaxHostMemory,
}

impl NetLimit {
    /// Returns the name of the setting that changes the limit, as in configuration files.
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

    /// Returns its bit in a set of limits.
    pub(crate) fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for NetLimit {
    /// Writes the name of the [`setting`](Self::setting).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.setting())
    }
}
