//! Tests of lists with 100,000 entries.

use std::net::Ipv4Addr;

use eryx_net_policy::{HostPattern, Policy, Reason};

const ENTRIES: u32 = 100_000;

#[test]
fn each_of_a_hundred_thousand_networks_and_names_blocks_only_its_own_hosts() {
    // Every second /24 from 20.0.0.0, every second name itself, and the names below the others.
    let networks = (0..ENTRIES).map(|n| format!("{}/24", network(n)));
    let names = (0..ENTRIES).map(|n| match n % 2 {
        0 => format!("host{n}.example"),
        _ => format!("*.host{n}.example"),
    });
    let patterns: Vec<HostPattern> = networks
        .chain(names)
        .map(|text| text.parse().unwrap())
        .collect();
    let policy = Policy::permissive_builder().block_hosts(patterns).build();
    assert_eq!(policy.rules().count(), 2 * ENTRIES as usize);

    for n in (0..ENTRIES).step_by(997) {
        let first = u32::from(network(n));
        for (address, blocked) in [
            (first - 1, false),
            (first, true),
            (first + 255, true),
            (first + 256, false),
        ] {
            let verdict = policy.check(&Ipv4Addr::from(address).to_string(), 443);
            assert_eq!(verdict.is_denied(), blocked, "{verdict}");
        }
        let exact = policy.check(&format!("host{n}.example"), 443);
        assert_eq!(exact.reason() == Reason::HostBlocked, n % 2 == 0, "{exact}");
        let below = policy.check(&format!("a.b.host{n}.example"), 443);
        assert_eq!(below.reason() == Reason::HostBlocked, n % 2 == 1, "{below}");
    }
}

fn network(n: u32) -> Ipv4Addr {
    Ipv4Addr::from((20 << 24) + n * 512)
}
