//! Tests of parsing and matching patterns.

use eryx_net_policy::{Host, HostPattern, IpNetwork, PortRange};

#[test]
fn a_pattern_has_one_canonical_form() {
    let cases = [
        ("example.com", "example.com"),
        ("EXAMPLE.com.", "example.com"),
        ("Bücher.de", "xn--bcher-kva.de"),
        ("localhost", "localhost"),
        ("example.com:443", "example.com:443"),
        ("example.com:443-443", "example.com:443"),
        ("example.com:1-65535", "example.com:1-65535"),
        ("*.Example.com", "*.example.com"),
        ("*.com", "*.com"),
        ("*.corp:8000-8100", "*.corp:8000-8100"),
        ("*", "*"),
        ("*:443", "*:443"),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:22", "192.0.2.7:22"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/8:443", "10.0.0.0/8:443"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("127.*", "127.*"),
        ("192.168.*", "192.168.*"),
        ("10.1.2.*:80-90", "10.1.2.*:80-90"),
        ("0.*", "0.*"),
        ("2001:DB8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:443", "[2001:db8::7]:443"),
        ("::1:443", "::1:443"),
        ("fc00::/7", "fc00::/7"),
        ("[fc00::]/7", "fc00::/7"),
        ("[fc00::]/7:443", "[fc00::]/7:443"),
        ("fc00::/7:443", "[fc00::]/7:443"),
        ("::/0:1-1023", "[::]/0:1-1023"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"),
    ];
    for (text, canonical) in cases {
        let pattern = parse(text);
        assert_eq!(pattern.to_string(), canonical, "{text}");
        assert_eq!(parse(canonical), pattern, "{text}");
    }
}

#[test]
fn patterns_with_the_same_meaning_are_equal() {
    assert_eq!(parse("127.*"), parse("127.0.0.0/8"));
    assert_eq!(parse("Example.COM."), parse("example.com"));
    assert_ne!(parse("127.*:80"), parse("127.*"));
    assert_ne!(parse("*.example.com"), parse("example.com"));
}

#[test]
fn a_pattern_matches_only_the_hosts_it_stands_for() {
    let cases: [(&str, &[&str], &[&str]); 9] = [
        (
            "example.com",
            &["example.com", "EXAMPLE.COM."],
            &[
                "www.example.com",
                "notexample.com",
                "example.com.evil.net",
                "example.co",
            ],
        ),
        (
            "*.example.com",
            &["www.example.com", "a.b.example.com"],
            &["example.com", "notexample.com", "www.example.com.evil.net"],
        ),
        (
            "*.com",
            &["example.com", "a.b.com"],
            &["com", "example.community"],
        ),
        (
            "10.*",
            &["10.0.0.0", "10.255.255.255"],
            &["9.255.255.255", "11.0.0.0", "10.evil.com", "100.0.0.1"],
        ),
        (
            "192.168.*",
            &["192.168.0.1"],
            &["192.169.0.1", "192.168.evil.com"],
        ),
        (
            "172.16.0.0/12",
            &["172.16.0.0", "172.31.255.255"],
            &["172.15.255.255", "172.32.0.0"],
        ),
        ("::1", &["::1", "[0:0:0:0:0:0:0:1]"], &["::2", "127.0.0.1"]),
        (
            "fc00::/7",
            &["fc00::", "fdff:ffff::1"],
            &["fe00::", "fbff::"],
        ),
        ("*", &["example.com", "127.0.0.1", "::1"], &[]),
    ];
    for (pattern, matching, others) in cases {
        let pattern = parse(pattern);
        for host in matching {
            assert!(
                pattern.matches(&Host::parse(host).unwrap()),
                "{pattern} {host}"
            );
        }
        for host in others {
            assert!(
                !pattern.matches(&Host::parse(host).unwrap()),
                "{pattern} {host}"
            );
        }
    }
}

#[test]
fn a_malformed_pattern_is_an_error_with_the_text_and_its_correction() {
    let cases = [
        ("", "`*` for everything"),
        (" ", "white space"),
        (" example.com", "remove it"),
        ("example.com\n", "remove it"),
        ("a b", "a space"),
        ("api.*.com", "`*.example.com`"),
        ("*.*", "`*.example.com`"),
        ("*.*.com", "`*.example.com`"),
        ("**", "`*.example.com`"),
        ("*example.com", "`*.example.com`"),
        ("www*.example.com", "`*.example.com`"),
        ("example.*", "`*.example.com`"),
        ("*.10", "four decimal numbers"),
        ("*.10.0.0.1", "`10.*`"),
        ("*.::1", "alone for everything"),
        ("*.", "empty"),
        ("127*", "`10.*`"),
        ("172.1*", "`10.*`"),
        ("127.*.1", "`10.*`"),
        ("127.*.*.*", "`10.*`"),
        ("1.2.3.4.*", "`10.*`"),
        ("256.*", "`10.*`"),
        ("010.*", "`10.*`"),
        (".*", "`10.*`"),
        ("10.*/8", "`10.*`"),
        ("127.1", "four decimal numbers"),
        ("0x7f000001", "four decimal numbers"),
        ("2130706433", "four decimal numbers"),
        ("010.0.0.1", "four decimal numbers"),
        ("10.0.0.1/8", "`10.0.0.0/8`"),
        ("2001:db8::1/32", "`2001:db8::/32`"),
        ("10.0.0.0/33", "0 to 32"),
        ("10.0.0.0/", "0 to 32"),
        ("10.0.0.0/-1", "0 to 32"),
        ("10.0.0.0/+8", "0 to 32"),
        ("10.0.0.0/08", "0 to 32"),
        ("10.0.0.0/255.0.0.0", "0 to 32"),
        ("10.0.0.0/8/8", "0 to 32"),
        ("fc00::/129", "0 to 128"),
        ("10.0.0/8", "`10.0.0.0/8`"),
        ("10/8", "as in `10.0.0.0/8`"),
        ("::ffff:10.0.0.0/104", "`10.0.0.0/8`"),
        ("::ffff:0:0/96", "`0.0.0.0/0`"),
        ("example.com/8", "`example.com`"),
        ("example.com/path", "`example.com`"),
        ("https://example.com", "the host alone"),
        ("https://example.com/path", "the host alone"),
        ("user@example.com", "without a user name"),
        ("example.com:", "1 to 65535"),
        ("example.com:0", "1 to 65535"),
        ("example.com:65536", "1 to 65535"),
        ("example.com:http", "1 to 65535"),
        ("example.com:*", "leave it out"),
        ("example.com:080", "1 to 65535"),
        ("example.com:+80", "1 to 65535"),
        ("example.com:-80", "1 to 65535"),
        ("example.com:80-", "1 to 65535"),
        ("example.com:0-80", "1 to 65535"),
        ("example.com:90-80", "`80-90`"),
        ("example.com:80,443", "entry of its own"),
        ("a.com,b.com", "entry of its own"),
        ("a.com;b.com", "entry of its own"),
        (":443", "`*` and the port"),
        ("[example.com]", "brackets"),
        ("[::1", "brackets"),
        ("[::1]443", "brackets"),
        ("[[::1]]:80", "brackets"),
        ("fe80::1%eth0", "zone id"),
        ("[fe80::1%eth0]:80", "zone id"),
        ("example..com", "one dot"),
        ("-example.com", "hyphen"),
        ("xn--a.com", "internationalised"),
        ("^example\\.com$", "letters, digits"),
        ("!example.com", "`!`"),
    ];
    for (text, says) in cases {
        let error = text.parse::<HostPattern>().expect_err(text);
        let message = error.to_string();
        assert!(message.contains(says), "{text:?}: {message}");
        let start = format!("`{}` is not a host pattern: ", error.rejected_text());
        assert!(message.starts_with(&start), "{text:?}: {message}");
    }
}

#[test]
fn a_malformed_network_is_an_error_with_the_text_and_its_correction() {
    let cases = [
        ("", "as in `10.0.0.0/8`"),
        ("corp", "as in `10.0.0.0/8`"),
        ("example.com/8", "as in `10.0.0.0/8`"),
        ("10.0.0.0/8:443", "0 to 32"),
        ("10.0.0.0/33", "0 to 32"),
        ("10.0.0.0 /8", "as in `10.0.0.0/8`"),
        ("10.1.0.0/8", "`10.0.0.0/8`"),
        ("[10.0.0.0]/8", "as in `10.0.0.0/8`"),
        ("fe80::1%eth0", "as in `10.0.0.0/8`"),
        ("*", "`10.*`"),
        ("::ffff:10.0.0.0/104", "`10.0.0.0/8`"),
    ];
    for (text, says) in cases {
        let message = text.parse::<IpNetwork>().expect_err(text).to_string();
        assert!(message.contains(says), "{text:?}: {message}");
        assert!(
            message.starts_with(&format!("`{text}` is not a network: ")),
            "{message}"
        );
    }
}

#[test]
fn a_malformed_pattern_of_any_length_has_a_short_message() {
    for text in [
        "a".repeat(1 << 20),
        "*.".repeat(1 << 20),
        "1.".repeat(1 << 20) + "*",
        ":".repeat(1 << 20),
        format!("a.com:{}", "9".repeat(1 << 20)),
        format!("10.0.0.0/{}", "9".repeat(1 << 20)),
        format!("https://{}", "a".repeat(1 << 20)),
    ] {
        let message = text
            .parse::<HostPattern>()
            .expect_err("too long")
            .to_string();
        assert!(message.chars().count() < 500, "{}", message.len());
    }
}

#[test]
fn a_port_range_includes_both_ends() {
    let ports = parse("db.corp:5432-5440").ports();
    assert_eq!((ports.first(), ports.last()), (5432, 5440));
    assert!(ports.contains(5432) && ports.contains(5440));
    assert!(!ports.contains(5431) && !ports.contains(5441));
    assert_eq!(parse("db.corp").ports(), PortRange::ALL);
    assert_eq!(PortRange::new(0, 80), None);
    assert_eq!(PortRange::new(90, 80), None);
}

fn parse(text: &str) -> HostPattern {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}
