//! The result of connecting, directly or through a proxy.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::host_memory::Charge;
use crate::tcp::attempt::Connected;
use crate::tcp::prefixed_stream::PrefixedStream;
use crate::tcp::transport::Transport;

/// A connection that is established, directly or through a proxy.
pub(super) struct EstablishedConnection {
    pub(super) stream: PrefixedStream,
    pub(super) endpoints: Endpoints,
    /// `None` for a direct connection.
    pub(super) tunnel: Option<TunnelRecord>,
}

/// The tunnel of a connection.
pub(super) struct TunnelRecord {
    /// The URL of the proxy, without credentials.
    pub(super) proxy: Arc<str>,
    /// The host memory of the tunnel.
    pub(super) memory: Charge,
}

/// The two ends of an established connection.
#[derive(Clone, Copy)]
pub(super) struct Endpoints {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    /// Whether the peer's address stands for a name that the embedder's proxy resolved.
    pub(super) is_placeholder: bool,
}

impl Endpoints {
    /// Returns the peer's address for rules about addresses and networks. `None` for a placeholder,
    /// which says nothing about where the connection leads.
    pub(super) fn policy_address(self) -> Option<IpAddr> {
        (!self.is_placeholder).then_some(self.peer.ip())
    }
}

impl From<Connected> for EstablishedConnection {
    fn from(connected: Connected) -> Self {
        Self {
            stream: PrefixedStream::new(Transport::Tcp(connected.stream), Vec::new()),
            endpoints: Endpoints {
                local: connected.local,
                peer: connected.peer,
                is_placeholder: false,
            },
            tunnel: None,
        }
    }
}
