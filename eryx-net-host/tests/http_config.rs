//! HTTP rules and secrets of a configuration: policy files, warnings and verdicts without a
//! network.
#![cfg(feature = "toml")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use eryx_net_host::policy::{HintStyle, HttpReason, HttpRule, SecretBinding};
use eryx_net_host::{ConfigError, NetConfig, ProvideSecret, ProvideSecretError, Secret};
use futures_util::future::BoxFuture;
use secrecy::SecretString;

const VALUE: &str = "ghp_0123456789abcdef";

/// A variable that cargo sets for this process.
const VARIABLE: &str = "CARGO_MANIFEST_DIR";

#[test]
fn a_policy_file_takes_secrets_from_files_and_variables_and_is_written_without_their_values() {
    let folder = tempfile::tempdir().expect("created");
    fs::create_dir(folder.path().join("tokens")).expect("created");
    let token = folder.path().join("tokens/github");
    fs::write(&token, format!("{VALUE}\n")).expect("written");
    let policy = folder.path().join("policy.toml");
    fs::write(
        &policy,
        format!(
            "[secrets.GITHUB_TOKEN]\nfile = 'tokens/github'\nhosts = ['api.github.com']\n\
             [secrets.KEY]\nenv = '{VARIABLE}'\nhosts = ['a.example:443', 'b.example']\n\
             headers = ['X-Key']\nquery = ['key']\nbody = true\ninject = 'Key {{}}'\n\
             plaintext_hosts = ['c.example:80']\n"
        ),
    )
    .expect("written");
    let config = NetConfig::from_toml_file(&policy).expect("read");
    let expected = NetConfig::default()
        .with_secrets([
            Secret::from_file(binding("GITHUB_TOKEN", "api.github.com"), token).expect("read"),
            Secret::from_variable(
                binding("KEY", "a.example:443")
                    .with_headers(["x-key"])
                    .and_then(|binding| binding.with_query(["key"]))
                    .and_then(|binding| binding.with_inject("Key {}"))
                    .and_then(|binding| {
                        binding.with_plaintext_hosts(["c.example:80".parse().expect("a pattern")])
                    })
                    .expect("a binding")
                    .with_body(true),
                VARIABLE,
            )
            .expect("set"),
        ])
        .expect("valid");
    let bindings = |config: &NetConfig| -> Vec<SecretBinding> {
        config
            .secrets()
            .map(|secret| secret.binding().clone())
            .collect()
    };
    assert_eq!(bindings(&config)[0], bindings(&expected)[0]);
    assert_eq!(bindings(&config)[1].headers(), ["x-key"]);
    assert_eq!(bindings(&config)[1].hosts().len(), 2);
    assert!(bindings(&config)[1].body());
    assert_eq!(bindings(&config)[1].inject(), Some("Key {}"));
    assert_eq!(
        bindings(&config)[1].plaintext_hosts(),
        bindings(&expected)[1].plaintext_hosts()
    );

    let toml = config.to_toml().expect("written");
    let value = std::env::var(VARIABLE).expect("set");
    for text in [&toml, &format!("{config:?}")] {
        assert!(!text.contains(VALUE) && !text.contains(&value), "{text}");
    }
    // The path is absolute, so that the file can be in another folder.
    let other = tempfile::tempdir().expect("created");
    let copy = other.path().join("policy.toml");
    fs::write(&copy, &toml).expect("written");
    assert_eq!(NetConfig::from_toml_file(&copy), Ok(config), "{toml}");
}

#[test]
fn settings_that_are_not_from_a_file_cannot_read_secrets() {
    let folder = tempfile::tempdir().expect("created");
    let token = folder.path().join("token");
    fs::write(&token, VALUE).expect("written");
    for place in [format!("env = '{VARIABLE}'"), format!("file = {token:?}")] {
        let text = format!("[secrets.TOKEN]\n{place}\nhosts = ['evil.example']");
        let error = NetConfig::from_toml_str(&text)
            .expect_err("refused")
            .to_string();
        assert!(
            error.contains("secrets.TOKEN") && error.contains("from_toml_file"),
            "{error}"
        );
        let file = folder.path().join("policy.toml");
        fs::write(&file, &text).expect("written");
        assert!(NetConfig::from_toml_file(&file).is_ok(), "{text}");
    }
    let json = serde_json::json!({
        "secrets": { "TOKEN": { "env": VARIABLE, "hosts": ["evil.example"] } },
    });
    let error = serde_json::from_value::<NetConfig>(json)
        .expect_err("refused")
        .to_string();
    assert!(error.contains("secrets.TOKEN"), "{error}");
}

#[test]
fn a_configuration_with_the_value_of_a_secret_cannot_be_written() {
    let literal = Secret::new(binding("TOKEN", "a.example"), VALUE).expect("valid");
    let provider = Secret::with_provider(binding("TOKEN", "a.example"), Arc::new(NeverProvides));
    for secret in [literal, provider] {
        let config = NetConfig::default().with_secret(secret).expect("valid");
        let Err(ConfigError::Refused(error)) = config.to_toml() else {
            panic!("written");
        };
        assert!(
            error.contains("secrets.TOKEN") && error.contains("file"),
            "{error}"
        );
        let json = serde_json::to_string(&config)
            .expect_err("refused")
            .to_string();
        for text in [error, json, format!("{config:?}")] {
            assert!(!text.contains(VALUE), "{text}");
        }
        let without = config.with_secrets([]).expect("valid");
        assert_eq!(without, NetConfig::default());
        assert!(without.to_toml().is_ok());
    }
}

#[test]
fn an_error_about_a_secret_in_a_policy_file_does_not_repeat_a_value() {
    let folder = tempfile::tempdir().expect("created");
    for row in [
        "[secrets]\nTOKEN = 'VALUE' | does not have the value of a secret",
        "secrets = 'VALUE' | does not have the value",
        "secrets.TOKEN = 'VALUE' | does not have the value",
        "secrets = {TOKEN = 'VALUE'} | does not have the value",
        "secrets.TOKEN = ['VALUE'] | a table with `hosts`",
        "[secrets.TOKEN]\nhosts = ['a.example']\nvalue = 'VALUE' | unknown field `value`",
        "[secrets.TOKEN]\nvalue = 'VALUE'\nhosts = ['a.example'] | expected one of `env`, `file`",
        "[secrets.TOKEN]\nhosts = ['a.example'\nenv = 'VALUE' | line",
        "[secrets.TOKEN]\nenv = 'X'\nhosts = 'VALUE' | a sequence",
        "[secrets.TOKEN]\nenv = 'X'\nhosts = ['a.example']\nbody = 'VALUE' | boolean",
        "[secrets.TOKEN]\nhosts = ['a.example'] | either `env",
        "[secrets.TOKEN]\nenv = 'X'\nfile = 'VALUE'\nhosts = ['a.example'] | either `env",
        "[secrets.TOKEN]\nenv = 'ERYX_IS_NOT_SET'\nhosts = ['a.example'] | is not set",
        "[secrets.TOKEN]\nfile = 'gone'\nhosts = ['a.example'] | cannot be read",
        "[secrets.TOKEN]\nfile = 'gone'\nhosts = [] | has no host",
        "[secrets.TOKEN]\nfile = 'gone'\nhosts = ['*'] | every host",
        "[secrets.A-B]\nfile = 'gone'\nhosts = ['a.example'] | `A-B`",
        "[secrets.TOKEN]\nfile = 'gone'\nhosts = ['a.example']\nheaders = ['Host'] | \
         name another field",
    ] {
        let (text, part) = row.split_once(" | ").expect(row);
        let text = text.replace("VALUE", VALUE);
        let file = folder.path().join("policy.toml");
        fs::write(&file, &text).expect("written");
        let error = NetConfig::from_toml_file(&file)
            .expect_err(&text)
            .to_string();
        assert!(error.contains(part), "{text}: {error}");
        assert!(!error.contains(VALUE), "{error}");
    }
}

#[test]
fn a_url_is_checked_by_the_policy_of_hosts_first_and_by_rules_then() {
    let config = NetConfig::default()
        .with_allowed_hosts(["a.example", "b.example"])
        .and_then(|config| config.with_http_rule("GET a.example/user".parse()?))
        .and_then(|config| config.with_http_rule("GET c.example".parse()?))
        .expect("valid");
    for (method, url, reason) in [
        ("GET", "https://a.example/user", HttpReason::Listed),
        (
            "PUT",
            "https://a.example/user",
            HttpReason::MethodNotAllowed,
        ),
        ("PUT", "https://b.example/user", HttpReason::NoRules),
        ("GET", "https://c.example/", HttpReason::HostDenied),
        ("GET", "https://127.0.0.1/", HttpReason::HostDenied),
        ("GET", "a.example", HttpReason::MalformedUrl),
    ] {
        assert_eq!(
            config.check_http(method, url).reason(),
            reason,
            "{method} {url}"
        );
    }
}

/// Regression: a policy of requests that was compiled before the style changed.
#[test]
fn the_message_of_a_request_suggests_settings_in_the_style_of_the_configuration() {
    let rule = || "GET a.example/user".parse::<HttpRule>().expect("a rule");
    let before = NetConfig::default()
        .with_hint_style(HintStyle::Options)
        .with_http_rule(rule());
    let after = NetConfig::default()
        .with_http_rule(rule())
        .map(|config| config.with_hint_style(HintStyle::Options));
    for config in [before, after] {
        let verdict = config
            .expect("valid")
            .check_http("PUT", "https://a.example/user");
        let message = verdict.to_string();
        assert!(
            message.contains("--http-rule 'PUT a.example/user'"),
            "{message}"
        );
    }
}

#[test]
fn rules_and_secrets_without_effect_and_ports_without_a_rule_are_warnings() {
    let config = |allowed: &[&str], rule: &str| {
        NetConfig::default()
            .with_allowed_hosts(allowed)
            .and_then(|config| config.with_http_rule(rule.parse()?))
            .expect("valid")
    };
    for (allowed, rule, part) in [
        (&["a.example"][..], "GET a.example/user", None),
        (&["a.example:443"], "GET a.example/user", None),
        (&["a.example:443"], "GET a.example:443/user", None),
        (&["*.example"], "GET *.example:443/user", None),
        (
            &["a.example"],
            "GET a.example:443/user",
            Some("no rule is for its port 80"),
        ),
        (
            &[],
            "GET a.example:80/user",
            Some("no rule is for its port 443"),
        ),
        (&["b.example"], "GET a.example/user", Some("has no effect")),
        (
            &["a.example:80"],
            "GET a.example:443/user",
            Some("has no effect"),
        ),
        (&[], "GET 10.0.0.1 /user", Some("has no effect")),
    ] {
        let warnings = config(allowed, rule).warnings();
        match part {
            Some(part) => {
                assert_eq!(warnings.len(), 1, "{rule}: {warnings:?}");
                assert!(warnings[0].contains(part), "{rule}: {warnings:?}");
            }
            None => assert!(warnings.is_empty(), "{rule}: {warnings:?}"),
        }
    }
    let both = config(&["a.example"], "GET a.example:443/user")
        .with_http_rule("a.example:80".parse().expect("a rule"))
        .expect("valid");
    assert!(both.warnings().is_empty(), "{:?}", both.warnings());

    let secret = Secret::new(binding("TOKEN", "b.example"), VALUE).expect("valid");
    let config = config(&["a.example"], "a.example")
        .with_secret(secret)
        .expect("valid");
    let warnings = config.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("secrets.TOKEN") && warnings[0].contains("b.example"),
        "{warnings:?}"
    );
}

#[test]
fn a_configuration_has_at_most_50_secrets_however_they_are_given() {
    let folder = tempfile::tempdir().expect("created");
    fs::write(folder.path().join("token"), VALUE).expect("written");
    let policy = folder.path().join("policy.toml");
    for (count, is_valid) in [(50, true), (51, false)] {
        let secrets: Vec<Secret> = (0..count)
            .map(|n| Secret::new(binding(&format!("T{n}"), "a.example"), VALUE).expect("valid"))
            .collect();
        let added = secrets
            .iter()
            .try_fold(NetConfig::default(), |config, secret| {
                config.with_secret(secret.clone())
            });
        let tables = (0..count)
            .map(|n| format!("[secrets.T{n}]\nfile = 'token'\nhosts = ['a.example']\n"))
            .collect::<String>();
        fs::write(&policy, tables).expect("written");
        for result in [
            added,
            NetConfig::default().with_secrets(secrets),
            NetConfig::from_toml_file(&policy),
        ] {
            assert_eq!(result.is_ok(), is_valid);
            if let Err(error) = result {
                assert!(error.to_string().contains("more than 50"), "{error}");
            }
        }
    }
}

#[test]
fn a_file_with_a_warning_is_read() {
    let folder = tempfile::tempdir().expect("created");
    let file: &Path = &folder.path().join("policy.toml");
    fs::write(file, "[[http_rules]]\nhost = 'a.example:443'").expect("written");
    let config = NetConfig::from_toml_file(file).expect("read");
    assert_eq!(config.warnings().len(), 1);
}

fn binding(name: &str, host: &str) -> SecretBinding {
    SecretBinding::new(name, [host.parse().expect(host)]).expect(name)
}

struct NeverProvides;

impl ProvideSecret for NeverProvides {
    fn provide(&self) -> BoxFuture<'static, Result<SecretString, ProvideSecretError>> {
        Box::pin(async { Err(ProvideSecretError("never".to_owned())) })
    }
}

#[test]
fn check_http_gives_the_verdict_that_a_request_gets_where_the_proxy_resolves_names() {
    let lists = |allowed: &[&str], rules: &[&str]| {
        let config = NetConfig::default().with_allowed_hosts(allowed);
        rules
            .iter()
            .fold(config.expect("patterns"), |config, rule| {
                let rule: HttpRule = rule.parse().expect("a rule");
                config.with_http_rule(rule).expect("a rule")
            })
    };
    let proxied = |config: &NetConfig| {
        config
            .with_proxy("http://192.0.2.1:3128".parse().expect("a URL"))
            .with_proxy_resolves(true)
    };
    let rules = ["GET api.example/a", "GET 93.0.0.0/8 /b"];
    let names = lists(&["api.example", "93.0.0.0/8"], &rules);
    let networks = lists(&["93.0.0.0/8"], &rules);
    let every_host = lists(&[], &rules);
    for (config, method, url, direct, by_proxy) in [
        (
            &names,
            "GET",
            "https://api.example/a",
            "needs-addresses",
            "allow",
        ),
        (&names, "GET", "https://api.example/b", "deny", "deny"),
        (&names, "PUT", "https://api.example/a", "deny", "deny"),
        (&names, "GET", "https://other.example/b", "deny", "deny"),
        (&names, "GET", "https://93.184.215.14/b", "allow", "allow"),
        (&names, "GET", "https://93.184.215.14/a", "deny", "deny"),
        (&names, "GET", "https://8.8.8.8/b", "deny", "deny"),
        (
            &networks,
            "GET",
            "https://api.example/a",
            "needs-addresses",
            "deny",
        ),
        (&networks, "PUT", "https://api.example/a", "deny", "deny"),
        (
            &networks,
            "GET",
            "https://93.184.215.14/b",
            "allow",
            "allow",
        ),
        (
            &every_host,
            "GET",
            "https://api.example/a",
            "needs-addresses",
            "allow",
        ),
        (&every_host, "PUT", "https://api.example/a", "deny", "deny"),
        (
            &every_host,
            "GET",
            "https://other.example/x",
            "needs-addresses",
            "allow",
        ),
        (&every_host, "GET", "https://10.0.0.1/x", "deny", "deny"),
        // The proxy is not asked for loopback.
        (&every_host, "GET", "https://localhost/x", "deny", "deny"),
    ] {
        let verdict = |config: &NetConfig| config.check_http(method, url);
        assert_eq!(
            verdict(config).decision().as_str(),
            direct,
            "{url}: {}",
            verdict(config)
        );
        let config = proxied(config);
        assert_eq!(
            verdict(&config).decision().as_str(),
            by_proxy,
            "{url}: {}",
            verdict(&config)
        );
        let named = config.bypass_proxy("*.example").expect("a pattern");
        assert_eq!(
            verdict(&named).decision().as_str(),
            direct,
            "{url}: {}",
            verdict(&named)
        );
    }
}

#[test]
fn a_warning_names_entries_for_udp_that_inspection_makes_ineffective() {
    let rule: HttpRule = "GET api.example".parse().expect("a rule");
    let config = NetConfig::default()
        .with_http_rule(rule)
        .and_then(|config| config.with_allowed_udp(["api.example:443", "ns.example:53"]))
        .expect("a configuration");
    let warnings = config.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("allowed_udp: `api.example:443` has no effect"));
    assert!(warnings[0].contains("HTTP/3"), "{warnings:?}");
}
