//! Tests of secret bindings: the hosts and places that may get a secret.

use eryx_net_policy::{
    Host, HostPattern, HttpPolicy, HttpPolicyError, Inspection, Port, SecretBinding,
    SecretBindingError,
};

#[test]
fn a_secret_is_for_its_hosts_over_tls_and_in_clear_text_only_where_that_is_allowed() {
    let binding = binding(&["api.example", "*.corp:8443", "192.0.2.7"])
        .with_plaintext_hosts(patterns(&["proxy.corp:8080"]))
        .unwrap();
    for (host, port, is_encrypted, expected) in [
        ("api.example", 443, true, true),
        ("api.example", 8000, true, true),
        ("api.example", 443, false, false),
        ("API.example.", 443, true, true),
        ("x.api.example", 443, true, false),
        ("example", 443, true, false),
        ("a.corp", 8443, true, true),
        ("a.corp", 443, true, false),
        ("corp", 8443, true, false),
        ("192.0.2.7", 443, true, true),
        ("::ffff:192.0.2.7", 443, true, true),
        ("64:ff9b::192.0.2.7", 443, true, false),
        ("proxy.corp", 8080, false, true),
        ("proxy.corp", 8080, true, true),
        ("proxy.corp", 80, false, false),
        ("a.corp", 8443, false, false),
    ] {
        let host = Host::parse(host).unwrap();
        assert_eq!(
            binding.is_for(&host, port, is_encrypted),
            expected,
            "{host}:{port}"
        );
    }
    let host = Host::parse("a.corp").unwrap();
    assert!(binding.is_for(&host, Port::Any, true));
    assert!(!binding.is_for(&host, Port::Any, false));
}

#[test]
fn a_host_with_a_secret_is_inspected_under_every_spelling() {
    let secrets = vec![
        binding(&["192.0.2.7:443"])
            .with_plaintext_hosts(patterns(&["proxy.corp:8080"]))
            .unwrap(),
    ];
    let http = HttpPolicy::new(vec![], secrets, vec![]).unwrap();
    for (host, port, expected) in [
        ("192.0.2.7", 443, Inspection::Enforced),
        ("64:ff9b::192.0.2.7", 443, Inspection::Enforced),
        ("192.0.2.7", 80, Inspection::None),
        ("192.0.2.8", 443, Inspection::None),
        ("proxy.corp", 8080, Inspection::Enforced),
    ] {
        let host = Host::parse(host).unwrap();
        assert_eq!(http.inspection(&host, port), expected, "{host}:{port}");
        let may_return = http.may_return_secret(&host, None, port);
        assert_eq!(
            may_return,
            expected == Inspection::Enforced,
            "{host}:{port}"
        );
    }
    // The secret is not for the name, but the server at the address may know it.
    let name = Host::parse("a.example").unwrap();
    for (address, port, expected) in [
        (Some("192.0.2.7"), 443, true),
        (Some("64:ff9b::c000:207"), 443, true),
        (Some("192.0.2.7"), 80, false),
        (Some("192.0.2.8"), 443, false),
        (None, 443, false),
    ] {
        let address = address.map(|address| address.parse().unwrap());
        let may_return = http.may_return_secret(&name, address, port);
        assert_eq!(may_return, expected, "{address:?}:{port}");
        assert_eq!(http.secrets_for(&name, port, true).count(), 0);
    }
    let host = Host::parse("192.0.2.7").unwrap();
    let mut secrets = http
        .secrets_for(&host, 443, true)
        .map(|(at, secret)| (at, secret.name()));
    assert_eq!(secrets.next(), Some((0, "TOKEN")));
    assert_eq!(http.secrets_for(&host, 443, false).count(), 0);
}

#[test]
fn a_binding_names_fields_parameters_and_the_body() {
    let binding = binding(&["api.example"])
        .with_headers(["X-Api-Key", "x-api-key"])
        .and_then(|binding| binding.with_query(["key", "key"]))
        .and_then(|binding| binding.with_inject("Bearer {}"))
        .unwrap()
        .with_body(true);
    assert_eq!(binding.headers(), ["x-api-key"]);
    assert_eq!(binding.query(), ["key"]);
    assert!(binding.body());
    assert_eq!(binding.inject(), Some("Bearer {}"));
    assert_eq!(binding.hosts(), patterns(&["api.example"]));
    let renamed = binding.clone().with_name("OTHER").unwrap();
    assert_eq!(
        (renamed.name(), renamed.query()),
        ("OTHER", binding.query())
    );
}

#[test]
fn a_malformed_binding_is_an_error_with_the_correction() {
    let new = |name: &str, hosts: &[&str]| SecretBinding::new(name, patterns(hosts));
    for (result, part) in [
        (new("", &["a.example"]), "letters, digits and `_`"),
        (new("1A", &["a.example"]), "no digit first"),
        (new("A-B", &["a.example"]), "letters, digits and `_`"),
        (new("A=B", &["a.example"]), "letters, digits and `_`"),
        (new("Ä", &["a.example"]), "letters, digits and `_`"),
        (new("A\0", &["a.example"]), "letters, digits and `_`"),
        (token().with_name("A-B"), "letters, digits and `_`"),
        (new("A", &[]), "has no host"),
        (new("A", &["a.example", "*"]), "every host"),
        (new("A", &["*:443"]), "every host"),
        (new("A", &["0.0.0.0/0"]), "every host"),
        (new("A", &["::/0"]), "every host"),
        (token().with_plaintext_hosts(patterns(&["*"])), "every host"),
        (token().with_headers([""]), "not the name of a header field"),
        (
            token().with_headers(["Authorization: x"]),
            "without its value",
        ),
        (token().with_headers(["Host"]), "name another field"),
        (
            token().with_headers(["content-length"]),
            "name another field",
        ),
        (
            token().with_headers(["Content_Length"]),
            "name another field",
        ),
        (
            token().with_headers(["Transfer-Encoding"]),
            "name another field",
        ),
        (token().with_headers(["CONNECTION"]), "name another field"),
        (token().with_headers(["upgrade"]), "name another field"),
        (token().with_headers(["expect"]), "name another field"),
        (token().with_headers(["trailer"]), "name another field"),
        (token().with_headers(["te"]), "name another field"),
        (token().with_headers(["Keep-Alive"]), "name another field"),
        (
            token().with_headers(["Accept-Encoding"]),
            "name another field",
        ),
        (token().with_query([""]), "empty name"),
        (token().with_inject("Bearer"), "exactly one `{}`"),
        (token().with_inject("{} {}"), "exactly one `{}`"),
        (token().with_inject(" {}"), "exactly one `{}`"),
        (token().with_inject("a\r\nb: {}"), "exactly one `{}`"),
        (token().with_inject("ä {}"), "visible ASCII"),
        (
            token()
                .with_headers(["a", "b"])
                .and_then(|binding| binding.with_inject("{}")),
            "2 are named",
        ),
        (
            token()
                .with_inject("{}")
                .and_then(|binding| binding.with_headers(["a", "b"])),
            "2 are named",
        ),
        (
            token()
                .with_inject("{}")
                .and_then(|binding| binding.with_headers::<&str>([])),
            "0 are named",
        ),
    ] {
        let error: SecretBindingError = result.expect_err(part);
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

#[test]
fn a_policy_refuses_two_secrets_of_one_name_and_one_without_a_place() {
    let error = HttpPolicy::new(vec![], vec![token(), token()], vec![]).unwrap_err();
    assert!(
        matches!(error, HttpPolicyError::RepeatedSecret { .. }),
        "{error}"
    );
    let nowhere = || token().with_headers::<&str>([]).unwrap();
    let error = HttpPolicy::new(vec![], vec![nowhere()], vec![]).unwrap_err();
    assert!(
        matches!(error, HttpPolicyError::UnusedSecret { .. }),
        "{error}"
    );
    let body = nowhere().with_body(true);
    assert_eq!(
        HttpPolicy::new(vec![], vec![body], vec![])
            .unwrap()
            .secrets()
            .len(),
        1
    );
}

fn token() -> SecretBinding {
    binding(&["api.example"])
}

fn binding(hosts: &[&str]) -> SecretBinding {
    SecretBinding::new("TOKEN", patterns(hosts)).unwrap()
}

fn patterns(texts: &[&str]) -> Vec<HostPattern> {
    texts.iter().map(|text| text.parse().expect(text)).collect()
}
