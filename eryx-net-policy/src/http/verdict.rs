//! Verdicts on requests.

use std::fmt;
use std::sync::Arc;

use eryx_http::PathErrorKind;

use crate::decision::Decision;
use crate::hint_style::HintStyle;
use crate::host::Host;
use crate::http::message;
use crate::http::reason::HttpReason;
use crate::http::rule::HttpRule;
use crate::port::Port;
use crate::verdict::Verdict;

/// The decision of an [`HttpPolicy`](crate::HttpPolicy) on a request, with its explanation.
///
/// [`Display`](fmt::Display) is the message for the embedder: it names the method, the URL without
/// its query, the rule that decided or came closest, and the setting that would change the verdict.
/// [`guest_message`](Self::guest_message) is the message for the guest program.
///
/// The size of a verdict does not depend on the request: long texts are shortened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpVerdict {
    pub(crate) subject: HttpSubject,
    pub(crate) outcome: HttpOutcome,
    pub(crate) rule: Option<RuleUse>,
    /// The verdict of the policy of hosts, in a check of a URL.
    pub(crate) host: Option<Box<Verdict>>,
    pub(crate) hint_style: HintStyle,
}

/// The request of a verdict, shortened and escaped for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpSubject {
    pub(crate) method: Box<str>,
    /// The URL without its query.
    pub(crate) url: Box<str>,
    /// `None` if the URL is malformed.
    pub(crate) host: Option<Host>,
    pub(crate) port: Port,
    /// A rule that would allow the request; `None` if its text would be too long, or not safe to
    /// copy.
    pub(crate) suggestion: Option<Box<str>>,
}

/// The rule that decided, or came closest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleUse {
    pub(crate) index: usize,
    pub(crate) rule: Arc<HttpRule>,
    /// Whether the rule is for an address that the program did not name.
    pub(crate) is_by_address: bool,
}

/// The findings of the evaluation of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HttpOutcome {
    NoRules,
    Listed,
    /// The rule that the URL breaks.
    MalformedUrl(Box<str>),
    /// The policy of hosts denies the host.
    HostDenied,
    MalformedMethod,
    RefusedMethod,
    /// `HEAD` in another case.
    HeadCase,
    MalformedPath(PathErrorKind),
    EmptySegment,
    Path,
    Method,
    MissingParameter(Box<str>),
    ForbiddenParameter(Box<str>),
    UndecodableQuery,
    Upgrade,
    RequestTooLarge,
    ResponseTooLarge,
}

impl HttpVerdict {
    /// Returns the decision.
    ///
    /// It is [`NeedsAddresses`](Decision::NeedsAddresses) only for a check of a URL, if the rules
    /// allow the request and the policy of hosts depends on the addresses of the host.
    pub fn decision(&self) -> Decision {
        match (&self.outcome, &self.host) {
            (HttpOutcome::NoRules | HttpOutcome::Listed, None) => Decision::Allow,
            (HttpOutcome::NoRules | HttpOutcome::Listed, Some(host)) => host.decision(),
            _ => Decision::Deny,
        }
    }

    /// Returns whether the request may be sent.
    pub fn is_allowed(&self) -> bool {
        self.decision() == Decision::Allow
    }

    /// Returns whether the denial is final.
    pub fn is_denied(&self) -> bool {
        self.decision() == Decision::Deny
    }

    /// Returns the reason for the decision.
    pub fn reason(&self) -> HttpReason {
        match &self.outcome {
            HttpOutcome::NoRules => HttpReason::NoRules,
            HttpOutcome::Listed => HttpReason::Listed,
            HttpOutcome::MalformedUrl(_) => HttpReason::MalformedUrl,
            HttpOutcome::HostDenied => HttpReason::HostDenied,
            HttpOutcome::MalformedMethod => HttpReason::MalformedMethod,
            HttpOutcome::RefusedMethod | HttpOutcome::HeadCase => HttpReason::MethodRefused,
            HttpOutcome::MalformedPath(_) | HttpOutcome::EmptySegment => HttpReason::MalformedPath,
            HttpOutcome::Path => HttpReason::PathNotAllowed,
            HttpOutcome::Method => HttpReason::MethodNotAllowed,
            HttpOutcome::MissingParameter(_)
            | HttpOutcome::ForbiddenParameter(_)
            | HttpOutcome::UndecodableQuery => HttpReason::QueryNotAllowed,
            HttpOutcome::Upgrade => HttpReason::UpgradeNotAllowed,
            HttpOutcome::RequestTooLarge => HttpReason::RequestTooLarge,
            HttpOutcome::ResponseTooLarge => HttpReason::ResponseTooLarge,
        }
    }

    /// Returns the rule that allows the request, or else the rule that came closest; `None` if no
    /// rule is for the host.
    pub fn rule(&self) -> Option<&HttpRule> {
        self.rule.as_ref().map(|rule| &*rule.rule)
    }

    /// Returns [the rule](Self::rule) if the guest program may see it; `None` for a rule for an
    /// address that a name resolves to.
    pub fn guest_rule(&self) -> Option<&HttpRule> {
        let rule = self.rule.as_ref().filter(|rule| !rule.is_by_address);
        rule.map(|rule| &*rule.rule)
    }

    /// Returns the position of [the rule](Self::rule) in the list of rules, from 0.
    pub fn rule_index(&self) -> Option<usize> {
        self.rule.as_ref().map(|rule| rule.index)
    }

    /// Returns the method, shortened and with invisible characters escaped.
    pub fn method(&self) -> &str {
        &self.subject.method
    }

    /// Returns the URL without its query, shortened and with invisible characters escaped.
    pub fn url(&self) -> &str {
        &self.subject.url
    }

    /// Returns the host of the request in canonical form; `None` if the URL is malformed.
    pub fn host(&self) -> Option<&Host> {
        self.subject.host.as_ref()
    }

    /// Returns the port of the request; [`Port::Any`] if the URL is malformed.
    pub fn port(&self) -> Port {
        self.subject.port
    }

    /// Returns the verdict of the policy of hosts; `None` if only the rules were checked.
    pub fn host_verdict(&self) -> Option<&Verdict> {
        self.host.as_deref()
    }

    /// Returns the denial of a request with this verdict, because its body exceeds
    /// [`max_request_bytes`](HttpRule::max_request_bytes) of its rule.
    #[must_use]
    pub fn request_too_large(&self) -> Self {
        self.with_outcome(HttpOutcome::RequestTooLarge)
    }

    /// Returns the denial of a response to a request with this verdict, because its body exceeds
    /// [`max_response_bytes`](HttpRule::max_response_bytes) of the rule.
    #[must_use]
    pub fn response_too_large(&self) -> Self {
        self.with_outcome(HttpOutcome::ResponseTooLarge)
    }

    /// Returns the message for the guest program.
    ///
    /// It reveals only what the guest program knows already: no address that a name resolves to,
    /// and no rule for one.
    pub fn guest_message(&self) -> String {
        message::for_guest(self)
    }

    fn with_outcome(&self, outcome: HttpOutcome) -> Self {
        Self {
            outcome,
            ..self.clone()
        }
    }
}

impl fmt::Display for HttpVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&message::for_embedder(self))
    }
}
