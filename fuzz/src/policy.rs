//! Whole decisions.

use std::net::IpAddr;

use eryx_net_policy::{Decision, Host, HostName, HostPattern, IpNetwork, Policy, Port, Verdict};

/// Judges the question in `text` under the lists in it. A line is a word and a value; what is none is
/// skipped:
///
/// ```text
/// defaults
/// localhost
/// allow *.example.com:443
/// block 10.*
/// network 192.168.0.0/16
/// internal db.corp
/// host www.example.com
/// alias cdn.example.net
/// address 93.184.215.14
/// port 443
/// ```
pub fn run(text: &str) {
    let case = Case::read(text);
    let policy = case.policy(&case.entries);
    let verdict = case.judge(&policy);

    stays_within_its_claims(&case, &policy, &verdict);
    answers_have_no_order(&case, &policy, &verdict);
    entries_pull_one_way(&case, &verdict);
    the_index_finds_what_a_scan_finds(&case);
}

#[derive(Default)]
struct Case {
    entries: Vec<Entry>,
    host: Option<Host>,
    aliases: Vec<HostName>,
    addresses: Vec<IpAddr>,
    port: Option<u16>,
}

#[derive(Clone, PartialEq)]
enum Entry {
    Defaults,
    Localhost,
    Allow(HostPattern),
    Block(HostPattern),
    Network(IpNetwork),
    Internal(HostPattern),
}

impl Case {
    fn read(text: &str) -> Self {
        let mut case = Self::default();
        for line in text.lines().take(LINES) {
            let (word, value) = line.split_once(' ').unwrap_or((line, ""));
            let entry = match word {
                "defaults" => Some(Entry::Defaults),
                "localhost" => Some(Entry::Localhost),
                "allow" => value.parse().ok().map(Entry::Allow),
                "block" => value.parse().ok().map(Entry::Block),
                "network" => value.parse().ok().map(Entry::Network),
                "internal" => value.parse().ok().map(Entry::Internal),
                _ => None,
            };
            case.entries.extend(entry);
            match word {
                "host" => case.host = value.parse().ok().or(case.host),
                "alias" => case.aliases.extend(value.parse::<HostName>()),
                "address" => case.addresses.extend(value.parse::<IpAddr>()),
                "port" => case.port = value.parse().ok(),
                _ => {}
            }
        }
        case
    }

    fn policy(&self, entries: &[Entry]) -> Policy {
        let add = |builder: eryx_net_policy::PolicyBuilder, entry: &Entry| match entry.clone() {
            Entry::Defaults => builder.block_defaults(),
            Entry::Localhost => builder.allow_localhost(),
            Entry::Allow(pattern) => builder.allow_host(pattern),
            Entry::Block(pattern) => builder.block_host(pattern),
            Entry::Network(network) => builder.allow_network(network),
            Entry::Internal(pattern) => builder.allow_internal_host(pattern),
        };
        entries
            .iter()
            .fold(Policy::permissive_builder(), add)
            .build()
    }

    fn judge(&self, policy: &Policy) -> Verdict {
        self.judge_with(policy, &self.addresses)
    }

    fn judge_with(&self, policy: &Policy, addresses: &[IpAddr]) -> Verdict {
        match &self.host {
            None => policy.check("", self.port),
            Some(Host::Name(name)) => {
                policy.check_resolved(name, &self.aliases, addresses, self.port)
            }
            Some(host) => policy.check_host(host, self.port),
        }
    }
}

fn stays_within_its_claims(case: &Case, policy: &Policy, verdict: &Verdict) {
    assert_ne!(verdict.decision(), Decision::NeedsAddresses, "{verdict}");
    assert_eq!(verdict.port(), Port::from(case.port));
    assert!(serde_json::to_string(verdict).is_ok(), "{verdict}");
    if !verdict.is_allowed() {
        assert_eq!(verdict.dialable_addresses(), &[] as &[IpAddr], "{verdict}");
    }
    for address in verdict.dialable_addresses() {
        assert_eq!(*address, address.to_canonical(), "{verdict}");
    }
    if let Some(host) = &case.host {
        let before = policy.check_host(host, case.port);
        assert!(
            !(before.is_denied() && verdict.is_allowed()),
            "{before}, yet {verdict}"
        );
        let again = policy.check(&host.to_string(), case.port);
        assert_eq!(before, again);
    }
    let Some(Host::Name(name)) = &case.host else {
        return;
    };
    let message = verdict.guest_message();
    for address in verdict.addresses() {
        let address = address.to_string();
        // A short one can be part of a sentence by accident.
        if verdict.is_denied() && address.len() > 6 && !name.as_str().contains(&address) {
            assert!(!message.contains(&address), "{message}");
        }
    }
}

fn answers_have_no_order(case: &Case, policy: &Policy, verdict: &Verdict) {
    let mut turned = case.addresses.clone();
    turned.reverse();
    let one = case.judge_with(policy, &turned);
    let third = turned.len() / 3;
    turned.rotate_left(third);
    let other = case.judge_with(policy, &turned);
    for answer in [one, other] {
        assert_eq!(answer.to_string(), verdict.to_string());
        assert_eq!(answer.rule(), verdict.rule());
    }
    if !case.addresses.is_empty() {
        let twice = [case.addresses.clone(), case.addresses.clone()].concat();
        assert_eq!(case.judge_with(policy, &twice), *verdict);
    }
}

/// Without one of its blocks a policy denies no more, without one of its exemptions no less.
fn entries_pull_one_way(case: &Case, verdict: &Verdict) {
    for at in 0..case.entries.len() {
        let mut others = case.entries.clone();
        let entry = others.remove(at);
        let without = case.judge(&case.policy(&others));
        match entry {
            Entry::Block(_) => assert!(
                without.is_allowed() || verdict.is_denied(),
                "{verdict}, yet with a block less {without}"
            ),
            Entry::Network(_) | Entry::Internal(_) | Entry::Localhost => assert!(
                without.is_denied() || verdict.is_allowed(),
                "{verdict}, yet with an exemption less {without}"
            ),
            Entry::Allow(_) | Entry::Defaults => {}
        }
    }
}

fn the_index_finds_what_a_scan_finds(case: &Case) {
    let (Some(host), Some(port)) = (&case.host, case.port) else {
        return;
    };
    let patterns: Vec<HostPattern> = case
        .entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Allow(pattern) | Entry::Block(pattern) => Some(pattern.clone()),
            _ => None,
        })
        .collect();
    let scanned = patterns
        .iter()
        .any(|p| p.matches(host) && p.ports().contains(port));
    let found = Policy::permissive_builder()
        .block_hosts(patterns)
        .build()
        .check_host(host, port);
    match host {
        Host::Name(_) => assert_eq!(found.is_denied(), scanned, "{found}"),
        // It can be denied for the IPv4 address it carries as well, or for the loopback address that is dialled for it.
        Host::Address(address) if address.is_ipv6() || address.is_unspecified() => {
            assert!(found.is_denied() || !scanned, "{found}");
        }
        Host::Address(_) => assert_eq!(found.is_denied(), scanned, "{found}"),
    }
}

/// Lines that are looked at: taking away each entry in turn costs their square.
const LINES: usize = 40;
