//! Tests of addresses that reach the dialling machine: the unspecified addresses, and its own.

use std::net::IpAddr;

use eryx_net_policy::{
    Decision::{Allow, Deny},
    Denied, Host, HostName, Policy, PolicyBuilder, Port, Reason, UdpPattern,
};
use proptest::{collection::vec, prelude::*};

mod strategies;

use strategies::{Entry, address, build, host, port, rules, some_name};

const UNSPECIFIED: [(&str, &str); 5] = [
    ("0.0.0.0", "127.0.0.1"),
    ("::ffff:0.0.0.0", "127.0.0.1"),
    ("64:ff9b::0.0.0.0", "127.0.0.1"),
    ("::", "::1"),
    ("0:0::0", "::1"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn an_unspecified_address_is_allowed_only_where_loopback_is(
        rules in rules(), udp in vec(udp_pattern(), 0..3), port in port(), others in vec(address(), 0..3)
    ) {
        let policy = with_udp(&rules, udp);
        for (unspecified, loopback) in UNSPECIFIED {
            let unspecified: IpAddr = unspecified.parse().unwrap();
            let loopback: IpAddr = loopback.parse().unwrap();
            let literal = |address| [
                policy.check_host(&Host::Address(address), port),
                policy.check_udp_host(&Host::Address(address), port),
            ];
            let resolved = |address| {
                let answer: Vec<IpAddr> = others.iter().copied().chain([address]).collect();
                [
                    policy.check_resolved(&some_name(), &[], &answer, port),
                    policy.check_udp_resolved(&some_name(), &[], &answer, port),
                ]
            };
            let lenient = literal(unspecified).into_iter().chain(resolved(unspecified));
            let strict = literal(loopback).into_iter().chain(resolved(loopback));
            for (lenient, strict) in lenient.zip(strict) {
                prop_assert!(!lenient.is_allowed() || strict.is_allowed(), "{}; {}", lenient, strict);
            }
        }
    }

    #[test]
    fn an_own_address_is_allowed_only_where_loopback_or_an_exemption_allows_it(
        rules in rules(), host in host(), answers in vec(address(), 1..3), port in port()
    ) {
        let policy = build(&rules);
        let verdict = match &host {
            Host::Name(name) => policy.check_resolved(name, &[], &answers, port),
            Host::Address(_) => policy.check_host(&host, port),
        };
        let without_lists = rules.iter().filter(|rule| !matches!(rule, Entry::Allow(_))).cloned();
        let blocks = build(&without_lists.collect::<Vec<_>>());
        for address in verdict.dialable_addresses() {
            let denial = policy.own_address_denial(&verdict, *address);
            let loopback = if address.is_ipv4() { "127.0.0.1" } else { "::1" };
            let exempt = rules.iter().any(|rule| matches!(rule, Entry::Network(_) | Entry::Internal(_)));
            let as_loopback = blocks.check(loopback, port);
            if as_loopback.is_allowed() {
                prop_assert_eq!(denial, None);
            } else if !exempt && !address.is_loopback() {
                let denial = denial.expect("denied as loopback is");
                prop_assert_eq!(denial.reason(), Reason::OwnAddress);
                prop_assert_eq!(denial.rule(), as_loopback.rule());
            }
        }
    }
}

#[test]
fn unspecified_addresses_count_as_loopback_in_every_list() {
    let open = Policy::permissive_builder;
    let policies: [(&str, Policy); 6] = [
        (
            "block 127.*, ::1",
            with(open(), |b| {
                b.block_host(pattern("127.*")).block_host(pattern("::1"))
            }),
        ),
        ("default list", Policy::default()),
        (
            "allow 10.0.0.0/8",
            with(open(), |b| b.allow_host(pattern("10.0.0.0/8"))),
        ),
        (
            "allow 0.0.0.0 alone",
            with(open(), |b| {
                b.allow_host(pattern("0.0.0.0")).allow_host(pattern("::"))
            }),
        ),
        (
            "network 0.0.0.0",
            with(Policy::builder(), |b| {
                b.allow_network("0.0.0.0".parse().unwrap())
            }),
        ),
        (
            "localhost on one port",
            with(open(), |b| {
                b.allow_host(pattern("127.0.0.1:81"))
                    .allow_host(pattern("[::1]:81"))
            }),
        ),
    ];
    for (rules, policy) in &policies {
        for (unspecified, _) in UNSPECIFIED {
            let literal = policy.check(unspecified, 80);
            assert_eq!(literal.decision(), Deny, "{rules}: {literal}");
            let answer = [unspecified.parse().unwrap()];
            let resolved = policy.check_resolved(&some_name(), &[], &answer, 80);
            assert_eq!(resolved.decision(), Deny, "{rules}: {resolved}");
        }
    }
    let listed = ["127.0.0.1", "0.0.0.0", "::1", "::"].map(pattern);
    let listed = with(open(), |b| b.allow_hosts(listed));
    for (unspecified, _) in UNSPECIFIED {
        assert_eq!(listed.check(unspecified, 80).decision(), Allow);
        assert_eq!(open().build().check(unspecified, 80).decision(), Allow);
    }
}

#[test]
fn the_denial_of_an_unspecified_address_names_its_loopback_address() {
    let open = Policy::permissive_builder;
    let blocking = with(open(), |b| b.block_host(pattern("127.*")));
    assert_eq!(
        blocking.check("0.0.0.0", 80).to_string(),
        "`0.0.0.0:80` is denied: it leads to 127.0.0.1, which `127.*` in blocked_hosts covers; allow_localhost() lifts that"
    );
    let listing = with(open(), |b| b.allow_host(pattern("0.0.0.0")));
    assert_eq!(
        listing.check("0.0.0.0", 80).to_string(),
        "`0.0.0.0:80` is denied: it leads to 127.0.0.1, which nothing in allowed_hosts matches; \
         allow_host(\"127.0.0.1\") adds that"
    );
    let datagrams = with(open(), |b| b.allow_udp("0.0.0.0:53".parse().unwrap()));
    assert_eq!(
        datagrams.check_udp("0.0.0.0", 53).to_string(),
        "UDP to `0.0.0.0:53` is denied: it leads to 127.0.0.1, which nothing in allowed_udp matches; \
         allow_udp(\"127.0.0.1:53\") adds it"
    );
}

#[test]
fn an_own_address_is_denied_unless_loopback_or_the_address_is_allowed() {
    let base = Policy::builder;
    let network = |text: &str| text.parse().unwrap();
    let denying = [
        Policy::default(),
        with(base(), |b| {
            b.allow_host(pattern("93.184.215.14"))
                .allow_host(pattern("2606:4700::1"))
        }),
        with(base(), |b| {
            b.allow_network(network("93.184.215.15"))
                .allow_network(network("2606:4700::2"))
        }),
        with(base(), |b| {
            b.allow_internal_host(pattern("93.184.215.14:23"))
                .allow_internal_host(pattern("other.corp"))
        }),
        with(Policy::permissive_builder(), |b| {
            b.block_host(pattern("127.*")).block_host(pattern("::1"))
        }),
    ];
    let allowing = [
        with(base(), PolicyBuilder::allow_localhost),
        with(base(), |b| {
            b.allow_network(network("93.184.215.0/24"))
                .allow_network(network("2606:4700::/32"))
        }),
        with(base(), |b| {
            b.allow_network(network("127.0.0.0/8"))
                .allow_network(network("::1"))
        }),
        with(base(), |b| {
            b.allow_internal_host(pattern("93.184.215.14:22"))
                .allow_internal_host(pattern("2606:4700::1"))
        }),
        Policy::permissive_builder().build(),
    ];
    for (policies, reachable) in [(&denying, false), (&allowing, true)] {
        for policy in policies {
            for own in ["93.184.215.14", "2606:4700::1"] {
                let verdict = policy.check(own, 22);
                assert!(verdict.is_allowed(), "{verdict}");
                let denial = policy.own_address_denial(&verdict, own.parse().unwrap());
                assert_eq!(
                    denial.is_none(),
                    reachable,
                    "{own}: {:?}",
                    policy.rules().last()
                );
                let any = policy.check(own, Port::Any);
                let denial = policy.own_address_denial(&any, own.parse().unwrap());
                // A lookup without a port is allowed if at least one port is.
                if reachable {
                    assert_eq!(denial, None);
                }
            }
        }
    }
}

#[test]
fn an_internal_host_may_resolve_to_an_own_address() {
    let name: HostName = "host.corp".parse().unwrap();
    let own: IpAddr = "93.184.215.14".parse().unwrap();
    for (policy, reachable) in [
        (Policy::default(), false),
        (
            with(Policy::builder(), |b| {
                b.allow_internal_host(pattern("host.corp"))
            }),
            true,
        ),
    ] {
        let verdict = policy.check_resolved(&name, &[], &[own], 443);
        assert_eq!(
            policy.own_address_denial(&verdict, own).is_none(),
            reachable
        );
    }
}

#[test]
fn only_the_embedder_message_names_an_own_address() {
    let policy = Policy::default();
    let own: IpAddr = "93.184.215.14".parse().unwrap();
    let literal = policy.check("93.184.215.14", 22);
    let denial = policy.own_address_denial(&literal, own).expect("denied");
    assert_eq!(denial.denied_address(), Some(own));
    assert_eq!(
        denial.to_string(),
        "`93.184.215.14:22` is denied: it is an address of this machine, which counts as loopback, which `127.*` in \
         blocked_hosts covers; allow_network(\"93.184.215.14\") lifts that"
    );
    assert_eq!(
        denial.guest_message(),
        "`93.184.215.14:22` is denied: blocked_hosts covers it; allow_network(\"93.184.215.14\") lifts that"
    );
    let resolved = policy.check_resolved(&some_name(), &[], &[own], 22);
    let denial = policy.own_address_denial(&resolved, own).expect("denied");
    let blocked = policy.check_resolved(&some_name(), &[], &["10.0.0.5".parse().unwrap()], 22);
    assert_eq!(denial.guest_message(), blocked.guest_message());
    assert!(
        denial.to_string().contains("an address of this machine"),
        "{denial}"
    );
}

#[test]
fn builder_starts_with_the_default_list_and_permissive_builder_with_none() {
    let rules = |policy: Policy| policy.rules().collect::<Vec<_>>();
    assert_eq!(rules(Policy::builder().build()), rules(Policy::default()));
    assert_eq!(rules(Policy::permissive_builder().build()), []);
}

#[test]
fn a_denied_verdict_becomes_an_error_with_the_same_message() {
    let denied = Policy::default().check("10.0.0.5", 80);
    let error: Denied = denied.clone().into_result().unwrap_err();
    assert_eq!(error.verdict(), &denied);
    assert_eq!(error.to_string(), denied.to_string());
    for undenied in [
        Policy::default().check("8.8.8.8", 80),
        Policy::default().check("example.com", 80),
    ] {
        assert_eq!(undenied.clone().into_result(), Ok(undenied));
    }
}

fn with(builder: PolicyBuilder, change: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Policy {
    change(builder).build()
}

fn pattern(text: &str) -> eryx_net_policy::HostPattern {
    text.parse().unwrap()
}

fn with_udp(rules: &[Entry], udp: Vec<UdpPattern>) -> Policy {
    let builder = rules
        .iter()
        .fold(Policy::permissive_builder(), strategies::add);
    udp.into_iter()
        .fold(builder, PolicyBuilder::allow_udp)
        .build()
}

fn udp_pattern() -> impl Strategy<Value = UdpPattern> {
    strategies::pattern().prop_filter_map("no port", |pattern| pattern.to_string().parse().ok())
}
