//! The error of an attempt to connect, directly or through a proxy.

use std::io;

use crate::audit::entry::AuditEntry;
use crate::error::NetError;
use crate::proxy::error::ProxyError;
use crate::proxy::server::ProxyServer;
use crate::tcp::happy_eyeballs::AttemptError;

/// The error of an attempt to connect, directly or through the proxy.
pub(super) enum RouteError {
    Direct(io::Error),
    Proxy(ProxyError),
    /// The host memory is exhausted.
    Limit(NetError),
}

impl RouteError {
    /// Reports a failure of the proxy to the embedder, and returns the error for the guest program.
    pub(super) fn report(self, entry: &AuditEntry, proxy: &ProxyServer) -> NetError {
        match self {
            Self::Direct(error) => error.into(),
            Self::Limit(error) => error,
            Self::Proxy(error) => {
                entry.proxy_failed(proxy.name(), &error.to_string());
                error.for_guest()
            }
        }
    }
}

impl AttemptError for RouteError {
    fn no_address() -> Self {
        Self::Direct(AttemptError::no_address())
    }

    fn is_final(&self) -> bool {
        match self {
            Self::Direct(_) => false,
            // Another tunnel would fail in the same way.
            Self::Proxy(error) => !error.is_about_target(),
            Self::Limit(_) => true,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Direct(error) => error.rank(),
            // The proxy's answer says more than that an address did not answer.
            Self::Proxy(_) | Self::Limit(_) => 3,
        }
    }
}

impl From<io::Error> for RouteError {
    fn from(error: io::Error) -> Self {
        Self::Direct(error)
    }
}

impl From<ProxyError> for RouteError {
    fn from(error: ProxyError) -> Self {
        Self::Proxy(error)
    }
}
