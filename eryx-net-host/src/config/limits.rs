//! How much a configuration permits.

use std::time::Duration;

use super::NetConfig;
use crate::ConfigError;

/// The longest timeout there is. Nothing on a network is worth more than a day's wait, and the clock's
/// arithmetic stays far from its ends.
pub(super) const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The numbers of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Limits {
    pub(super) max_connections: usize,
    pub(super) max_connections_per_host: Option<usize>,
    pub(super) connects_per_second: Option<u32>,
    pub(super) connect_timeout: Duration,
    pub(super) io_timeout: Duration,
    pub(super) max_sent_bytes: Option<u64>,
    pub(super) max_received_bytes: Option<u64>,
    pub(super) sent_bytes_per_second: Option<u64>,
    pub(super) received_bytes_per_second: Option<u64>,
}

impl Limits {
    /// How many connections [`NetConfig::permissive`] permits.
    pub(super) const MAX_CONNECTIONS_PERMISSIVE: usize = 100;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10,
            max_connections_per_host: None,
            connects_per_second: None,
            connect_timeout: Duration::from_secs(30),
            io_timeout: Duration::from_secs(60),
            max_sent_bytes: None,
            max_received_bytes: None,
            sent_bytes_per_second: None,
            received_bytes_per_second: None,
        }
    }
}

impl NetConfig {
    /// The most connections that may be open or opening at once.
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.limits.max_connections
    }

    /// With another limit on connections; zero permits none.
    #[must_use]
    pub fn with_max_connections(&self, limit: usize) -> Self {
        self.with_limits(|limits| limits.max_connections = limit)
    }

    /// The most connections that may be open or opening at once to one host, if there is such a limit.
    #[must_use]
    pub fn max_connections_per_host(&self) -> Option<usize> {
        self.limits.max_connections_per_host
    }

    /// With another limit on connections to one host, or without one. Zero permits none.
    ///
    /// A host is a name, or an address that was not looked up under a name, whatever the port.
    ///
    /// ```
    /// use eryx_net_host::NetConfig;
    ///
    /// let config = NetConfig::default().with_max_connections_per_host(2);
    /// assert_eq!(config.max_connections_per_host(), Some(2));
    /// assert_eq!(config.with_max_connections_per_host(None).max_connections_per_host(), None);
    /// ```
    #[must_use]
    pub fn with_max_connections_per_host(&self, limit: impl Into<Option<usize>>) -> Self {
        let limit = limit.into();
        self.with_limits(|limits| limits.max_connections_per_host = limit)
    }

    /// How many connections may be begun a second, if that is limited.
    #[must_use]
    pub fn connects_per_second(&self) -> Option<u32> {
        self.limits.connects_per_second
    }

    /// With another limit on connections begun a second, or without one.
    ///
    /// A second's worth may be begun at once. Others wait for their turn; the wait counts against the
    /// connect timeout, and a connection whose turn would come too late is refused.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for zero.
    pub fn with_connects_per_second(
        &self,
        limit: impl Into<Option<u32>>,
    ) -> Result<Self, ConfigError> {
        let limit = limit.into();
        if limit == Some(0) {
            return Err(ConfigError::OutOfRange(
                "connects_per_second is 0, so no connection could ever begin: give at least 1, or set \
                 max_connections to 0 to permit none"
                    .into(),
            ));
        }
        Ok(self.with_limits(|limits| limits.connects_per_second = limit))
    }

    /// How long establishing a connection may take: name lookup, every address tried and the TLS
    /// handshake together.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.limits.connect_timeout
    }

    /// With another bound on establishing a connection.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for zero and for more than 24 hours.
    pub fn with_connect_timeout(&self, limit: Duration) -> Result<Self, ConfigError> {
        let limit = in_range("connect_timeout", limit)?;
        Ok(self.with_limits(|limits| limits.connect_timeout = limit))
    }

    /// How long one read or write may take.
    #[must_use]
    pub fn io_timeout(&self) -> Duration {
        self.limits.io_timeout
    }

    /// With another bound on one read or write.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for zero and for more than 24 hours.
    pub fn with_io_timeout(&self, limit: Duration) -> Result<Self, ConfigError> {
        let limit = in_range("io_timeout", limit)?;
        Ok(self.with_limits(|limits| limits.io_timeout = limit))
    }

    /// How many bytes all connections of a [`Network`](crate::Network) together may send, if that is
    /// limited.
    #[must_use]
    pub fn max_sent_bytes(&self) -> Option<u64> {
        self.limits.max_sent_bytes
    }

    /// With another limit on the bytes all connections of a [`Network`](crate::Network) together may send,
    /// or without one. Zero permits none.
    ///
    /// Bytes are counted as in the [report](crate::NetworkReport): before encryption, and without what
    /// handshakes and name lookups take.
    #[must_use]
    pub fn with_max_sent_bytes(&self, limit: impl Into<Option<u64>>) -> Self {
        let limit = limit.into();
        self.with_limits(|limits| limits.max_sent_bytes = limit)
    }

    /// How many bytes all connections of a [`Network`](crate::Network) together may receive, if that is
    /// limited.
    #[must_use]
    pub fn max_received_bytes(&self) -> Option<u64> {
        self.limits.max_received_bytes
    }

    /// With another limit on the bytes all connections of a [`Network`](crate::Network) together may
    /// receive, or without one. Zero permits none.
    ///
    /// Bytes are counted as in the [report](crate::NetworkReport): after decryption.
    #[must_use]
    pub fn with_max_received_bytes(&self, limit: impl Into<Option<u64>>) -> Self {
        let limit = limit.into();
        self.with_limits(|limits| limits.max_received_bytes = limit)
    }

    /// How many bytes a second all connections together may send, if that is limited.
    #[must_use]
    pub fn sent_bytes_per_second(&self) -> Option<u64> {
        self.limits.sent_bytes_per_second
    }

    /// With another limit on the bytes sent a second by all connections together, or without one.
    ///
    /// A second's worth may go at once. A write that comes too early waits, within its timeout.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for zero.
    pub fn with_sent_bytes_per_second(
        &self,
        limit: impl Into<Option<u64>>,
    ) -> Result<Self, ConfigError> {
        let limit = rate("sent_bytes_per_second", limit.into(), "max_sent_bytes")?;
        Ok(self.with_limits(|limits| limits.sent_bytes_per_second = limit))
    }

    /// How many bytes a second all connections together may receive, if that is limited.
    #[must_use]
    pub fn received_bytes_per_second(&self) -> Option<u64> {
        self.limits.received_bytes_per_second
    }

    /// With another limit on the bytes received a second by all connections together, or without one.
    ///
    /// A second's worth may come at once. A read that comes too early waits, within its timeout, while the
    /// kernel's buffer fills and the peer is slowed down.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] for zero.
    pub fn with_received_bytes_per_second(
        &self,
        limit: impl Into<Option<u64>>,
    ) -> Result<Self, ConfigError> {
        let limit = rate(
            "received_bytes_per_second",
            limit.into(),
            "max_received_bytes",
        )?;
        Ok(self.with_limits(|limits| limits.received_bytes_per_second = limit))
    }

    fn with_limits(&self, change: impl FnOnce(&mut Limits)) -> Self {
        let mut config = self.clone();
        change(&mut config.limits);
        config
    }
}

fn in_range(setting: &str, limit: Duration) -> Result<Duration, ConfigError> {
    if limit.is_zero() {
        return Err(ConfigError::OutOfRange(format!(
            "{setting} is zero, so nothing could ever succeed: give at least a millisecond"
        )));
    }
    if limit > LONGEST_TIMEOUT {
        return Err(ConfigError::OutOfRange(format!(
            "{setting} is {limit:?}: give at most 24 hours"
        )));
    }
    Ok(limit)
}

fn rate(setting: &str, limit: Option<u64>, total: &str) -> Result<Option<u64>, ConfigError> {
    if limit == Some(0) {
        return Err(ConfigError::OutOfRange(format!(
            "{setting} is 0, so every byte would wait for ever: give at least 1, or set {total} to 0 to \
             permit none"
        )));
    }
    Ok(limit)
}
