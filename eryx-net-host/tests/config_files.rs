//! Policy files and serde: round trips, defaults, and errors with their position.
#![cfg(feature = "toml")]

mod support;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::policy::{HttpRule, QueryRule};
use eryx_net_host::{ConfigError, HttpDenials, NetConfig};
use eryx_testkit::{CertificateAuthority, Leaf};
use support::*;

/// Returns configurations in which every setting differs from its default once.
fn configurations() -> Vec<NetConfig> {
    let old = NetConfig::default();
    let authority = CertificateAuthority::new().expect("authority");
    let other = CertificateAuthority::new().expect("authority");
    let server = "[::1]:5353".parse().expect("address");
    let rules = [
        "GET,HEAD a.example/user /repos/*",
        "PUT a.example:443/in/**",
    ];
    let rules = rules.map(|rule| rule.parse::<HttpRule>().expect("a rule"));
    let query = QueryRule::new([("page", true), ("token", false)]).expect("a query rule");
    let rules = rules.map(|rule| {
        rule.with_query(query.clone())
            .with_max_request_bytes(Some(1))
            .with_upgrade(true)
    });
    [
        Ok(old.clone()),
        Ok(NetConfig::permissive()),
        Ok(old.with_max_connections(3)),
        Ok(old.with_max_connections_per_host(0)),
        old.with_connects_per_second(4),
        old.with_connect_timeout(Duration::from_millis(1)),
        old.with_io_timeout(Duration::from_secs(24 * 60 * 60)),
        Ok(old.with_max_sent_bytes(0)),
        Ok(old.with_max_received_bytes(i64::MAX as u64)),
        old.with_sent_bytes_per_second(7),
        old.with_received_bytes_per_second(8),
        Ok(old.with_report_only(true)),
        Ok(old.with_shared_caches(true)),
        old.with_allowed_hosts([
            "a.example",
            "*.b.example:443",
            "[2001:db8::7]:8000-8100",
            "10.*",
        ]),
        old.with_blocked_hosts(["c.example"]),
        old.block_host("d.example"),
        Ok(old.allow_localhost()),
        old.allow_localhost().block_host("e.example"),
        old.allow_localhost()
            .block_host("e.example")
            .and_then(|config| config.block_host("localhost"))
            .and_then(|config| config.block_host("f.example")),
        Ok(NetConfig::permissive().allow_localhost()),
        old.allow_network("10.1.0.0/16"),
        old.allow_internal_host("db.corp:5432"),
        old.with_allowed_udp(["ns.corp:53", "[2001:db8::7]:5000-5010"]),
        old.with_root_cert(authority.pem().as_bytes())
            .and_then(|config| config.with_root_cert(&other.der())),
        Ok(old.allow_unverified_tls(true)),
        old.with_hosts([
            ("A.example", vec![ip("192.0.2.1"), ip("2001:db8::1")]),
            ("bücher.example", vec![]),
        ]),
        Ok(old.with_dns_server(server)),
        old.with_inspected_host("*.example:443"),
        Ok(old.with_http_denials(HttpDenials::Response)),
        old.with_http_rules(rules),
    ]
    .into_iter()
    .map(|config| config.expect("valid"))
    .collect()
}

#[test]
fn a_configuration_survives_serialisation() {
    for config in configurations() {
        let toml = config.to_toml().expect("written");
        let read =
            NetConfig::from_toml_str(&toml).unwrap_or_else(|error| panic!("{error}\n{toml}"));
        assert_eq!(read, config, "{toml}");
        let json = serde_json::to_string(&config).expect("written");
        let read: NetConfig = serde_json::from_str(&json).expect("read");
        assert_eq!(read, config, "{json}");
    }
}

#[test]
fn an_absent_setting_takes_its_default() {
    assert_eq!(NetConfig::from_toml_str(""), Ok(NetConfig::default()));
    let read: NetConfig = serde_json::from_str("{}").expect("read");
    assert_eq!(read, NetConfig::default());
    let read: NetConfig = serde_json::from_str(r#"{"max_sent_bytes": null}"#).expect("read");
    assert_eq!(read, NetConfig::default());
}

#[test]
fn every_setting_of_a_file_equals_the_method_of_the_same_name() {
    let default = NetConfig::default();
    let table = [
        ("max_connections = 3", Ok(default.with_max_connections(3))),
        (
            "max_connections_per_host = 2",
            Ok(default.with_max_connections_per_host(2)),
        ),
        (
            "connects_per_second = 5",
            default.with_connects_per_second(5),
        ),
        (
            "connect_timeout_ms = 5000",
            default.with_connect_timeout(Duration::from_secs(5)),
        ),
        (
            "io_timeout_ms = 1_500",
            default.with_io_timeout(Duration::from_millis(1500)),
        ),
        ("max_sent_bytes = 0", Ok(default.with_max_sent_bytes(0))),
        (
            "max_received_bytes = 1_000",
            Ok(default.with_max_received_bytes(1000)),
        ),
        (
            "sent_bytes_per_second = 9",
            default.with_sent_bytes_per_second(9),
        ),
        (
            "received_bytes_per_second = 10",
            default.with_received_bytes_per_second(10),
        ),
        ("report_only = true", Ok(default.with_report_only(true))),
        ("shared_caches = true", Ok(default.with_shared_caches(true))),
        (
            "allowed_hosts = ['a.example', '*.b.example:443']",
            default.with_allowed_hosts(["a.example", "*.b.example:443"]),
        ),
        (
            "blocked_hosts = []",
            default.with_blocked_hosts(Vec::<String>::new()),
        ),
        (
            "also_blocked_hosts = ['ads.example']",
            default.block_host("ads.example"),
        ),
        ("allow_localhost = true", Ok(default.allow_localhost())),
        (
            "allow_localhost = true\nblocked_hosts = ['localhost', 'b.example']",
            default
                .with_blocked_hosts(["localhost", "b.example"])
                .map(|config| config.allow_localhost()),
        ),
        (
            "allowed_networks = ['10.0.0.0/8']",
            default.allow_network("10.0.0.0/8"),
        ),
        (
            "allowed_udp = ['ns.corp:53']",
            default.allow_udp("ns.corp:53"),
        ),
        (
            "internal_hosts = ['db.corp:5432']",
            default.allow_internal_host("db.corp:5432"),
        ),
        (
            "allow_unverified_tls = true",
            Ok(default.allow_unverified_tls(true)),
        ),
        (
            "dns_server = '192.0.2.53'",
            Ok(default.with_dns_server("192.0.2.53:53".parse().expect("address"))),
        ),
        (
            "dns_server = '[2001:db8::53]:5353'",
            Ok(default.with_dns_server("[2001:db8::53]:5353".parse().expect("address"))),
        ),
        (
            "inspect = ['*:443', 'a.example']",
            default
                .with_inspected_host("*:443")
                .and_then(|config| config.with_inspected_host("a.example")),
        ),
        (
            "http_denials = 'response'",
            Ok(default.with_http_denials(HttpDenials::Response)),
        ),
        (
            "[[http_rules]]\nhost = 'a.example'\nmethods = ['GET']\npaths = ['/user', '/repos/*']\n\
             [[http_rules]]\nhost = 'b.example'",
            default.with_http_rules(["GET a.example/user /repos/*", "b.example"].map(rule)),
        ),
        (
            "[[http_rules]]\nhost = 'a.example'\nquery = {page = true, token = false}\n\
             max_request_bytes = 5\nmax_response_bytes = 6\nupgrade = true",
            default.with_http_rule(
                rule("a.example")
                    .with_query(
                        QueryRule::new([("page", true), ("token", false)]).expect("a query rule"),
                    )
                    .with_max_request_bytes(Some(5))
                    .with_max_response_bytes(Some(6))
                    .with_upgrade(true),
            ),
        ),
        (
            "[hosts]\n'db.corp' = ['10.0.0.5']",
            default.with_hosts([("db.corp", vec![ip("10.0.0.5")])]),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(NetConfig::from_toml_str(text), expected, "{text}");
    }
}

fn rule(text: &str) -> HttpRule {
    text.parse().expect(text)
}

#[test]
fn paths_of_certificate_files_are_relative_to_the_policy_file() {
    let authority = CertificateAuthority::new().expect("authority");
    let folder = tempfile::tempdir().expect("created");
    fs::create_dir(folder.path().join("certs")).expect("created");
    fs::write(folder.path().join("certs/ca.pem"), authority.pem()).expect("written");
    fs::write(folder.path().join("ca.der"), authority.der()).expect("written");
    let expected = NetConfig::default()
        .with_root_cert(&authority.der())
        .expect("a certificate");
    let policy = folder.path().join("policy.toml");
    for files in ["['certs/ca.pem']", "['ca.der', 'certs/ca.pem']"] {
        fs::write(&policy, format!("root_cert_files = {files}")).expect("written");
        assert_eq!(NetConfig::from_toml_file(&policy).as_ref(), Ok(&expected));
    }
    let absolute = folder.path().join("ca.der");
    fs::write(&policy, format!("root_cert_files = [{absolute:?}]")).expect("written");
    assert_eq!(NetConfig::from_toml_file(&policy).as_ref(), Ok(&expected));
}

#[test]
fn the_manual_documents_every_setting_and_its_files_are_valid() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/networking.md");
    let manual = fs::read_to_string(manual).expect("read");
    let error = NetConfig::from_toml_str("unknown = 1")
        .expect_err("unknown")
        .to_string();
    let (_, settings) = error.split_once("expected one of ").expect("a list");
    let settings: Vec<&str> = settings.split('`').skip(1).step_by(2).collect();
    assert!(settings.len() > 20, "{settings:?}");
    for setting in settings {
        assert!(manual.contains(&format!("`{setting}`")), "{setting}");
    }
    let folder = tempfile::tempdir().expect("created");
    let authority = CertificateAuthority::new().expect("authority");
    fs::write(folder.path().join("internal-ca.pem"), authority.pem()).expect("written");
    fs::write(folder.path().join("github-token"), "ghp_0123456789\n").expect("written");
    let policy = folder.path().join("policy.toml");
    let mut files = 0;
    for block in manual.split("```toml\n").skip(1) {
        let (file, _) = block.split_once("```").expect("an end");
        fs::write(&policy, file).expect("written");
        let config = NetConfig::from_toml_file(&policy).expect("it is read");
        assert_ne!(config, NetConfig::default());
        files += 1;
    }
    assert!(files > 0);
}

#[test]
fn settings_that_are_not_from_a_file_cannot_name_certificate_files() {
    let text = "root_cert_files = ['/etc/hostname']";
    let error = NetConfig::from_toml_str(text)
        .expect_err("no file")
        .to_string();
    assert!(
        error.contains("root_cert_files") && error.contains("from_toml_file"),
        "{error}"
    );
    let json = serde_json::from_str::<NetConfig>(r#"{"root_cert_files": ["/etc/hostname"]}"#);
    let error = json.expect_err("no file").to_string();
    assert!(error.contains("root_certs"), "{error}");
}

#[test]
fn a_configuration_with_a_custom_resolver_cannot_be_serialised() {
    let config = NetConfig::default().with_resolver(Arc::new(NeverResolves));
    let error = config.to_toml().expect_err("an object").to_string();
    assert!(error.contains("with_resolver"), "{error}");
    let error = serde_json::to_string(&config)
        .expect_err("an object")
        .to_string();
    assert!(error.contains("with_resolver"), "{error}");
}

#[test]
fn a_malformed_file_is_an_error_with_the_position_the_text_and_the_fix() {
    let server = Leaf::server(["a.example"]).self_signed().expect("identity");
    let key = format!("root_certs = ['''{}''']", server.key_pem());
    // Each row has a file, the position of its error, and parts of the error.
    let table = [
        // Not TOML.
        "max_connections | line 1 | =",
        "max_connections =  | line 1 | max_connections =",
        "\n\nallowed_hosts = [\"a.example\" | line 3 | ]",
        "allowed_hosts = \"a.example | line 1 | \"",
        "max_connections = 1\nmax_connections = 2 | line 2 | duplicate key",
        "[hosts\n | line 1 | ]",
        // Not a setting.
        "max_conections = 3 | line 1, column 1 | `max_conections` | `max_connections`",
        "\nallowed-hosts = [] | line 2, column 1 | `allowed-hosts` | did you mean `allowed_hosts`?",
        "[network]\nreport_only = true | line 1 | `network` | expected one of",
        // A value of the wrong type.
        "max_connections = \"ten\" | line 1, column 19 | \"ten\" | a whole number without quotes",
        "max_connections = 1.5 | line 1 | 1.5 | a whole number",
        "max_connections = -1 | line 1 | -1 | a whole number such as 10",
        "max_connections = [1] | line 1 | sequence | a whole number",
        "max_connections_per_host = -3 | line 1 | -3 | a whole number such as 10",
        "connects_per_second = 0 | line 1 | 0 a second | give at least 1",
        "connects_per_second = 5_000_000_000 | line 1 | 5000000000 is too large",
        "sent_bytes_per_second = 0 | line 1 | 0 a second | give at least 1",
        "received_bytes_per_second = \"1M\" | line 1 | \"1M\" | without quotes",
        "connect_timeout_ms = 0 | line 1 | 0 ms is not a timeout | at most 24 hours (86400000 ms)",
        "io_timeout_ms = 86_400_001 | line 1 | 86400001 | at most 24 hours (86400000 ms)",
        "io_timeout_ms = \"30s\" | line 1 | \"30s\" | a whole number",
        "report_only = \"yes\" | line 1 | \"yes\" | a boolean",
        "shared_caches = 1 | line 1 | `1` | a boolean",
        "allowed_hosts = \"a.example\" | line 1 | a sequence; write [\"a.example\"]",
        "allowed_hosts = [80] | line 1 | 80 | as a string",
        // Patterns, each with its position in the list.
        "allowed_hosts = [\n  'a.example',\n  'api.*.com',\n] | line 3, column 3 | \
         `api.*.com` is not a host pattern | *.example.com",
        "allowed_hosts = [''] | line 1, column 18 | empty | example.com",
        "allowed_hosts = ['https://a.example/'] | line 1 | URL | the host alone",
        "allowed_hosts = ['a.example:https'] | line 1 | `https` is not a port | 1 to 65535",
        "allowed_hosts = ['a.example:0'] | line 1 | `0` is not a port | 1 to 65535",
        "allowed_hosts = ['a.example:9000-8000'] | line 1 | 8000-9000",
        "allowed_hosts = ['a.example, b.example'] | line 1 | an entry of its own",
        "blocked_hosts = ['127.1'] | line 1 | `127.1` | four decimal numbers",
        "blocked_hosts = ['10.0.0.1/8'] | line 1 | `10.0.0.1/8` | 10.0.0.0/8",
        "also_blocked_hosts = ['a b'] | line 1 | `a b` | a space",
        "allowed_udp = ['ns.corp'] | line 1 | `ns.corp` | `ns.corp:53`",
        "internal_hosts = ['*corp'] | line 1 | `*corp` | *.example.com",
        "allowed_networks = ['corp'] | line 1 | `corp`",
        "allowed_networks = ['10.0.0.0/33'] | line 1 | 33 | 32",
        "allowed_networks = ['10.0.0.1/8'] | line 1 | 10.0.0.0/8",
        "allowed_networks = ['::ffff:10.0.0.0/104'] | line 1 | 10.0.0.0/8",
        // Certificates.
        "root_certs = [''] | line 1 | the root certificate is empty | PEM",
        "root_certs = ['hello'] | line 1 | not an X.509 certificate | -----BEGIN CERTIFICATE-----",
        "root_certs = 'ca.pem' | line 1 | ca.pem | a sequence",
        // Names and addresses.
        "dns_server = 'dns.example' | line 1 | `dns.example` is not a name server | 192.0.2.53",
        "dns_server = '192.0.2.53:0' | line 1 | `192.0.2.53:0` is not a name server",
        "[hosts]\n'a b' = [] | line 2 | `a b` | a space",
        "[hosts]\n'10.0.0.1' = [] | line 2 | `10.0.0.1`",
        "[hosts]\n'a.example' = '10.0.0.1' | line 2 | 10.0.0.1 | a sequence",
        "[hosts]\n'a.example' = ['b.example'] | line 2, column 16 | \
         `b.example` is not an IP address | 192.0.2.7",
        "[hosts]\n'a.example' = []\n'A.example' = [] | line  | `a.example` is there twice | \
         one list",
        // HTTP rules.
        "http_denials = 'silent' | line 1, column 16 | `silent` | `error` or `response`",
        "inspect = ['a.*.b'] | line 1, column 12 | `a.*.b` is not a host pattern",
        "[[http_rules]]\nmethods = ['GET'] | line 1 | missing field `host`",
        "[[http_rules]]\nhost = 'a.example'\nmethods = ['GET', 'put'] | line 3, column 19 | \
         write `PUT`",
        "[[http_rules]]\nhost = 'a.example'\npaths = ['/a/**/b'] | line 3, column 10 | \
         `/a/**/b` is not a path pattern | write it last",
        "[[http_rules]]\nhost = 'a.example'\nmethods = [] | line 1 | list of methods is empty",
        "[[http_rules]]\nhost = 'a.example'\nmethods = 'GET' | line 3, column 11 | write ['GET']",
        "[[http_rules]]\nhost = 'a.example'\npaths = [1] | line 3 | `1` | as a string",
        "[[http_rules]]\nhost = 'a.example'\nmax_request_bytes = -1 | line 3, column 21 | \
         -1 is negative | leave the limit out",
        "[[http_rules]]\nhost = 'a.example'\nmax_request_bytes = nan | line 3, column 21 | \
         a whole number of bytes",
        "[[http_rules]]\nhost = 'a.example'\nmax_response_bytes = '1' | line 3, column 22 | \
         a whole number of bytes without quotes",
        "[[http_rules]]\nhost = 'a.example'\nquery = ['page'] | line 3 | {page = true",
        "[[http_rules]]\nhost = 'a.example'\nquery = {page = 1} | line 3 | `1` | a boolean",
        "[[http_rules]]\nhost = 'a.example'\npath = '/a' | line 3 | unknown field `path` | `paths`",
    ];
    assert!(table.len() >= 30);
    let check = |text: &str, position: &str, parts: &[&str]| {
        let error = match NetConfig::from_toml_str(text) {
            Err(ConfigError::File(error)) => error,
            other => panic!("{text}: {other:?}"),
        };
        assert!(error.starts_with(position), "{text}: {error}");
        for part in parts {
            assert!(error.contains(part), "{text}: no {part} in {error}");
        }
    };
    for row in table {
        let fields: Vec<&str> = row.split(" | ").collect();
        let [text, position, parts @ ..] = &fields[..] else {
            panic!("two fields: {row}");
        };
        assert!(!parts.is_empty(), "{row}");
        check(text, position, parts);
    }
    let parts = ["private key", "the CA's certificate alone"];
    check(&key, "line 1", &parts);
}

#[test]
fn an_error_about_a_file_has_no_terminal_control_characters() {
    for text in [
        "max_\u{1b}[2Jconnections = 3",
        "\"max_\\u001b[2Jconnections\" = 3",
        "allowed_hosts = [\"a\u{9b}2J\"]",
        "report_only = '\u{202e}'",
    ] {
        let error = NetConfig::from_toml_str(text).expect_err(text).to_string();
        let is_control = |c: char| c.is_control() || c == '\u{202e}';
        assert!(!error.contains(is_control), "{error:?}");
        assert!(error.contains("line 1"), "{error}");
    }
}

#[test]
fn an_error_about_a_policy_file_names_the_file() {
    let folder = tempfile::tempdir().expect("created");
    let policy = folder.path().join("policy.toml");
    let assert_error = |parts: &[&str]| {
        let error = NetConfig::from_toml_file(&policy)
            .expect_err("malformed")
            .to_string();
        for part in parts.iter().chain(&["policy.toml"]) {
            assert!(error.contains(part), "no {part} in {error}");
        }
    };
    assert_error(&["cannot be read"]);
    fs::write(&policy, b"\xff\xfe").expect("written");
    assert_error(&["UTF-8"]);
    fs::write(&policy, "\nmax_connections = 'x'").expect("written");
    assert_error(&[
        "line 2",
        "whole number",
        "the line is max_connections = 'x'",
    ]);
    fs::write(&policy, "root_cert_files = ['gone.pem']").expect("written");
    assert_error(&["gone.pem", "cannot be read", "relative to the policy file"]);
    fs::write(&policy, "root_cert_files = ['policy.toml']").expect("written");
    assert_error(&["root_cert_files", "not an X.509 certificate"]);
}

#[tokio::test]
async fn an_event_is_one_line_of_json() {
    let world = TlsFixture::new();
    let peer = world.peer(eryx_testkit::Behaviour::Echo).await;
    let config = world.config().with_max_sent_bytes(2);
    let (network, recorder) = recorded(&config);
    let _ = network.connect("10.0.0.5", 80);
    let mut connection = tls_connected(&network, peer.port()).await;
    send(&mut connection, b"hi").await;
    assert!(within_timeout(connection.write(b"!", None)).await.is_err());
    drop(connection);
    let lines: Vec<serde_json::Value> = recorder
        .events()
        .iter()
        .map(|event| {
            let line = serde_json::to_string(event).expect("written");
            assert!(!line.contains('\n'));
            serde_json::from_str(&line).expect("read")
        })
        .collect();
    let kinds: Vec<_> = lines
        .iter()
        .map(|line| line["event"].as_str().expect("a word"))
        .collect();
    assert_eq!(
        kinds,
        [
            "denied",
            "resolved",
            "connected",
            "tls",
            "limit-reached",
            "closed"
        ]
    );
    let denied = &lines[0];
    assert_eq!(denied["host"], "10.0.0.5");
    assert_eq!(denied["port"], 80);
    assert_eq!(denied["verdict"]["reason"], "address-blocked");
    assert_eq!(denied["verdict"]["rule"]["pattern"], "10.0.0.0/8");
    assert_eq!(lines[1]["addresses"], serde_json::json!(["127.0.0.1"]));
    assert_eq!(lines[2]["address"], format!("127.0.0.1:{}", peer.port()));
    assert_eq!(lines[3]["version"], "TLSv1.3");
    assert_eq!(lines[3]["server_name"], "secure.test");
    assert_eq!(lines[4]["limit"], "max_sent_bytes");
    assert_eq!(lines[5]["sent"], 2);
    assert_eq!(lines[5]["close_reason"], "error");
    assert!(lines[5]["duration_ms"].as_f64().expect("a number") > 0.0);
}
