//! Tests of serialized hosts, patterns, rules and verdicts.
#![cfg(feature = "serde")]

use std::fmt::Debug;

use eryx_net_policy::{
    Decision, Host, HostName, HostPattern, HttpPolicy, HttpReason, HttpRule, Inspection, IpNetwork,
    List, PathPattern, Policy, Port, QueryRule, Reason, Rule,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, from_value, json, to_value};

#[test]
fn parsed_values_serialize_as_their_canonical_text() {
    round_trips::<HostPattern>("*.Example.COM:443", "*.example.com:443");
    round_trips::<HostPattern>("127.*", "127.*");
    round_trips::<HostPattern>("[fc00::]/7:80-90", "[fc00::]/7:80-90");
    round_trips::<IpNetwork>("10.*", "10.0.0.0/8");
    round_trips::<Host>("[::FFFF:8.8.8.8]", "8.8.8.8");
    round_trips::<HostName>("Bücher.DE.", "xn--bcher-kva.de");
    round_trips::<PathPattern>("/%61/*/**", "/a/*/**");
}

fn round_trips<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &str, canonical: &str) {
    let value: T = from_value(text.into()).unwrap();
    let serialized = to_value(&value).unwrap();
    assert_eq!(serialized, Value::from(canonical));
    assert_eq!(from_value::<T>(serialized).unwrap(), value);
}

#[test]
fn deserializing_rejects_the_same_texts_as_parsing_with_the_same_message() {
    rejects::<HostPattern>("api.*.com");
    rejects::<HostPattern>("https://example.com");
    rejects::<IpNetwork>("10.0.0.1/8");
    rejects::<Host>("0177.0.0.1");
    rejects::<HostName>("10.0.0.1");
    rejects::<PathPattern>("/a/**/b");

    let error = from_value::<HostPattern>(json!(["example.com"])).unwrap_err();
    assert!(
        error.to_string().contains("expected a host pattern"),
        "{error}"
    );
}

fn rejects<T>(text: &str)
where
    T: std::str::FromStr<Err: ToString> + DeserializeOwned + Debug,
{
    let parser = text.parse::<T>().map_err(|e| e.to_string()).unwrap_err();
    let reader = from_value::<T>(text.into()).unwrap_err().to_string();
    assert_eq!(reader, parser);
}

#[test]
fn strings_deserialize_alike_whether_owned_or_escaped() {
    let pattern: HostPattern = serde_json::from_str(r#""\u0065xample.com""#).unwrap();
    assert_eq!(pattern.to_string(), "example.com");
    let pattern: HostPattern = serde_json::from_reader(&br#""example.com""#[..]).unwrap();
    assert_eq!(pattern.to_string(), "example.com");
}

#[test]
fn decisions_reasons_and_lists_serialize_as_their_words() {
    for (decision, word) in [
        (Decision::Allow, "allow"),
        (Decision::NeedsAddresses, "needs-addresses"),
        (Decision::Deny, "deny"),
    ] {
        assert_eq!(to_value(decision).unwrap(), Value::from(word));
        assert_eq!(from_value::<Decision>(word.into()).unwrap(), decision);
        assert_eq!(decision.as_str(), word);
    }
    for reason in [
        Reason::Listed,
        Reason::NotBlocked,
        Reason::Exempt,
        Reason::DependsOnAddresses,
        Reason::MalformedHost,
        Reason::HostBlocked,
        Reason::AliasBlocked,
        Reason::AddressBlocked,
        Reason::HostNotAllowed,
        Reason::PortNotAllowed,
        Reason::AddressNotAllowed,
        Reason::NoAddresses,
    ] {
        assert_eq!(to_value(reason).unwrap(), Value::from(reason.as_str()));
        assert_eq!(
            from_value::<Reason>(reason.as_str().into()).unwrap(),
            reason
        );
    }
    let lists = [List::Allowed, List::Blocked, List::Exempt];
    assert_eq!(
        to_value(lists).unwrap(),
        json!(["allowed", "blocked", "exempt"])
    );
}

#[test]
fn any_port_serializes_as_null() {
    assert_eq!(
        to_value([Port::Any, Port::Number(443)]).unwrap(),
        json!([null, 443])
    );
    assert_eq!(from_value::<Port>(Value::Null).unwrap(), Port::Any);
    assert_eq!(from_value::<Port>(json!(443)).unwrap(), Port::Number(443));
    assert!(from_value::<Port>(json!(65_536)).is_err());
}

#[test]
fn a_verdict_serializes_with_all_its_fields() {
    let name: HostName = "intranet.example.com".parse().unwrap();
    let addresses = [
        "93.184.215.14".parse().unwrap(),
        "10.1.2.3".parse().unwrap(),
    ];
    let verdict = Policy::default().check_resolved(&name, &[], &addresses, 80);
    assert_eq!(
        to_value(&verdict).unwrap(),
        json!({
            "host": "intranet.example.com",
            "port": 80,
            "decision": "deny",
            "reason": "address-blocked",
            "rule": { "list": "blocked", "pattern": "10.0.0.0/8" },
            "addresses": ["93.184.215.14", "10.1.2.3"],
            "denied_address": "10.1.2.3",
            "denied_alias": null,
            "message": verdict.to_string(),
        })
    );
    let rule: Rule = from_value(json!({ "list": "blocked", "pattern": "10.0.0.0/8" })).unwrap();
    assert_eq!(Some(&rule), verdict.rule());

    let malformed = to_value(Policy::default().check("127.1", None)).unwrap();
    assert_eq!(malformed["host"], Value::Null);
    assert_eq!(malformed["reason"], "malformed-host");
    assert_eq!(malformed["port"], Value::Null);
}

#[test]
fn a_rule_serializes_as_a_table_without_the_keys_that_restrict_nothing() {
    let minimal = json!({ "host": "api.example" });
    let rule: HttpRule = from_value(minimal.clone()).unwrap();
    assert_eq!(rule, HttpRule::new("api.example".parse().unwrap()));
    assert_eq!(to_value(&rule).unwrap(), minimal);

    let full = json!({
        "host": "api.example:443",
        "methods": ["GET", "PUT"],
        "paths": ["/a", "/b/**"],
        "query": { "page": true, "token": false },
        "max_request_bytes": 10,
        "max_response_bytes": 0,
        "upgrade": true,
    });
    let rule: HttpRule = from_value(full.clone()).unwrap();
    let query = QueryRule::new([("page", true), ("token", false)]).unwrap();
    assert_eq!(rule.query(), &query);
    assert_eq!(rule.max_request_bytes(), Some(10));
    assert_eq!(rule.max_response_bytes(), Some(0));
    assert!(rule.allows_upgrade());
    assert_eq!(to_value(&rule).unwrap(), full);
}

#[test]
fn deserializing_a_rule_rejects_what_its_methods_reject() {
    for (rule, part) in [
        (json!({}), "missing field `host`"),
        (json!({ "host": "a.*.b" }), "not a host pattern"),
        (
            json!({ "host": "a", "methods": [] }),
            "list of methods is empty",
        ),
        (json!({ "host": "a", "methods": ["get"] }), "write `GET`"),
        (
            json!({ "host": "a", "methods": "GET" }),
            "expected a sequence",
        ),
        (json!({ "host": "a", "methods": [1] }), "a method such as"),
        (
            json!({ "host": "a", "paths": [] }),
            "list of paths is empty",
        ),
        (
            json!({ "host": "a", "paths": ["a"] }),
            "does not start with",
        ),
        (json!({ "host": "a", "query": { "": true } }), "empty name"),
        (json!({ "host": "a", "query": { "x": 1 } }), "a boolean"),
        (
            json!({ "host": "a", "query": ["x"] }),
            "a table of parameters",
        ),
        (
            json!({ "host": "a", "max_request_bytes": -1 }),
            "-1 is negative; write a number of bytes",
        ),
        (
            json!({ "host": "a", "max_response_bytes": "1" }),
            "a whole number of bytes without quotes",
        ),
        (json!({ "host": "a", "path": "/a" }), "unknown field `path`"),
    ] {
        let error = from_value::<HttpRule>(rule.clone()).expect_err(&rule.to_string());
        assert!(error.to_string().contains(part), "{rule}: {error}");
    }
}

#[test]
fn a_verdict_on_a_request_serializes_with_all_its_fields() {
    let rule = "GET 192.0.2.7 /a".parse().unwrap();
    let http = HttpPolicy::new(vec![rule], vec![], vec![]).unwrap();
    let policy = Policy::permissive_builder().build();
    let verdict = http.check_url(&policy, "PUT", "https://192.0.2.7/a?token=x");
    assert_eq!(
        to_value(&verdict).unwrap(),
        json!({
            "method": "PUT",
            "url": "https://192.0.2.7/a",
            "decision": "deny",
            "reason": "method-not-allowed",
            "rule": "GET 192.0.2.7 /a",
            "rule_index": 0,
            "message": verdict.to_string(),
        })
    );
    let elsewhere = http.check_url(&policy, "PUT", "https://192.0.2.8/a");
    assert_eq!(to_value(&elsewhere).unwrap()["rule"], Value::Null);
    assert_eq!(to_value(HttpReason::NoRules).unwrap(), json!("no-rules"));
    assert_eq!(to_value(Inspection::LogOnly).unwrap(), json!("log-only"));
}
