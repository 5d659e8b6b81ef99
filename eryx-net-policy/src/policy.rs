//! The policy: the lists, and the checks for every port and transport.

mod evaluate;
mod evaluate_udp;

use std::collections::BTreeSet;
use std::iter;
use std::net::IpAddr;

use self::evaluate::NameStatus;
use crate::builder::PolicyBuilder;
use crate::decision::Transport;
use crate::hint_style::HintStyle;
use crate::host::Host;
use crate::host_name::HostName;
use crate::outcome::Outcome;
use crate::port::{Port, PortRange};
use crate::reached_addresses::{self, reached_addresses};
use crate::rule::{List, Rule};
use crate::rule_set::{Lists, RuleSet};
use crate::verdict::Verdict;

/// A policy: the hosts, addresses and ports that may be reached.
///
/// A connection to a name takes two checks: [`check`](Self::check) before the name is resolved, and
/// [`check_resolved`](Self::check_resolved) with the aliases and addresses that it resolved to.
/// Dial only [the addresses of that verdict](Verdict::dialable_addresses). For a name that a proxy
/// resolves there is [`check_unresolved`](Self::check_unresolved).
///
/// The rules:
///
/// 1. A match of the block list is denied: the requested host, every alias (CNAME) on the way,
///    every address. One blocked address denies the name.
/// 2. With an empty allow list everything else is allowed. Otherwise the requested name must match
///    an entry. Where the list holds networks and no names, each of the name's addresses must match
///    one.
/// 3. Exemptions override the block list for addresses: those of
///    [a network](PolicyBuilder::allow_network), or all addresses that
///    [a trusted name](PolicyBuilder::allow_internal_host) resolves to.
/// 4. An IPv4-mapped address is the IPv4 address in it. An address in `64:ff9b::/96` (NAT64, RFC
///    6052) is evaluated as the IPv4 address in it, and dialled unchanged; entries for IPv6
///    networks, except the default `::/3`, can still block it. Other addresses with an embedded
///    IPv4 address (6to4, Teredo, ISATAP, IPv4-compatible, IPv4-translated, local NAT64) are also
///    denied when the embedded address is. `0.0.0.0` and `::` are also denied when `127.0.0.1` and
///    `::1` are: the kernel connects to these in their place.
/// 5. UDP is allowed only where [an entry](PolicyBuilder::allow_udp) allows it and a TCP connection
///    would be allowed: [`check_udp`](Self::check_udp). Multicast and broadcast addresses are
///    always denied.
/// 6. The dialling machine's own addresses, public ones included, reach its loopback services.
///    [`own_address_denial`](Self::own_address_denial) checks them: only that machine knows its
///    addresses.
///
/// [`Policy::default`] allows everything that
/// [`default_blocked_hosts`](crate::default_blocked_hosts) does not block.
///
/// ```
/// use eryx_net_policy::{HostName, Policy};
///
/// let policy = Policy::default();
/// assert!(policy.check("169.254.169.254", 80).is_denied());
/// assert!(policy.check("93.184.215.14", 443).is_allowed());
///
/// // A name needs its addresses.
/// assert!(!policy.check("example.com", 443).is_denied());
/// let name: HostName = "example.com".parse()?;
/// let verdict = policy.check_resolved(&name, &[], &["93.184.215.14".parse()?, "10.0.0.5".parse()?], 443);
/// assert!(verdict.is_denied());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Policy {
    lists: Lists<RuleSet>,
    /// Whether the default entry for everything outside 2000::/3 excludes `::1`.
    allow_localhost: bool,
    hint_style: HintStyle,
}

impl Policy {
    /// Returns a builder that starts as [`Policy::default`]:
    /// [`default_blocked_hosts`](crate::default_blocked_hosts) are blocked, everything else is
    /// allowed.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::new().block_defaults()
    }

    /// Returns a builder that starts with nothing blocked and everything allowed, including
    /// loopback, private networks and the metadata services of clouds.
    ///
    /// Meant for trusted programs, and for block lists that are complete in themselves.
    pub fn permissive_builder() -> PolicyBuilder {
        PolicyBuilder::new()
    }

    pub(crate) fn new(lists: Lists<RuleSet>, allow_localhost: bool, hint_style: HintStyle) -> Self {
        Self {
            lists,
            allow_localhost,
            hint_style,
        }
    }

    /// Checks a host given as text. A malformed host is denied.
    ///
    /// The verdict about an address is final. A name that no address could make allowed is denied,
    /// and need not be resolved. Any other name [needs its
    /// addresses](crate::Decision::NeedsAddresses).
    pub fn check(&self, host: &str, port: impl Into<Port>) -> Verdict {
        match Host::parse(host) {
            Ok(host) => self.check_host(&host, port),
            Err(error) => Verdict::malformed(error, port.into()),
        }
    }

    /// Checks a parsed host, as [`check`](Self::check) does.
    pub fn check_host(&self, host: &Host, port: impl Into<Port>) -> Verdict {
        self.evaluate_host(host, port.into(), Transport::Tcp)
    }

    /// Checks a name together with the answer of the resolver: the aliases passed on the way (CNAME
    /// targets), and every address.
    ///
    /// The verdict does not depend on the order of the addresses. A name without addresses is
    /// denied ([`NoAddresses`](crate::Reason::NoAddresses)).
    pub fn check_resolved(
        &self,
        name: &HostName,
        aliases: &[HostName],
        addresses: &[IpAddr],
        port: impl Into<Port>,
    ) -> Verdict {
        self.evaluate_answer(name, aliases, addresses, port.into(), Transport::Tcp)
    }

    /// Checks a name whose addresses never become known, because a proxy resolves it. The verdict
    /// is final.
    ///
    /// Only the entries for names and `*` decide. Entries for addresses and networks cannot deny
    /// such a name, and cannot allow it either: where the allow list holds networks and no names,
    /// the name is denied.
    ///
    /// ```
    /// use eryx_net_policy::{HostName, Policy};
    ///
    /// let name: HostName = "example.com".parse()?;
    /// assert!(Policy::default().check_unresolved(&name, 443).is_allowed());
    ///
    /// let networks = Policy::builder().allow_hosts(["93.0.0.0/8".parse()?]).build();
    /// assert!(networks.check_unresolved(&name, 443).is_denied());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check_unresolved(&self, name: &HostName, port: impl Into<Port>) -> Verdict {
        let port = port.into();
        let outcome = self.any_port(port, Transport::Tcp, &[name], &[], |port| {
            self.evaluate_name(name, port)
                .map_or_else(|denial| denial, NameStatus::without_resolution)
        });
        Verdict::new(name.clone().into(), port, outcome, Vec::new())
            .with_hint_style(self.hint_style)
            .with_transport(Transport::Tcp)
    }

    /// Checks UDP to a host given as text, as [`check`](Self::check) does for TCP.
    ///
    /// ```
    /// use eryx_net_policy::Policy;
    ///
    /// let policy = Policy::builder().allow_udp("9.9.9.9:53".parse()?).build();
    /// assert!(policy.check_udp("9.9.9.9", 53).is_allowed());
    /// assert!(policy.check_udp("8.8.8.8", 53).is_denied());
    /// assert!(Policy::default().check_udp("9.9.9.9", 53).is_denied());
    /// # Ok::<(), eryx_net_policy::PatternError>(())
    /// ```
    pub fn check_udp(&self, host: &str, port: impl Into<Port>) -> Verdict {
        match Host::parse(host) {
            Ok(host) => self.check_udp_host(&host, port),
            Err(error) => Verdict::malformed(error, port.into()).with_transport(Transport::Udp),
        }
    }

    /// Checks UDP to a parsed host, as [`check_host`](Self::check_host) does for TCP.
    pub fn check_udp_host(&self, host: &Host, port: impl Into<Port>) -> Verdict {
        self.evaluate_host(host, port.into(), Transport::Udp)
    }

    /// Checks UDP to a resolved name, as [`check_resolved`](Self::check_resolved) does for TCP.
    pub fn check_udp_resolved(
        &self,
        name: &HostName,
        aliases: &[HostName],
        addresses: &[IpAddr],
        port: impl Into<Port>,
    ) -> Verdict {
        self.evaluate_answer(name, aliases, addresses, port.into(), Transport::Udp)
    }

    /// Returns the denial of an address that `verdict` allows, for the case that the address
    /// belongs to the dialling machine itself; `None` when the machine may still dial it.
    ///
    /// Such an address counts as loopback of its family: an entry that blocks `127.0.0.1` or `::1`
    /// on the port blocks it, unless an exemption matches the address or the requested name. Call
    /// this before dialling, and look up whether the address is the machine's own only when it
    /// returns a denial: the policy is the cheaper check.
    ///
    /// ```
    /// use eryx_net_policy::{Policy, Reason};
    ///
    /// let policy = Policy::default();
    /// let verdict = policy.check("93.184.215.14", 22);
    /// assert!(verdict.is_allowed());
    ///
    /// let own = policy.own_address_denial(&verdict, verdict.dialable_addresses()[0]);
    /// assert_eq!(own.map(|denial| denial.reason()), Some(Reason::OwnAddress));
    /// ```
    pub fn own_address_denial(&self, verdict: &Verdict, address: IpAddr) -> Option<Verdict> {
        let address = address.to_canonical();
        // The verdict has covered loopback itself.
        if !verdict.is_allowed() || address.is_loopback() {
            return None;
        }
        let name = verdict.host().and_then(Host::name);
        let mut denial = None;
        let mut is_reachable = |port| match self.evaluate_own(name, address, port) {
            Some(outcome) => {
                denial.get_or_insert(outcome);
                false
            }
            None => true,
        };
        let reachable = match verdict.port() {
            Port::Number(port) => is_reachable(port),
            Port::Any => {
                let names: Vec<&HostName> = name.into_iter().collect();
                let addresses = [address, reached_addresses::loopback(address)];
                let boundaries = self.range_boundaries(Transport::Tcp, &names, &addresses);
                is_reachable(1) || boundaries.into_iter().any(&mut is_reachable)
            }
        };
        match denial {
            Some(outcome) if !reachable => Some(verdict.with_outcome(outcome)),
            _ => None,
        }
    }

    /// Returns whether UDP is allowed to any host at all.
    pub fn allows_udp(&self) -> bool {
        !self.lists.udp.is_empty()
    }

    /// Returns every entry of every list.
    pub fn rules(&self) -> impl Iterator<Item = Rule> + '_ {
        [
            (List::Allowed, &self.lists.allowed),
            (List::Blocked, &self.lists.blocked),
            (List::Exempt, &self.lists.exempt),
            (List::AllowedUdp, &self.lists.udp),
        ]
        .into_iter()
        .flat_map(|(list, set)| {
            set.patterns()
                .iter()
                .map(move |p| Rule::new(list, p.clone()))
        })
    }
}

/// The checks of any port and either transport, made of evaluations for one port.
impl Policy {
    fn evaluate_host(&self, host: &Host, port: Port, transport: Transport) -> Verdict {
        let verdict = match host {
            Host::Name(name) => {
                let outcome =
                    self.any_port(port, transport, &[name], &[], |port| match transport {
                        Transport::Tcp => self
                            .evaluate_name(name, port)
                            .map_or_else(|denial| denial, NameStatus::before_resolution),
                        Transport::Udp => self.evaluate_udp_name(name, port),
                    });
                Verdict::new(host.clone(), port, outcome, Vec::new())
            }
            Host::Address(address) => {
                // The variant is public, so the address may not have come through the parser.
                let address = address.to_canonical();
                let outcome =
                    self.any_port(port, transport, &[], &[address], |port| match transport {
                        Transport::Tcp => self.evaluate_literal(address, port),
                        Transport::Udp => self.evaluate_udp_literal(address, port),
                    });
                Verdict::new(address.into(), port, outcome, vec![address])
            }
        };
        verdict
            .with_hint_style(self.hint_style)
            .with_transport(transport)
    }

    fn evaluate_answer(
        &self,
        name: &HostName,
        aliases: &[HostName],
        addresses: &[IpAddr],
        port: Port,
        transport: Transport,
    ) -> Verdict {
        let mut sorted = BTreeSet::new();
        let to_dial: Vec<IpAddr> = addresses
            .iter()
            .map(IpAddr::to_canonical)
            .filter(|address| sorted.insert(*address))
            .collect();
        let sorted: Vec<IpAddr> = sorted.into_iter().collect();
        let names: Vec<&HostName> = iter::once(name).chain(aliases).collect();
        let outcome = self.any_port(port, transport, &names, &sorted, |port| match transport {
            Transport::Tcp => self.evaluate_resolved(name, aliases, &sorted, port),
            Transport::Udp => self.evaluate_udp_resolved(name, aliases, &sorted, port),
        });
        Verdict::new(name.clone().into(), port, outcome, to_dial)
            .with_hint_style(self.hint_style)
            .with_transport(transport)
    }

    /// Returns the outcome for `port`; for [`Port::Any`], that of the first port that is not
    /// denied.
    ///
    /// The outcome changes only where the port range of a matching entry begins or ends, so these
    /// ports represent all ports.
    fn any_port(
        &self,
        port: Port,
        transport: Transport,
        names: &[&HostName],
        addresses: &[IpAddr],
        evaluate: impl Fn(u16) -> Outcome,
    ) -> Outcome {
        let first = match port {
            Port::Number(number) => return evaluate(number),
            Port::Any => evaluate(1),
        };
        if !first.is_denied() {
            return first;
        }
        let mut denial = first;
        for port in self.range_boundaries(transport, names, addresses) {
            let outcome = evaluate(port);
            if !outcome.is_denied() {
                return outcome;
            }
            if denial.is_about_port() {
                denial = outcome;
            }
        }
        denial
    }

    /// Returns the first port, and the port after the last, of every range in an entry that matches
    /// one of the hosts.
    fn range_boundaries(
        &self,
        transport: Transport,
        names: &[&HostName],
        addresses: &[IpAddr],
    ) -> BTreeSet<u16> {
        let mut boundaries = BTreeSet::new();
        let mut add = |range: PortRange| {
            boundaries.extend((range != PortRange::ALL).then_some(range.first()));
            boundaries.extend(range.last().checked_add(1));
        };
        let lists = &self.lists;
        let udp = (transport == Transport::Udp).then_some(&lists.udp);
        for set in [&lists.allowed, &lists.blocked, &lists.exempt]
            .into_iter()
            .chain(udp)
        {
            // Without addresses any network may decide; with addresses, only the networks that
            // contain one. A resolver's answer must not cost one evaluation for every port of a
            // long list.
            if addresses.is_empty() {
                set.network_ports().iter().copied().for_each(&mut add);
            }
            set.for_everything().for_each(|p| add(p.ports()));
            for name in names {
                set.for_name(name).for_each(|p| add(p.ports()));
            }
            for address in addresses {
                for effective in reached_addresses(*address) {
                    set.for_network(effective).for_each(|p| add(p.ports()));
                }
            }
        }
        boundaries
    }
}

impl Default for Policy {
    /// Blocks [`default_blocked_hosts`](crate::default_blocked_hosts), and allows everything else.
    fn default() -> Self {
        Self::builder().build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_evaluated_once_for_each_range_boundary_of_a_matching_entry() {
        let entries = (1..2000u16).map(|port| {
            let [high, low] = port.to_be_bytes();
            format!("20.0.{high}.{low}:{port}")
        });
        let entries = entries.map(|text| text.parse().expect("a pattern"));
        let policy = Policy::builder().allow_hosts(entries).build();
        let name: HostName = "example.com".parse().expect("a name");
        let boundaries =
            |addresses: &[IpAddr]| policy.range_boundaries(Transport::Tcp, &[&name], addresses);
        let answer: Vec<IpAddr> = (0..=255u8).map(|last| [20, 0, 0, last].into()).collect();
        assert_eq!(boundaries(&answer[..1]).len(), 0);
        assert_eq!(boundaries(&answer[..2]).len(), 2);
        assert!(boundaries(&answer).len() <= 2 * answer.len());
        // Without addresses, each of the boundaries takes constant time.
        assert!(boundaries(&[]).len() <= 2 * 2000);
    }
}
