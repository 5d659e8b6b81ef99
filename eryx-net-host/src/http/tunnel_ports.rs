//! The ports that a tunnel may lead to.

use eryx_net_policy::{Host, HttpPolicy, HttpRule, Port, PortRange};

/// Returns a port of each set of ports of `host` that rules and secrets treat alike, as far as they
/// name ports.
///
/// Through a tunnel, the certificate proves the host, and nothing proves the port. A request has to
/// be allowed on each of these ports: the one that it names is the program's choice.
pub(super) fn distinct_ports(policy: &HttpPolicy, host: &Host) -> Vec<u16> {
    let rules = policy.rules().filter(|rule| rule.is_for(host, Port::Any));
    let rules = rules.map(HttpRule::host);
    let secrets = policy.secrets().iter();
    let secrets = secrets
        .flat_map(|secret| secret.hosts().iter().chain(secret.plaintext_hosts()))
        .filter(|pattern| pattern.matches(host));
    let mut ports: Vec<u16> = rules
        .chain(secrets)
        .map(|pattern| pattern.ports())
        .filter(|ports| *ports != PortRange::ALL)
        .flat_map(|ports| {
            let (first, last) = (ports.first(), ports.last());
            [first - 1, first, last, last.saturating_add(1)]
        })
        .filter(|&port| port > 0)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_on_both_sides_of_each_end_of_a_range_are_distinct() {
        let rule = |host: &str| HttpRule::new(host.parse().expect("a pattern"));
        let host = Host::parse("a.example").expect("a host");
        for (rules, expected) in [
            (&["a.example", "b.example:7"][..], &[][..]),
            (&["a.example:443"], &[442, 443, 444]),
            (
                &["*.example:1-65535", "a.example:80"],
                &[1, 79, 80, 81, 65535],
            ),
        ] {
            let rules = rules.iter().map(|host| rule(host)).collect();
            let policy = HttpPolicy::new(rules, Vec::new(), Vec::new()).expect("a policy");
            assert_eq!(distinct_ports(&policy, &host), expected);
        }
    }
}
