//! The evaluation of a request against the rules for its host.

use eryx_http::CanonicalPath;

use crate::host::Host;
use crate::http::host_match::covers;
use crate::http::policy::HttpPolicy;
use crate::http::query_rule::{FoundNames, QueryMismatch};
use crate::http::request::HttpRequest;
use crate::http::rule::HttpRule;
use crate::http::segments::Segments;
use crate::http::verdict::{HttpOutcome, RuleUse};
use crate::port::Port;

/// How a rule differs from a request, in the order of closeness: the last is the closest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mismatch {
    MethodAndPath,
    Path,
    EmptySegment,
    Method,
    Query,
    Upgrade,
}

/// The parts of a target that rules compare, read once for all rules.
struct Target<'a> {
    /// `None` for a path with an empty segment, and for `*`, which asks about the server as a whole
    /// (RFC 9110, 9.3.7). No pattern matches these.
    segments: Option<Segments<'a>>,
    has_empty_segment: bool,
    names: FoundNames<'a>,
}

impl HttpPolicy {
    /// Returns the outcome, and the rule that decided.
    ///
    /// The work is linear in the length of the target, and for each rule in the length of the rule.
    pub(crate) fn evaluate(&self, request: &HttpRequest<'_>) -> (HttpOutcome, Option<RuleUse>) {
        if !eryx_http::is_token(request.method) {
            return (HttpOutcome::MalformedMethod, None);
        }
        if eryx_http::is_refused_method(request.method) {
            let is_head = request.method.eq_ignore_ascii_case("HEAD");
            let outcome = match is_head {
                true => HttpOutcome::HeadCase,
                false => HttpOutcome::RefusedMethod,
            };
            return (outcome, None);
        }
        let mut rules = self.rules_for(request).peekable();
        let Some(first) = rules.peek() else {
            return (HttpOutcome::NoRules, None);
        };
        let path = match request.target {
            "*" if request.method == "OPTIONS" => None,
            target => match CanonicalPath::parse(target) {
                Ok(path) => Some(path),
                Err(error) => {
                    let outcome = HttpOutcome::MalformedPath(error.kind().clone());
                    return (outcome, Some(first.clone()));
                }
            },
        };
        let path = path.as_ref();
        let has_empty_segment = path.is_some_and(CanonicalPath::has_empty_segment);
        let target = Target {
            segments: path
                .filter(|_| !has_empty_segment)
                .map(|path| Segments::new(path, self.depth)),
            has_empty_segment,
            names: self.query_names.find(path.and_then(CanonicalPath::query)),
        };
        let mut closest: Option<(Mismatch, RuleUse)> = None;
        for candidate in rules {
            match compare(&candidate.rule, request, &target) {
                Ok(()) => return (HttpOutcome::Listed, Some(candidate)),
                Err(mismatch) => {
                    if closest.as_ref().is_none_or(|(best, _)| mismatch > *best) {
                        closest = Some((mismatch, candidate));
                    }
                }
            }
        }
        match closest {
            Some((mismatch, candidate)) => {
                (outcome(mismatch, &candidate.rule, &target), Some(candidate))
            }
            None => (HttpOutcome::NoRules, None),
        }
    }

    /// Returns the rules for the host of a request, in their order.
    fn rules_for(&self, request: &HttpRequest<'_>) -> impl Iterator<Item = RuleUse> {
        let port = Port::Number(request.port);
        let address = request.address.map(Host::from);
        let rules = self.rules.iter().enumerate();
        rules.filter_map(move |(index, rule)| {
            let is_by_host = covers(rule.host(), request.host, port);
            let is_by_address = !is_by_host
                && address
                    .as_ref()
                    .is_some_and(|address| covers(rule.host(), address, port));
            (is_by_host || is_by_address).then(|| RuleUse {
                index,
                rule: rule.clone(),
                is_by_address,
            })
        })
    }
}

fn compare(
    rule: &HttpRule,
    request: &HttpRequest<'_>,
    target: &Target<'_>,
) -> Result<(), Mismatch> {
    let mut methods = rule.methods().into_iter().flatten();
    let has_method = rule.methods().is_none() || methods.any(|method| method == request.method);
    let has_path = match (rule.paths(), &target.segments) {
        (None, _) => true,
        (Some(patterns), Some(segments)) => patterns
            .iter()
            .any(|pattern| pattern.matches_segments(segments)),
        (Some(_), None) => false,
    };
    match (has_method, has_path) {
        (false, false) => return Err(Mismatch::MethodAndPath),
        (true, false) if target.has_empty_segment => return Err(Mismatch::EmptySegment),
        (true, false) => return Err(Mismatch::Path),
        (false, true) => return Err(Mismatch::Method),
        (true, true) => {}
    }
    if rule.query().check(&target.names).is_err() {
        return Err(Mismatch::Query);
    }
    if request.upgrade && !rule.allows_upgrade() {
        return Err(Mismatch::Upgrade);
    }
    Ok(())
}

fn outcome(mismatch: Mismatch, rule: &HttpRule, target: &Target<'_>) -> HttpOutcome {
    match mismatch {
        Mismatch::MethodAndPath | Mismatch::Path => HttpOutcome::Path,
        Mismatch::EmptySegment => HttpOutcome::EmptySegment,
        Mismatch::Method => HttpOutcome::Method,
        Mismatch::Upgrade => HttpOutcome::Upgrade,
        Mismatch::Query => match rule.query().check(&target.names) {
            Err(QueryMismatch::Missing(name)) => HttpOutcome::MissingParameter(name.into()),
            Err(QueryMismatch::Forbidden(name)) => HttpOutcome::ForbiddenParameter(name.into()),
            Err(QueryMismatch::Undecodable) | Ok(()) => HttpOutcome::UndecodableQuery,
        },
    }
}
