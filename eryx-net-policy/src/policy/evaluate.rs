//! Judging for one port.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::LazyLock,
};

use super::Policy;
use crate::{
    address,
    defaults::{OUTSIDE_GLOBAL_UNICAST, default_blocked_patterns},
    name::HostName,
    pattern::HostPattern,
    rule::List,
    rule_set::RuleSet,
    verdict::{Culprit, Decision, Finding, Reason},
};

impl Policy {
    /// What can be said of a name without its addresses.
    pub(super) fn judge_name(&self, name: &HostName, port: u16) -> Result<Standing, Finding> {
        if let Some(pattern) = on_port(self.blocked.for_name(name), port) {
            return Err(Finding::deny(Reason::HostBlocked).by(List::Blocked, pattern));
        }
        if self.allowed.is_empty() {
            return Ok(Standing::Open);
        }
        if let Some(pattern) = on_port(self.allowed.for_name(name), port) {
            return Ok(Standing::Listed(pattern));
        }
        // A query carries the name to a name server, so a list that says which names are allowed decides
        // on names alone.
        let networks_decide = !self.allowed.has_names()
            && self
                .allowed
                .network_ports()
                .iter()
                .any(|p| p.contains(port));
        if networks_decide {
            return Ok(Standing::ByAddress);
        }
        Err(not_listed(self.allowed.for_name(name).next()))
    }

    pub(super) fn judge_literal(&self, address: IpAddr, port: u16) -> Finding {
        let exemption = match self.screen(address, port, None) {
            Screening::Blocked(finding) => return finding,
            Screening::Exempt(pattern) => Some(pattern),
            Screening::Clear => None,
        };
        match (listed(&self.allowed, address, port), exemption) {
            (Ok(pattern), _) => Finding::allow(Reason::Listed).by(List::Allowed, pattern),
            (Err(form), _) if !self.allowed.is_empty() => {
                not_listed(self.allowed.for_address(form).next()).leading_to(address, form)
            }
            (Err(_), Some(pattern)) => Finding::allow(Reason::Exempt).by(List::Exempt, pattern),
            (Err(_), None) => Finding::allow(Reason::NotBlocked),
        }
    }

    pub(super) fn judge_resolved(
        &self,
        name: &HostName,
        aliases: &[HostName],
        addresses: &[IpAddr],
        port: u16,
    ) -> Finding {
        let standing = match self.judge_name(name, port) {
            Ok(standing) => standing,
            Err(denial) => return denial,
        };
        for alias in aliases {
            if let Some(pattern) = on_port(self.blocked.for_name(alias), port) {
                return Finding::deny(Reason::AliasBlocked)
                    .by(List::Blocked, pattern)
                    .over(Culprit::Alias(alias.clone()));
            }
        }
        if addresses.is_empty() {
            return Finding::deny(Reason::NoAddresses);
        }
        let internal = on_port(self.exempt.for_name(name), port);
        let mut exemption = None;
        for address in addresses {
            match self.screen(*address, port, internal.as_ref()) {
                Screening::Blocked(finding) => return finding,
                Screening::Exempt(pattern) => exemption = exemption.or(Some(pattern)),
                Screening::Clear => {}
            }
        }
        match (standing, exemption) {
            (Standing::Listed(pattern), _) => {
                Finding::allow(Reason::Listed).by(List::Allowed, pattern)
            }
            (Standing::ByAddress, _) => self.judge_by_address(addresses, port),
            (Standing::Open, Some(pattern)) => {
                Finding::allow(Reason::Exempt).by(List::Exempt, pattern)
            }
            (Standing::Open, None) => Finding::allow(Reason::NotBlocked),
        }
    }

    /// Whether every address is on the allow list.
    fn judge_by_address(&self, addresses: &[IpAddr], port: u16) -> Finding {
        let mut finding = Finding::deny(Reason::NoAddresses);
        for address in addresses {
            match listed(&self.allowed, *address, port) {
                Ok(pattern) => finding = Finding::allow(Reason::Listed).by(List::Allowed, pattern),
                Err(form) => {
                    let culprit = Culprit::Address {
                        address: *address,
                        form,
                    };
                    return Finding::deny(Reason::AddressNotAllowed).over(culprit);
                }
            }
        }
        finding
    }

    /// Holds an address against the block list, in every form it stands for.
    fn screen(&self, address: IpAddr, port: u16, internal: Option<&HostPattern>) -> Screening {
        let mut exemption = None;
        for form in address::forms(address) {
            let exempt = on_port(self.exempt.for_network(form), port);
            for rule in self.blocked.for_network(form) {
                if !rule.ports().contains(port) || self.leaves_out(&rule, form) {
                    continue;
                }
                let lifting = internal.or(exempt.as_ref().filter(|e| lifts(e, &rule)));
                match lifting {
                    Some(lifting) => exemption = exemption.or_else(|| Some(lifting.clone())),
                    None => return Screening::blocked(address, form, rule),
                }
            }
        }
        if let Some(rule) = on_port(self.blocked.for_everything(), port) {
            return Screening::blocked(address, address, rule);
        }
        exemption.map_or(Screening::Clear, Screening::Exempt)
    }

    /// Returns the denial of an address of this machine's own: what the block list says of loopback, unless an
    /// exemption holds the address or the name.
    pub(super) fn judge_own(
        &self,
        name: Option<&HostName>,
        address: IpAddr,
        port: u16,
    ) -> Option<Finding> {
        let exempt = address::forms(address)
            .find_map(|form| on_port(self.exempt.for_network(form), port))
            .or_else(|| name.and_then(|name| on_port(self.exempt.for_name(name), port)));
        if exempt.is_some() {
            return None;
        }
        match self.screen(address::loopback(address), port, None) {
            Screening::Blocked(finding) => Some(finding.into_own(address)),
            Screening::Clear | Screening::Exempt(_) => None,
        }
    }

    /// Whether `rule` is the default entry for everything outside 2000::/3 and `address` one of those that
    /// have entries of their own: `64:ff9b::/96` is judged as IPv4, loopback can be allowed.
    fn leaves_out(&self, rule: &HostPattern, address: IpAddr) -> bool {
        let special =
            address::nat64(address).is_some() || (self.loopback && address == Ipv6Addr::LOCALHOST);
        special && rule == outside_global_unicast()
    }
}

/// What is known of a name that is not denied.
pub(super) enum Standing {
    /// There is no allow list.
    Open,
    /// The allow list has the name.
    Listed(HostPattern),
    /// The allow list has no names at all, but networks that the name's addresses may all be in.
    ByAddress,
}

impl Standing {
    pub(super) fn provisional(self) -> Finding {
        let finding = |reason| Finding::new(Decision::NeedsAddresses, reason);
        match self {
            Self::Open => finding(Reason::NotBlocked),
            Self::Listed(pattern) => finding(Reason::Listed).by(List::Allowed, pattern),
            Self::ByAddress => finding(Reason::DependsOnAddresses),
        }
    }
}

/// What the block list says of an address.
enum Screening {
    Clear,
    Exempt(HostPattern),
    Blocked(Finding),
}

impl Screening {
    fn blocked(address: IpAddr, form: IpAddr, rule: HostPattern) -> Self {
        let culprit = Culprit::Address { address, form };
        Self::Blocked(
            Finding::deny(Reason::AddressBlocked)
                .by(List::Blocked, rule)
                .over(culprit),
        )
    }
}

/// Returns the entry that lists an address on this port, or the address that no entry lists: of an unspecified address
/// and the loopback address that the kernel connects to for it, both have to be listed.
pub(super) fn listed(set: &RuleSet, address: IpAddr, port: u16) -> Result<HostPattern, IpAddr> {
    let entry = on_port(set.for_address(address), port).ok_or(address)?;
    match address::dialled(address) {
        Some(loopback) => on_port(set.for_address(loopback), port).ok_or(loopback),
        None => Ok(entry),
    }
}

pub(super) fn on_port(
    mut patterns: impl Iterator<Item = HostPattern>,
    port: u16,
) -> Option<HostPattern> {
    patterns.find(|p| p.ports().contains(port))
}

/// The denial of a host that no entry allows on this port; `other_port` allows it on another.
fn not_listed(other_port: Option<HostPattern>) -> Finding {
    match other_port {
        Some(pattern) => Finding::deny(Reason::PortNotAllowed).by(List::Allowed, pattern),
        None => Finding::deny(Reason::HostNotAllowed),
    }
}

/// Whether an exemption takes back an entry of the block list, given that both hold the address.
fn lifts(exemption: &HostPattern, blocking: &HostPattern) -> bool {
    let width = |p: &HostPattern| p.network().map(|n| n.prefix_len());
    let covered = width(blocking) <= width(exemption) && blocking.ports().covers(exemption.ports());
    covered || default_blocked_patterns().contains(blocking)
}

fn outside_global_unicast() -> &'static HostPattern {
    static PATTERN: LazyLock<HostPattern> = LazyLock::new(|| {
        OUTSIDE_GLOBAL_UNICAST
            .parse()
            .expect("every default entry parses: a test says so")
    });
    &PATTERN
}
