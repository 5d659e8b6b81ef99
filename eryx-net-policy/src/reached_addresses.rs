//! Addresses that reach another address: IPv4 embedded in IPv6, and the unspecified addresses.

use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns the address itself and every address that a connection to it may reach, at most four:
/// the IPv4 address that is embedded in an IPv6 address, and loopback for an unspecified address.
///
/// ```
/// use std::net::IpAddr;
///
/// let address: IpAddr = "64:ff9b::192.0.2.7".parse()?;
/// let reached: Vec<IpAddr> = eryx_net_policy::reached_addresses(address).collect();
/// assert_eq!(reached, [address, "192.0.2.7".parse::<IpAddr>()?]);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
///
/// IPv4-mapped addresses are not handled here: they are converted to IPv4 before the evaluation.
pub fn reached_addresses(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let [first, second] = match address {
        IpAddr::V6(v6) => embedded_ipv4(v6),
        IpAddr::V4(_) => [None; 2],
    };
    let embedded = [first, second].into_iter().flatten().map(IpAddr::V4);
    iter::once(address)
        .chain(embedded)
        .flat_map(|effective| iter::once(effective).chain(loopback_for_unspecified(effective)))
}

/// Returns the loopback address that the kernel connects to in place of an unspecified address:
/// 127.0.0.1 for `0.0.0.0`, `::1` for `::`.
///
/// Linux treats the rest of `0.0.0.0/8` and the IPv4-compatible `::127.0.0.1` as ordinary
/// addresses: it routes them to other machines.
pub(crate) fn loopback_for_unspecified(address: IpAddr) -> Option<IpAddr> {
    address.is_unspecified().then(|| loopback(address))
}

/// Returns the loopback address of the same family.
pub(crate) fn loopback(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// Returns the IPv4 address that a NAT64 translator connects to for an address in its well-known
/// prefix (`64:ff9b::/96`, RFC 6052, 2.1).
///
/// Such an address is another spelling of the IPv4 address, and is allowed where the IPv4 address
/// is allowed. All other embedded IPv4 addresses can only make a denial.
pub(crate) fn nat64(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V6(v6) if v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => Some(low_32(v6)),
        _ => None,
    }
}

/// Returns the IPv4 addresses embedded in an IPv6 address.
fn embedded_ipv4(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let low = low_32(address);
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => [None, None],
        // IPv4-compatible (RFC 4291, 2.5.5.1). It includes `::`, as 0.0.0.0.
        [0, 0, 0, 0, 0, 0, ..] => [Some(low), None],
        // NAT64 with the well-known prefix (RFC 6052, 2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => [Some(low), None],
        // IPv4-translated (RFC 2765, 2.1).
        [0, 0, 0, 0, 0xffff, 0, ..] => [Some(low), None],
        // NAT64 with the local-use prefix (RFC 8215), in the form of a /96 (RFC 6052, 2.2).
        [0x64, 0xff9b, 1, _, _, _, ..] => [Some(low), None],
        // 6to4 (RFC 3056, 2).
        [0x2002, high, low, ..] => [Some(from_halves(high, low)), None],
        // Teredo: the server, and the client with its bits inverted (RFC 4380, 4).
        [0x2001, 0, server_high, server_low, ..] => [
            Some(from_halves(server_high, server_low)),
            Some(Ipv4Addr::from(!u32::from(low))),
        ],
        // ISATAP, with either value of the universal bit (RFC 5214, 6.1).
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => [Some(low), None],
        _ => [None, None],
    }
}

fn low_32(address: Ipv6Addr) -> Ipv4Addr {
    let [.., high, low] = address.segments();
    from_halves(high, low)
}

fn from_halves(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}
