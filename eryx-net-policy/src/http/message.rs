//! The messages of a verdict on a request, for the embedder and for the guest program.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::decision::Decision;
use crate::escape::escape_truncated;
use crate::host::Host;
use crate::http::request::HttpRequest;
use crate::http::verdict::{HttpOutcome, HttpSubject, HttpVerdict, RuleUse};
use crate::port::{Port, PortRange};

/// Returns the embedder's message, with every detail.
pub(crate) fn for_embedder(verdict: &HttpVerdict) -> String {
    message(verdict, Audience::Embedder)
}

/// Returns the guest program's message: no rule for an address that the program did not name.
pub(crate) fn for_guest(verdict: &HttpVerdict) -> String {
    message(verdict, Audience::Guest)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    Embedder,
    Guest,
}

/// Returns the request, shortened and escaped. The rule is one for its host.
pub(crate) fn subject(
    request: &HttpRequest<'_>,
    outcome: &HttpOutcome,
    rule: Option<&RuleUse>,
) -> HttpSubject {
    let path = request.target.split('?').next().unwrap_or(request.target);
    let mut url = String::with_capacity(96);
    url.push_str(request.scheme.as_str());
    url.push_str("://");
    push_authority(request.host, &mut url);
    if request.port != request.scheme.default_port() {
        let _ = write!(url, ":{}", request.port);
    }
    // The path of `OPTIONS *` is not part of a URL.
    if path != "*" {
        url.push_str(&escape_truncated(path));
    }
    let needs_rule = matches!(outcome, HttpOutcome::Path | HttpOutcome::Method);
    let suggestion = needs_rule
        .then(|| suggestion(request, path, rule))
        .flatten();
    HttpSubject {
        method: escape_truncated(request.method).into(),
        url: url.into(),
        host: Some(request.host.clone()),
        port: Port::Number(request.port),
        suggestion: suggestion.map(Into::into),
    }
}

/// Returns the text of a rule that would allow a request, if it is short and has no character that
/// a shell or a pattern reads in another way: the program chose it, and a person may copy it.
fn suggestion(request: &HttpRequest<'_>, path: &str, rule: Option<&RuleUse>) -> Option<String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~%/:@+,=".contains(&b);
    let is_plain_path = path.len() <= 64
        && path.starts_with('/')
        && !path.contains("//")
        && path.bytes().all(is_plain);
    let is_plain_method = request.method.len() <= 16
        && request
            .method
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b == b'-');
    if !is_plain_path || !is_plain_method {
        return None;
    }
    let mut host = String::new();
    push_authority(request.host, &mut host);
    if rule.is_some_and(|rule| rule.rule.host().ports() != PortRange::ALL) {
        let _ = write!(host, ":{}", request.port);
    }
    // The slash after an address can also start a prefix length.
    let separator = if request.host.address().is_some() {
        " "
    } else {
        ""
    };
    Some(format!("{} {host}{separator}{path}", request.method))
}

/// Appends a host as a URL has it.
fn push_authority(host: &Host, url: &mut String) {
    let _ = match host {
        Host::Address(IpAddr::V6(address)) => write!(url, "[{address}]"),
        host => write!(url, "{host}"),
    };
}

fn message(verdict: &HttpVerdict, audience: Audience) -> String {
    if let (HttpOutcome::HostDenied, Some(host)) = (&verdict.outcome, verdict.host_verdict()) {
        return match audience {
            Audience::Embedder => host.to_string(),
            Audience::Guest => host.guest_message(),
        };
    }
    let HttpSubject { method, url, .. } = &verdict.subject;
    if let HttpOutcome::MalformedUrl(problem) = &verdict.outcome {
        return format!("`{url}` is not a URL that can be checked: {problem}");
    }
    let outcome = match verdict.decision() {
        Decision::Allow => "is allowed",
        Decision::NeedsAddresses => "is allowed if the addresses of its host are",
        Decision::Deny => "is denied",
    };
    let reason = reason(verdict, audience);
    format!("`{method} {url}` {outcome}: {reason}")
}

fn reason(verdict: &HttpVerdict, audience: Audience) -> String {
    let rule = match &verdict.rule {
        Some(rule) if rule.is_by_address && audience == Audience::Guest => {
            "a rule in http_rules".to_owned()
        }
        Some(rule) => format!("`{}` in http_rules", rule.rule),
        None => String::new(),
    };
    let limit = |limit: Option<u64>| limit.unwrap_or_default();
    match &verdict.outcome {
        HttpOutcome::NoRules => "no rule in http_rules is for its host".to_owned(),
        HttpOutcome::Listed => format!("{rule} matches it"),
        HttpOutcome::MalformedUrl(problem) => problem.to_string(),
        HttpOutcome::HostDenied => "its host is denied".to_owned(),
        HttpOutcome::MalformedMethod => {
            "its method is not a token (RFC 9110, 9.1); send one such as `GET`".to_owned()
        }
        HttpOutcome::RefusedMethod => {
            "CONNECT, TRACE and TRACK are refused on every inspected host, whatever the rules; send another method"
                .to_owned()
        }
        HttpOutcome::HeadCase => {
            "some servers take its method for HEAD, whose responses have no body, and others do not; write `HEAD`"
                .to_owned()
        }
        HttpOutcome::MalformedPath(kind) => {
            format!("its path cannot be compared with {rule}: {kind}")
        }
        HttpOutcome::EmptySegment => format!(
            "its path cannot be compared with {rule}: it has an empty segment (`//`), which some servers take \
             for one slash; write one"
        ),
        HttpOutcome::Path => format!("{rule} is for other paths; {}", add_rule(verdict, "path")),
        HttpOutcome::Method => {
            format!(
                "{rule} is for other methods; {}",
                add_rule(verdict, "method")
            )
        }
        HttpOutcome::MissingParameter(name) => format!(
            "{rule} requires the query parameter `{0}`; send it, or take `{0}` out of `query` of this rule",
            escape_truncated(name)
        ),
        HttpOutcome::ForbiddenParameter(name) => format!(
            "{rule} forbids the query parameter `{0}`; leave it out, or take `{0}` out of `query` of this rule",
            escape_truncated(name)
        ),
        HttpOutcome::UndecodableQuery => format!(
            "{rule} forbids query parameters, and the name of one has a `%` without two hexadecimal digits or an \
             overlong UTF-8 sequence (RFC 3986, 2.1; RFC 3629, 3); write `%` as `%25`, and other characters in \
             UTF-8"
        ),
        HttpOutcome::Upgrade => format!(
            "{rule} allows no change of the protocol, such as to websockets; set `upgrade` of this rule to true"
        ),
        HttpOutcome::RequestTooLarge => format!(
            "{rule} allows at most {} bytes in the body of a request; raise `max_request_bytes` of this rule",
            limit(verdict.rule().and_then(|rule| rule.max_request_bytes()))
        ),
        HttpOutcome::ResponseTooLarge => format!(
            "{rule} allows at most {} bytes in the body of a response; raise `max_response_bytes` of this rule",
            limit(verdict.rule().and_then(|rule| rule.max_response_bytes()))
        ),
    }
}

/// Returns the setting that would allow the request.
fn add_rule(verdict: &HttpVerdict, missing: &str) -> String {
    match &verdict.subject.suggestion {
        Some(rule) => format!("{} allows it", verdict.hint_style.http_rule(rule)),
        None => format!("add a rule with this {missing} to http_rules to allow it"),
    }
}
