//! Tests of the allow list, the block list, exemptions and ports, and of their combinations.

use std::net::IpAddr;

use eryx_net_policy::{
    Decision::{self, Allow, Deny, NeedsAddresses},
    Host, HostName, List, Policy, PolicyBuilder, Port,
    Reason::{self, *},
    Verdict,
};

#[test]
fn an_allow_list_restricts_hosts_from_its_first_entry_on() {
    let open = Policy::permissive_builder().build();
    assert_eq!(
        answer(&open.check("example.org", 443)),
        (NeedsAddresses, NotBlocked)
    );
    assert_eq!(answer(&open.check("8.8.8.8", 443)), (Allow, NotBlocked));

    let listed = policy("allow example.com");
    assert_eq!(
        answer(&listed.check("example.com", 443)),
        (NeedsAddresses, Listed)
    );
    assert_eq!(
        answer(&listed.check("example.org", 443)),
        (Deny, HostNotAllowed)
    );
    assert_eq!(
        answer(&listed.check("www.example.com", 443)),
        (Deny, HostNotAllowed)
    );
    assert_eq!(
        answer(&listed.check("8.8.8.8", 443)),
        (Deny, HostNotAllowed)
    );
}

#[test]
fn a_star_on_the_allow_list_allows_all_hosts_that_are_not_blocked() {
    let policy = policy("default, allow *");
    assert_eq!(answer(&policy.check("8.8.8.8", 443)), (Allow, Listed));
    assert_eq!(
        answer(&policy.check("example.com", 443)),
        (NeedsAddresses, Listed)
    );
    assert_eq!(
        answer(&policy.check("10.0.0.1", 443)),
        (Deny, AddressBlocked)
    );
    assert_eq!(answer(&policy.check("localhost", 443)), (Deny, HostBlocked));
}

#[test]
fn a_star_on_the_block_list_denies_all_hosts() {
    let policy = policy("block *, allow example.com, network 10.0.0.0/8, internal *");
    assert_eq!(
        answer(&policy.check("example.com", 443)),
        (Deny, HostBlocked)
    );
    assert_eq!(
        answer(&policy.check("8.8.8.8", 443)),
        (Deny, AddressBlocked)
    );
    assert_eq!(
        answer(&policy.check("10.0.0.1", 443)),
        (Deny, AddressBlocked)
    );
    assert_eq!(answer(&policy.check("::1", 443)), (Deny, AddressBlocked));
}

#[test]
fn a_block_entry_overrides_a_more_specific_allow_entry() {
    let policy = policy("block *.example.com, allow www.example.com, block 10.*, allow 10.1.2.3");
    assert_eq!(
        answer(&policy.check("www.example.com", 443)),
        (Deny, HostBlocked)
    );
    assert_eq!(
        answer(&policy.check("10.1.2.3", 443)),
        (Deny, AddressBlocked)
    );
}

#[test]
fn one_blocked_address_denies_an_allowed_name_at_any_position() {
    let policy = policy("default, allow example.com");
    for answers in [
        "10.0.0.5",
        "1.1.1.1 10.0.0.5",
        "10.0.0.5 1.1.1.1",
        "1.1.1.1 ::1",
        "1.1.1.1 64:ff9b::a00:5",
        "1.1.1.1 ::ffff:10.0.0.5",
        "1.1.1.1 2002:a00:5::1",
    ] {
        let verdict = resolved(&policy, "example.com", "", answers, 443);
        assert_eq!(answer(&verdict), (Deny, AddressBlocked), "{answers}");
        assert!(verdict.dialable_addresses().is_empty());
    }
    let verdict = resolved(&policy, "example.com", "", "1.1.1.1 2606:4700::1", 443);
    assert_eq!(answer(&verdict), (Allow, Listed));
}

#[test]
fn aliases_are_checked_against_the_block_list_but_not_the_allow_list() {
    let policy = policy("default, allow shop.example, block *.ads.example");
    let through = |aliases| resolved(&policy, "shop.example", aliases, "1.1.1.1", 443);
    assert_eq!(answer(&through("edge.cdn.example")), (Allow, Listed));
    for aliases in [
        "x.ads.example",
        "edge.cdn.example x.ads.example",
        "x.ads.example edge.cdn.example",
        "metadata.google.internal",
        "localhost",
    ] {
        assert_eq!(answer(&through(aliases)), (Deny, AliasBlocked), "{aliases}");
    }
    assert_eq!(
        through("edge.cdn.example x.ads.example")
            .denied_alias()
            .unwrap()
            .as_str(),
        "x.ads.example"
    );
    // The alias is listed, the requested name is not.
    let verdict = resolved(&policy, "other.example", "shop.example", "1.1.1.1", 443);
    assert_eq!(answer(&verdict), (Deny, HostNotAllowed));
}

#[test]
fn a_name_is_allowed_when_all_its_addresses_are_on_the_allow_list() {
    let policy = policy("default, allow 93.184.215.0/24, allow 2606:4700::/32");
    assert_eq!(
        answer(&policy.check("example.com", 443)),
        (NeedsAddresses, DependsOnAddresses)
    );
    let with = |answers| answer(&resolved(&policy, "example.com", "", answers, 443));
    assert_eq!(with("93.184.215.14"), (Allow, Listed));
    assert_eq!(with("93.184.215.14 2606:4700::1"), (Allow, Listed));
    assert_eq!(with("64:ff9b::93.184.215.14"), (Allow, Listed));
    assert_eq!(with("93.184.215.14 8.8.8.8"), (Deny, AddressNotAllowed));
    assert_eq!(with("8.8.8.8 93.184.215.14"), (Deny, AddressNotAllowed));
    assert_eq!(with("93.184.215.14 10.0.0.1"), (Deny, AddressBlocked));
    assert_eq!(with(""), (Deny, NoAddresses));
    assert_eq!(answer(&policy.check("93.184.215.14", 443)), (Allow, Listed));
    assert_eq!(
        answer(&policy.check("8.8.8.8", 443)),
        (Deny, HostNotAllowed)
    );
}

#[test]
fn a_name_needs_its_addresses_only_where_a_listed_network_allows_the_port() {
    let policy = policy("allow 93.184.215.0/24:443");
    assert_eq!(
        answer(&policy.check("example.com", 443)),
        (NeedsAddresses, DependsOnAddresses)
    );
    assert_eq!(
        answer(&policy.check("example.com", 80)),
        (Deny, HostNotAllowed)
    );
    assert_eq!(
        answer(&policy.check("example.com", Port::Any)),
        (NeedsAddresses, DependsOnAddresses)
    );
}

#[test]
fn a_name_missing_from_an_allow_list_with_names_is_denied_before_it_is_resolved() {
    let table = [
        "allow api.example.com, allow 93.184.215.0/24",
        "allow 93.184.215.0/24, allow *.example.com:443",
        "default, allow 93.184.215.14:443, allow api.example.com:443",
    ];
    for text in table {
        let policy = policy(text);
        for port in [Port::Any, 443.into()] {
            let verdict = policy.check("secret.attacker.example", port);
            assert_eq!(answer(&verdict), (Deny, HostNotAllowed), "{text}");
        }
        // The addresses of the name do not matter, and a literal address may still be allowed.
        let verdict = resolved(&policy, "other.example", "", "93.184.215.14", 443);
        assert_eq!(answer(&verdict), (Deny, HostNotAllowed), "{text}");
        assert_eq!(
            answer(&policy.check("93.184.215.14", 443)),
            (Allow, Listed),
            "{text}"
        );
        let verdict = policy.check("api.example.com", 443);
        assert_eq!(answer(&verdict), (NeedsAddresses, Listed), "{text}");
    }
    // `*` does not count as a name: an allow list that allows every name on one port reveals
    // nothing when a name is resolved for another port.
    let policy = policy("allow *:443, allow 93.184.215.0/24:80");
    assert_eq!(
        answer(&policy.check("example.com", 80)),
        (NeedsAddresses, DependsOnAddresses)
    );
}

#[test]
fn a_name_without_addresses_is_denied() {
    let policy = policy("default, allow example.com, internal example.com");
    let verdict = resolved(&policy, "example.com", "", "", 443);
    assert_eq!(answer(&verdict), (Deny, NoAddresses));
    assert_eq!(
        answer(&resolved(&Policy::default(), "example.com", "", "", 443)),
        (Deny, NoAddresses)
    );
}

#[test]
fn an_entry_with_ports_applies_only_to_these_ports() {
    let policy = policy(
        "allow db.corp:5432, allow *.corp:8000-8100, block admin.corp:8001, allow 8.8.8.8:53",
    );
    for (host, port, expected) in [
        ("db.corp", 5432, (NeedsAddresses, Listed)),
        ("db.corp", 5433, (Deny, PortNotAllowed)),
        ("db.corp", 8050, (NeedsAddresses, Listed)),
        ("web.corp", 7999, (Deny, PortNotAllowed)),
        ("web.corp", 8000, (NeedsAddresses, Listed)),
        ("web.corp", 8100, (NeedsAddresses, Listed)),
        ("web.corp", 8101, (Deny, PortNotAllowed)),
        ("admin.corp", 8000, (NeedsAddresses, Listed)),
        ("admin.corp", 8001, (Deny, HostBlocked)),
        ("8.8.8.8", 53, (Allow, Listed)),
        ("8.8.8.8", 54, (Deny, PortNotAllowed)),
        ("example.com", 8000, (Deny, HostNotAllowed)),
    ] {
        assert_eq!(answer(&policy.check(host, port)), expected, "{host}:{port}");
    }
}

#[test]
fn a_check_without_a_port_allows_if_any_port_is_allowed() {
    for (rules, host, expected) in [
        ("allow db.corp:5432", "db.corp", (NeedsAddresses, Listed)),
        ("allow db.corp:5432", "web.corp", (Deny, HostNotAllowed)),
        (
            "block db.corp:5432",
            "db.corp",
            (NeedsAddresses, NotBlocked),
        ),
        ("block db.corp", "db.corp", (Deny, HostBlocked)),
        ("block db.corp:1-65535", "db.corp", (Deny, HostBlocked)),
        (
            "block db.corp:1-80, block *.corp:81-65535",
            "db.corp",
            (Deny, HostBlocked),
        ),
        (
            "block db.corp:1-80, block *.corp:82-65535",
            "db.corp",
            (NeedsAddresses, NotBlocked),
        ),
        (
            "allow db.corp:80-90, block db.corp:80-90",
            "db.corp",
            (Deny, HostBlocked),
        ),
        (
            "allow db.corp:80-90, block db.corp:70-89",
            "db.corp",
            (NeedsAddresses, Listed),
        ),
        (
            "allow db.corp:80-90, block *:80-90",
            "db.corp",
            (Deny, HostBlocked),
        ),
        ("allow 8.8.8.8:53", "8.8.8.8", (Allow, Listed)),
        ("block 8.8.8.8:1-53", "8.8.8.8", (Allow, NotBlocked)),
        (
            "block 8.8.8.8:1-53",
            "64:ff9b::8.8.8.8",
            (Allow, NotBlocked),
        ),
        (
            "block 8.8.8.8:1-53, block [64:ff9b::808:808]:54-65535",
            "64:ff9b::8.8.8.8",
            (Deny, AddressBlocked),
        ),
        ("block 8.8.8.8:1-53", "2002:808:808::1", (Allow, NotBlocked)),
    ] {
        let verdict = policy(rules).check(host, Port::Any);
        assert_eq!(answer(&verdict), expected, "{rules}: {host}");
    }
    let policy = policy("allow db.corp:5432, block 10.0.0.0/8, internal db.corp:5432");
    assert!(resolved(&policy, "db.corp", "", "10.0.0.5", Port::Any).is_allowed());
    assert!(resolved(&policy, "db.corp", "", "10.0.0.5", 5432).is_allowed());
    assert!(resolved(&policy, "db.corp", "", "10.0.0.5", 80).is_denied());
}

#[test]
fn an_exemption_allows_only_the_addresses_of_its_network() {
    let policy = policy("default, network 10.20.0.0/16");
    assert_eq!(answer(&policy.check("10.20.1.1", 80)), (Allow, Exempt));
    assert_eq!(
        answer(&policy.check("64:ff9b::10.20.1.1", 80)),
        (Allow, Exempt)
    );
    assert_eq!(
        answer(&policy.check("10.21.1.1", 80)),
        (Deny, AddressBlocked)
    );
    assert_eq!(
        answer(&policy.check("2002:a14:101::1", 80)),
        (Deny, AddressBlocked)
    );
    assert_eq!(
        answer(&resolved(&policy, "db.corp", "", "10.20.1.1", 80)),
        (Allow, Exempt)
    );
    assert_eq!(
        answer(&resolved(&policy, "db.corp", "", "10.20.1.1 10.21.1.1", 80)),
        (Deny, AddressBlocked)
    );
    assert_eq!(answer(&policy.check("localhost", 80)), (Deny, HostBlocked));
}

#[test]
fn an_exemption_does_not_extend_the_allow_list() {
    let policy = policy("default, allow db.corp, network 10.0.0.0/8");
    assert_eq!(
        answer(&policy.check("10.0.0.1", 80)),
        (Deny, HostNotAllowed)
    );
    assert_eq!(
        answer(&resolved(&policy, "db.corp", "", "10.0.0.1", 80)),
        (Allow, Listed)
    );
}

#[test]
fn an_exemption_overrides_default_entries_but_no_narrower_custom_entry() {
    let wide = policy("default, network 0.0.0.0/0");
    for host in [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "64:ff9b::7f00:1",
    ] {
        assert_eq!(answer(&wide.check(host, 80)), (Allow, Exempt), "{host}");
    }
    assert!(wide.check("::1", 80).is_denied());

    let carved = policy("default, network 10.0.0.0/8, block 10.9.9.9, block 10.0.0.0/8:22");
    assert_eq!(answer(&carved.check("10.9.9.8", 80)), (Allow, Exempt));
    assert_eq!(
        answer(&carved.check("10.9.9.9", 80)),
        (Deny, AddressBlocked)
    );
    assert_eq!(
        answer(&carved.check("10.9.9.8", 22)),
        (Deny, AddressBlocked)
    );

    let around = policy("block 8.0.0.0/6, network 10.0.0.0/8");
    assert_eq!(answer(&around.check("10.0.0.1", 80)), (Allow, Exempt));
    assert_eq!(answer(&around.check("9.0.0.1", 80)), (Deny, AddressBlocked));
}

#[test]
fn an_internal_host_may_resolve_to_blocked_addresses_but_not_by_a_blocked_alias() {
    let policy = policy("default, internal *.corp, block evil.corp, block 10.66.0.0/16");
    let with = |name, aliases, answers| answer(&resolved(&policy, name, aliases, answers, 80));
    assert_eq!(with("db.corp", "", "10.0.0.5"), (Allow, Exempt));
    assert_eq!(
        with("db.corp", "", "10.66.0.5 ::1 fd00::1"),
        (Allow, Exempt)
    );
    assert_eq!(with("db.corp", "", "1.1.1.1"), (Allow, NotBlocked));
    assert_eq!(with("corp", "", "10.0.0.5"), (Deny, AddressBlocked));
    assert_eq!(with("evil.corp", "", "10.0.0.5"), (Deny, HostBlocked));
    assert_eq!(
        with("db.corp", "evil.corp", "10.0.0.5"),
        (Deny, AliasBlocked)
    );
    // Only the requested name is trusted: anyone can define an alias of an internal name.
    assert_eq!(
        with("attacker.example", "db.corp", "10.0.0.5"),
        (Deny, AddressBlocked)
    );
    assert_eq!(
        answer(&policy.check("10.0.0.5", 80)),
        (Deny, AddressBlocked)
    );
}

#[test]
fn an_internal_pattern_for_an_address_exempts_it_on_its_ports() {
    let policy = policy("default, internal 10.0.0.5:5432");
    assert_eq!(answer(&policy.check("10.0.0.5", 5432)), (Allow, Exempt));
    assert_eq!(
        answer(&policy.check("10.0.0.5", 22)),
        (Deny, AddressBlocked)
    );
    assert_eq!(
        answer(&policy.check("10.0.0.6", 5432)),
        (Deny, AddressBlocked)
    );
}

#[test]
fn a_blocked_ipv4_address_is_blocked_when_embedded_in_ipv6() {
    let policy = policy("block 8.8.8.8");
    for host in [
        "8.8.8.8",
        "::ffff:8.8.8.8",
        "::ffff:0:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "2002:808:808::1",
        "2001:0:808:808::1",
        "2001:0:101:101:0:0:f7f7:f7f7",
        "fe80::5efe:8.8.8.8",
        "2606:4700::200:5efe:8.8.8.8",
    ] {
        assert_eq!(
            answer(&policy.check(host, 443)),
            (Deny, AddressBlocked),
            "{host}"
        );
    }
    for host in [
        "8.8.4.4",
        "::ffff:8.8.4.4",
        "2002:808:404::1",
        "2606:4700::808:808",
    ] {
        assert_eq!(
            answer(&policy.check(host, 443)),
            (Allow, NotBlocked),
            "{host}"
        );
    }
}

#[test]
fn a_nat64_address_can_be_blocked_as_ipv6_too() {
    for rule in ["::/0", "64:ff9b::/96", "64::/16", "64:ff9b::808:808"] {
        let policy = policy(&format!("default, block {rule}"));
        assert_eq!(
            answer(&policy.check("64:ff9b::8.8.8.8", 443)),
            (Deny, AddressBlocked),
            "{rule}"
        );
        assert_eq!(
            answer(&policy.check("8.8.8.8", 443)),
            (Allow, NotBlocked),
            "{rule}"
        );
        assert_eq!(
            answer(&policy.check("::ffff:8.8.8.8", 443)),
            (Allow, NotBlocked),
            "{rule}"
        );
    }
}

#[test]
fn a_mapped_address_is_dialled_as_ipv4_and_a_nat64_address_unchanged() {
    let policy = Policy::default();
    let dial = |verdict: Verdict| {
        verdict
            .dialable_addresses()
            .iter()
            .map(IpAddr::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(dial(policy.check("::ffff:8.8.8.8", 443)), ["8.8.8.8"]);
    assert_eq!(
        dial(policy.check("64:ff9b::8.8.8.8", 443)),
        ["64:ff9b::808:808"]
    );
    let unparsed = Host::Address("::ffff:8.8.8.8".parse().unwrap());
    assert_eq!(dial(policy.check_host(&unparsed, 443)), ["8.8.8.8"]);
    assert_eq!(
        dial(resolved(
            &policy,
            "dual.example",
            "",
            "2606:4700::1 ::ffff:1.1.1.1 1.1.1.1 8.8.8.8",
            443
        )),
        ["2606:4700::1", "1.1.1.1", "8.8.8.8"],
        "the order is kept, nothing is dialled twice"
    );
}

#[test]
fn the_most_specific_entry_is_named_as_the_rule() {
    let policy = policy(
        "block *.example.com, block a.b.example.com, block *.b.example.com, block 10.0.0.0/8, block 10.1.*",
    );
    let rule = |host| policy.check(host, 80).rule().unwrap().to_string();
    assert_eq!(
        rule("a.b.example.com"),
        "`a.b.example.com` in blocked_hosts"
    );
    assert_eq!(
        rule("c.b.example.com"),
        "`*.b.example.com` in blocked_hosts"
    );
    assert_eq!(
        rule("x.y.b.example.com"),
        "`*.b.example.com` in blocked_hosts"
    );
    assert_eq!(rule("c.example.com"), "`*.example.com` in blocked_hosts");
    assert_eq!(rule("10.1.2.3"), "`10.1.*` in blocked_hosts");
    assert_eq!(rule("10.2.2.3"), "`10.0.0.0/8` in blocked_hosts");
}

#[test]
fn a_policy_lists_its_rules() {
    let policy = policy("allow example.com, block 10.*, network fd00::/8, internal *.corp:80");
    let rules: Vec<_> = policy
        .rules()
        .map(|r| (r.list(), r.pattern().to_string()))
        .collect();
    assert_eq!(
        rules,
        [
            (List::Allowed, "example.com".to_owned()),
            (List::Blocked, "10.*".to_owned()),
            (List::Exempt, "fd00::/8".to_owned()),
            (List::Exempt, "*.corp:80".to_owned()),
        ]
    );
}

#[test]
fn a_name_whose_addresses_stay_unknown_is_decided_by_entries_for_names_alone() {
    for (rules, name, port, expected) in [
        (
            "default",
            "example.com",
            Port::Number(443),
            (Allow, NotBlocked),
        ),
        (
            "default",
            "localhost",
            Port::Number(443),
            (Deny, HostBlocked),
        ),
        (
            "allow *.com:443",
            "example.com",
            Port::Number(443),
            (Allow, Listed),
        ),
        (
            "allow *.com:443",
            "example.com",
            Port::Number(80),
            (Deny, PortNotAllowed),
        ),
        ("allow *.com:443", "example.com", Port::Any, (Allow, Listed)),
        (
            "allow example.org",
            "example.com",
            Port::Any,
            (Deny, HostNotAllowed),
        ),
        (
            "allow 1.0.0.0/8",
            "example.com",
            Port::Number(443),
            (Deny, HostNotAllowed),
        ),
        (
            "allow 1.0.0.0/8",
            "example.com",
            Port::Any,
            (Deny, HostNotAllowed),
        ),
        (
            "allow 1.0.0.0/8, allow *",
            "example.com",
            Port::Any,
            (Allow, Listed),
        ),
        ("block *.com", "example.com", Port::Any, (Deny, HostBlocked)),
    ] {
        let verdict = policy(rules).check_unresolved(&name.parse().unwrap(), port);
        assert_eq!(answer(&verdict), expected, "{rules}: {name} {port:?}");
        assert!(verdict.dialable_addresses().is_empty());
    }
}

fn answer(verdict: &Verdict) -> (Decision, Reason) {
    (verdict.decision(), verdict.reason())
}

fn resolved(
    policy: &Policy,
    name: &str,
    aliases: &str,
    addresses: &str,
    port: impl Into<Port>,
) -> Verdict {
    let aliases: Vec<HostName> = aliases
        .split_whitespace()
        .map(|a| a.parse().unwrap())
        .collect();
    let addresses: Vec<IpAddr> = addresses
        .split_whitespace()
        .map(|a| a.parse().unwrap())
        .collect();
    policy.check_resolved(&name.parse().unwrap(), &aliases, &addresses, port)
}

/// Builds a policy from comma-separated rules: `default`, or `allow`, `block`, `network` or
/// `internal` with a pattern.
fn policy(rules: &str) -> Policy {
    let build =
        |builder: PolicyBuilder, rule: &str| match rule.split_once(' ').unwrap_or((rule, "")) {
            ("default", "") => builder.block_defaults(),
            ("allow", pattern) => builder.allow_host(pattern.parse().unwrap()),
            ("block", pattern) => builder.block_host(pattern.parse().unwrap()),
            ("network", network) => builder.allow_network(network.parse().unwrap()),
            ("internal", pattern) => builder.allow_internal_host(pattern.parse().unwrap()),
            (other, _) => panic!("no such rule: {other}"),
        };
    rules
        .split(", ")
        .fold(Policy::permissive_builder(), build)
        .build()
}
