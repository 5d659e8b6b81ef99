//! The machine's own addresses, which are denied like loopback and hidden from the guest program.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use eryx_net_policy::Verdict;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::context::NetworkContext;
use crate::error::NetError;

/// A query of the kernel's routing table for the addresses that lead to this machine.
///
/// It covers every address that the kernel accepts: those of all interfaces, several in one network
/// included, and prefixes that are routed to loopback (`ip route add local`). It costs two system
/// calls per address, and two more per value of this type.
///
/// Where netlink is not available (a seccomp filter, `RestrictAddressFamilies`), the local address
/// of a connected UDP socket, which sends nothing, decides instead. That misses an interface's
/// further addresses in the same network, and IPv6 prefixes that are routed to loopback.
#[derive(Debug, Default)]
pub(crate) struct OwnAddresses {
    routes: Option<Routes>,
}

impl NetworkContext {
    /// Returns `verdict`, or the denial of the first address that it allows and that belongs to
    /// this machine.
    ///
    /// Asks the kernel only about addresses that the entries for loopback would deny, and so about
    /// none where loopback is allowed.
    pub(crate) fn deny_own_addresses(&self, verdict: Verdict) -> Result<Verdict, NetError> {
        let mut own = OwnAddresses::default();
        for address in verdict.dialable_addresses() {
            if let Some(denial) = self.config.policy().own_address_denial(&verdict, *address)
                && own.contains(*address)?
            {
                return Ok(denial);
            }
        }
        Ok(verdict)
    }
}

impl OwnAddresses {
    /// Returns whether `address` belongs to this machine.
    ///
    /// # Errors
    ///
    /// The system's error when no socket can be created.
    pub(crate) fn contains(&mut self, address: IpAddr) -> io::Result<bool> {
        match self.route(address) {
            Ok(own) => Ok(own),
            Err(_) => is_own_by_socket(address),
        }
    }

    fn route(&mut self, address: IpAddr) -> io::Result<bool> {
        let routes = match &self.routes {
            Some(routes) => routes,
            None => self.routes.insert(Routes::open()?),
        };
        routes.is_local(address)
    }
}

/// A netlink socket for route queries (rtnetlink(7)).
#[derive(Debug)]
struct Routes(OwnedFd);

impl Routes {
    fn open() -> io::Result<Self> {
        // `None` is NETLINK_ROUTE. The first send, which goes to the kernel, binds the socket.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        Ok(Self(socket))
    }

    /// Returns whether the kernel would deliver packets for `address` to this machine.
    fn is_local(&self, address: IpAddr) -> io::Result<bool> {
        let (request, length) = request(address);
        rustix::net::send(&self.0, &request[..length], SendFlags::empty())?;
        // The kernel has sent its response by the time `send` returns.
        let mut response = [0; RESPONSE];
        let received = rustix::net::recv(&self.0, &mut response, RecvFlags::empty())?.0;
        local_route(&response[..received])
    }
}

/// RTM_NEWROUTE and RTM_GETROUTE of `linux/rtnetlink.h`.
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
/// NLM_F_REQUEST of `linux/netlink.h`.
const REQUEST: u16 = 1;
/// RTA_DST: the destination of the query.
const DESTINATION: u16 = 1;
/// RTN_LOCAL, and RTN_ANYCAST: the subnet-router anycast addresses, which an IPv6 router accepts
/// too (RFC 4291, 2.6.1).
const DELIVERED_HERE: [u8; 2] = [2, 4];
/// Bytes of `struct nlmsghdr`, `struct rtmsg`, and `struct rtattr`.
const HEADER: usize = 16;
const ROUTE: usize = 12;
const ATTRIBUTE: usize = 4;
const REQUEST_SIZE: usize = HEADER + ROUTE + ATTRIBUTE + 16;
/// Bytes of the response that are read; the kernel truncates the rest.
const RESPONSE: usize = HEADER + ROUTE;

/// Returns a message that requests the route to `address`, and its length.
fn request(address: IpAddr) -> ([u8; REQUEST_SIZE], usize) {
    let (family, octets): (AddressFamily, &[u8]) = match &address {
        IpAddr::V4(v4) => (AddressFamily::INET, &v4.octets()),
        IpAddr::V6(v6) => (AddressFamily::INET6, &v6.octets()),
    };
    let length = HEADER + ROUTE + ATTRIBUTE + octets.len();
    let mut message = [0; REQUEST_SIZE];
    let mut put = |at: usize, bytes: &[u8]| message[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(length as u32).to_ne_bytes());
    put(4, &GET_ROUTE.to_ne_bytes());
    put(6, &REQUEST.to_ne_bytes());
    put(HEADER, &[family.as_raw() as u8, octets.len() as u8 * 8]);
    let attribute = HEADER + ROUTE;
    put(
        attribute,
        &((ATTRIBUTE + octets.len()) as u16).to_ne_bytes(),
    );
    put(attribute + 2, &DESTINATION.to_ne_bytes());
    put(attribute + ATTRIBUTE, octets);
    (message, length)
}

/// Parses the response: a route, or an error such as "no route".
fn local_route(response: &[u8]) -> io::Result<bool> {
    let kind = response
        .get(4..6)
        .map(|kind| u16::from_ne_bytes([kind[0], kind[1]]));
    match (kind, response.get(HEADER + 7)) {
        (Some(NEW_ROUTE), Some(kind)) => Ok(DELIVERED_HERE.contains(kind)),
        // The caller falls back to a socket, whether there is no route or the kernel rejects the
        // query.
        _ => Err(ErrorKind::Unsupported.into()),
    }
}

/// Returns whether a socket connected to `address` has that same local address.
fn is_own_by_socket(address: IpAddr) -> io::Result<bool> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = match UdpSocket::bind((any, 0)) {
        Ok(socket) => socket,
        // Without its address family the address is unreachable.
        Err(error) if is_unreachable(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    // The port does not matter: nothing is sent to it.
    match socket.connect(SocketAddr::new(address, 9)) {
        Ok(()) => Ok(socket.local_addr()?.ip() == address),
        // An address that is unreachable cannot be dialled either.
        Err(_) => Ok(false),
    }
}

fn is_unreachable(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 4] = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "::1"];
    const FOREIGN: [&str; 3] = ["93.184.215.14", "2606:4700::1111", "192.0.2.1"];

    fn address(text: &str) -> IpAddr {
        text.parse().expect("a literal")
    }

    #[test]
    fn the_routing_table_knows_the_machines_own_addresses() {
        let mut own = OwnAddresses::default();
        for text in OWN {
            assert!(own.contains(address(text)).expect("a result"), "{text}");
        }
        for text in FOREIGN {
            assert!(!own.contains(address(text)).expect("a result"), "{text}");
        }
    }

    #[test]
    fn without_netlink_a_connected_socket_finds_own_addresses() {
        for text in ["127.0.0.1", "::1"] {
            assert!(is_own_by_socket(address(text)).expect("a result"), "{text}");
        }
        for text in FOREIGN {
            assert!(
                !is_own_by_socket(address(text)).expect("a result"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_response_without_a_complete_route_is_an_error() {
        let mut route = [0; RESPONSE];
        route[4..6].copy_from_slice(&NEW_ROUTE.to_ne_bytes());
        for (kind, own) in [(1, false), (2, true), (3, false), (4, true), (5, false)] {
            route[HEADER + 7] = kind;
            assert_eq!(local_route(&route).expect("a route"), own);
        }
        for cut in 0..HEADER + 8 {
            assert!(local_route(&route[..cut]).is_err(), "{cut}");
        }
        route[4..6].copy_from_slice(&2u16.to_ne_bytes());
        assert!(local_route(&route).is_err());
    }
}
