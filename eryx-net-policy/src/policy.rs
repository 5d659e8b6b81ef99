//! The decision.

mod datagrams;
mod judge;

use std::{collections::BTreeSet, iter, net::IpAddr};

use self::judge::Standing;
use crate::{
    address,
    builder::PolicyBuilder,
    host::Host,
    name::HostName,
    port::{Port, PortRange},
    rule::{List, Rule},
    rule_set::RuleSet,
    transport::Transport,
    verdict::{Finding, Verdict},
    wording::HintStyle,
};

/// Which hosts, addresses and ports may be reached.
///
/// A connection to a name is asked about twice: [`check`](Self::check) before the name is resolved, and
/// [`check_resolved`](Self::check_resolved) with what it resolved to. Dial only
/// [the addresses of that verdict](Verdict::dialable_addresses).
///
/// The rules:
///
/// 1. What the block list matches is denied: the host asked for, every alias (CNAME) on the way, every
///    address. One blocked address denies the name.
/// 2. With an empty allow list everything else is allowed. Otherwise the name asked for must match an
///    entry; where the list holds networks and no names, each of the name's addresses must match one.
/// 3. Exemptions let blocked addresses through: those of [a network](PolicyBuilder::allow_network), or any
///    that [a trusted name](PolicyBuilder::allow_internal_host) resolves to.
/// 4. An IPv4-mapped address is the IPv4 address in it. An address in `64:ff9b::/96` (NAT64, RFC 6052) is
///    dialled as it is and judged as the IPv4 address in it; entries for IPv6 networks can still block it,
///    save the default `::/3`. Other addresses that carry an IPv4 address (6to4, Teredo, ISATAP,
///    IPv4-compatible, IPv4-translated, local NAT64) are denied as well when that one is. So are `0.0.0.0` and
///    `::` when `127.0.0.1` and `::1` are, which the kernel connects to in their place.
/// 5. Datagrams (UDP) go only where [an entry](PolicyBuilder::allow_udp) lets them, and a connection would
///    be allowed: [`check_udp`](Self::check_udp). They never go to multicast and broadcast addresses.
/// 6. Addresses of the machine that dials, public ones included, lead to what loopback leads to. Only that machine knows
///    them: [`check_own`](Self::check_own) judges them.
///
/// [`Policy::default`] allows all that [`default_blocked_hosts`](crate::default_blocked_hosts) does not
/// block.
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
    allowed: RuleSet,
    blocked: RuleSet,
    exempt: RuleSet,
    udp: RuleSet,
    /// Whether the default entry for everything outside 2000::/3 leaves out `::1`.
    loopback: bool,
    wording: HintStyle,
}

impl Policy {
    /// Begins with what [`Policy::default`] is: [`default_blocked_hosts`](crate::default_blocked_hosts) are blocked, and
    /// everything else is allowed.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::new().block_defaults()
    }

    /// Begins with nothing blocked and everything allowed, loopback, private networks and the metadata services of
    /// clouds included: for programs that are trusted, and for block lists that are complete in themselves.
    pub fn permissive_builder() -> PolicyBuilder {
        PolicyBuilder::new()
    }

    pub(crate) fn new(
        allowed: RuleSet,
        blocked: RuleSet,
        exempt: RuleSet,
        udp: RuleSet,
        loopback: bool,
        wording: HintStyle,
    ) -> Self {
        Self {
            allowed,
            blocked,
            exempt,
            udp,
            loopback,
            wording,
        }
    }

    /// Judges a host as somebody wrote it. A malformed one is denied.
    ///
    /// An address gets its final verdict. A name that nothing could allow is denied, and need not be
    /// resolved; any other [needs its addresses](crate::Decision::NeedsAddresses).
    pub fn check(&self, host: &str, port: impl Into<Port>) -> Verdict {
        match Host::parse(host) {
            Ok(host) => self.check_host(&host, port),
            Err(error) => Verdict::malformed(error, port.into()),
        }
    }

    /// [`check`](Self::check) for a host that is parsed already.
    pub fn check_host(&self, host: &Host, port: impl Into<Port>) -> Verdict {
        self.judge_host(host, port.into(), Transport::Tcp)
    }

    /// Judges a name together with what it resolved to: the aliases passed on the way (CNAME targets), and
    /// every address of the answer.
    ///
    /// The verdict does not depend on the order of the addresses. No addresses are a denial of their own
    /// ([`NoAddresses`](crate::Reason::NoAddresses)).
    pub fn check_resolved(
        &self,
        name: &HostName,
        aliases: &[HostName],
        addresses: &[IpAddr],
        port: impl Into<Port>,
    ) -> Verdict {
        self.judge_answer(name, aliases, addresses, port.into(), Transport::Tcp)
    }

    /// [`check`](Self::check) for datagrams (UDP).
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
            Err(error) => Verdict::malformed(error, port.into()).over(Transport::Udp),
        }
    }

    /// [`check_host`](Self::check_host) for datagrams (UDP).
    pub fn check_udp_host(&self, host: &Host, port: impl Into<Port>) -> Verdict {
        self.judge_host(host, port.into(), Transport::Udp)
    }

    /// [`check_resolved`](Self::check_resolved) for datagrams (UDP).
    pub fn check_udp_resolved(
        &self,
        name: &HostName,
        aliases: &[HostName],
        addresses: &[IpAddr],
        port: impl Into<Port>,
    ) -> Verdict {
        self.judge_answer(name, aliases, addresses, port.into(), Transport::Udp)
    }

    /// Returns the denial of an address that `verdict` allows, for a machine whose own address that is.
    ///
    /// Such an address counts as loopback of its family: what blocks `127.0.0.1` or `::1` on the port blocks it, unless
    /// an exemption holds the address or the name asked for. `None` when it may be reached all the same. Whoever dials
    /// asks this first, which is the cheaper question, and then the system whether the address is its own.
    ///
    /// ```
    /// use eryx_net_policy::{Policy, Reason};
    ///
    /// let policy = Policy::default();
    /// let verdict = policy.check("93.184.215.14", 22);
    /// assert!(verdict.is_allowed());
    ///
    /// let own = policy.check_own(&verdict, verdict.dialable_addresses()[0]);
    /// assert_eq!(own.map(|denial| denial.reason()), Some(Reason::OwnAddress));
    /// ```
    pub fn check_own(&self, verdict: &Verdict, address: IpAddr) -> Option<Verdict> {
        let address = address.to_canonical();
        // Loopback itself has been judged as what it is.
        if !verdict.is_allowed() || address.is_loopback() {
            return None;
        }
        let name = verdict.host().and_then(Host::name);
        let mut denial = None;
        let mut judge = |port| match self.judge_own(name, address, port) {
            Some(finding) => {
                denial.get_or_insert(finding);
                false
            }
            None => true,
        };
        let reachable = match verdict.port() {
            Port::Number(port) => judge(port),
            Port::Any => {
                let names: Vec<&HostName> = name.into_iter().collect();
                let addresses = [address, address::loopback(address)];
                let borders = self.borders(Transport::Tcp, &names, &addresses);
                judge(1) || borders.into_iter().any(&mut judge)
            }
        };
        match denial {
            Some(finding) if !reachable => Some(verdict.with_finding(finding)),
            _ => None,
        }
    }

    /// Whether datagrams may go anywhere at all.
    pub fn allows_udp(&self) -> bool {
        !self.udp.is_empty()
    }

    /// Every entry of every list.
    pub fn rules(&self) -> impl Iterator<Item = Rule> + '_ {
        [
            (List::Allowed, &self.allowed),
            (List::Blocked, &self.blocked),
            (List::Exempt, &self.exempt),
            (List::AllowedUdp, &self.udp),
        ]
        .into_iter()
        .flat_map(|(list, set)| {
            set.patterns()
                .iter()
                .map(move |p| Rule::new(list, p.clone()))
        })
    }
}

/// From one port to any, and from one transport to the other.
impl Policy {
    fn judge_host(&self, host: &Host, port: Port, transport: Transport) -> Verdict {
        let verdict = match host {
            Host::Name(name) => {
                let finding =
                    self.at_some_port(port, transport, &[name], &[], |port| match transport {
                        Transport::Tcp => self
                            .judge_name(name, port)
                            .map_or_else(|denial| denial, Standing::provisional),
                        Transport::Udp => self.judge_udp_name(name, port),
                    });
                Verdict::new(host.clone(), port, finding, Vec::new())
            }
            Host::Address(address) => {
                // Anybody can make this variant, so the address may not have come through the parser.
                let address = address.to_canonical();
                let finding =
                    self.at_some_port(port, transport, &[], &[address], |port| match transport {
                        Transport::Tcp => self.judge_literal(address, port),
                        Transport::Udp => self.judge_udp_literal(address, port),
                    });
                Verdict::new(address.into(), port, finding, vec![address])
            }
        };
        verdict.worded(self.wording).over(transport)
    }

    fn judge_answer(
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
        let finding = self.at_some_port(port, transport, &names, &sorted, |port| match transport {
            Transport::Tcp => self.judge_resolved(name, aliases, &sorted, port),
            Transport::Udp => self.judge_udp_resolved(name, aliases, &sorted, port),
        });
        Verdict::new(name.clone().into(), port, finding, to_dial)
            .worded(self.wording)
            .over(transport)
    }

    /// The finding for `port`; for any port, the one for the first port that is not denied.
    ///
    /// Verdicts change only where a range of some matching entry begins or ends, so those ports stand for
    /// all.
    fn at_some_port(
        &self,
        port: Port,
        transport: Transport,
        names: &[&HostName],
        addresses: &[IpAddr],
        judge: impl Fn(u16) -> Finding,
    ) -> Finding {
        let first = match port {
            Port::Number(number) => return judge(number),
            Port::Any => judge(1),
        };
        if !first.is_denied() {
            return first;
        }
        let mut denial = first;
        for port in self.borders(transport, names, addresses) {
            let finding = judge(port);
            if !finding.is_denied() {
                return finding;
            }
            if denial.is_about_port() {
                denial = finding;
            }
        }
        denial
    }

    /// The ports where a range of an entry begins that matches one of the hosts, and those after its end.
    fn borders(
        &self,
        transport: Transport,
        names: &[&HostName],
        addresses: &[IpAddr],
    ) -> BTreeSet<u16> {
        let mut borders = BTreeSet::new();
        let mut add = |range: PortRange| {
            borders.extend((range != PortRange::ALL).then_some(range.first()));
            borders.extend(range.last().checked_add(1));
        };
        let udp = (transport == Transport::Udp).then_some(&self.udp);
        for set in [&self.allowed, &self.blocked, &self.exempt]
            .into_iter()
            .chain(udp)
        {
            // Without addresses any network may decide; with them, only those that hold one. What a name server answers
            // must not be judged again for every port of a long list.
            if addresses.is_empty() {
                set.network_ports().iter().copied().for_each(&mut add);
            }
            set.for_everything().for_each(|p| add(p.ports()));
            for name in names {
                set.for_name(name).for_each(|p| add(p.ports()));
            }
            for address in addresses {
                for form in address::forms(*address) {
                    set.for_network(form).for_each(|p| add(p.ports()));
                }
            }
        }
        borders
    }
}

impl Default for Policy {
    /// Blocks the defaults, allows everything else.
    fn default() -> Self {
        Self::builder().build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_judged_once_for_each_border_of_an_entry_that_matches_it() {
        let entries = (1..2000u16).map(|port| {
            let [high, low] = port.to_be_bytes();
            format!("20.0.{high}.{low}:{port}")
        });
        let entries = entries.map(|text| text.parse().expect("a pattern"));
        let policy = Policy::builder().allow_hosts(entries).build();
        let name: HostName = "example.com".parse().expect("a name");
        let borders = |addresses: &[IpAddr]| policy.borders(Transport::Tcp, &[&name], addresses);
        let answer: Vec<IpAddr> = (0..=255u8).map(|last| [20, 0, 0, last].into()).collect();
        assert_eq!(borders(&answer[..1]).len(), 0);
        assert_eq!(borders(&answer[..2]).len(), 2);
        assert!(borders(&answer).len() <= 2 * answer.len());
        // A name without its addresses is judged in constant time for each.
        assert!(borders(&[]).len() <= 2 * 2000);
    }
}
