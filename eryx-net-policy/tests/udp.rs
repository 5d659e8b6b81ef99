//! Tests of the checks for UDP.

use std::net::IpAddr;

use eryx_net_policy::{
    Decision::{self, Allow, Deny, NeedsAddresses},
    List, Policy, PolicyBuilder,
    Reason::{self, *},
    Transport, UdpPattern, Verdict,
};
use proptest::prelude::*;

#[test]
fn udp_is_denied_without_an_entry() {
    for policy in [
        Policy::default(),
        Policy::permissive_builder().build(),
        policy("allow *"),
    ] {
        assert!(!policy.allows_udp());
        for host in ["8.8.8.8", "2606:4700::1", "example.com"] {
            assert_eq!(
                answer(&policy.check_udp(host, 53)),
                (Deny, UdpNotAllowed),
                "{host}"
            );
        }
    }
}

#[test]
fn a_udp_entry_allows_only_its_host_on_its_ports() {
    let policy =
        policy("default, udp ns.example.com:53, udp 9.9.9.0/24:53, udp *.media.example:4000-4010");
    assert!(policy.allows_udp());
    let table = [
        ("ns.example.com", 53, (NeedsAddresses, Listed)),
        ("NS.Example.com.", 53, (NeedsAddresses, Listed)),
        ("ns.example.com", 54, (Deny, PortNotAllowed)),
        // Another name may resolve to an address in the network.
        (
            "other.example.com",
            53,
            (NeedsAddresses, DependsOnAddresses),
        ),
        ("other.example.com", 123, (Deny, UdpNotAllowed)),
        ("9.9.9.9", 53, (Allow, Listed)),
        ("::ffff:9.9.9.9", 53, (Allow, Listed)),
        ("9.9.9.9", 5353, (Deny, PortNotAllowed)),
        ("9.9.8.9", 53, (Deny, UdpNotAllowed)),
        ("a.media.example", 4005, (NeedsAddresses, Listed)),
        ("media.example", 4005, (Deny, UdpNotAllowed)),
        ("9.9.9.9.", 53, (Deny, MalformedHost)),
    ];
    for (host, port, expected) in table {
        let verdict = policy.check_udp(host, port);
        assert_eq!(answer(&verdict), expected, "{verdict}");
        assert_eq!(verdict.transport(), Transport::Udp);
    }
    // TCP is checked as before.
    assert!(!policy.check("example.org", 443).is_denied());
    assert_eq!(policy.check("example.org", 443).transport(), Transport::Tcp);
}

#[test]
fn a_udp_entry_allows_no_host_that_tcp_may_not_reach() {
    let blocked = policy("default, udp *:53");
    for host in [
        "10.0.0.53",
        "127.0.0.53",
        "169.254.169.254",
        "::1",
        "64:ff9b::10.0.0.1",
        "0.0.0.0",
    ] {
        assert_eq!(
            answer(&blocked.check_udp(host, 53)),
            (Deny, AddressBlocked),
            "{host}"
        );
    }
    assert_eq!(
        answer(&blocked.check_udp("localhost", 53)),
        (Deny, HostBlocked)
    );
    let inside = resolved(&blocked, "ns.example.com", "10.0.0.53", 53);
    assert_eq!(answer(&inside), (Deny, AddressBlocked));

    let listed = policy("default, allow ns.example.com:53, udp *:53");
    assert_eq!(
        answer(&listed.check_udp("ns.example.com", 53)),
        (NeedsAddresses, Listed)
    );
    assert_eq!(
        answer(&listed.check_udp("ns.example.org", 53)),
        (Deny, HostNotAllowed)
    );

    let exempt =
        policy("default, internal ns.corp, network 10.1.0.0/16, udp ns.corp:53, udp 10.1.0.1:53");
    assert_eq!(
        answer(&resolved(&exempt, "ns.corp", "10.2.3.4", 53)),
        (Allow, Listed)
    );
    assert_eq!(answer(&exempt.check_udp("10.1.0.1", 53)), (Allow, Listed));
    assert_eq!(
        answer(&exempt.check_udp("10.1.0.2", 53)),
        (Deny, UdpNotAllowed)
    );
}

#[test]
fn udp_to_an_unlisted_name_needs_every_address_to_be_listed() {
    let policy = policy("default, udp 9.9.9.0/24:53");
    assert_eq!(
        answer(&resolved(&policy, "dns.example", "9.9.9.9 9.9.9.10", 53)),
        (Allow, Listed)
    );
    assert_eq!(
        answer(&resolved(&policy, "dns.example", "9.9.9.9 8.8.8.8", 53)),
        (Deny, UdpNotAllowed)
    );
    assert_eq!(
        answer(&resolved(&policy, "dns.example", "", 53)),
        (Deny, NoAddresses)
    );
}

#[test]
fn udp_to_multicast_and_broadcast_is_denied_even_with_an_empty_block_list() {
    let policy = policy("udp *:5353");
    for host in [
        "224.0.0.251",
        "239.255.255.250",
        "255.255.255.255",
        "ff02::fb",
        "64:ff9b::224.0.0.251",
        "2002:e000:fb::1",
    ] {
        let verdict = policy.check_udp(host, 5353);
        assert_eq!(answer(&verdict), (Deny, NotUnicast), "{verdict}");
    }
    let mixed = resolved(&policy, "all.example", "8.8.8.8 224.0.0.251", 5353);
    assert_eq!(answer(&mixed), (Deny, NotUnicast));
    assert!(!mixed.guest_message().contains("224"), "{mixed:?}");
    assert!(policy.check("224.0.0.251", 5353).is_allowed());
}

#[test]
fn a_udp_pattern_without_a_port_is_an_error_with_an_example() {
    let table = [
        ("ns.example.com", "`ns.example.com:53`"),
        ("*", "`*:53`"),
        ("10.*", "`10.*:53`"),
        ("2001:db8::1", "`[2001:db8::1]:53`"),
        ("", "it is empty"),
        ("a b:53", "a b:53"),
        ("ns.example.com:", "is not a port"),
        ("ns.example.com:0", "is not a port"),
        ("api.*.com:53", "a `*` can stand"),
    ];
    for (text, expected) in table {
        let error = text.parse::<UdpPattern>().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for text in [
        "ns.example.com:53",
        "*:53",
        "10.*:1-65535",
        "[2001:db8::1]:53",
    ] {
        assert_eq!(text.parse::<UdpPattern>().unwrap().to_string(), text);
    }
}

#[test]
fn a_udp_verdict_message_names_udp_and_the_setting_that_would_change_it() {
    let policy = policy("default, udp ns.example.com:53, udp 9.9.9.9:53");
    let table = [
        (
            policy.check_udp("ns.example.com", 5353),
            "UDP to `ns.example.com:5353` is denied: `ns.example.com:53` in allowed_udp is for other ports; \
             allow_udp(\"ns.example.com:5353\") adds it",
        ),
        (
            policy.check_udp("2606:4700::1", 53),
            "UDP to `[2606:4700::1]:53` is denied: nothing in allowed_udp matches it; \
             allow_udp(\"[2606:4700::1]:53\") adds it",
        ),
        (
            policy.check_udp("9.9.9.9", 53),
            "UDP to `9.9.9.9:53` is allowed: `9.9.9.9:53` in allowed_udp matches it",
        ),
        (
            policy.check_udp("224.0.0.251", 5353),
            "UDP to `224.0.0.251:5353` is denied: multicast and broadcast reach more than one machine",
        ),
        (
            policy.check_udp("10.0.0.1", 53),
            "UDP to `10.0.0.1:53` is denied: `10.0.0.0/8` in blocked_hosts covers it; \
             allow_network(\"10.0.0.1\") lifts that",
        ),
    ];
    for (verdict, expected) in table {
        assert_eq!(verdict.to_string(), expected);
        assert_eq!(verdict.guest_message(), expected);
    }
}

#[test]
fn udp_to_any_port_is_allowed_if_one_port_is() {
    let policy = policy("default, block ns.example.com:1-99, udp ns.example.com:50-100");
    assert!(!policy.check_udp("ns.example.com", None).is_denied());
    assert!(policy.check_udp("ns.example.com", 99).is_denied());
    assert!(!policy.check_udp("ns.example.com", 100).is_denied());
    assert!(policy.check_udp("ns.example.org", None).is_denied());
}

#[test]
fn udp_entries_are_among_the_rules() {
    let policy = policy("udp ns.example.com:53, udp ns.example.com:53");
    let rules: Vec<_> = policy.rules().map(|rule| rule.to_string()).collect();
    assert_eq!(rules, ["`ns.example.com:53` in allowed_udp"]);
    assert_eq!(List::AllowedUdp.as_str(), "allowed_udp");
}

proptest! {
    #[test]
    fn udp_is_denied_where_tcp_is_denied(
        rules in proptest::collection::vec(rule(), 0..6),
        address: u32,
        high in proptest::sample::select(&[0_u32, 0x0a00_0000, 0x0909_0900, 0x7f00_0000, 0xe000_0000][..]),
        port in proptest::sample::select(&[1_u16, 53, 80, 5353][..]),
    ) {
        let policy = policy(&rules.join(", "));
        let address = IpAddr::V4((high | (address & 0xff)).into());
        let name = "ns.example.com".parse().unwrap();
        let pairs = [
            (policy.check_udp(&address.to_string(), port), policy.check(&address.to_string(), port)),
            (
                policy.check_udp_resolved(&name, &[], &[address], port),
                policy.check_resolved(&name, &[], &[address], port),
            ),
            (policy.check_udp("ns.example.com", port), policy.check("ns.example.com", port)),
        ];
        for (udp, tcp) in pairs {
            prop_assert!(udp.is_denied() || !tcp.is_denied(), "{udp}; {tcp}");
        }
    }
}

fn rule() -> impl Strategy<Value = String> {
    let hosts = [
        "ns.example.com",
        "*.example.com",
        "9.9.9.0/24",
        "10.0.0.0/8",
        "*",
    ];
    let verbs = ["allow", "block", "udp", "internal"];
    (
        proptest::sample::select(verbs.to_vec()),
        proptest::sample::select(hosts.to_vec()),
        1_u16..100,
    )
        .prop_map(|(verb, host, port)| format!("{verb} {host}:{port}"))
        .boxed()
        .prop_union(Just("default".to_owned()).boxed())
}

fn answer(verdict: &Verdict) -> (Decision, Reason) {
    (verdict.decision(), verdict.reason())
}

fn resolved(policy: &Policy, name: &str, addresses: &str, port: u16) -> Verdict {
    let addresses: Vec<IpAddr> = addresses
        .split_whitespace()
        .map(|a| a.parse().unwrap())
        .collect();
    policy.check_udp_resolved(&name.parse().unwrap(), &[], &addresses, port)
}

/// Builds a policy from comma-separated rules: `default`, or `allow`, `block`, `network`,
/// `internal` or `udp` with a pattern.
fn policy(rules: &str) -> Policy {
    let build =
        |builder: PolicyBuilder, rule: &str| match rule.split_once(' ').unwrap_or((rule, "")) {
            ("", "") => builder,
            ("default", "") => builder.block_defaults(),
            ("allow", pattern) => builder.allow_host(pattern.parse().unwrap()),
            ("block", pattern) => builder.block_host(pattern.parse().unwrap()),
            ("network", network) => builder.allow_network(network.parse().unwrap()),
            ("internal", pattern) => builder.allow_internal_host(pattern.parse().unwrap()),
            ("udp", pattern) => builder.allow_udp(pattern.parse().unwrap()),
            (other, _) => panic!("no such rule: {other}"),
        };
    rules
        .split(", ")
        .fold(Policy::permissive_builder(), build)
        .build()
}
