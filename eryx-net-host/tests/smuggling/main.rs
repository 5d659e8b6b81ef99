//! Compares what was checked with what web servers see: nginx, and `http.server` of Python.
//!
//! Every request that a server sees was checked, with this method, URL and body, and in this order.
//! Tests with nginx print that they are skipped where it is not installed.

mod compare;
mod exchange;
mod origin;
mod paths;
mod requests;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use eryx_http::Scheme;
use eryx_net_host::policy::{Host, HttpPolicy, HttpRequest, HttpRule, QueryRule, SecretBinding};
use eryx_net_host::{HttpDenials, NetConfig, Secret};
use eryx_testkit::{CertificateAuthority, Leaf};

use crate::compare::{Comparison, compare};
use crate::exchange::{CheckedConnection, NAME, Pieces, Sent, Target, bodies};
use crate::origin::{HttpServer, Nginx, Seen};
use crate::paths::{PATTERNS, is_within, targets};
use crate::requests::{ALLOWED, FORBIDDEN, SMUGGLED, carriers, readdress, vectors};
use crate::support::{ScriptedResolver, loopback_config};

/// Returns a configuration in which requests to [`NAME`] are inspected by `rule`.
fn config(rule: HttpRule) -> NetConfig {
    let resolver = ScriptedResolver::new().answer(NAME, &["127.0.0.1"]);
    let config = loopback_config(&Arc::new(resolver));
    config.with_http_rule(rule).expect("a rule")
}

fn rule() -> HttpRule {
    HttpRule::new(NAME.parse().expect("a pattern"))
}

/// Returns a rule that allows everything but [`SMUGGLED`].
fn rule_against_smuggling() -> HttpRule {
    let query = QueryRule::new([(FORBIDDEN, false)]).expect("a parameter");
    rule().with_query(query).with_upgrade(true)
}

/// Starts nginx, or prints that `test` is skipped.
async fn nginx(authority: &CertificateAuthority, test: &str) -> Option<Nginx> {
    let identity = authority.issue(&Leaf::server([NAME]));
    match Nginx::start(&identity.expect("a certificate")).await {
        Ok(nginx) => Some(nginx),
        Err(reason) => {
            // Written directly, because the test harness hides the output of a test that passes.
            let _ = writeln!(std::io::stderr(), "\nSKIPPED {test}: {reason}");
            None
        }
    }
}

/// The longest vector that is split at every byte.
const SMALL: usize = 64;

/// How each request is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Thoroughness {
    /// With another behind it, split at every byte if it is small.
    Split,
    /// Alone and with others behind it, together and after the response.
    Followed,
    /// With others behind it, once together and once after the response.
    Brief,
}

/// Returns all vectors and carriers as requests to a target.
fn inputs(target: &Target) -> Vec<(String, Vec<u8>)> {
    let vectors = vectors().into_iter().map(|vector| {
        let input = readdress(&vector.input, target.scheme, target.port);
        // The vector means what it meant before.
        let complete = bodies(target.origin(), &input).len();
        if let Some(expected) = vector.complete {
            assert_eq!(complete, expected, "{}", vector.name);
        }
        (vector.name.to_owned(), input)
    });
    let carriers = carriers().into_iter();
    let carriers =
        carriers.map(|(name, input)| (name, readdress(&input, target.scheme, target.port)));
    vectors.chain(carriers).collect()
}

/// Sends all of `inputs`, and requests after them.
async fn exchanges(
    target: &mut Target,
    config: &NetConfig,
    inputs: &[(String, Vec<u8>)],
    thoroughness: Thoroughness,
) -> Vec<CheckedConnection> {
    let smuggled = readdress(SMUGGLED.as_bytes(), target.scheme, target.port);
    let allowed = readdress(ALLOWED.as_bytes(), target.scheme, target.port);
    let mut checked = Vec::new();
    for (name, input) in inputs {
        let mut send = async |first: &[u8], second: &[u8], pieces| {
            let sent = Sent {
                name: name.clone(),
                first: first.to_vec(),
                second: second.to_vec(),
                pieces,
            };
            checked.push(target.exchange(config, sent).await);
        };
        let both = [&input[..], &allowed].concat();
        if thoroughness == Thoroughness::Split {
            for at in 1..=input.len() {
                send(&both, b"", Pieces::Two(at)).await;
            }
            continue;
        }
        send(&both, b"", Pieces::Whole).await;
        send(input, &smuggled, Pieces::Whole).await;
        if thoroughness == Thoroughness::Followed {
            send(input, b"", Pieces::Whole).await;
            send(input, &allowed, Pieces::Whole).await;
            send(&[&input[..], &smuggled].concat(), b"", Pieces::Bytes).await;
        }
    }
    checked
}

/// Checks that there are no differences, and that the origin refused only these requests.
fn check(comparison: &Comparison, minimum: usize, refused: &[(&str, u64)]) {
    let differences = &comparison.differences;
    assert!(
        differences.is_empty(),
        "{} differences, such as\n{}",
        differences.len(),
        differences[..differences.len().min(10)].join("\n")
    );
    println!(
        "{} requests seen as checked, {} refused by the origin",
        comparison.complete,
        comparison.refused.len()
    );
    assert!(comparison.complete >= minimum, "{}", comparison.complete);
    let refused = refused
        .iter()
        .map(|(name, status)| (name.to_string(), *status));
    assert_eq!(comparison.refused, BTreeMap::from_iter(refused));
}

#[tokio::test]
async fn nginx_sees_exactly_the_requests_that_were_checked() {
    let authority = CertificateAuthority::new().expect("an authority");
    let test = "nginx_sees_exactly_the_requests_that_were_checked";
    let Some(nginx) = nginx(&authority, test).await else {
        return;
    };
    let config = config(rule_against_smuggling());
    let with_responses = config.with_http_denials(HttpDenials::Response);
    let mut checked = Vec::new();
    for (port, config, thoroughness) in [
        (nginx.proxies[0], &config, Thoroughness::Split),
        (nginx.proxies[1], &config, Thoroughness::Followed),
        (nginx.proxies[2], &with_responses, Thoroughness::Followed),
        (nginx.discard, &with_responses, Thoroughness::Followed),
    ] {
        let mut target = Target::new(Scheme::Http, port);
        let mut inputs = inputs(&target);
        if thoroughness == Thoroughness::Split {
            inputs.truncate(vectors().len());
            inputs.retain(|(_, input)| input.len() <= SMALL);
        }
        checked.extend(exchanges(&mut target, config, &inputs, thoroughness).await);
    }
    let seen = nginx.stop().await;
    check(&compare(Scheme::Http, &checked, &seen), 7000, &REFUSED);
}

#[tokio::test]
async fn nginx_sees_the_bodies_that_were_checked_if_secrets_can_be_put_into_them() {
    let authority = CertificateAuthority::new().expect("an authority");
    let test = "nginx_sees_the_bodies_that_were_checked_if_secrets_can_be_put_into_them";
    let Some(nginx) = nginx(&authority, test).await else {
        return;
    };
    let binding = SecretBinding::new("TOKEN", [NAME.parse().expect("a pattern")]);
    let binding = binding.expect("a binding").with_body(true);
    let secret = Secret::new(binding, "a secret with more than 24 characters");
    let config = config(rule_against_smuggling())
        .with_root_cert(authority.pem().as_bytes())
        .expect("a certificate")
        .with_secret(secret.expect("a value"))
        .expect("a secret");
    let mut target = Target::new(Scheme::Https, nginx.tls);
    // Bodies of forms are collected, and sent with other chunks or another length.
    let form = b"Content-Type: application/x-www-form-urlencoded\r\n";
    let mut inputs = inputs(&target);
    for (_, input) in &mut inputs {
        if let Some(at) = origin::find(input, b"\r\nHost: ") {
            input.splice(at + 2..at + 2, form.iter().copied());
        }
    }
    let checked = exchanges(&mut target, &config, &inputs, Thoroughness::Brief).await;
    let seen = nginx.stop().await;
    check(&compare(Scheme::Https, &checked, &seen), 700, &REFUSED);
}

/// What nginx refuses, though it is allowed, with the status: it closes the connection.
const REFUSED: [(&str, u64); 8] = [
    ("G! with a length", 400),
    ("G! without a body", 400),
    ("P0ST with a length", 400),
    ("P0ST without a body", 400),
    ("asterisk of OPTIONS", 400),
    ("get without a body", 400),
    ("post with a length", 400),
    ("post without a body", 400),
];

#[tokio::test]
async fn a_lenient_server_sees_exactly_the_requests_that_were_checked() {
    let server = HttpServer::start();
    let config = config(rule_against_smuggling());
    let mut target = Target::new(Scheme::Http, server.port);
    let inputs = inputs(&target);
    let checked = exchanges(&mut target, &config, &inputs, Thoroughness::Followed).await;
    let seen = server.stop().await;
    check(&compare(Scheme::Http, &checked, &seen), 1900, &[]);
}

#[tokio::test]
async fn no_server_maps_a_path_to_one_that_the_rule_does_not_allow() {
    let authority = CertificateAuthority::new().expect("an authority");
    let test = "no_server_maps_a_path_to_one_that_the_rule_does_not_allow";
    if let Some(nginx) = nginx(&authority, test).await {
        let checked = requests_for_paths(nginx.proxies[0]).await;
        check_paths(&checked, &nginx.stop().await);
    }
    let server = HttpServer::start();
    let checked = requests_for_paths(server.port).await;
    check_paths(&checked, &server.stop().await);
}

/// Requests all paths that rules allow. The name of an exchange is the pattern of its rule.
async fn requests_for_paths(port: u16) -> Vec<CheckedConnection> {
    let mut target = Target::new(Scheme::Http, port);
    let targets = targets();
    assert!(targets.len() > 10_000, "{}", targets.len());
    let mut checked = Vec::new();
    for pattern in PATTERNS {
        let rule = rule().with_paths([pattern]).expect("a pattern");
        let policy = HttpPolicy::new(vec![rule.clone()], vec![], vec![]).expect("a policy");
        let host = Host::parse(NAME).expect("a name");
        let is_allowed = |target: &&String| {
            let request = HttpRequest {
                scheme: Scheme::Http,
                host: &host,
                address: None,
                port,
                method: "GET",
                target,
                upgrade: false,
            };
            policy.check(&request).is_allowed()
        };
        let allowed: Vec<&String> = targets.iter().filter(is_allowed).collect();
        let config = config(rule);
        // As many as a connection has at a time.
        for targets in allowed.chunks(16) {
            let requests = targets
                .iter()
                .map(|target| format!("GET {target} HTTP/1.1\r\nHost: {NAME}:{port}\r\n\r\n"));
            let sent = Sent {
                name: pattern.to_owned(),
                first: requests.collect::<String>().into_bytes(),
                second: Vec::new(),
                pieces: Pieces::Whole,
            };
            checked.push(target.exchange(&config, sent).await);
        }
    }
    checked
}

fn check_paths(checked: &[CheckedConnection], seen: &[Seen]) {
    check(&compare(Scheme::Http, checked, seen), 300, &[]);
    let patterns: BTreeMap<(u16, u16), &str> = checked
        .iter()
        .map(|connection| (connection.ports, &*connection.sent.name))
        .collect();
    let outside: Vec<String> = seen
        .iter()
        .filter(|request| !is_within(patterns[&request.ports], &request.path))
        .map(|request| format!("{} {request:?}", patterns[&request.ports]))
        .collect();
    assert!(
        outside.is_empty(),
        "{} paths, such as\n{}",
        outside.len(),
        outside[..outside.len().min(20)].join("\n")
    );
}
