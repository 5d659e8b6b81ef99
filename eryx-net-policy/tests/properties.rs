//! What holds for every input.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use eryx_net_policy::{
    Decision, Host, HostName, HostPattern, Network, Policy, PolicyBuilder, Port, Reason,
};
use proptest::{collection::vec, prelude::*, sample::select};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_text_makes_a_parser_panic_or_parses_to_something_that_parses_otherwise(text in hostile_text()) {
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
        if let Ok(name) = HostName::parse(&text) {
            prop_assert_eq!(Host::parse(name.as_str()), Ok(Host::Name(name)));
        }
        if let Ok(pattern) = text.parse::<HostPattern>() {
            prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
        }
        if let Ok(network) = text.parse::<Network>() {
            prop_assert_eq!(network.to_string().parse(), Ok(network));
        }
    }

    #[test]
    fn a_name_that_parses_is_canonical(text in hostile_text()) {
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
    fn any_spelling_of_a_name_in_ascii_is_judged_alike(name in ascii_name(), upper in vec(any::<bool>(), 64), dot: bool) {
        let spelled: String = name
            .chars()
            .zip(upper.into_iter().cycle())
            .map(|(c, upper)| if upper { c.to_ascii_uppercase() } else { c })
            .chain(dot.then_some('.'))
            .collect();
        prop_assert_eq!(Host::parse(&spelled), Host::parse(&name));
    }

    #[test]
    fn no_number_but_a_full_dotted_quad_is_a_host(octets: [u8; 4], how in 0..7) {
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
    fn an_ipv4_address_in_ipv6_gets_the_verdict_of_the_ipv4_address(
        rules in rules(), v4 in ipv4(), port in 1..=PORTS + 1, in_answer: bool
    ) {
        let policy = build(&rules);
        let judge = |address: IpAddr| if in_answer {
            policy.check_resolved(&some_name(), &[], &[address], port)
        } else {
            policy.check_host(&Host::Address(address), port)
        };
        let own = judge(v4.into());
        let bits = u128::from(u32::from(v4));
        let mapped = Ipv6Addr::from(0xffff << 32 | bits);
        prop_assert_eq!(judge(mapped.into()), own.clone());

        let nat64 = judge(Ipv6Addr::from(0x64_ff9b << 96 | bits).into());
        // What is written for IPv6 can add to what is written for IPv4.
        let by_ipv6 = nat64.rule().and_then(|r| r.pattern().network()).is_some_and(|n| n.address().is_ipv6());
        if !by_ipv6 {
            prop_assert_eq!(nat64.decision(), own.decision(), "{}; {}", nat64, own);
        }
    }

    #[test]
    fn an_ipv6_address_that_carries_a_blocked_ipv4_address_is_denied(
        v4 in ipv4(), bits in 0u32..=32, port in 1u16.., low in any::<u32>()
    ) {
        let network = network_of(v4, bits).parse().unwrap();
        let policy = Policy::builder().block_host(network).build();
        prop_assert!(policy.check_host(&Host::Address(v4.into()), port).is_denied());
        let bits = u128::from(u32::from(v4));
        let low = u128::from(low);
        for carrier in [
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
            // `::1` is loopback, and no way to 0.0.0.1.
            if carrier == 1 {
                continue;
            }
            let address = IpAddr::from(Ipv6Addr::from(carrier));
            let verdict = policy.check_host(&Host::Address(address), port);
            prop_assert!(verdict.is_denied(), "{}", verdict);
        }
    }

    #[test]
    fn the_order_of_the_answers_changes_nothing(
        rules in rules(), answers in vec(address(), 0..6).prop_shuffle(), port in port(), seed: u64
    ) {
        let policy = build(&rules);
        let mut permuted = answers.clone();
        if !permuted.is_empty() {
            let turn = seed as usize % permuted.len();
            permuted.rotate_left(turn);
            if seed % 2 == 0 {
                permuted.reverse();
            }
        }
        let one = policy.check_resolved(&some_name(), &[], &answers, port);
        let other = policy.check_resolved(&some_name(), &[], &permuted, port);
        prop_assert_eq!(one.to_string(), other.to_string());
        prop_assert_eq!(one.decision(), other.decision());
        prop_assert_eq!(one.rule(), other.rule());
    }

    #[test]
    fn another_block_never_turns_a_denial_into_anything_else(
        rules in rules(), block in pattern(), host in host(), answers in vec(address(), 0..4), port in port()
    ) {
        let before = build(&rules);
        let after = rules.iter().fold(Policy::builder(), add).block_host(block).build();
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
    fn a_name_denied_before_its_lookup_is_denied_whatever_it_resolves_to(
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
    fn no_port_means_some_port(rules in rules(), host in host(), answers in vec(address(), 1..3)) {
        let policy = build(&rules);
        // Every range in the rules begins and ends within these.
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
    fn the_indexes_find_what_a_scan_would(patterns in vec(pattern(), 0..40), host in host(), port in 1u16..) {
        let matching = |p: &HostPattern| p.matches(&host) && p.ports().contains(port);
        let scanned = patterns.iter().any(matching);
        let blocking = Policy::builder().block_hosts(patterns.clone()).build();
        // An address that carries another is blocked for that as well; these do not.
        prop_assert_eq!(blocking.check_host(&host, port).is_denied(), scanned);
        if let Some(rule) = blocking.check_host(&host, port).rule() {
            prop_assert!(matching(rule.pattern()));
        }
        if !patterns.is_empty() {
            let allowing = Policy::builder().allow_hosts(patterns).build();
            let listed = allowing.check_host(&host, port).reason() == Reason::Listed;
            prop_assert_eq!(listed, scanned);
        }
    }

    #[test]
    fn a_guest_is_never_told_an_address_it_did_not_name(
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

#[derive(Clone, Debug)]
enum Entry {
    Allow(HostPattern),
    Block(HostPattern),
    Network(Network),
    Internal(HostPattern),
    Defaults,
    Localhost,
}

fn add(builder: PolicyBuilder, entry: &Entry) -> PolicyBuilder {
    match entry.clone() {
        Entry::Allow(pattern) => builder.allow_host(pattern),
        Entry::Block(pattern) => builder.block_host(pattern),
        Entry::Network(network) => builder.allow_network(network),
        Entry::Internal(pattern) => builder.allow_internal_host(pattern),
        Entry::Defaults => builder.block_defaults(),
        Entry::Localhost => builder.allow_localhost(),
    }
}

fn build(rules: &[Entry]) -> Policy {
    rules.iter().fold(Policy::builder(), add).build()
}

fn rules() -> impl Strategy<Value = Vec<Entry>> {
    let entry = prop_oneof![
        4 => pattern().prop_map(Entry::Allow),
        4 => pattern().prop_map(Entry::Block),
        2 => network().prop_map(Entry::Network),
        2 => pattern().prop_map(Entry::Internal),
        1 => Just(Entry::Defaults),
        1 => Just(Entry::Localhost),
    ];
    vec(entry, 0..8)
}

fn port() -> impl Strategy<Value = Port> {
    prop_oneof![
        Just(Port::Any),
        (0..=PORTS + 1).prop_map(Port::Number),
        any::<u16>().prop_map(Port::Number)
    ]
}

/// The highest port that a range in the rules begins or ends with.
const PORTS: u16 = 12;

fn pattern() -> impl Strategy<Value = HostPattern> {
    let target = prop_oneof![
        name_of_few().prop_map(|n| n.to_string()),
        name_of_few().prop_map(|n| format!("*.{n}")),
        network().prop_map(|n| match n.address() {
            IpAddr::V6(v6) => format!("[{v6}]/{}", n.prefix_len()),
            IpAddr::V4(_) => n.to_string(),
        }),
        Just("*".to_owned()),
    ];
    let ports = prop_oneof![
        3 => Just(String::new()),
        1 => (1..=PORTS).prop_map(|p| format!(":{p}")),
        1 => (1..=PORTS, 1..=PORTS).prop_map(|(a, b)| format!(":{}-{}", a.min(b), a.max(b))),
    ];
    (target, ports).prop_map(|(target, ports)| format!("{target}{ports}").parse().unwrap())
}

fn network() -> impl Strategy<Value = Network> {
    let v4 = (ipv4(), 0u32..=32).prop_map(|(a, bits)| network_of(a, bits));
    let v6 = (ipv6(), 0u32..=128).prop_map(|(a, bits)| {
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        format!("{}/{bits}", Ipv6Addr::from(u128::from(a) & mask))
    });
    prop_oneof![v4, v6].prop_filter_map("not a mapped network", |text| text.parse().ok())
}

fn network_of(address: Ipv4Addr, bits: u32) -> String {
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    format!("{}/{bits}", Ipv4Addr::from(u32::from(address) & mask))
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        name_of_few().prop_map(Host::from),
        ipv4().prop_map(|a| Host::from(IpAddr::from(a))),
        // In 2400::/12, which carries nothing.
        (any::<u128>(), select(vec![0u32, 1, 100])).prop_map(|(a, shift)| {
            Host::from(IpAddr::from(Ipv6Addr::from(
                0x240 << 116 | (a >> 12 >> shift),
            )))
        }),
    ]
}

/// Few labels, so that names and patterns meet.
fn name_of_few() -> impl Strategy<Value = HostName> {
    vec(select(vec!["a", "b", "corp", "localhost"]), 1..4)
        .prop_map(|labels| labels.join(".").parse().unwrap())
}

fn some_name() -> HostName {
    "a.corp".parse().unwrap()
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![ipv4().prop_map(IpAddr::from), ipv6().prop_map(IpAddr::from)]
}

/// Anything, but often near the borders of what is special.
fn ipv4() -> impl Strategy<Value = Ipv4Addr> {
    let special = select(vec![
        "0.0.0.0",
        "10.0.0.5",
        "10.255.255.255",
        "11.0.0.0",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "172.31.255.255",
        "192.168.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "8.8.8.8",
    ]);
    prop_oneof![
        any::<u32>().prop_map(Ipv4Addr::from),
        special.prop_map(|text| text.parse().unwrap()),
    ]
}

fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
    let prefix = select(vec![
        0u128,
        0xffff << 32,
        0x64_ff9b << 96,
        0x2606_4700 << 96,
        0xfe80 << 112,
    ]);
    prop_oneof![
        any::<u128>().prop_map(Ipv6Addr::from),
        Just(Ipv6Addr::LOCALHOST),
        (prefix, ipv4())
            .prop_map(|(prefix, v4)| Ipv6Addr::from(prefix | u128::from(u32::from(v4)))),
    ]
}

fn ascii_name() -> impl Strategy<Value = String> {
    "[a-z]([a-z0-9_]{0,8})(\\.[a-z]{1,8}){0,3}"
}

/// Texts that look like hosts and patterns, with pieces that parsers disagree on.
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
