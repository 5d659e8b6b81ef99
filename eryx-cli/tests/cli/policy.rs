//! Tests of `eryx policy check` and `eryx policy show`.

use std::fs;

use crate::command::{check, eryx, text};

#[test]
fn check_prints_each_verdict_and_exits_with_1_if_one_is_a_denial() {
    let output = eryx(&["policy", "check", "8.8.8.8:53", "Example.COM.:443"]);
    check(
        &output,
        0,
        "\
8.8.8.8:53: allowed
  host:   8.8.8.8
  reason: not-blocked
  rule:   none
  `8.8.8.8:53` is allowed: nothing in blocked_hosts matches it, and allowed_hosts is empty
Example.COM.:443: allowed unless an address is blocked
  host:   example.com
  reason: not-blocked
  rule:   none
  `example.com:443` is allowed if its addresses are: nothing in blocked_hosts matches it, and \
allowed_hosts is empty
",
        "",
    );
    let output = eryx(&["policy", "check", "8.8.8.8:53", "[::ffff:10.0.0.5]:80"]);
    check(
        &output,
        1,
        "\
8.8.8.8:53: allowed
  host:   8.8.8.8
  reason: not-blocked
  rule:   none
  `8.8.8.8:53` is allowed: nothing in blocked_hosts matches it, and allowed_hosts is empty
[::ffff:10.0.0.5]:80: denied
  host:   10.0.0.5
  reason: address-blocked
  rule:   `10.0.0.0/8` in blocked_hosts
  `10.0.0.5:80` is denied: `10.0.0.0/8` in blocked_hosts covers it; --allow-network 10.0.0.5 lifts that
",
        "",
    );
    let output = eryx(&["policy", "check", "127.1:80"]);
    assert_eq!(output.status.code(), Some(1));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        out.contains("none, it is not a host") && out.contains("malformed-host"),
        "{out}"
    );
}

#[test]
fn check_with_udp_prints_verdicts_on_udp() {
    let output = eryx(&[
        "policy",
        "check",
        "--udp",
        "9.9.9.9:53",
        "8.8.8.8:53",
        "--allow-udp",
        "9.9.9.9:53",
    ]);
    check(
        &output,
        1,
        "\
9.9.9.9:53: allowed
  host:   9.9.9.9
  reason: listed
  rule:   `9.9.9.9:53` in allowed_udp
  UDP to `9.9.9.9:53` is allowed: `9.9.9.9:53` in allowed_udp matches it
8.8.8.8:53: denied
  host:   8.8.8.8
  reason: udp-not-allowed
  rule:   none
  UDP to `8.8.8.8:53` is denied: nothing in allowed_udp matches it; --allow-udp 8.8.8.8:53 adds it
",
        "",
    );
}

/// Options, and hosts with the first line that `check` prints for each.
type Rows<'a> = &'a [(&'a [&'a str], &'a [(&'a str, &'a str)])];

#[test]
fn check_applies_the_network_options() {
    let folder = tempfile::tempdir().expect("created");
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, "allowed_hosts = ['a.example:443']\n").expect("written");
    let policy = text(&policy);
    let unless = "allowed unless an address is blocked";
    let table: Rows<'_> = &[
        (
            &["--net"],
            &[("a.example:443", unless), ("127.0.0.1:80", "denied")],
        ),
        (
            &["--allow-host", "a.example:443"],
            &[
                ("a.example:443", unless),
                ("a.example:80", "denied"),
                ("b.example:443", "denied"),
            ],
        ),
        (
            &["--allow-host", "203.0.114.0/24"],
            &[
                ("203.0.114.9:1", "allowed"),
                ("203.0.115.9:1", "denied"),
                ("a.example:1", "allowed if all of its addresses are listed"),
            ],
        ),
        (
            &["--block-host", "*.example"],
            &[("a.example:443", "denied"), ("8.8.8.8:1", "allowed")],
        ),
        (
            &["--allow-localhost"],
            &[("127.0.0.1:80", "allowed"), ("10.0.0.1:80", "denied")],
        ),
        (
            &["--allow-network", "10.0.0.0/8"],
            &[("10.0.0.1:80", "allowed"), ("172.16.0.1:1", "denied")],
        ),
        (&["--report-only"], &[("127.0.0.1:80", "denied")]),
        (
            &["--policy", &policy],
            &[("a.example:443", unless), ("b.example:443", "denied")],
        ),
        (
            &["--policy", &policy, "--allow-host", "b.example"],
            &[
                ("a.example:443", unless),
                ("b.example:443", unless),
                ("c.example:443", "denied"),
            ],
        ),
    ];
    for (options, hosts) in table {
        let targets: Vec<&str> = hosts.iter().map(|(host, _)| *host).collect();
        let output = eryx(&[&["policy", "check"], &targets[..], options].concat());
        let denied = hosts.iter().any(|(_, outcome)| *outcome == "denied");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            output.status.code(),
            Some(i32::from(denied)),
            "{options:?} {out}"
        );
        let first: Vec<&str> = out
            .lines()
            .filter(|line| !line.starts_with(' ') && !line.starts_with("report_only"))
            .collect();
        let expected: Vec<String> = hosts
            .iter()
            .map(|(host, outcome)| format!("{host}: {outcome}"))
            .collect();
        assert_eq!(first, expected, "{options:?}");
    }
}

#[test]
fn the_output_of_show_is_a_policy_file_of_the_same_policy() {
    let folder = tempfile::tempdir().expect("created");
    let path = folder.path().join("policy.toml");
    let options = [
        &[
            "--allow-host",
            "*.example.com:443",
            "--block-host",
            "ads.example.com",
        ][..],
        &["--allow-localhost", "--allow-network", "10.1.0.0/16"],
        &[
            "--allow-internal-host",
            "db.corp",
            "--resolve",
            "db.corp=10.0.0.5",
        ],
        &["--max-connections", "7", "--max-connections-per-host", "3"],
        &[
            "--connects-per-second",
            "2",
            "--connect-timeout",
            "5s",
            "--io-timeout",
            "1m",
        ],
        &[
            "--max-sent",
            "1M",
            "--max-received",
            "1G",
            "--send-rate",
            "10K",
        ],
        &[
            "--receive-rate",
            "20K",
            "--report-only",
            "--allow-unverified-tls",
        ],
        &["--dns-server", "192.0.2.53"],
        &["--allow-udp", "a.example.com:443"],
    ]
    .concat();
    let output = eryx(&[&["policy", "show"], &options[..]].concat());
    let shown = String::from_utf8(output.stdout).expect("text");
    for line in [
        "allowed_hosts = [\"*.example.com:443\"]",
        "    \"ads.example.com\",",
        "    \"169.254.0.0/16\",",
        "allow_localhost = true",
        "allowed_networks = [\"10.1.0.0/16\"]",
        "internal_hosts = [\"db.corp\"]",
        "allowed_udp = [\"a.example.com:443\"]",
        "\"db.corp\" = [\"10.0.0.5\"]",
        "max_connections = 7",
        "max_connections_per_host = 3",
        "connects_per_second = 2",
        "connect_timeout_ms = 5000",
        "io_timeout_ms = 60000",
        "max_sent_bytes = 1048576",
        "max_received_bytes = 1073741824",
        "sent_bytes_per_second = 10240",
        "received_bytes_per_second = 20480",
        "report_only = true",
        "allow_unverified_tls = true",
        "dns_server = \"192.0.2.53:53\"",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "no {line} in\n{shown}"
        );
    }
    assert!(!shown.contains("\"127.*\""), "{shown}");
    fs::write(&path, &shown).expect("written");
    let again = eryx(&["policy", "show", "--policy", &text(&path)]);
    check(&again, 0, &shown, "");

    let defaults = eryx(&["policy", "show"]);
    let shown = String::from_utf8(defaults.stdout).expect("text");
    assert!(
        shown.contains("Not limited: max_connections_per_host, "),
        "{shown}"
    );
    assert!(
        shown
            .contains("# allowed_hosts is empty: every host that is not blocked may be reached.\n"),
        "{shown}"
    );
    assert!(shown.contains("    \"127.*\",\n"), "{shown}");
}

#[test]
fn names_that_a_proxy_resolves_are_decided_by_check_with_a_warning() {
    let proxy = [
        "--proxy",
        "http://proxy.example:3128",
        "--no-proxy",
        "*.corp",
    ];
    let hosts = ["a.example:443", "a.corp:443"];
    let warning = "eryx: warning: proxy_resolves is set: the addresses and networks in blocked_hosts \
                   apply only where a program names an address";
    for (options, first, warned) in [
        (
            &[][..],
            "a.example:443: allowed unless an address is blocked",
            false,
        ),
        (&["--proxy-resolves"], "a.example:443: allowed", true),
    ] {
        let output = eryx(&[&["policy", "check"], &hosts[..], &proxy, options].concat());
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert_eq!(out.lines().next(), Some(first));
        assert!(
            out.contains("a.corp:443: allowed unless an address is blocked"),
            "{out}"
        );
        assert_eq!(err.starts_with(warning), warned, "{err}");
        let shown = eryx(&[&["policy", "show"], &proxy[..], options].concat());
        let shown = String::from_utf8_lossy(&shown.stdout);
        let lines = [
            "proxy = \"http://proxy.example:3128\"",
            "no_proxy = [\"*.corp\"]",
        ];
        for line in lines {
            assert!(shown.lines().any(|shown| shown == line), "{shown}");
        }
        assert!(
            shown.contains(&format!("proxy_resolves = {warned}")),
            "{shown}"
        );
    }
}

#[test]
fn a_policy_file_with_an_empty_allowed_hosts_is_warned_about() {
    let folder = tempfile::tempdir().expect("created");
    let path = folder.path().join("policy.toml");
    let file = text(&path);
    for (written, options, warned) in [
        ("allowed_hosts = []\n", &[][..], true),
        (
            "allowed_hosts = []\n",
            &["--allow-host", "example.com"][..],
            false,
        ),
        ("allowed_hosts = [\"example.com\"]\n", &[][..], false),
        ("", &[][..], false),
    ] {
        fs::write(&path, written).expect("written");
        let output = eryx(&[&["policy", "show", "--policy", &file][..], options].concat());
        let warning = format!(
            "eryx: warning: --policy {file}: allowed_hosts is empty: every host that is not blocked may be reached\n"
        );
        let expected = if warned { warning } else { String::new() };
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            expected,
            "{written}"
        );
        assert_eq!(output.status.code(), Some(0));
    }
}
