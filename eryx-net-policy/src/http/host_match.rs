//! The hosts that the pattern of a rule covers.

use crate::embedded_ipv4;
use crate::host::Host;
use crate::pattern::HostPattern;
use crate::port::{Port, PortRange};

/// Returns whether a pattern covers a host: it matches the name, the address, or an address that a
/// connection to the address may reach. A program cannot avoid a rule by another spelling of its
/// address.
pub(crate) fn covers(pattern: &HostPattern, host: &Host, port: Port) -> bool {
    has_port(pattern.ports(), port)
        && match host {
            Host::Name(_) => pattern.matches(host),
            // The variant is public, so the address may not have come through the parser.
            Host::Address(address) => embedded_ipv4::with_embedded(address.to_canonical())
                .any(|address| pattern.matches(&Host::Address(address))),
        }
}

/// Returns whether a pattern matches this host and port and no other.
pub(crate) fn names(pattern: &HostPattern, host: &Host, port: Port) -> bool {
    has_port(pattern.ports(), port)
        && match host {
            Host::Name(_) => pattern.matches(host),
            Host::Address(address) => pattern.matches(&Host::from(*address)),
        }
}

fn has_port(ports: PortRange, port: Port) -> bool {
    match port {
        Port::Any => true,
        Port::Number(port) => ports.contains(port),
    }
}
