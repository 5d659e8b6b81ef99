//! The default block list.

use std::sync::LazyLock;

use crate::pattern::HostPattern;

/// Returns the default block list, as texts of patterns: loopback, the instance metadata services
/// of clouds, and every address that is not publicly routed.
///
/// Sources: the IANA special-purpose address registries for [IPv4] and [IPv6] (RFC 6890), IPv4
/// multicast (RFC 5771), and the [IPv6 unicast assignments], which are all in `2000::/3`. An entry
/// blocks the whole of a registered block, even where the registry lists a globally reachable
/// exception inside it.
///
/// [IPv4]: https://www.iana.org/assignments/iana-ipv4-special-registry
/// [IPv6]: https://www.iana.org/assignments/iana-ipv6-special-registry
/// [IPv6 unicast assignments]: https://www.iana.org/assignments/ipv6-unicast-address-assignments
pub fn default_blocked_hosts() -> &'static [&'static str] {
    DEFAULT_BLOCKED_HOSTS
}

/// Returns [`default_blocked_hosts`], parsed.
pub fn default_blocked_patterns() -> &'static [HostPattern] {
    static PATTERNS: LazyLock<Vec<HostPattern>> = LazyLock::new(|| {
        DEFAULT_BLOCKED_HOSTS
            .iter()
            .map(|text| {
                text.parse()
                    .expect("a test checks that every default entry parses")
            })
            .collect()
    });
    &PATTERNS
}

/// Returns the entries of [`default_blocked_patterns`] for loopback, which
/// [`PolicyBuilder::allow_localhost`](crate::PolicyBuilder::allow_localhost) removes.
pub fn loopback_patterns() -> &'static [HostPattern] {
    &default_blocked_patterns()[..LOOPBACK_ENTRIES]
}

/// The number of loopback entries, which come first.
const LOOPBACK_ENTRIES: usize = 14;

const DEFAULT_BLOCKED_HOSTS: &[&str] = &[
    // Loopback (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3), and its usual names (RFC 6761, 6.3).
    "localhost",
    "127.*",
    "::1",
    "*.localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
    "ip6-localhost",
    "ip6-loopback",
    "ipv6-localhost",
    "ipv6-loopback",
    "loopback",
    // Instance metadata by name. The addresses are below; a name is denied before it is resolved.
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "rancher-metadata",
    // Azure's platform endpoint, which has an address in public space.
    "168.63.129.16",
    // IPv4: this network, private use, carrier-grade NAT, link local, protocol assignments,
    // documentation, 6to4 relays, benchmarking, multicast, reserved and broadcast.
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    // IPv6: everything outside 2000::/3. The first entry excludes 64:ff9b::/96, which is evaluated
    // as IPv4.
    OUTSIDE_GLOBAL_UNICAST,
    "4000::/2",
    "8000::/1",
    // IPv6 inside 2000::/3: protocol assignments (Teredo among them), documentation, 6to4.
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
];

/// The entry that covers, among others, `::1` and `64:ff9b::/96`.
pub(crate) const OUTSIDE_GLOBAL_UNICAST: &str = "::/3";
