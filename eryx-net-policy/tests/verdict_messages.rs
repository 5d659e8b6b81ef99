//! Tests of the messages of verdicts, for the embedder and for the guest program.

use eryx_net_policy::{HostName, Policy, Port, Reason, Verdict};

#[test]
fn a_verdict_message_names_the_setting_that_would_change_it() {
    let policy = policy();
    let cases: Vec<(Verdict, &str, &str)> = vec![
        (
            policy.check("127.0.0.1", 80),
            "`127.0.0.1:80` is denied: `127.*` in blocked_hosts covers it; allow_localhost() lifts that",
            "`127.0.0.1:80` is denied: `127.*` in blocked_hosts covers it; allow_localhost() lifts that",
        ),
        (
            policy.check("LocalHost", 80),
            "`localhost:80` is denied: `localhost` in blocked_hosts matches it; allow_localhost() lifts that",
            "`localhost:80` is denied: `localhost` in blocked_hosts matches it; allow_localhost() lifts that",
        ),
        (
            policy.check("metadata.google.internal", 80),
            "`metadata.google.internal:80` is denied: `metadata.google.internal` in blocked_hosts matches it; \
             take that entry out of blocked_hosts to change it",
            "`metadata.google.internal:80` is denied: `metadata.google.internal` in blocked_hosts matches it; \
             take that entry out of blocked_hosts to change it",
        ),
        (
            policy.check("64:ff9b::a00:1", 80),
            "`[64:ff9b::a00:1]:80` is denied: it leads to 10.0.0.1, which `10.0.0.0/8` in blocked_hosts covers; \
             allow_network(\"10.0.0.1\") lifts that",
            "`[64:ff9b::a00:1]:80` is denied: it leads to 10.0.0.1, which `10.0.0.0/8` in blocked_hosts covers; \
             allow_network(\"10.0.0.1\") lifts that",
        ),
        (
            resolved(&policy, &[], "10.0.0.5"),
            "`www.example.com:443` is denied: it resolves to 10.0.0.5, which `10.0.0.0/8` in blocked_hosts covers; \
             allow_internal_host(\"www.example.com\") lifts that",
            "`www.example.com:443` is denied: it resolves to an address that blocked_hosts covers; \
             allow_internal_host(\"www.example.com\") lifts that",
        ),
        (
            resolved(&policy, &[], "64:ff9b::7f00:1"),
            "`www.example.com:443` is denied: it resolves to 64:ff9b::7f00:1, which leads to 127.0.0.1, which `127.*` \
             in blocked_hosts covers; allow_internal_host(\"www.example.com\") lifts that",
            "`www.example.com:443` is denied: it resolves to an address that blocked_hosts covers; \
             allow_internal_host(\"www.example.com\") lifts that",
        ),
        (
            resolved(&policy, &["metadata.google.internal"], "1.1.1.1"),
            "`www.example.com:443` is denied: it is an alias of `metadata.google.internal`, which \
             `metadata.google.internal` in blocked_hosts matches; take that entry out of blocked_hosts to change it",
            "`www.example.com:443` is denied: it is an alias of a name that blocked_hosts matches",
        ),
        (
            policy.check("google.com", 443),
            "`google.com:443` is denied: nothing in allowed_hosts matches it; allow_host(\"google.com\") adds it",
            "`google.com:443` is denied: nothing in allowed_hosts matches it; allow_host(\"google.com\") adds it",
        ),
        (
            policy.check("db.corp", 80),
            "`db.corp:80` is denied: `db.corp:5432` in allowed_hosts is for other ports; allow_host(\"db.corp:80\") adds it",
            "`db.corp:80` is denied: `db.corp:5432` in allowed_hosts is for other ports; allow_host(\"db.corp:80\") adds it",
        ),
        (
            policy.check("www.example.com", Port::Any),
            "`www.example.com` is allowed if its addresses are: `*.example.com` in allowed_hosts matches it",
            "`www.example.com` is allowed if its addresses are: `*.example.com` in allowed_hosts matches it",
        ),
        (
            resolved(&policy, &[], "1.1.1.1"),
            "`www.example.com:443` is allowed: `*.example.com` in allowed_hosts matches it",
            "`www.example.com:443` is allowed: `*.example.com` in allowed_hosts matches it",
        ),
        (
            Policy::default().check("8.8.8.8", 53),
            "`8.8.8.8:53` is allowed: nothing in blocked_hosts matches it, and allowed_hosts is empty",
            "`8.8.8.8:53` is allowed: nothing in blocked_hosts matches it, and allowed_hosts is empty",
        ),
        (
            policy.check("1.1.1.1:80", 80),
            "`1.1.1.1:80` is not a host: it ends in a port; write the host alone, `1.1.1.1`, and give the port separately",
            "`1.1.1.1:80` is not a host: it ends in a port; write the host alone, `1.1.1.1`, and give the port separately",
        ),
    ];
    for (verdict, embedder, guest) in cases {
        assert_eq!(verdict.to_string(), embedder);
        assert_eq!(verdict.guest_message(), guest);
    }
}

#[test]
fn the_guest_message_contains_no_address_when_an_address_is_not_on_the_allow_list() {
    let policy = Policy::permissive_builder()
        .allow_host("93.184.215.0/24".parse().unwrap())
        .build();
    let verdict = resolved(&policy, &[], "10.7.7.7");
    assert_eq!(verdict.reason(), Reason::AddressNotAllowed);
    assert!(verdict.to_string().contains("10.7.7.7"));
    assert!(
        !verdict.guest_message().contains("10.7"),
        "{}",
        verdict.guest_message()
    );
}

#[test]
fn following_the_advice_of_a_denial_changes_the_verdict() {
    let base = Policy::builder;
    let name: HostName = "db.corp".parse().unwrap();
    let address = "10.0.0.5".parse().unwrap();

    assert!(
        base()
            .build()
            .check("10.0.0.5", 80)
            .to_string()
            .contains("allow_network(\"10.0.0.5\")")
    );
    let policy = base().allow_network("10.0.0.5".parse().unwrap()).build();
    assert!(policy.check("10.0.0.5", 80).is_allowed());

    let verdict = base().build().check_resolved(&name, &[], &[address], 80);
    assert!(
        verdict
            .guest_message()
            .contains("allow_internal_host(\"db.corp\")")
    );
    let policy = base()
        .allow_internal_host("db.corp".parse().unwrap())
        .build();
    assert!(
        policy
            .check_resolved(&name, &[], &[address], 80)
            .is_allowed()
    );

    let listed = base().allow_host("example.com:443".parse().unwrap());
    assert!(
        listed
            .clone()
            .build()
            .check("example.com", 80)
            .to_string()
            .contains("allow_host(\"example.com:80\")")
    );
    let policy = listed.allow_host("example.com:80".parse().unwrap()).build();
    assert!(!policy.check("example.com", 80).is_denied());
}

#[test]
fn a_verdict_exposes_reason_host_port_rule_and_addresses() {
    let verdict = resolved(&policy(), &[], "10.0.0.5");
    assert_eq!(verdict.reason().as_str(), "address-blocked");
    assert_eq!(verdict.host().unwrap().to_string(), "www.example.com");
    assert_eq!(verdict.port(), Port::Number(443));
    assert_eq!(verdict.denied_address(), Some("10.0.0.5".parse().unwrap()));
    assert_eq!(verdict.rule().unwrap().pattern().to_string(), "10.0.0.0/8");
    assert_eq!(verdict.addresses().len(), 1);

    let malformed = policy().check("a b", 80);
    assert_eq!(malformed.host(), None);
    assert_eq!(malformed.host_error().unwrap().rejected_text(), "a b");
}

fn policy() -> Policy {
    Policy::builder()
        .allow_host("*.example.com".parse().unwrap())
        .allow_host("db.corp:5432".parse().unwrap())
        .build()
}

fn resolved(policy: &Policy, aliases: &[&str], address: &str) -> Verdict {
    let aliases: Vec<HostName> = aliases.iter().map(|a| a.parse().unwrap()).collect();
    policy.check_resolved(
        &"www.example.com".parse().unwrap(),
        &aliases,
        &[address.parse().unwrap()],
        443,
    )
}
