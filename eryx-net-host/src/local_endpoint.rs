//! The local endpoints that the guest program sees (`getsockname`): they hide the machine's address
//! on its networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Returns the local endpoint of a socket with its address hidden unless it is loopback: any other
/// would reveal the machine's address on its networks to the guest program.
pub(crate) fn masked_local_endpoint(local: SocketAddr) -> SocketAddr {
    let address = match local.ip().to_canonical() {
        loopback if loopback.is_loopback() => loopback,
        other => unspecified(other),
    };
    SocketAddr::new(address, local.port())
}

/// Returns the local endpoint of a tunnel to `peer` whose connection to the proxy has the endpoint
/// `local`. Its address is always hidden: loopback would show that the proxy runs on this machine.
pub(crate) fn tunnel_local_endpoint(local: SocketAddr, peer: IpAddr) -> SocketAddr {
    SocketAddr::new(unspecified(peer), local.port())
}

/// Returns the unspecified address of the family of `address`.
fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
