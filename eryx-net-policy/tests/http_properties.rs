//! Properties of path patterns, rules and query rules.

use eryx_http::{CanonicalPath, Scheme};
use eryx_net_policy::{
    Host, HttpPolicy, HttpReason, HttpRequest, HttpRule, PathPattern, QueryRule,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_pattern_is_displayed_as_a_text_that_parses_to_it(text in pattern()) {
        let pattern: PathPattern = text.parse().unwrap();
        prop_assert_eq!(&pattern.to_string(), &text);
        prop_assert_eq!(pattern.to_string().parse::<PathPattern>(), Ok(pattern));
    }

    #[test]
    fn any_text_is_a_pattern_that_is_displayed_canonically_or_an_error(text in "(/?[a*%;.~2fF5?\\\\ ä]{0,5}){0,5}") {
        if let Ok(pattern) = text.parse::<PathPattern>() {
            let canonical = pattern.to_string();
            prop_assert_eq!(&canonical.parse::<PathPattern>(), &Ok(pattern));
            prop_assert!(CanonicalPath::parse(&canonical).is_ok());
        }
    }

    #[test]
    fn a_pattern_matches_as_a_search_through_all_segments_says(
        pattern in pattern(), path in path()
    ) {
        let parsed: PathPattern = pattern.parse().unwrap();
        let canonical = CanonicalPath::parse(&path).unwrap();
        let pattern: Vec<&str> = pattern[1..].split('/').collect();
        let segments: Vec<&str> = path[1..].split('/').collect();
        let expected = !canonical.has_empty_segment() && model(&pattern, &segments);
        prop_assert_eq!(parsed.matches(&canonical), expected);
    }

    /// Servers that remove parameters, trailing dots and doubled slashes see another path. The
    /// pattern matches this one, too.
    #[test]
    fn a_path_that_matches_also_matches_as_generous_servers_read_it(
        pattern in pattern(), path in path()
    ) {
        let pattern: PathPattern = pattern.parse().unwrap();
        if pattern.matches(&CanonicalPath::parse(&path).unwrap()) {
            let generous = generous(&path);
            prop_assert!(
                pattern.matches(&CanonicalPath::parse(&generous).unwrap()),
                "{} and {}", path, generous
            );
        }
    }

    #[test]
    fn a_rule_is_displayed_as_a_text_that_parses_to_it(rule in rule()) {
        prop_assert_eq!(rule.to_string().parse::<HttpRule>(), Ok(rule));
    }

    #[test]
    fn any_text_is_a_rule_that_is_displayed_canonically_or_an_error(
        text in "((GET|PUT|\\*|get)[, ]){0,2}(a\\.example|10\\.0\\.0\\.0|\\[::1\\]|fc00::)?(/8)?(:80)?( ?/[a*]{0,3}){0,3}"
    ) {
        if let Ok(rule) = text.parse::<HttpRule>() {
            prop_assert_eq!(rule.to_string().parse::<HttpRule>(), Ok(rule));
        }
    }

    #[test]
    fn a_request_is_allowed_exactly_if_one_of_the_rules_alone_allows_it(
        rules in vec(rule(), 0..5), request in request()
    ) {
        let host = Host::parse(&request.host).unwrap();
        let check = |rules: Vec<HttpRule>| {
            let policy = HttpPolicy::new(rules, vec![], vec![]).unwrap();
            policy.check(&HttpRequest {
                scheme: Scheme::Https,
                host: &host,
                address: None,
                port: 443,
                method: &request.method,
                target: &request.target,
                upgrade: request.upgrade,
            })
        };
        let verdict = check(rules.clone());
        let alone = rules.iter().map(|rule| check(vec![rule.clone()]).reason());
        let first = alone.clone().position(|reason| reason == HttpReason::Listed);
        let has_rules = rules.iter().any(|rule| rule.is_for(&host, 443));
        match (first, has_rules) {
            (Some(index), _) => {
                prop_assert_eq!(verdict.reason(), HttpReason::Listed);
                prop_assert_eq!(verdict.rule_index(), Some(index));
            }
            (None, true) => prop_assert!(verdict.is_denied(), "{}", verdict),
            (None, false) => prop_assert_eq!(verdict.reason(), HttpReason::NoRules),
        }
        prop_assert_eq!(verdict.rule().is_some(), verdict.reason() != HttpReason::NoRules);
    }

    #[test]
    fn an_encoded_parameter_is_the_same_parameter(
        name in "[a-z ]{1,6}", encoded in vec(any::<bool>(), 6), is_required: bool, before in "[a-z=]{0,4}"
    ) {
        let rule = QueryRule::new([(&name, is_required)]).unwrap();
        let spelling: String = name
            .chars()
            .zip(encoded)
            .map(|(c, encoded)| match c {
                c if encoded => format!("%{:02x}", u32::from(c)),
                ' ' => "+".to_owned(),
                c => c.to_string(),
            })
            .collect();
        let query = format!("{before}&{spelling}=x");
        prop_assert_eq!(rule.allows(Some(&query)), is_required, "{}", query);
    }

    #[test]
    fn a_required_parameter_of_any_name_is_found_in_its_encoded_form(name in "\\PC{1,8}") {
        let rule = QueryRule::new([(&name, true)]).unwrap();
        let spelling: String = name.bytes().map(|b| format!("%{b:02X}")).collect();
        prop_assert!(rule.allows(Some(&spelling)));
        prop_assert!(!rule.allows(None));
    }
}

#[derive(Clone, Debug)]
struct Request {
    host: String,
    method: String,
    target: String,
    upgrade: bool,
}

fn request() -> impl Strategy<Value = Request> {
    let target = (path(), option::of("[ab&=;]{0,6}")).prop_map(|(path, query)| match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    });
    (
        select(HOSTS.to_vec()),
        select(METHODS.to_vec()),
        target,
        any::<bool>(),
    )
        .prop_map(|(host, method, target, upgrade)| Request {
            host: host.to_owned(),
            method: method.to_owned(),
            target,
            upgrade,
        })
}

/// Generates rules whose text form is complete.
fn rule() -> impl Strategy<Value = HttpRule> {
    let hosts = select(vec![
        "a.example",
        "*.example",
        "b.example:443",
        "*",
        "10.0.0.0/8",
        "192.0.2.7",
        "[2001:db8::7]:443",
        "fc00::/7",
        "10.*",
    ]);
    let methods = option::of(vec(select(METHODS.to_vec()), 1..3));
    let paths = option::of(vec(pattern(), 1..3));
    (hosts, methods, paths).prop_map(|(host, methods, paths)| {
        let mut rule = HttpRule::new(host.parse().unwrap());
        if let Some(methods) = methods {
            rule = rule.with_methods(methods).unwrap();
        }
        if let Some(paths) = paths {
            rule = rule.with_paths(paths).unwrap();
        }
        rule
    })
}

const HOSTS: [&str; 4] = ["a.example", "b.example", "c.other", "192.0.2.7"];
const METHODS: [&str; 3] = ["GET", "HEAD", "PUT"];

/// Generates patterns in canonical form.
fn pattern() -> impl Strategy<Value = String> {
    let segment = select(vec!["a", "b", "A", "a.b", "%20a", "*"]);
    let last = select(vec!["", "/", "/**"]);
    (vec(segment, 0..4), last).prop_map(|(segments, last)| {
        let path: String = segments
            .iter()
            .map(|segment| format!("/{segment}"))
            .collect();
        match (path.as_str(), last) {
            ("", "") => "/".to_owned(),
            _ => path + last,
        }
    })
}

/// Generates canonical paths of few different segments, so that patterns often match.
fn path() -> impl Strategy<Value = String> {
    let segment = select(vec![
        "a", "a", "b", "b", "A", "", ";a", "a;b", "...", "b.", "%20", "%20a",
    ]);
    vec(segment, 1..5).prop_map(|segments| {
        segments
            .iter()
            .map(|segment| format!("/{segment}"))
            .collect()
    })
}

/// Returns whether a path without empty segments matches.
fn model(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        (["**"], [_, ..]) => true,
        ([], []) => true,
        (["*", pattern @ ..], [segment, path @ ..]) => {
            !matches!(*segment, "" | ";a" | "..." | "%20") && model(pattern, path)
        }
        ([own, pattern @ ..], [segment, path @ ..]) => own == segment && model(pattern, path),
        _ => false,
    }
}

/// Returns the path as a server reads it that removes parameters, dots and spaces at the end of
/// segments, and then empty segments.
fn generous(path: &str) -> String {
    let segments: Vec<&str> = path[1..]
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or(segment))
        .map(|segment| segment.trim_end_matches('.').trim_end_matches("%20"))
        .collect();
    let (last, before) = segments.split_last().expect("a path has a segment");
    let before = before.iter().filter(|segment| !segment.is_empty());
    before
        .chain([last])
        .map(|segment| format!("/{segment}"))
        .collect()
}
