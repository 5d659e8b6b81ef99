//! Policy decisions.

use std::net::IpAddr;

use eryx_net_policy::{Decision, Host, HostName, HostPattern, IpNetwork, Policy, Port, Verdict};

/// Evaluates the request in `text` with the lists in it. A line is a keyword and a value; other
/// lines are skipped:
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
    let case = Case::parse(text);
    let policy = case.policy(&case.entries);
    let verdict = case.verdict(&policy);

    check_invariants(&case, &policy, &verdict);
    check_order_of_addresses(&case, &policy, &verdict);
    check_monotonicity(&case, &verdict);
    check_index(&case);
}

#[derive(Default)]
/// Lists, a request and the answer of a name server.
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
    fn parse(text: &str) -> Self {
        let mut case = Self::default();
        for line in text.lines().take(MAX_LINES) {
            let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
            let entry = match keyword {
                "defaults" => Some(Entry::Defaults),
                "localhost" => Some(Entry::Localhost),
                "allow" => value.parse().ok().map(Entry::Allow),
                "block" => value.parse().ok().map(Entry::Block),
                "network" => value.parse().ok().map(Entry::Network),
                "internal" => value.parse().ok().map(Entry::Internal),
                _ => None,
            };
            case.entries.extend(entry);
            match keyword {
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

    fn verdict(&self, policy: &Policy) -> Verdict {
        self.verdict_with(policy, &self.addresses)
    }

    fn verdict_with(&self, policy: &Policy, addresses: &[IpAddr]) -> Verdict {
        match &self.host {
            None => policy.check("", self.port),
            Some(Host::Name(name)) => {
                policy.check_resolved(name, &self.aliases, addresses, self.port)
            }
            Some(host) => policy.check_host(host, self.port),
        }
    }
}

fn check_invariants(case: &Case, policy: &Policy, verdict: &Verdict) {
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
            "{before}, but {verdict}"
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
        // A short address can be part of a message by accident.
        if verdict.is_denied() && address.len() > 6 && !name.as_str().contains(&address) {
            assert!(!message.contains(&address), "{message}");
        }
    }
}

fn check_order_of_addresses(case: &Case, policy: &Policy, verdict: &Verdict) {
    let mut reordered = case.addresses.clone();
    reordered.reverse();
    let reversed = case.verdict_with(policy, &reordered);
    let third = reordered.len() / 3;
    reordered.rotate_left(third);
    let rotated = case.verdict_with(policy, &reordered);
    for other in [reversed, rotated] {
        assert_eq!(other.to_string(), verdict.to_string());
        assert_eq!(other.rule(), verdict.rule());
    }
    if !case.addresses.is_empty() {
        let twice = [case.addresses.clone(), case.addresses.clone()].concat();
        assert_eq!(case.verdict_with(policy, &twice), *verdict);
    }
}

/// Removing a block never denies more, and removing an exemption never allows more.
fn check_monotonicity(case: &Case, verdict: &Verdict) {
    for at in 0..case.entries.len() {
        let mut others = case.entries.clone();
        let entry = others.remove(at);
        let without = case.verdict(&case.policy(&others));
        match entry {
            Entry::Block(_) => assert!(
                without.is_allowed() || verdict.is_denied(),
                "{verdict}, but without one block {without}"
            ),
            Entry::Network(_) | Entry::Internal(_) | Entry::Localhost => assert!(
                without.is_denied() || verdict.is_allowed(),
                "{verdict}, but without one exemption {without}"
            ),
            Entry::Allow(_) | Entry::Defaults => {}
        }
    }
}

fn check_index(case: &Case) {
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
        // It can also be denied because of its embedded IPv4 address, or because of the loopback
        // address that is dialled for it.
        Host::Address(address) if address.is_ipv6() || address.is_unspecified() => {
            assert!(found.is_denied() || !scanned, "{found}");
        }
        Host::Address(_) => assert_eq!(found.is_denied(), scanned, "{found}"),
    }
}

/// The maximum number of lines: removing each entry in turn has quadratic cost.
const MAX_LINES: usize = 40;
