//! Tests of the settings of a proxy.
#![cfg(feature = "toml")]

mod support;

use std::fs;

use eryx_net_host::{ConfigError, HttpDenials, NetConfig, Proxy};
use eryx_testkit::CertificateAuthority;
use serde_json::json;

fn with_proxy(url: &str) -> NetConfig {
    NetConfig::default().with_proxy(url.parse().expect("a proxy"))
}

#[test]
fn a_password_is_never_shown_and_never_written_down() {
    let config = with_proxy("http://us%40er:pa%3Ass@proxy:3128");
    let shown = format!(
        "{config:?} {} {:?}",
        config.proxy().expect("a proxy"),
        config.proxy()
    );
    assert!(shown.contains("http://***@proxy:3128"), "{shown}");
    for secret in ["us@er", "us%40er", "pa:ss", "pa%3Ass"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let error = config.to_toml().expect_err("a password");
    assert!(
        matches!(&error, ConfigError::Refused(text) if text.contains("password")),
        "{error}"
    );
    assert!(!error.to_string().contains("pa:ss"), "{error}");
    assert!(serde_json::to_string(&config).is_err());
    let without = config.without_proxy();
    assert_eq!(without, NetConfig::default());
    without.to_toml().expect("no password");
}

#[test]
fn a_proxy_without_a_password_survives_serialisation() {
    let authority = CertificateAuthority::new().expect("an authority");
    for config in [
        with_proxy("http://proxy:3128"),
        with_proxy("https://us%40er@[2001:db8::7]"),
        with_proxy("socks5://192.0.2.7").with_proxy_resolves(true),
        with_proxy("http://proxy:3128")
            .bypass_proxy("*.corp")
            .expect("a pattern"),
        with_proxy("http://proxy:3128")
            .with_proxy_root_cert(authority.pem().as_bytes())
            .expect("a root"),
    ] {
        let toml = config.to_toml().expect("written");
        assert_eq!(
            NetConfig::from_toml_str(&toml).as_ref(),
            Ok(&config),
            "{toml}"
        );
        let json = serde_json::to_string(&config).expect("written");
        assert_eq!(
            serde_json::from_str::<NetConfig>(&json).expect("read"),
            config
        );
    }
}

#[test]
fn configurations_that_differ_in_the_proxy_differ() {
    let base = with_proxy("http://user:a@proxy:3128");
    assert_eq!(base, with_proxy("http://user:a@proxy:3128"));
    for other in [
        with_proxy("http://user:b@proxy:3128"),
        with_proxy("http://proxy:3128"),
        with_proxy("http://user:a@proxy:3129"),
        base.without_proxy(),
        base.with_proxy_resolves(true),
        base.bypass_proxy("a.example").expect("a pattern"),
    ] {
        assert_ne!(base, other);
    }
}

#[test]
fn an_invalid_proxy_in_a_file_is_an_error_without_its_text() {
    for line in [
        "proxy = 'http://eve:secret@proxy'",
        "proxy = 'eve:secret@proxy:3128'",
        "\"proxy\" = 'http://secret'",
        "proxy = \"http://eve:secret@proxy:3128",
        "proxy = ['http://eve:secret@proxy:3128']",
    ] {
        let error = NetConfig::from_toml_str(&format!("max_connections = 3\n{line}\n"))
            .expect_err(line)
            .to_string();
        assert!(error.starts_with("line 2, "), "{error}");
        assert!(
            !error.contains("secret") && !error.contains("eve"),
            "{error}"
        );
    }
    let error = "http://proxy"
        .parse::<Proxy>()
        .expect_err("no port")
        .to_string();
    assert_eq!(
        error,
        "the proxy cannot be used: its port is missing; write it as in `http://proxy.example:3128`, \
         `https://user:password@proxy.example` or `socks5://192.0.2.7:1080`"
    );
}

#[test]
fn settings_that_cannot_be_combined_are_errors() {
    let proxy = with_proxy("http://proxy:3128");
    let resolving = proxy.with_proxy_resolves(true);
    let table = [
        (Ok(NetConfig::default()), None),
        (Ok(proxy.clone()), None),
        (Ok(resolving.clone()), None),
        (resolving.allow_host("a.example"), None),
        (resolving.with_allowed_hosts(["10.0.0.0/8", "*"]), None),
        (NetConfig::default().allow_udp("192.0.2.7:53"), None),
        (
            Ok(NetConfig::default().with_proxy_resolves(true)),
            Some("without a proxy"),
        ),
        (proxy.allow_udp("192.0.2.7:53"), Some("allowed_udp")),
        (
            resolving.with_allowed_hosts(["10.0.0.0/8", "192.0.2.7"]),
            Some("allowed_hosts has only addresses and networks"),
        ),
    ];
    for (config, expected) in table {
        let config = config.expect("valid on its own");
        match (config.validate(), expected) {
            (Ok(()), None) => {}
            (Err(ConfigError::Refused(text)), Some(expected)) => {
                assert!(text.contains(expected), "{text}");
                // A file with these settings is refused, too.
                let toml = config.to_toml().expect("written");
                let error = NetConfig::from_toml_str(&toml).expect_err("refused");
                assert!(error.to_string().contains(expected), "{error}");
                let json = serde_json::to_value(&config).expect("written");
                assert!(serde_json::from_value::<NetConfig>(json).is_err());
            }
            (outcome, expected) => panic!("{outcome:?}, expected {expected:?} for {config:?}"),
        }
    }
}

#[test]
fn entries_that_do_not_apply_to_names_are_a_warning() {
    let resolving = with_proxy("http://proxy:3128").with_proxy_resolves(true);
    let warnings = resolving.warnings();
    assert!(
        warnings[0].contains("networks in blocked_hosts apply only"),
        "{warnings:?}"
    );
    let both = resolving
        .allow_network("10.0.0.0/8")
        .and_then(|c| c.allow_host("192.0.2.7"));
    let warnings = both.expect("valid").warnings();
    assert!(
        warnings[0].contains("allowed_hosts and blocked_hosts"),
        "{warnings:?}"
    );
    let names = resolving.with_blocked_hosts(["a.example"]).expect("valid");
    assert!(names.warnings().is_empty());
    assert!(with_proxy("http://proxy:3128").warnings().is_empty());
}

#[test]
fn settings_without_effect_are_a_warning() {
    let authority = CertificateAuthority::new().expect("an authority");
    let default = NetConfig::default();
    let certificate = |config: &NetConfig| config.with_proxy_root_cert(authority.pem().as_bytes());
    let responses = default.with_http_denials(HttpDenials::Response);
    let https = with_proxy("https://proxy:3128");
    for (config, part) in [
        (
            default.bypass_proxy("*.corp"),
            Some("no_proxy has no effect"),
        ),
        (https.bypass_proxy("*.corp"), None),
        (certificate(&default), Some("without an https proxy")),
        (
            certificate(&with_proxy("http://proxy:3128")),
            Some("without an https proxy"),
        ),
        (certificate(&https), None),
        (Ok(responses.clone()), Some("http_denials has no effect")),
        (
            responses.with_http_rule("a.example".parse().expect("a rule")),
            None,
        ),
    ] {
        let config = config.expect("valid");
        let warnings = config.warnings();
        assert_eq!(
            warnings.len(),
            part.iter().len(),
            "{config:?}: {warnings:?}"
        );
        if let Some(part) = part {
            assert!(warnings[0].contains(part), "{warnings:?}");
        }
    }
}

#[test]
fn certificates_for_the_proxy_are_read_from_files_relative_to_the_policy() {
    let authority = CertificateAuthority::new().expect("an authority");
    let folder = tempfile::tempdir().expect("created");
    fs::write(folder.path().join("proxy.pem"), authority.pem()).expect("written");
    let policy = folder.path().join("policy.toml");
    fs::write(
        &policy,
        "proxy = 'https://proxy'\nproxy_root_cert_files = ['proxy.pem']",
    )
    .expect("written");
    let config = NetConfig::from_toml_file(&policy).expect("read");
    assert_eq!(config.proxy_trust().len(), 1);
    assert_eq!(config.trust(), NetConfig::default().trust());
    let expected = with_proxy("https://proxy").with_proxy_root_cert(authority.pem().as_bytes());
    assert_eq!(config, expected.expect("a root"));
    fs::write(&policy, "proxy_root_cert_files = ['gone.pem']").expect("written");
    let error = NetConfig::from_toml_file(&policy)
        .expect_err("gone")
        .to_string();
    assert!(error.contains("proxy_root_cert_files"), "{error}");
    let error = NetConfig::default().with_settings(json!({"proxy_root_cert_files": ["a"]}));
    assert!(
        error
            .expect_err("a file")
            .to_string()
            .contains("proxy_root_certs")
    );
}

#[test]
fn the_environment_is_written_down_as_such() {
    // The variables of this process decide whether there is a proxy.
    let proxy = Proxy::from_env().expect("no malformed variable");
    assert!(proxy.is_from_env());
    let config = NetConfig::default().with_proxy(proxy);
    let toml = config.to_toml().expect("no password");
    assert!(toml.contains("proxy = \"env\""), "{toml}");
    assert_eq!(NetConfig::from_toml_str(&toml), Ok(config));
}
