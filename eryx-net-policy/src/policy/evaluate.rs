//! The evaluation of TCP connections for one port.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use super::Policy;
use crate::decision::{Decision, Reason};
use crate::defaults::{OUTSIDE_GLOBAL_UNICAST, default_blocked_patterns};
use crate::host_name::HostName;
use crate::outcome::{DeniedTarget, Outcome};
use crate::pattern::HostPattern;
use crate::reached_addresses::{self, reached_addresses};
use crate::rule::List;
use crate::rule_set::RuleSet;

impl Policy {
    /// Evaluates a name without its addresses. `Err` is the denial.
    pub(super) fn evaluate_name(&self, name: &HostName, port: u16) -> Result<NameStatus, Outcome> {
        let allowed = &self.lists.allowed;
        if let Some(pattern) = on_port(self.lists.blocked.for_name(name), port) {
            return Err(Outcome::deny(Reason::HostBlocked).with_rule(List::Blocked, pattern));
        }
        if allowed.is_empty() {
            return Ok(NameStatus::NoAllowList);
        }
        if let Some(pattern) = on_port(allowed.for_name(name), port) {
            return Ok(NameStatus::Listed(pattern));
        }
        // A DNS query sends the name to a name server. An allow list with names therefore decides
        // on names alone.
        let networks_decide =
            !allowed.has_names() && allowed.network_ports().iter().any(|p| p.contains(port));
        if networks_decide {
            return Ok(NameStatus::DependsOnAddresses);
        }
        Err(not_listed(
            List::Allowed,
            Reason::HostNotAllowed,
            allowed.for_name(name).next(),
        ))
    }

    pub(super) fn evaluate_literal(&self, address: IpAddr, port: u16) -> Outcome {
        let allowed = &self.lists.allowed;
        let exemption = match self.check_blocked(address, port, None) {
            AddressStatus::Blocked(outcome) => return outcome,
            AddressStatus::Exempt(pattern) => Some(pattern),
            AddressStatus::NotBlocked => None,
        };
        match (listed(allowed, address, port), exemption) {
            (Ok(pattern), _) => Outcome::allow(Reason::Listed).with_rule(List::Allowed, pattern),
            (Err(effective), _) if !allowed.is_empty() => {
                let other_port = allowed.for_address(effective).next();
                not_listed(List::Allowed, Reason::HostNotAllowed, other_port)
                    .with_effective(address, effective)
            }
            (Err(_), Some(pattern)) => {
                Outcome::allow(Reason::Exempt).with_rule(List::Exempt, pattern)
            }
            (Err(_), None) => Outcome::allow(Reason::NotBlocked),
        }
    }

    pub(super) fn evaluate_resolved(
        &self,
        name: &HostName,
        aliases: &[HostName],
        addresses: &[IpAddr],
        port: u16,
    ) -> Outcome {
        let name_status = match self.evaluate_name(name, port) {
            Ok(status) => status,
            Err(denial) => return denial,
        };
        for alias in aliases {
            if let Some(pattern) = on_port(self.lists.blocked.for_name(alias), port) {
                return Outcome::deny(Reason::AliasBlocked)
                    .with_rule(List::Blocked, pattern)
                    .with_denied(DeniedTarget::Alias(alias.clone()));
            }
        }
        if addresses.is_empty() {
            return Outcome::deny(Reason::NoAddresses);
        }
        let internal = on_port(self.lists.exempt.for_name(name), port);
        let mut exemption = None;
        for address in addresses {
            match self.check_blocked(*address, port, internal.as_ref()) {
                AddressStatus::Blocked(outcome) => return outcome,
                AddressStatus::Exempt(pattern) => exemption = exemption.or(Some(pattern)),
                AddressStatus::NotBlocked => {}
            }
        }
        match (name_status, exemption) {
            (NameStatus::Listed(pattern), _) => {
                Outcome::allow(Reason::Listed).with_rule(List::Allowed, pattern)
            }
            (NameStatus::DependsOnAddresses, _) => self.evaluate_addresses(addresses, port),
            (NameStatus::NoAllowList, Some(pattern)) => {
                Outcome::allow(Reason::Exempt).with_rule(List::Exempt, pattern)
            }
            (NameStatus::NoAllowList, None) => Outcome::allow(Reason::NotBlocked),
        }
    }

    /// Checks that every address is on the allow list.
    fn evaluate_addresses(&self, addresses: &[IpAddr], port: u16) -> Outcome {
        let mut outcome = Outcome::deny(Reason::NoAddresses);
        for &address in addresses {
            match listed(&self.lists.allowed, address, port) {
                Ok(pattern) => {
                    outcome = Outcome::allow(Reason::Listed).with_rule(List::Allowed, pattern);
                }
                Err(effective) => {
                    return Outcome::deny(Reason::AddressNotAllowed)
                        .with_denied(DeniedTarget::Address { address, effective });
                }
            }
        }
        outcome
    }

    /// Checks an address, and every address that a connection to it may reach, against the block
    /// list.
    ///
    /// `internal` is the exemption of the name that resolves to the address.
    fn check_blocked(
        &self,
        address: IpAddr,
        port: u16,
        internal: Option<&HostPattern>,
    ) -> AddressStatus {
        let mut exemption = None;
        for effective in reached_addresses(address) {
            let exempt = on_port(self.lists.exempt.for_network(effective), port);
            for rule in self.lists.blocked.for_network(effective) {
                if !rule.ports().contains(port) || self.excludes(&rule, effective) {
                    continue;
                }
                let overriding = internal.or(exempt.as_ref().filter(|e| overrides(e, &rule)));
                match overriding {
                    Some(overriding) => exemption = exemption.or_else(|| Some(overriding.clone())),
                    None => return AddressStatus::blocked(address, effective, rule),
                }
            }
        }
        if let Some(rule) = on_port(self.lists.blocked.for_everything(), port) {
            return AddressStatus::blocked(address, address, rule);
        }
        exemption.map_or(AddressStatus::NotBlocked, AddressStatus::Exempt)
    }

    /// Returns the denial of an address of the dialling machine: the block list's decision about
    /// loopback, unless an exemption matches the address or the name.
    pub(super) fn evaluate_own(
        &self,
        name: Option<&HostName>,
        address: IpAddr,
        port: u16,
    ) -> Option<Outcome> {
        let exempt = &self.lists.exempt;
        let exemption = reached_addresses(address)
            .find_map(|effective| on_port(exempt.for_network(effective), port))
            .or_else(|| name.and_then(|name| on_port(exempt.for_name(name), port)));
        if exemption.is_some() {
            return None;
        }
        match self.check_blocked(reached_addresses::loopback(address), port, None) {
            AddressStatus::Blocked(outcome) => Some(outcome.into_own_address(address)),
            AddressStatus::NotBlocked | AddressStatus::Exempt(_) => None,
        }
    }

    /// Returns whether `rule` is the default entry for everything outside 2000::/3, and `address`
    /// is excluded from it: `64:ff9b::/96`, which is evaluated as IPv4, and loopback where it is
    /// allowed.
    fn excludes(&self, rule: &HostPattern, address: IpAddr) -> bool {
        let excluded = reached_addresses::nat64(address).is_some()
            || (self.allow_localhost && address == Ipv6Addr::LOCALHOST);
        excluded && rule == outside_global_unicast()
    }
}

/// The status of a name that is not denied.
pub(super) enum NameStatus {
    /// The allow list is empty.
    NoAllowList,
    /// The allow list matches the name.
    Listed(HostPattern),
    /// The allow list has no names, but networks that all of the name's addresses may be in.
    DependsOnAddresses,
}

impl NameStatus {
    /// Returns the outcome for a name whose addresses are not known yet.
    pub(super) fn before_resolution(self) -> Outcome {
        let undecided = |reason| Outcome::new(Decision::NeedsAddresses, reason);
        match self {
            Self::NoAllowList => undecided(Reason::NotBlocked),
            Self::Listed(pattern) => undecided(Reason::Listed).with_rule(List::Allowed, pattern),
            Self::DependsOnAddresses => undecided(Reason::DependsOnAddresses),
        }
    }

    /// Returns the outcome for a name whose addresses never become known.
    pub(super) fn without_resolution(self) -> Outcome {
        match self {
            Self::NoAllowList => Outcome::allow(Reason::NotBlocked),
            Self::Listed(pattern) => {
                Outcome::allow(Reason::Listed).with_rule(List::Allowed, pattern)
            }
            Self::DependsOnAddresses => Outcome::deny(Reason::HostNotAllowed),
        }
    }
}

/// The status of an address on the block list.
enum AddressStatus {
    NotBlocked,
    Exempt(HostPattern),
    Blocked(Outcome),
}

impl AddressStatus {
    fn blocked(address: IpAddr, effective: IpAddr, rule: HostPattern) -> Self {
        Self::Blocked(
            Outcome::deny(Reason::AddressBlocked)
                .with_rule(List::Blocked, rule)
                .with_denied(DeniedTarget::Address { address, effective }),
        )
    }
}

/// Returns the entry that lists an address on this port, or the address that no entry lists.
///
/// For an unspecified address, both the address and the loopback address that the kernel connects
/// to in its place must be listed. The same goes for the NAT64 address of `0.0.0.0`.
pub(super) fn listed(set: &RuleSet, address: IpAddr, port: u16) -> Result<HostPattern, IpAddr> {
    let entry = on_port(set.for_address(address), port).ok_or(address)?;
    let translated = reached_addresses::nat64(address).map_or(address, IpAddr::V4);
    match reached_addresses::loopback_for_unspecified(translated) {
        Some(loopback) => on_port(set.for_address(loopback), port).ok_or(loopback),
        None => Ok(entry),
    }
}

/// Returns the first pattern that matches the port.
pub(super) fn on_port(
    mut patterns: impl Iterator<Item = HostPattern>,
    port: u16,
) -> Option<HostPattern> {
    patterns.find(|p| p.ports().contains(port))
}

/// Returns the denial of a host that no entry of `list` allows on this port. `other_port` is an
/// entry that allows it on another port; without one the reason is `reason`.
pub(super) fn not_listed(list: List, reason: Reason, other_port: Option<HostPattern>) -> Outcome {
    match other_port {
        Some(pattern) => Outcome::deny(Reason::PortNotAllowed).with_rule(list, pattern),
        None => Outcome::deny(reason),
    }
}

/// Returns whether `exemption` overrides `blocking`; both match the address.
fn overrides(exemption: &HostPattern, blocking: &HostPattern) -> bool {
    let prefix_len = |p: &HostPattern| p.network().map(|n| n.prefix_len());
    let covered =
        prefix_len(blocking) <= prefix_len(exemption) && blocking.ports().covers(exemption.ports());
    covered || default_blocked_patterns().contains(blocking)
}

fn outside_global_unicast() -> &'static HostPattern {
    static PATTERN: LazyLock<HostPattern> = LazyLock::new(|| {
        OUTSIDE_GLOBAL_UNICAST
            .parse()
            .expect("a test checks that every default entry parses")
    });
    &PATTERN
}
