//! Strategies for property tests: policies, hosts, addresses and ports.
#![allow(dead_code, reason = "each test file uses only a part")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use eryx_net_policy::{Host, HostName, HostPattern, IpNetwork, Policy, PolicyBuilder, Port};
use proptest::{collection::vec, prelude::*, sample::select};

#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Allow(HostPattern),
    Block(HostPattern),
    Network(IpNetwork),
    Internal(HostPattern),
    Defaults,
    Localhost,
}

pub(crate) fn add(builder: PolicyBuilder, entry: &Entry) -> PolicyBuilder {
    match entry.clone() {
        Entry::Allow(pattern) => builder.allow_host(pattern),
        Entry::Block(pattern) => builder.block_host(pattern),
        Entry::Network(network) => builder.allow_network(network),
        Entry::Internal(pattern) => builder.allow_internal_host(pattern),
        Entry::Defaults => builder.block_defaults(),
        Entry::Localhost => builder.allow_localhost(),
    }
}

pub(crate) fn build(rules: &[Entry]) -> Policy {
    rules.iter().fold(Policy::permissive_builder(), add).build()
}

pub(crate) fn rules() -> impl Strategy<Value = Vec<Entry>> {
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

pub(crate) fn port() -> impl Strategy<Value = Port> {
    prop_oneof![
        Just(Port::Any),
        (0..=PORTS + 1).prop_map(Port::Number),
        any::<u16>().prop_map(Port::Number)
    ]
}

/// The highest port at which a port range in the rules starts or ends.
pub(crate) const PORTS: u16 = 12;

pub(crate) fn pattern() -> impl Strategy<Value = HostPattern> {
    let target = prop_oneof![
        name_of_few_labels().prop_map(|n| n.to_string()),
        name_of_few_labels().prop_map(|n| format!("*.{n}")),
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

pub(crate) fn network() -> impl Strategy<Value = IpNetwork> {
    let v4 = (ipv4(), 0u32..=32).prop_map(|(a, bits)| network_of(a, bits));
    let v6 = (ipv6(), 0u32..=128).prop_map(|(a, bits)| {
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        format!("{}/{bits}", Ipv6Addr::from(u128::from(a) & mask))
    });
    prop_oneof![v4, v6].prop_filter_map("not a mapped network", |text| text.parse().ok())
}

pub(crate) fn network_of(address: Ipv4Addr, bits: u32) -> String {
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    format!("{}/{bits}", Ipv4Addr::from(u32::from(address) & mask))
}

pub(crate) fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        name_of_few_labels().prop_map(Host::from),
        ipv4().prop_map(|a| Host::from(IpAddr::from(a))),
        // In 2400::/12, where no address embeds an IPv4 address.
        (any::<u128>(), select(vec![0u32, 1, 100])).prop_map(|(a, shift)| {
            Host::from(IpAddr::from(Ipv6Addr::from(
                0x240 << 116 | (a >> 12 >> shift),
            )))
        }),
    ]
}

/// Generates names of few different labels, so that names and patterns often match.
pub(crate) fn name_of_few_labels() -> impl Strategy<Value = HostName> {
    vec(select(vec!["a", "b", "corp", "localhost"]), 1..4)
        .prop_map(|labels| labels.join(".").parse().unwrap())
}

pub(crate) fn some_name() -> HostName {
    "a.corp".parse().unwrap()
}

pub(crate) fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![ipv4().prop_map(IpAddr::from), ipv6().prop_map(IpAddr::from)]
}

/// Generates any address, but often one near the bounds of a special range.
pub(crate) fn ipv4() -> impl Strategy<Value = Ipv4Addr> {
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

pub(crate) fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
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
