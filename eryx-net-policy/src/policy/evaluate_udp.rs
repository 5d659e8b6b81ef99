//! Judging datagrams for one port: as a connection is judged, and then by what allows UDP.

use std::net::IpAddr;

use super::{
    Policy,
    judge::{Standing, listed, on_port},
};
use crate::{
    address,
    name::HostName,
    pattern::HostPattern,
    rule::List,
    verdict::{Culprit, Decision, Finding, Reason},
};

impl Policy {
    /// What can be said of datagrams to a name without its addresses.
    pub(super) fn judge_udp_name(&self, name: &HostName, port: u16) -> Finding {
        let standing = match self.judge_name(name, port) {
            Ok(standing) => standing,
            Err(denial) => return denial,
        };
        let by_address = Finding::new(Decision::NeedsAddresses, Reason::DependsOnAddresses);
        match (standing, on_port(self.udp.for_name(name), port)) {
            (Standing::ByAddress, Some(_)) => by_address,
            (_, Some(pattern)) => {
                Finding::new(Decision::NeedsAddresses, Reason::Listed).by(List::AllowedUdp, pattern)
            }
            (_, None) if self.udp.network_ports().iter().any(|p| p.contains(port)) => by_address,
            (_, None) => not_allowed(self.udp.for_name(name).next()),
        }
    }

    pub(super) fn judge_udp_literal(&self, address: IpAddr, port: u16) -> Finding {
        if let Some(denial) = not_unicast(address) {
            return denial;
        }
        let finding = self.judge_literal(address, port);
        if finding.is_denied() {
            return finding;
        }
        match listed(&self.udp, address, port) {
            Ok(pattern) => Finding::allow(Reason::Listed).by(List::AllowedUdp, pattern),
            Err(form) => not_allowed(self.udp.for_address(form).next()).leading_to(address, form),
        }
    }

    pub(super) fn judge_udp_resolved(
        &self,
        name: &HostName,
        aliases: &[HostName],
        addresses: &[IpAddr],
        port: u16,
    ) -> Finding {
        if let Some(denial) = addresses.iter().copied().find_map(not_unicast) {
            return denial;
        }
        let finding = self.judge_resolved(name, aliases, addresses, port);
        if finding.is_denied() {
            return finding;
        }
        if let Some(pattern) = on_port(self.udp.for_name(name), port) {
            return Finding::allow(Reason::Listed).by(List::AllowedUdp, pattern);
        }
        let mut entry = None;
        for address in addresses {
            match listed(&self.udp, *address, port) {
                Ok(pattern) => entry = Some(pattern),
                Err(_) => return not_allowed(self.udp.for_name(name).next()),
            }
        }
        match entry {
            Some(pattern) => Finding::allow(Reason::Listed).by(List::AllowedUdp, pattern),
            None => not_allowed(None),
        }
    }
}

/// The denial of what nothing allows UDP to on this port; `other_port` allows it on another.
fn not_allowed(other_port: Option<HostPattern>) -> Finding {
    match other_port {
        Some(pattern) => Finding::deny(Reason::PortNotAllowed).by(List::AllowedUdp, pattern),
        None => Finding::deny(Reason::UdpNotAllowed),
    }
}

/// The denial of an address that stands for more than one machine, in whatever form.
fn not_unicast(address: IpAddr) -> Option<Finding> {
    let form = address::forms(address).find(|form| match form {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    })?;
    let culprit = Culprit::Address { address, form };
    Some(Finding::deny(Reason::NotUnicast).over(culprit))
}
