//! Tests of the default policy with the vectors in `vectors/policy-default.tsv`.
//!
//! A row is `input<TAB>expected<TAB>why`. The input is the content of a JSON string: a host as
//! passed to connect, or `name~>alias=>address,address|address` with the aliases and the answers of
//! successive lookups. The prefix `2:` selects the second answer.

use std::net::IpAddr;

use eryx_net_policy::{Decision, Host, HostName, Policy, Verdict};

struct Row {
    name: String,
    aliases: Vec<HostName>,
    addresses: Vec<IpAddr>,
    allowed: bool,
    line: &'static str,
}

#[test]
fn every_policy_vector_gets_its_verdict() {
    let policy = Policy::default();
    let failures: Vec<String> = rows()
        .into_iter()
        .filter_map(|row| {
            let verdict = check(&policy, &row);
            (verdict.is_allowed() != row.allowed).then(|| format!("{}\n  -> {verdict}", row.line))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_row_without_answers_is_decided_before_resolution() {
    let policy = Policy::default();
    for row in rows().iter().filter(|r| r.addresses.is_empty()) {
        let verdict = policy.check(&row.name, 443);
        assert_ne!(verdict.decision(), Decision::NeedsAddresses, "{}", row.line);
    }
}

#[test]
fn the_guest_message_of_a_denied_name_contains_no_address_or_alias() {
    let policy = Policy::default();
    for row in rows()
        .iter()
        .filter(|r| !r.addresses.is_empty() && !r.allowed)
    {
        let message = check(&policy, row).guest_message();
        let rest = message.replace(&row.name, "");
        for address in &row.addresses {
            assert!(!rest.contains(&address.to_string()), "{message}");
        }
        for alias in &row.aliases {
            assert!(!rest.contains(alias.as_str()), "{message}");
        }
    }
}

fn check(policy: &Policy, row: &Row) -> Verdict {
    match Host::parse(&row.name) {
        Ok(Host::Name(name)) => policy.check_resolved(&name, &row.aliases, &row.addresses, 443),
        _ => policy.check(&row.name, 443),
    }
}

fn rows() -> Vec<Row> {
    let rows: Vec<Row> = include_str!("vectors/policy-default.tsv")
        .lines()
        .skip(1)
        .map(row)
        .collect();
    assert!(rows.len() > 150, "the vectors are there");
    rows
}

fn row(line: &'static str) -> Row {
    let fields: Vec<&str> = line.split('\t').collect();
    let [input, expected, _why] = fields[..] else {
        panic!("three fields: {line}");
    };
    let input: String = serde_json::from_str(&format!("\"{input}\"")).expect(line);
    let (lookup, input) = match input.strip_prefix("2:") {
        Some(rest) => (1, rest),
        None => (0, input.as_str()),
    };
    let (names, answers) = input.split_once("=>").unwrap_or((input, ""));
    let mut names = names.split("~>");
    let name = names.next().expect("split gives one").to_owned();
    let answer = answers.split('|').nth(lookup).expect(line);
    Row {
        name,
        aliases: names.map(|alias| alias.parse().expect(line)).collect(),
        addresses: answer
            .split(',')
            .filter(|a| !a.is_empty())
            .map(|a| a.parse().expect(line))
            .collect(),
        allowed: match expected {
            "allow" => true,
            "deny" => false,
            _ => panic!("allow or deny: {line}"),
        },
        line,
    }
}
