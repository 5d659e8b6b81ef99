//! `NetConfig` is an immutable value, and rejects malformed settings.

mod support;

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::{ConfigError, NetConfig, Resolve};
use eryx_testkit::{CertificateAuthority, Leaf};
use support::*;

fn to_strings(patterns: &[eryx_net_host::policy::HostPattern]) -> Vec<String> {
    patterns.iter().map(ToString::to_string).collect()
}

#[test]
fn the_default_configuration_has_the_documented_defaults() {
    let config = NetConfig::default();
    assert_eq!(config.max_connections(), 10);
    assert_eq!(config.connect_timeout(), Duration::from_secs(30));
    assert_eq!(config.io_timeout(), Duration::from_secs(60));
    assert!(config.allowed_hosts().is_empty());
    assert_eq!(
        to_strings(config.blocked_hosts())[..2],
        ["localhost", "127.*"]
    );
    assert!(!config.allows_unverified_tls());
    assert!(!config.report_only());
    assert!(!config.shared_caches());
    assert_eq!(config.max_connections_per_host(), None);
    assert_eq!(config.connects_per_second(), None);
    assert_eq!(config.max_sent_bytes(), None);
    assert_eq!(config.max_received_bytes(), None);
    assert_eq!(config.sent_bytes_per_second(), None);
    assert_eq!(config.received_bytes_per_second(), None);
    assert!(config.allowed_networks().is_empty());
    assert!(config.internal_hosts().is_empty());
    assert!(config.hosts().is_empty());
    assert_eq!(config.dns_server(), None);
    assert!(config.trust().len() > 100);

    let permissive = NetConfig::permissive();
    assert_eq!(permissive.max_connections(), 100);
    assert!(permissive.blocked_hosts().is_empty());
    assert!(permissive.check("127.0.0.1", 80).is_allowed());
    assert_eq!(permissive.connect_timeout(), config.connect_timeout());
    assert_eq!(permissive.io_timeout(), config.io_timeout());
}

/// Returns every method that changes a configuration, its result, and whether that shows the
/// effect.
fn changes() -> Vec<(&'static str, NetConfig, bool)> {
    let old = NetConfig::default();
    let pem = CertificateAuthority::new().expect("authority").pem();
    let server = "127.0.0.1:53".parse().expect("address");
    let changed = vec![
        ("with_max_connections", Ok(old.with_max_connections(3))),
        (
            "with_max_connections_per_host",
            Ok(old.with_max_connections_per_host(2)),
        ),
        ("with_connects_per_second", old.with_connects_per_second(4)),
        ("with_max_sent_bytes", Ok(old.with_max_sent_bytes(5))),
        (
            "with_max_received_bytes",
            Ok(old.with_max_received_bytes(6)),
        ),
        (
            "with_sent_bytes_per_second",
            old.with_sent_bytes_per_second(7),
        ),
        (
            "with_received_bytes_per_second",
            old.with_received_bytes_per_second(8),
        ),
        ("with_report_only", Ok(old.with_report_only(true))),
        ("with_shared_caches", Ok(old.with_shared_caches(true))),
        (
            "with_connect_timeout",
            old.with_connect_timeout(Duration::from_secs(1)),
        ),
        (
            "with_io_timeout",
            old.with_io_timeout(Duration::from_secs(1)),
        ),
        ("allow_host", old.allow_host("a.example")),
        ("with_allowed_hosts", old.with_allowed_hosts(["a.example"])),
        ("block_host", old.block_host("b.example")),
        ("with_blocked_hosts", old.with_blocked_hosts(["b.example"])),
        ("allow_localhost", Ok(old.allow_localhost())),
        ("allow_network", old.allow_network("10.1.0.0/16")),
        ("allow_internal_host", old.allow_internal_host("db.corp")),
        ("allow_udp", old.allow_udp("9.9.9.9:53")),
        ("with_allowed_udp", old.with_allowed_udp(["9.9.9.9:53"])),
        ("with_root_cert", old.with_root_cert(pem.as_bytes())),
        ("allow_unverified_tls", Ok(old.allow_unverified_tls(true))),
        (
            "with_hosts",
            old.with_hosts([("a.example", vec![ip("192.0.2.1")])]),
        ),
        ("with_dns_server", Ok(old.with_dns_server(server))),
        (
            "with_resolver",
            Ok(old.with_resolver(Arc::new(NeverResolves))),
        ),
    ];
    changed
        .into_iter()
        .map(|(name, new)| {
            let new = new.expect(name);
            let shows = match name {
                "with_max_connections" => new.max_connections() == 3,
                "with_max_connections_per_host" => new.max_connections_per_host() == Some(2),
                "with_connects_per_second" => new.connects_per_second() == Some(4),
                "with_max_sent_bytes" => new.max_sent_bytes() == Some(5),
                "with_max_received_bytes" => new.max_received_bytes() == Some(6),
                "with_sent_bytes_per_second" => new.sent_bytes_per_second() == Some(7),
                "with_received_bytes_per_second" => new.received_bytes_per_second() == Some(8),
                "with_report_only" => new.report_only(),
                "with_shared_caches" => new.shared_caches(),
                "with_connect_timeout" => new.connect_timeout() == Duration::from_secs(1),
                "with_io_timeout" => new.io_timeout() == Duration::from_secs(1),
                "allow_host" | "with_allowed_hosts" => {
                    to_strings(new.allowed_hosts()) == ["a.example"]
                        && new.check("c.example", 1).is_denied()
                        && !new.check("a.example", 1).is_denied()
                }
                "block_host" => new.check("b.example", 1).is_denied(),
                "with_blocked_hosts" => {
                    to_strings(new.blocked_hosts()) == ["b.example"]
                        && new.check("127.0.0.1", 1).is_allowed()
                }
                "allow_localhost" => {
                    new.check("127.0.0.1", 1).is_allowed()
                        && new.check("::1", 1).is_allowed()
                        && !new.check("localhost", 1).is_denied()
                        && new.check("10.0.0.1", 1).is_denied()
                        && new.check("::2", 1).is_denied()
                        && new.check("0.0.0.0", 1).is_denied()
                }
                "allow_network" => {
                    new.check("10.1.2.3", 1).is_allowed() && new.check("10.2.0.1", 1).is_denied()
                }
                "allow_internal_host" => {
                    let resolved = |name: &str| {
                        new.check_resolved(name, &[ip("10.0.0.1")], 1)
                            .expect("a name")
                    };
                    resolved("db.corp").is_allowed() && resolved("web.corp").is_denied()
                }
                "allow_udp" | "with_allowed_udp" => {
                    new.check_udp("9.9.9.9", 53).is_allowed()
                        && new.check_udp("9.9.9.9", 54).is_denied()
                        && old.check_udp("9.9.9.9", 53).is_denied()
                }
                "with_root_cert" => new.trust().len() == old.trust().len() + 1,
                "allow_unverified_tls" => new.connector().allows_unverified(),
                "with_hosts" => new.hosts().iter().count() == 1,
                "with_dns_server" => new.dns_server() == Some(server),
                "with_resolver" => format!("{new:?}").contains("NeverResolves"),
                other => panic!("the effect of {other} is not checked"),
            };
            (name, new, shows)
        })
        .collect()
}

#[test]
fn a_method_that_changes_a_setting_returns_a_changed_copy() {
    let untouched = NetConfig::default();
    for (name, new, shows) in changes() {
        assert!(shows, "{name} has no effect");
        assert_ne!(new, untouched, "{name}");
        assert_eq!(new, new.clone(), "{name}");
    }
    assert_eq!(untouched, NetConfig::default());
    assert!(untouched.check("127.0.0.1", 1).is_denied());
    assert!(!untouched.check("b.example", 1).is_denied());
}

#[test]
fn a_loopback_entry_that_is_blocked_after_allow_localhost_still_blocks() {
    let config = NetConfig::default()
        .allow_localhost()
        .block_host("127.0.0.53")
        .expect("valid");
    assert!(config.check("127.0.0.53", 53).is_denied());
    assert!(config.check("127.0.0.1", 53).is_allowed());
    let defaults: Vec<String> = to_strings(NetConfig::default().blocked_hosts());
    let again = config.with_blocked_hosts(&defaults).expect("valid");
    for host in ["127.0.0.1", "::1", "localhost"] {
        assert!(again.check(host, 80).is_denied(), "{host}");
    }
}

#[test]
fn a_block_list_rebuilt_from_its_text_gives_the_same_verdicts() {
    let defaults = NetConfig::default();
    let printed = to_strings(defaults.blocked_hosts());
    let rebuilt = NetConfig::permissive()
        .with_max_connections(10)
        .with_blocked_hosts(&printed)
        .expect("the printed patterns are valid");
    assert_eq!(rebuilt, defaults);
    for host in [
        "127.0.0.1",
        "10.1.1.1",
        "fe80::1",
        "8.8.8.8",
        "2606:4700::1",
    ] {
        assert_eq!(rebuilt.check(host, 80), defaults.check(host, 80), "{host}");
    }
}

#[test]
fn a_malformed_setting_is_an_error_that_names_it_and_the_fix() {
    let config = NetConfig::default();
    let server = Leaf::server(["a.example"]).self_signed().expect("identity");
    let table: Vec<(&str, Result<NetConfig, ConfigError>, &str)> = vec![
        ("pattern", config.allow_host("api.*.com"), "api.*.com"),
        ("pattern", config.block_host(""), "empty"),
        ("pattern", config.block_host("a b"), "a b"),
        ("pattern", config.block_host("[::1"), "[::1"),
        (
            "pattern",
            config.allow_host("https://a.example"),
            "a.example",
        ),
        ("pattern", config.allow_host("a.example:0"), "0"),
        ("pattern", config.allow_host("a.example:99999"), "99999"),
        ("pattern", config.allow_host("127.1"), "127.1"),
        ("pattern", config.allow_internal_host("*.*"), "*.*"),
        ("pattern", config.allow_udp("9.9.9.9"), "9.9.9.9:53"),
        (
            "udp list",
            config.with_allowed_udp(["a.example:53", "*"]),
            "*:53",
        ),
        (
            "list",
            config.with_allowed_hosts(["good.example", "bad example"]),
            "bad example",
        ),
        (
            "list",
            config.with_blocked_hosts(["good.example", "10.0.0.1/8"]),
            "10.0.0.0/8",
        ),
        ("network", config.allow_network("10.0.0.1/8"), "10.0.0.0/8"),
        ("network", config.allow_network("corp"), "corp"),
        ("network", config.allow_network("10.0.0.0/33"), "33"),
        (
            "hosts",
            config.with_hosts([("10.0.0.1", vec![])]),
            "10.0.0.1",
        ),
        ("certificate", config.with_root_cert(b""), "empty"),
        (
            "certificate",
            config.with_root_cert(b"not a certificate"),
            "certificate",
        ),
        (
            "certificate",
            config.with_root_cert(server.key_pem().as_bytes()),
            "private key",
        ),
        (
            "timeout",
            config.with_connect_timeout(Duration::ZERO),
            "connect_timeout: 0 ms",
        ),
        (
            "timeout",
            config.with_io_timeout(Duration::ZERO),
            "io_timeout: 0 ms",
        ),
        ("timeout", config.with_io_timeout(Duration::MAX), "24 hours"),
        (
            "rate",
            config.with_connects_per_second(0),
            "connects_per_second: 0 a second",
        ),
        (
            "rate",
            config.with_sent_bytes_per_second(0),
            "max_sent_bytes or max_received_bytes to 0",
        ),
        (
            "rate",
            config.with_received_bytes_per_second(0),
            "max_sent_bytes or max_received_bytes to 0",
        ),
    ];
    for (index, (kind, result, part)) in table.into_iter().enumerate() {
        let error = result.expect_err(&format!("row {index}, {kind}"));
        let text = error.to_string();
        assert!(text.contains(part), "row {index}, {kind}: {text}");
        assert!(
            text.len() > part.len() + 10,
            "row {index} does not say the fix: {text}"
        );
    }
}

#[test]
fn a_root_certificate_may_be_pem_or_der() {
    let authority = CertificateAuthority::new().expect("authority");
    let config = NetConfig::default();
    let pem = config
        .with_root_cert(authority.pem().as_bytes())
        .expect("PEM");
    let der = config.with_root_cert(&authority.der()).expect("DER");
    assert_eq!(pem, der);
}

#[tokio::test]
async fn a_name_with_fixed_addresses_is_not_looked_up() {
    let resolver = Arc::new(ScriptedResolver::new().answer("b.example", &["192.0.2.2"]));
    let config = NetConfig::default()
        .with_resolver(Arc::clone(&resolver) as Arc<dyn Resolve>)
        .with_hosts([("A.example.", vec![ip("192.0.2.1")])])
        .expect("valid");
    let ask = async |name: &str| {
        let name = name.parse().expect("a name");
        config
            .resolver()
            .resolve(&name)
            .await
            .map(|answer| answer.addresses)
    };
    assert_eq!(ask("a.example").await, Ok(vec![ip("192.0.2.1")]));
    assert!(resolver.queries().is_empty());
    assert_eq!(ask("b.example").await, Ok(vec![ip("192.0.2.2")]));

    let changed = config
        .with_hosts([("a.example", vec![ip("192.0.2.3")])])
        .expect("valid");
    let name = "a.example".parse().expect("a name");
    let answer = changed.resolver().resolve(&name).await.expect("fixed");
    assert_eq!(
        answer.addresses,
        [ip("192.0.2.3")],
        "the resolver of the changed configuration is a new one"
    );
}

#[test]
fn a_clone_shares_the_compiled_policy_until_a_rule_changes() {
    let config = NetConfig::default();
    let policy: *const _ = config.policy();
    let connector: *const _ = config.connector();
    let clone = config.clone().with_max_connections(3);
    assert!(std::ptr::eq(policy, clone.policy()));
    assert!(std::ptr::eq(connector, clone.connector()));
    let stricter = config.block_host("b.example").expect("valid");
    assert!(!std::ptr::eq(policy, stricter.policy()));
    assert!(std::ptr::eq(connector, stricter.connector()));
}
