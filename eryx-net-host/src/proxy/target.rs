//! The target that a proxy is asked to connect to.

use std::net::SocketAddr;

use eryx_net_policy::{Host, HostName};

use crate::proxy::server::authority_of;

/// The target of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProxyTarget {
    /// An address that the policy allows.
    Address(SocketAddr),
    /// A name that the policy allows, and the proxy resolves.
    Name(HostName, u16),
}

impl ProxyTarget {
    /// Returns it as the authority of a URL, `host:port`.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Address(address) => authority_of(&Host::Address(address.ip()), address.port()),
            Self::Name(name, port) => format!("{name}:{port}"),
        }
    }
}
