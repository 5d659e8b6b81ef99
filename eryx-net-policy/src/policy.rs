//! The decision.

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
    verdict::{Finding, Verdict},
    wording::Wording,
};

/// Which hosts, addresses and ports may be reached.
///
/// A connection to a name is asked about twice: [`check`](Self::check) before the name is resolved, and
/// [`check_resolved`](Self::check_resolved) with what it resolved to. Dial only
/// [the addresses of that verdict](Verdict::dialable).
///
/// The rules:
///
/// 1. What the block list matches is denied: the host asked for, every alias (CNAME) on the way, every
///    address. One blocked address denies the name.
/// 2. With an empty allow list everything else is allowed. Otherwise the name asked for must match an
///    entry, or each of its addresses must.
/// 3. Exemptions let blocked addresses through: those of [a network](PolicyBuilder::allow_network), or any
///    that [a trusted name](PolicyBuilder::allow_internal_host) resolves to.
/// 4. An IPv4-mapped address is the IPv4 address in it. An address in `64:ff9b::/96` (NAT64, RFC 6052) is
///    dialled as it is and judged as the IPv4 address in it; entries for IPv6 networks can still block it,
///    save the default `::/3`. Other addresses that carry an IPv4 address (6to4, Teredo, ISATAP,
///    IPv4-compatible, IPv4-translated, local NAT64) are denied as well when that one is.
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
    /// Whether the default entry for everything outside 2000::/3 leaves out `::1`.
    loopback: bool,
    wording: Wording,
}

impl Policy {
    /// A policy that blocks nothing yet.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::new()
    }

    pub(crate) fn new(
        allowed: RuleSet,
        blocked: RuleSet,
        exempt: RuleSet,
        loopback: bool,
        wording: Wording,
    ) -> Self {
        Self {
            allowed,
            blocked,
            exempt,
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
        let port = port.into();
        match host {
            Host::Name(name) => {
                let finding = self.at_some_port(port, &[name], &[], |port| {
                    self.judge_name(name, port)
                        .map_or_else(|denial| denial, Standing::provisional)
                });
                Verdict::new(host.clone(), port, finding, Vec::new()).worded(self.wording)
            }
            Host::Address(address) => {
                // Anybody can make this variant, so the address may not have come through the parser.
                let address = address.to_canonical();
                let finding = self.at_some_port(port, &[], &[address], |port| {
                    self.judge_literal(address, port)
                });
                Verdict::new(address.into(), port, finding, vec![address]).worded(self.wording)
            }
        }
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
        let port = port.into();
        let mut sorted = BTreeSet::new();
        let to_dial: Vec<IpAddr> = addresses
            .iter()
            .map(IpAddr::to_canonical)
            .filter(|address| sorted.insert(*address))
            .collect();
        let sorted: Vec<IpAddr> = sorted.into_iter().collect();
        let names: Vec<&HostName> = iter::once(name).chain(aliases).collect();
        let finding = self.at_some_port(port, &names, &sorted, |port| {
            self.judge_resolved(name, aliases, &sorted, port)
        });
        Verdict::new(name.clone().into(), port, finding, to_dial).worded(self.wording)
    }

    /// Every entry of every list.
    pub fn rules(&self) -> impl Iterator<Item = Rule> + '_ {
        [
            (List::Allowed, &self.allowed),
            (List::Blocked, &self.blocked),
            (List::Exempt, &self.exempt),
        ]
        .into_iter()
        .flat_map(|(list, set)| {
            set.patterns()
                .iter()
                .map(move |p| Rule::new(list, p.clone()))
        })
    }
}

/// From one port to any.
impl Policy {
    /// The finding for `port`; for any port, the one for the first port that is not denied.
    ///
    /// Verdicts change only where a range of some matching entry begins or ends, so those ports stand for
    /// all.
    fn at_some_port(
        &self,
        port: Port,
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
        for port in self.borders(names, addresses) {
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
    fn borders(&self, names: &[&HostName], addresses: &[IpAddr]) -> BTreeSet<u16> {
        let mut borders = BTreeSet::new();
        let mut add = |range: PortRange| {
            borders.extend((range != PortRange::ALL).then_some(range.first()));
            borders.extend(range.last().checked_add(1));
        };
        for set in [&self.allowed, &self.blocked, &self.exempt] {
            set.network_ports().iter().copied().for_each(&mut add);
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
        Self::builder().block_defaults().build()
    }
}
