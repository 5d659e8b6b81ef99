//! Tests of the default block list: the bounds of each range, and the removal of entries.

use eryx_net_policy::{
    Decision, HostPattern, Policy, Reason, default_blocked_hosts, default_blocked_patterns,
    loopback_patterns,
};

/// First and last address of each range, and the addresses before and after it if they are public.
const RANGES: [&str; 25] = [
    "0.0.0.0 0.255.255.255 - 1.0.0.0",
    "10.0.0.0 10.255.255.255 9.255.255.255 11.0.0.0",
    "100.64.0.0 100.127.255.255 100.63.255.255 100.128.0.0",
    "127.0.0.0 127.255.255.255 126.255.255.255 128.0.0.0",
    "168.63.129.16 168.63.129.16 168.63.129.15 168.63.129.17",
    "169.254.0.0 169.254.255.255 169.253.255.255 169.255.0.0",
    "172.16.0.0 172.31.255.255 172.15.255.255 172.32.0.0",
    "192.0.0.0 192.0.0.255 191.255.255.255 192.0.1.0",
    "192.0.2.0 192.0.2.255 192.0.1.255 192.0.3.0",
    "192.88.99.0 192.88.99.255 192.88.98.255 192.88.100.0",
    "192.168.0.0 192.168.255.255 192.167.255.255 192.169.0.0",
    "198.18.0.0 198.19.255.255 198.17.255.255 198.20.0.0",
    "198.51.100.0 198.51.100.255 198.51.99.255 198.51.101.0",
    "203.0.113.0 203.0.113.255 203.0.112.255 203.0.114.0",
    "224.0.0.0 255.255.255.255 223.255.255.255 -",
    ":: ::ffff - -",
    "64:ff9b:1:: 64:ff9b:1:ffff:ffff:ffff:ffff:ffff - -",
    "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff 64:ff9b::1:0:0 - -",
    "100:: 1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff - 2000::",
    "2001:: 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff \
     2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2001:200::",
    "2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff \
     2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9::",
    "2002:: 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2003::",
    "3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff \
     3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:1000::",
    "4000:: 7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff -",
    "8000:: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff - -",
];

/// A range, and the public addresses beside it.
struct Range {
    inside: [&'static str; 2],
    outside: Vec<&'static str>,
}

fn ranges() -> Vec<Range> {
    let range = |row: &'static str| {
        let fields: Vec<&str> = row.split(' ').collect();
        let [first, last, beside @ ..] = &fields[..] else {
            panic!("two addresses: {row}");
        };
        assert_eq!(beside.len(), 2, "{row}");
        Range {
            inside: [*first, *last],
            outside: beside.iter().copied().filter(|a| *a != "-").collect(),
        }
    };
    RANGES.map(range).into()
}

#[test]
fn each_range_is_blocked_from_its_first_to_its_last_address() {
    let policy = Policy::default();
    for range in ranges() {
        for inside in range.inside {
            let verdict = policy.check(inside, 443);
            assert_eq!(verdict.reason(), Reason::AddressBlocked, "{verdict}");
        }
        for outside in range.outside {
            let verdict = policy.check(outside, 443);
            assert_eq!(verdict.reason(), Reason::NotBlocked, "{verdict}");
        }
    }
}

#[test]
fn each_ipv4_range_is_blocked_in_its_mapped_and_nat64_forms() {
    let policy = Policy::default();
    let ranges = ranges();
    let ipv4 = ranges.iter().filter(|range| range.inside[0].contains('.'));
    for range in ipv4 {
        for prefix in ["::ffff:", "64:ff9b::"] {
            for inside in range.inside {
                assert!(
                    policy.check(&format!("{prefix}{inside}"), 443).is_denied(),
                    "{prefix}{inside}"
                );
            }
            for outside in &range.outside {
                assert!(
                    policy
                        .check(&format!("{prefix}{outside}"), 443)
                        .is_allowed(),
                    "{prefix}{outside}"
                );
            }
        }
    }
}

#[test]
fn the_default_list_is_printable_and_starts_with_loopback() {
    let list = default_blocked_hosts();
    assert_eq!(list[..2], ["localhost", "127.*"]);
    for (text, pattern) in list.iter().zip(default_blocked_patterns()) {
        assert_eq!(*text, pattern.to_string(), "an entry is in canonical form");
    }
    assert_eq!(list.len(), default_blocked_patterns().len());
}

#[test]
fn every_default_entry_blocks_a_host_that_no_other_entry_blocks() {
    let samples = |pattern: &HostPattern| match pattern.network() {
        Some(network) => network.address().to_string(),
        None => pattern.to_string().replace("*.", "x."),
    };
    // `::1` is in `::/3` as well: its own entry can be removed.
    let entries = default_blocked_patterns();
    for (at, left_out) in entries
        .iter()
        .enumerate()
        .filter(|(_, p)| p.to_string() != "::1")
    {
        let rest = entries
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != at)
            .map(|(_, p)| p.clone());
        let policy = Policy::permissive_builder().block_hosts(rest).build();
        let sample = match left_out.to_string().as_str() {
            // The first address of the range counts as loopback as well.
            "0.0.0.0/8" => "0.0.0.1".to_owned(),
            "::/3" => "100::1".to_owned(),
            // The first addresses of these ranges embed 0.0.0.0.
            "2001::/23" => "2001:100::".to_owned(),
            "2002::/16" => "2002:808:808::".to_owned(),
            _ => samples(left_out),
        };
        assert!(
            Policy::default().check(&sample, 80).is_denied(),
            "{left_out} {sample}"
        );
        assert!(
            !policy.check(&sample, 80).is_denied(),
            "{left_out} {sample}"
        );
    }
}

#[test]
fn localhost_and_metadata_names_are_denied_before_resolution() {
    let policy = Policy::default();
    for name in [
        "localhost",
        "LOCALHOST.",
        "foo.localhost",
        "a.b.localhost",
        "localhost.localdomain",
        "localhost4.localdomain4",
        "localhost6",
        "localhost6.localdomain6",
        "ip6-localhost",
        "ip6-loopback",
        "metadata",
        "metadata.google.internal",
        "METADATA.google.internal.",
        "metadata.goog",
        "instance-data",
        "instance-data.ec2.internal",
    ] {
        assert_eq!(
            policy.check(name, 80).reason(),
            Reason::HostBlocked,
            "{name}"
        );
    }
    for name in [
        "localhost.example.com",
        "notlocalhost",
        "localhostx.com",
        "metadata.example.com",
    ] {
        assert_eq!(
            policy.check(name, 80).decision(),
            Decision::NeedsAddresses,
            "{name}"
        );
    }
}

#[test]
fn allow_localhost_allows_only_loopback() {
    let policy = Policy::builder().allow_localhost().build();
    for host in ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"] {
        assert!(policy.check(host, 80).is_allowed(), "{host}");
    }
    let localhost = "localhost".parse().unwrap();
    let answers = ["::1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    assert!(
        policy
            .check_resolved(&localhost, &[], &answers, 80)
            .is_allowed()
    );

    let ranges = ranges();
    let stay_blocked = ranges.iter().filter(|range| range.inside[0] != "127.0.0.0");
    for range in stay_blocked {
        for host in range.inside {
            assert!(policy.check(host, 80).is_denied(), "{host}");
        }
    }
    for host in [
        "0.0.0.0",
        "::",
        "::2",
        "::127.0.0.1",
        "2002:7f00:1::",
        "metadata.google.internal",
    ] {
        assert!(policy.check(host, 80).is_denied(), "{host}");
    }
}

#[test]
fn entries_blocked_after_allow_localhost_stay_blocked() {
    for (entry, host) in [
        ("127.*", "127.0.0.1"),
        ("localhost", "localhost"),
        ("::1", "::1"),
        ("::/0", "::1"),
        ("::/8", "::1"),
        ("127.0.0.1:80", "127.0.0.1"),
    ] {
        let policy = Policy::builder()
            .allow_localhost()
            .block_host(entry.parse().unwrap())
            .build();
        assert!(policy.check(host, 80).is_denied(), "{entry} {host}");
    }
}

#[test]
fn removing_the_loopback_entries_keeps_all_other_entries() {
    assert!(loopback_patterns().contains(&"localhost".parse().unwrap()));
    assert!(loopback_patterns().contains(&"::1".parse().unwrap()));
    for pattern in loopback_patterns() {
        assert!(default_blocked_patterns().contains(pattern));
        let text = pattern.to_string();
        assert!(
            text.contains("lo") || text == "127.*" || text == "::1",
            "{text}"
        );
    }
    assert!(!loopback_patterns().contains(&"0.0.0.0/8".parse().unwrap()));
    for pattern in &default_blocked_patterns()[loopback_patterns().len()..] {
        assert!(
            !pattern.to_string().contains("local"),
            "{pattern} is loopback"
        );
    }
}

#[test]
fn a_policy_without_the_default_list_blocks_nothing() {
    let policy = Policy::permissive_builder().build();
    for host in [
        "127.0.0.1",
        "::1",
        "169.254.169.254",
        "fe80::1",
        "64:ff9b::7f00:1",
    ] {
        assert!(policy.check(host, 80).is_allowed(), "{host}");
    }
    assert_eq!(
        policy.check("localhost", 80).decision(),
        Decision::NeedsAddresses
    );
    assert!(
        policy.check("0177.0.0.1", 80).is_denied(),
        "malformed stays malformed"
    );
}
