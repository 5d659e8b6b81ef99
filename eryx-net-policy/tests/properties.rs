//! Property tests of parsers and checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use eryx_net_policy::{Decision, Host, HostName, HostPattern, IpNetwork, Policy, Port, Reason};
use proptest::{collection::vec, prelude::*, sample::select};

mod strategies;

use strategies::{
    PORTS, add, address, build, host, ipv4, network_of, pattern, port, rules, some_name,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn parsing_never_panics_and_round_trips(text in hostile_text()) {
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
        if let Ok(name) = HostName::parse(&text) {
            prop_assert_eq!(Host::parse(name.as_str()), Ok(Host::Name(name)));
        }
        if let Ok(pattern) = text.parse::<HostPattern>() {
            prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
        }
        if let Ok(network) = text.parse::<IpNetwork>() {
            prop_assert_eq!(network.to_string().parse(), Ok(network));
        }
    }

    #[test]
    fn every_parsed_name_is_canonical(text in hostile_text()) {
        if let Ok(name) = HostName::parse(&text) {
            let name = name.as_str();
            prop_assert!((1..=253).contains(&name.len()));
            prop_assert!(name.split('.').all(|l| (1..=63).contains(&l.len())));
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b)));
            let last = name.rsplit('.').next().unwrap_or_default();
            prop_assert!(!last.bytes().all(|b| b.is_ascii_digit()));
        }
    }

    #[test]
    fn all_ascii_spellings_of_a_name_parse_alike(name in ascii_name(), upper in vec(any::<bool>(), 64), dot: bool) {
        let spelled: String = name
            .chars()
            .zip(upper.into_iter().cycle())
            .map(|(c, upper)| if upper { c.to_ascii_uppercase() } else { c })
            .chain(dot.then_some('.'))
            .collect();
        prop_assert_eq!(Host::parse(&spelled), Host::parse(&name));
    }

    #[test]
    fn only_a_full_dotted_quad_parses_as_an_ipv4_address(octets: [u8; 4], how in 0..7) {
        let [a, b, c, d] = octets;
        let number = u32::from(Ipv4Addr::from(octets));
        let text = match how {
            0 => number.to_string(),
            1 => format!("{number:#x}"),
            2 => format!("{a}.{}", number & 0xff_ffff),
            3 => format!("{a}.{b}.{}", u32::from(c) * 256 + u32::from(d)),
            4 => format!("0{a:o}.{b}.{c}.{d}"),
            5 => format!("{a}.{b}.{c}.{d:#x}"),
            _ => format!("{a}.{b}.{c}.{d}."),
        };
        prop_assert!(Host::parse(&text).is_err(), "{}", text);
        let quad = format!("{a}.{b}.{c}.{d}");
        prop_assert_eq!(Host::parse(&quad), Ok(Host::Address(Ipv4Addr::from(octets).into())));
    }

    #[test]
    fn a_mapped_or_nat64_address_gets_the_verdict_of_its_ipv4_address(
        rules in rules(), v4 in ipv4(), port in 1..=PORTS + 1, in_answer: bool
    ) {
        let policy = build(&rules);
        let check = |address: IpAddr| if in_answer {
            policy.check_resolved(&some_name(), &[], &[address], port)
        } else {
            policy.check_host(&Host::Address(address), port)
        };
        let expected = check(v4.into());
        let bits = u128::from(u32::from(v4));
        let mapped = Ipv6Addr::from(0xffff << 32 | bits);
        prop_assert_eq!(check(mapped.into()), expected.clone());

        let nat64 = check(Ipv6Addr::from(0x64_ff9b << 96 | bits).into());
        // An entry for IPv6 can block the NAT64 address in addition.
        let by_ipv6 = nat64.rule().and_then(|r| r.pattern().network()).is_some_and(|n| n.address().is_ipv6());
        if !by_ipv6 {
            prop_assert_eq!(nat64.decision(), expected.decision(), "{}; {}", nat64, expected);
        }
    }

    #[test]
    fn an_ipv6_address_with_an_embedded_blocked_ipv4_address_is_denied(
        v4 in ipv4(), bits in 0u32..=32, port in 1u16.., low in any::<u32>()
    ) {
        let network = network_of(v4, bits).parse().unwrap();
        let policy = Policy::permissive_builder().block_host(network).build();
        prop_assert!(policy.check_host(&Host::Address(v4.into()), port).is_denied());
        let bits = u128::from(u32::from(v4));
        let low = u128::from(low);
        for bits in [
            bits | 0xffff << 32,
            bits | 0x64_ff9b << 96,
            bits | 0x64_ff9b_0001 << 80,
            bits | 0xffff << 48,
            bits,
            0x2002 << 112 | bits << 80 | low,
            0x2001 << 112 | bits << 64 | low,
            0x2001 << 112 | low << 64 | (!bits & 0xffff_ffff),
            0x2606_4700 << 96 | low << 64 | 0x5efe << 32 | bits,
            0x2606_4700 << 96 | low << 64 | 0x0200_5efe << 32 | bits,
        ] {
            // `::1` is loopback, and does not embed 0.0.0.1.
            if bits == 1 {
                continue;
            }
            let address = IpAddr::from(Ipv6Addr::from(bits));
            let verdict = policy.check_host(&Host::Address(address), port);
            prop_assert!(verdict.is_denied(), "{}", verdict);
        }
    }

    #[test]
    fn a_verdict_does_not_depend_on_the_order_of_the_answers(
        rules in rules(), answers in vec(address(), 0..6).prop_shuffle(), port in port(), seed: u64
    ) {
        let policy = build(&rules);
        let mut permuted = answers.clone();
        if !permuted.is_empty() {
            let offset = seed as usize % permuted.len();
            permuted.rotate_left(offset);
            if seed % 2 == 0 {
                permuted.reverse();
            }
        }
        let in_order = policy.check_resolved(&some_name(), &[], &answers, port);
        let reordered = policy.check_resolved(&some_name(), &[], &permuted, port);
        prop_assert_eq!(in_order.to_string(), reordered.to_string());
        prop_assert_eq!(in_order.decision(), reordered.decision());
        prop_assert_eq!(in_order.rule(), reordered.rule());
    }

    #[test]
    fn another_block_entry_never_loosens_a_decision(
        rules in rules(), block in pattern(), host in host(), answers in vec(address(), 0..4), port in port()
    ) {
        let before = build(&rules);
        let after = rules.iter().fold(Policy::permissive_builder(), add).block_host(block).build();
        let rank = |d: Decision| match d {
            Decision::Deny => 0,
            Decision::NeedsAddresses => 1,
            Decision::Allow => 2,
        };
        let decide = |policy: &Policy| rank(policy.check_host(&host, port).decision());
        prop_assert!(decide(&after) <= decide(&before));
        if let Host::Name(name) = &host {
            let decide = |policy: &Policy| rank(policy.check_resolved(name, &[], &answers, port).decision());
            prop_assert!(decide(&after) <= decide(&before));
        }
    }

    #[test]
    fn a_name_denied_before_its_lookup_is_denied_with_every_answer(
        rules in rules(), host in host(), answers in vec(address(), 0..4), port in port()
    ) {
        let policy = build(&rules);
        if let Host::Name(name) = &host {
            let before = policy.check_host(&host, port);
            let after = policy.check_resolved(name, &[], &answers, port);
            prop_assert!(after.decision() != Decision::NeedsAddresses);
            prop_assert!(!(before.is_denied() && after.is_allowed()), "{} {}", before, after);
        }
    }

    #[test]
    fn any_port_is_denied_only_if_every_port_is(rules in rules(), host in host(), answers in vec(address(), 1..3)) {
        let policy = build(&rules);
        // Every port range in the rules is within these.
        let ports = 1..=PORTS + 1;
        let any = policy.check_host(&host, Port::Any).is_denied();
        let each = ports.clone().all(|p| policy.check_host(&host, p).is_denied());
        prop_assert_eq!(any, each);
        if let Host::Name(name) = &host {
            let any = policy.check_resolved(name, &[], &answers, Port::Any).is_denied();
            let each = ports.clone().all(|p| policy.check_resolved(name, &[], &answers, p).is_denied());
            prop_assert_eq!(any, each);
        }
    }

    #[test]
    fn the_indexes_match_the_same_patterns_as_a_scan(patterns in vec(pattern(), 0..40), host in host(), port in 1u16..) {
        // An unspecified address is evaluated as loopback, too.
        prop_assume!(!host.address().is_some_and(|address| address.is_unspecified()));
        let matching = |p: &HostPattern| p.matches(&host) && p.ports().contains(port);
        let scanned = patterns.iter().any(matching);
        let blocking = Policy::permissive_builder().block_hosts(patterns.clone()).build();
        // `host` generates no address with an embedded IPv4 address, which could block it as well.
        prop_assert_eq!(blocking.check_host(&host, port).is_denied(), scanned);
        if let Some(rule) = blocking.check_host(&host, port).rule() {
            prop_assert!(matching(rule.pattern()));
        }
        if !patterns.is_empty() {
            let allowing = Policy::permissive_builder().allow_hosts(patterns).build();
            let listed = allowing.check_host(&host, port).reason() == Reason::Listed;
            prop_assert_eq!(listed, scanned);
        }
    }

    #[test]
    fn guest_messages_never_contain_an_address_the_guest_did_not_name(
        rules in rules(), answers in vec(address(), 1..4), port in port()
    ) {
        let verdict = build(&rules).check_resolved(&some_name(), &[], &answers, port);
        if verdict.is_denied() {
            let message = verdict.guest_message();
            for address in &answers {
                prop_assert!(!message.contains(&address.to_string()), "{}", message);
                prop_assert!(!message.contains(&address.to_canonical().to_string()), "{}", message);
            }
        }
    }
}

fn ascii_name() -> impl Strategy<Value = String> {
    "[a-z]([a-z0-9_]{0,8})(\\.[a-z]{1,8}){0,3}"
}

/// Generates texts similar to hosts and patterns, with parts that parsers disagree on.
fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => select(vec![
            ".", "..", ":", "::", "/", "*", "*.", ".*", "[", "]", "-", "_", "%", "@", "0x", "0", "00", "127", "256",
            "::ffff:", "64:ff9b::", "1", "10.0.0.0", "8", "443", ":443", ":80-90", "/8", "/24", "xn--", "xn--a",
            "localhost", "example", "com", "a", "B", " ", "\t", "\0", "\u{ad}", "\u{200b}", "\u{200d}", "。", "．",
            "｡", "１", "①", "ü", "u\u{308}", "ß", "ſ", "İ", "ﷺ", "א", "ا", "١", "\u{202e}", "🦀", "℀", "⒈", "\u{212a}",
        ]).prop_map(str::to_owned),
        2 => "[a-z0-9.:*/-]{0,6}",
        1 => any::<String>(),
        1 => any::<char>().prop_map(String::from),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}
