//! Tests of HTTP rules: the vectors in `vectors/http-rules.tsv`, messages, and bounds.
//!
//! A row is `rules<TAB>method and URL<TAB>reason, and rule if it matters<TAB>why`, with rules
//! separated by ` | `.

use std::net::IpAddr;

use eryx_http::{CanonicalPath, Scheme};
use eryx_net_policy::{
    Decision, HintStyle, Host, HttpPolicy, HttpReason, HttpRequest, HttpRule, HttpVerdict,
    Inspection, PathPattern, Policy, Port, QueryRule,
};

struct Row {
    http: HttpPolicy,
    method: &'static str,
    url: &'static str,
    reason: &'static str,
    rule_index: Option<usize>,
    line: &'static str,
}

#[test]
fn every_vector_gets_its_verdict() {
    let failures: Vec<String> = rows()
        .into_iter()
        .filter_map(|row| {
            let verdict = row.http.check_url(&hosts(), row.method, row.url);
            let is_expected = verdict.reason().as_str() == row.reason
                && row
                    .rule_index
                    .is_none_or(|index| verdict.rule_index() == Some(index));
            (!is_expected).then(|| format!("{}\n  -> {verdict}", row.line))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_verdict_allows_a_request_for_two_reasons_only() {
    for row in rows() {
        let verdict = row.http.check_url(&hosts(), row.method, row.url);
        assert_eq!(
            verdict.is_denied(),
            !matches!(row.reason, "listed" | "no-rules"),
            "{}",
            row.line
        );
    }
}

#[test]
fn a_request_that_no_rule_allows_is_allowed_by_the_rule_that_its_message_suggests() {
    let mut suggestions = 0;
    for row in rows() {
        let verdict = row.http.check_url(&hosts(), row.method, row.url);
        let message = verdict.to_string();
        let Some((_, rest)) = message.split_once("with_http_rule(\"") else {
            continue;
        };
        suggestions += 1;
        let rule: HttpRule = rest.split('"').next().unwrap().parse().expect(&message);
        let http = policy(vec![rule]);
        let verdict = http.check_url(&hosts(), row.method, row.url);
        assert_eq!(verdict.reason(), HttpReason::Listed, "{message}");
    }
    assert!(suggestions > 20, "{suggestions}");
}

#[test]
fn a_message_names_request_rule_and_remedy() {
    let http = http(&["GET,HEAD api.example.com/repos/acme/*"]);
    for (method, url, message) in [
        (
            "GET",
            "https://api.example.com/repos/acme/site?token=x",
            "`GET https://api.example.com/repos/acme/site` is allowed if the addresses of its host are: \
             `GET,HEAD api.example.com/repos/acme/*` in http_rules matches it",
        ),
        (
            "DELETE",
            "https://api.example.com/repos/acme/site?token=x",
            "`DELETE https://api.example.com/repos/acme/site` is denied: \
             `GET,HEAD api.example.com/repos/acme/*` in http_rules is for other methods; \
             with_http_rule(\"DELETE api.example.com/repos/acme/site\") allows it",
        ),
        (
            "GET",
            "https://api.example.com:8443/user?token=x",
            "`GET https://api.example.com:8443/user` is denied: \
             `GET,HEAD api.example.com/repos/acme/*` in http_rules is for other paths; \
             with_http_rule(\"GET api.example.com/user\") allows it",
        ),
        (
            "GET",
            "https://api.example.com/a'b",
            "`GET https://api.example.com/a'b` is denied: \
             `GET,HEAD api.example.com/repos/acme/*` in http_rules is for other paths; \
             add a rule with this path to http_rules to allow it",
        ),
        (
            "GET",
            "https://api.example.com/repos/../x?token=x",
            "`GET https://api.example.com/repos/../x` is denied: its path cannot be compared with \
             `GET,HEAD api.example.com/repos/acme/*` in http_rules: it has a dot segment (RFC 3986, 5.2.4); \
             write the path that it leads to",
        ),
        (
            "GET",
            "https://other.example/",
            "`GET https://other.example/` is allowed if the addresses of its host are: \
             no rule in http_rules is for its host",
        ),
        (
            "TRACE",
            "https://api.example.com/",
            "`TRACE https://api.example.com/` is denied: CONNECT, TRACE and TRACK are refused on every \
             inspected host, whatever the rules; send another method",
        ),
        (
            "Head",
            "https://other.example/",
            "`Head https://other.example/` is denied: some servers take its method for HEAD, whose \
             responses have no body, and others do not; write `HEAD`",
        ),
        (
            "GET",
            "https://127.0.0.1/",
            "`127.0.0.1:443` is denied: `127.*` in blocked_hosts covers it; allow_localhost() lifts that",
        ),
        (
            "GET",
            "ftp://api.example.com/",
            "`ftp://api.example.com/` is not a URL that can be checked: its scheme is `ftp`; write `https`, \
             `http`, `wss` or `ws`",
        ),
    ] {
        let verdict = http.check_url(&Policy::default(), method, url);
        assert_eq!(verdict.to_string(), message);
        let is_url = verdict.reason() != HttpReason::MalformedUrl;
        assert_eq!(verdict.host().is_some(), is_url, "{message}");
        assert_eq!(verdict.port() != Port::Any, is_url, "{message}");
        assert_eq!(verdict.guest_message(), message);
    }
}

#[test]
fn a_message_suggests_an_option_in_the_style_of_options() {
    let http = http(&["GET a.example/a"]).with_hint_style(HintStyle::Options);
    let verdict = http.check_url(&hosts(), "PUT", "https://a.example/a");
    assert!(
        verdict
            .to_string()
            .ends_with("; --http-rule 'PUT a.example/a' allows it"),
        "{verdict}"
    );
}

#[test]
fn a_query_has_required_parameters_and_no_forbidden_ones() {
    let query = QueryRule::new([("per page", true), ("token", false), ("a_key", false)]).unwrap();
    let rule = HttpRule::new("a.example".parse().unwrap()).with_query(query);
    let http = policy(vec![rule]);
    for (query, is_allowed) in [
        ("?per+page=2", true),
        ("?per%20page", true),
        ("?x&per%20p%61ge=&y", true),
        ("", false),
        ("?", false),
        ("?Per+page=2", false),
        ("?x=per+page", false),
        ("?x;per+page=2", false),
        ("?per+page&tokens", true),
        ("?per+page&x=token", true),
        ("?per+page&x=%zz", true),
        ("?per+page&token", false),
        ("?per+page&token=x", false),
        ("?token=x&per+page", false),
        ("?per+page&x=y;token=z", false),
        ("?per+page&%74o%6ben", false),
        ("?per+page&TOKEN", false),
        ("?per+page&token[]=x", false),
        ("?per+page&token%5Bx%5D=x", false),
        ("?per+page&+token+=x", false),
        ("?per+page&token%00x=x", false),
        ("?per%2Bpage", false),
        ("?per+page&x%26token=x", true),
        ("?per+page&x%3Dtoken", true),
        ("?per+page&x%23token%3F", true),
        ("?per+page&token%3Dx", true),
        ("?per+page&x=%C1%B4oken", true),
        ("?per+page&%C1%B4oken", false),
        ("?per+page&%F8%80%80%81%B4oken", false),
        ("?per+page&%FF", true),
        ("?per+page&a.key", false),
        ("?per+page&a[key", false),
        ("?per+page&a+key", false),
        ("?per+page&a-key", true),
        ("?per+page&[token]=x", false),
        ("?per+page&%5BToken%5D=x", false),
        ("?per+page&]token=x", false),
        ("?per+page&token]=x", false),
        ("?per+page&[[token=x", false),
        ("?per+page&other[token]=x", true),
        ("?per+page&%zz", false),
        ("?per+page&%u0074oken", false),
        ("?per+page&%7", false),
    ] {
        let url = format!("https://a.example/{query}");
        let verdict = http.check_url(&hosts(), "GET", &url);
        let reason = match is_allowed {
            true => HttpReason::Listed,
            false => HttpReason::QueryNotAllowed,
        };
        assert_eq!(verdict.reason(), reason, "{query}");
        assert!(!verdict.url().contains('?'), "{verdict}");
    }
    let message = |query| http.check_url(&hosts(), "GET", &format!("https://a.example/{query}"));
    let missing = message("").to_string();
    assert!(
        missing.contains("requires the query parameter `per page`"),
        "{missing}"
    );
    let forbidden = message("?per+page&TOKEN[x]=secret").to_string();
    assert!(
        forbidden.contains("forbids the query parameter `token`"),
        "{forbidden}"
    );
    assert!(!forbidden.contains("secret"), "{forbidden}");
}

#[test]
fn a_pattern_matches_encoded_characters_in_canonical_form_alone() {
    // Each row has a pattern, targets that it matches, and others.
    let table = [
        // The encoded character is a part of the path, the plain one ends it.
        (
            "/a%3Fb",
            "/a%3Fb /a%3fb /%61%3Fb?q",
            "/a?b /a /a%253Fb /a%3F/b",
        ),
        ("/a%23b", "/a%23b", "/a /a%2523b"),
        // Reserved characters differ from their encodings, unreserved ones do not.
        ("/a+b", "/a+b", "/a%2Bb /a%20b"),
        ("/a%2Bb", "/a%2Bb /a%2bb", "/a+b /a%20b"),
        ("/a%20b", "/a%20b", "/a+b /a%2520b"),
        ("/a%2A", "/a%2a", "/a* /a /ab"),
        ("/a:b@c;d", "/a:b@c;d", "/a%3Ab@c;d /a:b%40c;d /a:b@c%3Bd"),
        ("/%7Ea-b", "/~a-b /%7ea%2Db", "/%257Ea-b"),
        ("/[a]", "/[a] /%5Ba%5D", "/a"),
        // Bytes, which need not be UTF-8.
        ("/%C3%A9", "/%c3%a9", "/%E9 /e%CC%81"),
        ("/%FF", "/%ff", "/%FE /%C3%BF"),
        ("/*/b", "/%3F/b /%23a/b /%FF/b /%2A/b", "//b /%20/b /a%3F"),
        ("/a/**", "/a/%3F /a/%23/%FF", "/a%3F /a%3F/b"),
    ];
    for (pattern, matching, others) in table {
        let pattern: PathPattern = pattern.parse().expect(pattern);
        let again: PathPattern = pattern.to_string().parse().expect("its own text");
        assert_eq!(again, pattern);
        for (targets, expected) in [(matching, true), (others, false)] {
            for target in targets.split(' ') {
                let path = CanonicalPath::parse(target).expect(target);
                assert_eq!(pattern.matches(&path), expected, "{pattern} and {target}");
            }
        }
    }
    // No rule allows what servers read differently, not even one for every path.
    let any = http(&["a.example"]);
    for target in [
        "/a%2Fb",
        "/a%5Cb",
        "/a%00",
        "/a%00.txt",
        "/a%C0%AFb",
        "/%C1%A1",
        "/%F8%80%80%80%AF",
        "/%252Fa",
        "/a%",
        "/a%u002F",
    ] {
        let verdict = any.check_url(&hosts(), "GET", &format!("https://a.example{target}"));
        assert_eq!(verdict.reason(), HttpReason::MalformedPath, "{target}");
        let error = target.parse::<PathPattern>().expect_err(target);
        assert!(error.to_string().contains(target), "{error}");
    }
    let query = "/a?b"
        .parse::<PathPattern>()
        .expect_err("a query")
        .to_string();
    assert!(query.contains("write `%3F`"), "{query}");
    let fragment = "/a#b".parse::<PathPattern>().expect_err("a fragment");
    assert!(fragment.to_string().contains("`%23`"), "{fragment}");
}

#[test]
fn an_upgrade_needs_a_rule_that_allows_it() {
    let rule: HttpRule = "GET a.example/socket".parse().unwrap();
    let http = policy(vec![rule.clone().with_upgrade(true)]);
    let check = |http: &HttpPolicy, url| http.check_url(&hosts(), "GET", url).reason();
    assert_eq!(check(&http, "wss://a.example/socket"), HttpReason::Listed);
    assert_eq!(check(&http, "https://a.example/socket"), HttpReason::Listed);
    let http = policy(vec![rule]);
    assert_eq!(
        check(&http, "wss://a.example/socket"),
        HttpReason::UpgradeNotAllowed
    );
}

#[test]
fn the_target_asterisk_is_allowed_by_rules_for_every_path() {
    let host = Host::parse("a.example").unwrap();
    let check = |rule: &str, method| {
        let request = HttpRequest {
            method,
            target: "*",
            ..request(&host)
        };
        http(&[rule]).check(&request).reason()
    };
    assert_eq!(check("a.example", "OPTIONS"), HttpReason::Listed);
    assert_eq!(check("a.example/**", "OPTIONS"), HttpReason::PathNotAllowed);
    assert_eq!(
        check("GET a.example", "OPTIONS"),
        HttpReason::MethodNotAllowed
    );
    assert_eq!(check("a.example", "GET"), HttpReason::MalformedPath);
}

#[test]
fn a_rule_for_a_network_is_for_names_that_resolve_into_it_and_the_program_does_not_see_it() {
    let http = http(&["GET 10.0.0.0/8 /public/**"]);
    let host = Host::parse("db.corp").unwrap();
    let at = |address: &str| HttpRequest {
        address: Some(address.parse().unwrap()),
        method: "GET",
        target: "/private",
        ..request(&host)
    };
    assert_eq!(http.inspection(&host, 443), Inspection::None);
    for address in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"] {
        let ip: IpAddr = address.parse().unwrap();
        assert_eq!(
            http.inspection_at(&host, Some(ip), 443),
            Inspection::Enforced
        );
        let verdict = http.check(&at(address));
        assert_eq!(verdict.reason(), HttpReason::PathNotAllowed);
        assert!(verdict.to_string().contains("10.0.0.0/8"), "{verdict}");
        assert!(verdict.rule().is_some());
        assert_eq!(verdict.guest_rule(), None);
        assert!(
            !verdict.guest_message().contains("10."),
            "{}",
            verdict.guest_message()
        );
    }
    let elsewhere = "192.0.2.7".parse().unwrap();
    assert_eq!(
        http.inspection_at(&host, Some(elsewhere), 443),
        Inspection::None
    );
    assert_eq!(http.inspection_at(&host, None, 443), Inspection::None);
    assert_eq!(http.check(&at("192.0.2.7")).reason(), HttpReason::NoRules);
    assert_eq!(http.check(&request(&host)).reason(), HttpReason::NoRules);
}

#[test]
fn a_body_over_the_limit_is_denied_with_the_rule_and_the_limit() {
    let rule = "PUT a.example/in/*".parse::<HttpRule>().unwrap();
    let http = policy(vec![
        rule.with_max_request_bytes(Some(1000))
            .with_max_response_bytes(Some(5)),
    ]);
    let verdict = http.check_url(&hosts(), "PUT", "https://a.example/in/a");
    let rule = verdict.rule().unwrap();
    assert_eq!(verdict.guest_rule(), Some(rule));
    assert_eq!(
        (rule.max_request_bytes(), rule.max_response_bytes()),
        (Some(1000), Some(5))
    );
    for (denial, reason, text) in [
        (
            verdict.request_too_large(),
            HttpReason::RequestTooLarge,
            "at most 1000 bytes",
        ),
        (
            verdict.response_too_large(),
            HttpReason::ResponseTooLarge,
            "at most 5 bytes",
        ),
    ] {
        assert_eq!(
            (denial.reason(), denial.decision()),
            (reason, Decision::Deny)
        );
        assert!(denial.to_string().contains(text), "{denial}");
        assert!(
            denial.to_string().contains("`PUT a.example/in/*`"),
            "{denial}"
        );
    }
}

#[test]
fn a_verdict_has_a_bounded_size_whatever_the_request() {
    let http = http(&["GET a.example/*/*/x"]);
    let host = Host::parse("a.example").unwrap();
    let long = "/a".repeat(30_000);
    let method = "M".repeat(30_000);
    for target in [
        &long,
        &format!("/{}?{long}", "%".repeat(30_000)),
        &"/\u{1b}[31m".repeat(9000),
    ] {
        let request = HttpRequest {
            method: &method,
            target,
            ..request(&host)
        };
        let verdict: HttpVerdict = http.check(&request);
        assert!(verdict.to_string().len() < 1500, "{verdict}");
        assert!(!verdict.to_string().contains('\u{1b}'));
        assert!(verdict.url().len() < 500, "{}", verdict.url());
    }
}

#[test]
fn the_inspection_of_a_host_is_that_of_the_strictest_setting() {
    let host = |text: &str| Host::parse(text).unwrap();
    let rules = vec!["GET api.example:443".parse().unwrap()];
    let http = HttpPolicy::new(rules, vec![], vec!["*.example".parse().unwrap()]).unwrap();
    assert!(!http.is_empty());
    assert_eq!(
        http.inspection(&host("api.example"), 443),
        Inspection::Enforced
    );
    assert_eq!(
        http.inspection(&host("api.example"), 80),
        Inspection::LogOnly
    );
    assert_eq!(
        http.inspection(&host("api.example"), Port::Any),
        Inspection::Enforced
    );
    assert_eq!(
        http.inspection(&host("other.example"), 443),
        Inspection::LogOnly
    );
    assert_eq!(http.inspection(&host("example"), 443), Inspection::None);
    assert_eq!(http.rules().len(), 1);
    assert_eq!(http.inspect().len(), 1);

    assert!(HttpPolicy::default().is_empty());
    assert_eq!(
        HttpPolicy::default().inspection(&host("a.example"), 443),
        Inspection::None
    );
}

#[test]
fn a_malformed_rule_is_an_error_with_the_correction() {
    for (text, part) in [
        ("", "it has no host"),
        ("   ", "it has no host"),
        ("GET", "it has no host"),
        ("GET,PUT", "it has no host"),
        ("GET /user", "it has no host"),
        ("/user", "it has no host"),
        ("GET  a.example", "one space each"),
        ("GET a.example PUT", "one space each"),
        (" a.example", "one space each"),
        ("a.example GET", "one space each"),
        ("a.example/user GET", "one space each"),
        ("localhost:8080 GET,PUT", "one space each"),
        ("GET https://a.example/", "host and path alone"),
        ("get a.example", "write `GET`"),
        ("Get a.example", "write `GET`"),
        ("GET,,PUT a.example", "not a token"),
        ("GET, a.example", "not a token"),
        ("G(ET a.example", "not a token"),
        ("GET,* a.example", "for every method"),
        ("GE* a.example", "for every method"),
        ("CONNECT a.example", "cannot be allowed"),
        ("GET,TRACE a.example", "cannot be allowed"),
        ("TRACK a.example", "cannot be allowed"),
        ("track a.example", "cannot be allowed"),
        ("Head a.example", "write `HEAD`"),
        ("GET a.*.example/", "not a host pattern"),
        ("GET a.example/a//b", "empty segment"),
        ("GET a.example/a/../b", "dot segment"),
        ("GET a.example/a*", "whole segment"),
        ("GET a.example/a?b", "in `query`"),
        ("GET a.example/**/a", "write it last"),
        ("GET a.example/***", "whole segment"),
        ("GET a.example/a%2fb", "encoded slash"),
        ("GET a.example/ä", "visible ASCII"),
        ("GET 10.0.0.1/8", "bits outside the prefix"),
    ] {
        let error = text.parse::<HttpRule>().expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    let rule = || HttpRule::new("a.example".parse().unwrap());
    let no_methods = rule().with_methods::<&str>([]).unwrap_err().to_string();
    assert!(
        no_methods.contains("leave the list out for every method"),
        "{no_methods}"
    );
    let every = rule().with_methods(["*"]).unwrap_err().to_string();
    assert!(
        every.contains("leave the list out for every method"),
        "{every}"
    );
    let no_paths = rule().with_paths::<&str>([]).unwrap_err().to_string();
    assert!(
        no_paths.contains("leave the list out for every path"),
        "{no_paths}"
    );
    for (path, part) in [
        ("", "it is empty"),
        ("*", "write `/**`"),
        ("**", "write `/**`"),
        ("user", "does not start with `/`"),
        ("https://a.example/user", "write the path alone"),
    ] {
        let error = rule().with_paths([path]).expect_err(path).to_string();
        assert!(error.contains(part), "{path}: {error}");
    }
    for parameters in [vec![("", true)], vec![("a", true), ("A", false)]] {
        let error = QueryRule::new(parameters).unwrap_err().to_string();
        assert!(error.contains("query: "), "{error}");
    }
}

#[test]
fn the_slash_of_a_network_does_not_start_a_path() {
    for (text, host, paths) in [
        ("10.0.0.0/8", "10.0.0.0/8", &[][..]),
        ("10.0.0.0/8/a", "10.0.0.0/8", &["/a"]),
        ("10.0.0.0/8:443/8/*", "10.0.0.0/8:443", &["/8/*"]),
        ("10.0.0.1:443/8", "10.0.0.1:443", &["/8"]),
        ("10.0.0.1 /8", "10.0.0.1", &["/8"]),
        ("10.0.0.1/a", "10.0.0.1", &["/a"]),
        ("10.*/8", "10.*", &["/8"]),
        ("fc00::/7", "fc00::/7", &[]),
        ("[fc00::]/7:80/a", "[fc00::]/7:80", &["/a"]),
        ("[2001:db8::1]:80/a /b", "[2001:db8::1]:80", &["/a", "/b"]),
        ("a.example/8", "a.example", &["/8"]),
    ] {
        let rule: HttpRule = text.parse().expect(text);
        assert_eq!(rule.host().to_string(), host, "{text}");
        let parsed = rule.paths().into_iter().flatten().map(ToString::to_string);
        assert_eq!(parsed.collect::<Vec<_>>(), paths, "{text}");
        assert_eq!(rule.to_string().parse::<HttpRule>(), Ok(rule), "{text}");
    }
}

fn rows() -> Vec<Row> {
    let rows: Vec<Row> = include_str!("vectors/http-rules.tsv")
        .lines()
        .skip(1)
        .map(row)
        .collect();
    assert!(rows.len() > 120, "the vectors are there");
    rows
}

fn row(line: &'static str) -> Row {
    let fields: Vec<&str> = line.split('\t').collect();
    let [rules, request, expected, _why] = fields[..] else {
        panic!("four fields: {line}");
    };
    let (method, url) = request.split_once(' ').expect(line);
    let (reason, rule_index) = match expected.split_once(' ') {
        Some((reason, index)) => (reason, Some(index.parse().expect(line))),
        None => (expected, None),
    };
    Row {
        http: http(&rules.split(" | ").collect::<Vec<_>>()),
        method,
        url,
        reason,
        rule_index,
        line,
    }
}

fn http(rules: &[&str]) -> HttpPolicy {
    policy(rules.iter().map(|rule| rule.parse().expect(rule)).collect())
}

fn policy(rules: Vec<HttpRule>) -> HttpPolicy {
    HttpPolicy::new(rules, vec![], vec![]).expect("rules do not contradict each other")
}

/// Returns a policy that allows every host.
fn hosts() -> Policy {
    Policy::permissive_builder().build()
}

fn request(host: &Host) -> HttpRequest<'_> {
    HttpRequest {
        scheme: Scheme::Https,
        host,
        address: None,
        port: 443,
        method: "GET",
        target: "/",
        upgrade: false,
    }
}
