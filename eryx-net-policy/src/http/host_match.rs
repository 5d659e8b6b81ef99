//! The hosts that the pattern of a rule covers.

use crate::host::Host;
use crate::pattern::HostPattern;
use crate::port::{Port, PortRange};
use crate::reached_addresses::reached_addresses;

/// Returns whether a pattern covers a host: it matches the name, the address, or an address that a
/// connection to the address may reach. A program cannot avoid a rule by another spelling of its
/// address.
pub(crate) fn covers(pattern: &HostPattern, host: &Host, port: Port) -> bool {
    has_port(pattern.ports(), port)
        && match host {
            Host::Name(_) => pattern.matches(host),
            // The variant is public, so the address may not have come through the parser.
            Host::Address(address) => reached_addresses(address.to_canonical())
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
