//! The evaluation of UDP for one port: first as a TCP connection, then by the list that allows UDP.

use std::net::IpAddr;

use super::Policy;
use super::evaluate::{NameStatus, listed, not_listed, on_port};
use crate::decision::{Decision, Reason};
use crate::host_name::HostName;
use crate::outcome::{DeniedTarget, Outcome};
use crate::pattern::HostPattern;
use crate::reached_addresses::reached_addresses;
use crate::rule::List;

impl Policy {
    /// Evaluates UDP to a name without its addresses.
    pub(super) fn evaluate_udp_name(&self, name: &HostName, port: u16) -> Outcome {
        let udp = &self.lists.udp;
        let name_status = match self.evaluate_name(name, port) {
            Ok(status) => status,
            Err(denial) => return denial,
        };
        let by_address = Outcome::new(Decision::NeedsAddresses, Reason::DependsOnAddresses);
        match (name_status, on_port(udp.for_name(name), port)) {
            (NameStatus::DependsOnAddresses, Some(_)) => by_address,
            (_, Some(pattern)) => Outcome::new(Decision::NeedsAddresses, Reason::Listed)
                .with_rule(List::AllowedUdp, pattern),
            (_, None) if udp.network_ports().iter().any(|p| p.contains(port)) => by_address,
            (_, None) => not_allowed(udp.for_name(name).next()),
        }
    }

    pub(super) fn evaluate_udp_literal(&self, address: IpAddr, port: u16) -> Outcome {
        let udp = &self.lists.udp;
        if let Some(denial) = not_unicast(address) {
            return denial;
        }
        let outcome = self.evaluate_literal(address, port);
        if outcome.is_denied() {
            return outcome;
        }
        match listed(udp, address, port) {
            Ok(pattern) => Outcome::allow(Reason::Listed).with_rule(List::AllowedUdp, pattern),
            Err(effective) => {
                not_allowed(udp.for_address(effective).next()).with_effective(address, effective)
            }
        }
    }

    pub(super) fn evaluate_udp_resolved(
        &self,
        name: &HostName,
        aliases: &[HostName],
        addresses: &[IpAddr],
        port: u16,
    ) -> Outcome {
        let udp = &self.lists.udp;
        if let Some(denial) = addresses.iter().copied().find_map(not_unicast) {
            return denial;
        }
        let outcome = self.evaluate_resolved(name, aliases, addresses, port);
        if outcome.is_denied() {
            return outcome;
        }
        if let Some(pattern) = on_port(udp.for_name(name), port) {
            return Outcome::allow(Reason::Listed).with_rule(List::AllowedUdp, pattern);
        }
        let mut entry = None;
        for address in addresses {
            match listed(udp, *address, port) {
                Ok(pattern) => entry = Some(pattern),
                Err(_) => return not_allowed(udp.for_name(name).next()),
            }
        }
        match entry {
            Some(pattern) => Outcome::allow(Reason::Listed).with_rule(List::AllowedUdp, pattern),
            None => not_allowed(None),
        }
    }
}

fn not_allowed(other_port: Option<HostPattern>) -> Outcome {
    not_listed(List::AllowedUdp, Reason::UdpNotAllowed, other_port)
}

/// Returns the denial of a multicast or broadcast address, or of one that reaches such an address.
fn not_unicast(address: IpAddr) -> Option<Outcome> {
    let effective = reached_addresses(address).find(|effective| match effective {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    })?;
    let denied = DeniedTarget::Address { address, effective };
    Some(Outcome::deny(Reason::NotUnicast).with_denied(denied))
}
