//! The policy of requests: rules, secret bindings, and hosts whose requests are logged.

use std::net::IpAddr;
use std::sync::Arc;

use thiserror::Error;

use crate::escape::escape_truncated;
use crate::hint_style::HintStyle;
use crate::host::Host;
use crate::http::host_match::covers;
use crate::http::message::subject;
use crate::http::path_pattern::PathPattern;
use crate::http::query_rule::NameIndex;
use crate::http::reason::Inspection;
use crate::http::request::HttpRequest;
use crate::http::rule::HttpRule;
use crate::http::secret_binding::SecretBinding;
use crate::http::url::Url;
use crate::http::verdict::{HttpOutcome, HttpSubject, HttpVerdict};
use crate::pattern::HostPattern;
use crate::policy::Policy;
use crate::port::Port;
use crate::verdict::Verdict;

/// The policy of HTTP requests: which hosts are inspected, which requests they get, and which
/// secrets go there.
///
/// It allows no connection. The [policy of hosts](Policy) decides about connections, and this
/// policy about the requests on them:
///
/// 1. A host with rules allows only the requests that one of its rules allows. The first such rule
///    in the list decides about limits.
/// 2. A host with rules refuses a path that servers can read in different ways, even if a rule
///    allows every path.
/// 3. A host without rules, but with a secret, or which is inspected for the log, allows every
///    request with a well-formed method except CONNECT, TRACE and TRACK, and HEAD in another case.
/// 4. Other hosts are not inspected, and [`check`](Self::check) is not called for them.
///
/// [`HttpPolicy::default`] inspects nothing.
///
/// ```
/// use eryx_net_policy::{Host, HttpPolicy, HttpReason, HttpRule, Inspection, Policy};
///
/// let rule: HttpRule = "GET,HEAD api.github.com/repos/acme/*".parse()?;
/// let http = HttpPolicy::new(vec![rule], vec![], vec![])?;
/// let host = Host::parse("api.github.com")?;
/// assert_eq!(http.inspection(&host, 443), Inspection::Enforced);
///
/// let hosts = Policy::default();
/// let verdict = http.check_url(&hosts, "DELETE", "https://api.github.com/repos/acme/site");
/// assert_eq!(verdict.reason(), HttpReason::MethodNotAllowed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpPolicy {
    pub(crate) rules: Vec<Arc<HttpRule>>,
    secrets: Vec<SecretBinding>,
    inspect: Vec<HostPattern>,
    /// The number of segments in the longest path pattern.
    pub(crate) depth: usize,
    pub(crate) query_names: NameIndex,
    hint_style: HintStyle,
}

/// The error of an [`HttpPolicy`]: settings that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HttpPolicyError {
    /// Two secrets with one name.
    #[error("the secret `{name}` is there twice; give each secret a name of its own")]
    RepeatedSecret {
        /// The name.
        name: String,
    },
    /// A secret that goes nowhere.
    #[error(
        "the secret `{name}` is for no header field, no query parameter and not for bodies; name a place where \
         it is put in, such as the header field `authorization`"
    )]
    UnusedSecret {
        /// The name.
        name: String,
    },
}

impl HttpPolicy {
    /// Returns the policy with these rules, secret bindings, and patterns of hosts that are
    /// inspected for the log.
    ///
    /// # Errors
    ///
    /// Fails for two secrets with one name, and for a secret without a place where it is put in.
    pub fn new(
        rules: Vec<HttpRule>,
        secrets: Vec<SecretBinding>,
        inspect: Vec<HostPattern>,
    ) -> Result<Self, HttpPolicyError> {
        for (at, secret) in secrets.iter().enumerate() {
            let name = || secret.name().to_owned();
            if secrets[..at]
                .iter()
                .any(|other| other.name() == secret.name())
            {
                return Err(HttpPolicyError::RepeatedSecret { name: name() });
            }
            if secret.headers().is_empty() && secret.query().is_empty() && !secret.body() {
                return Err(HttpPolicyError::UnusedSecret { name: name() });
            }
        }
        let patterns = rules.iter().filter_map(HttpRule::paths).flatten();
        Ok(Self {
            depth: patterns.map(PathPattern::depth).max().unwrap_or(0),
            query_names: NameIndex::new(rules.iter().map(HttpRule::query)),
            rules: rules.into_iter().map(Arc::new).collect(),
            secrets,
            inspect,
            hint_style: HintStyle::default(),
        })
    }

    /// Returns the policy with another style of the settings that messages suggest.
    #[must_use]
    pub fn with_hint_style(self, hint_style: HintStyle) -> Self {
        Self { hint_style, ..self }
    }

    /// Returns whether no host is inspected at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.secrets.is_empty() && self.inspect.is_empty()
    }

    /// Returns the rules, in their order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &HttpRule> {
        self.rules.iter().map(|rule| &**rule)
    }

    /// Returns the secret bindings, in their order.
    pub fn secrets(&self) -> &[SecretBinding] {
        &self.secrets
    }

    /// Returns the patterns of hosts that are inspected for the log.
    pub fn inspect(&self) -> &[HostPattern] {
        &self.inspect
    }

    /// Returns how connections to a host are inspected; for [`Port::Any`], on the port with the
    /// strictest inspection.
    ///
    /// A rule or a secret for an address is also for addresses that embed it. For a name that was
    /// resolved, call [`inspection_at`](Self::inspection_at) with the address as well.
    pub fn inspection(&self, host: &Host, port: impl Into<Port>) -> Inspection {
        let port = port.into();
        let has_rule = || {
            self.rules
                .iter()
                .any(|rule| covers(rule.host(), host, port))
        };
        let has_secret = || self.secrets.iter().any(|secret| secret.covers(host, port));
        let is_logged = || {
            self.inspect
                .iter()
                .any(|pattern| covers(pattern, host, port))
        };
        if has_rule() || has_secret() {
            Inspection::Enforced
        } else if is_logged() {
            Inspection::LogOnly
        } else {
            Inspection::None
        }
    }

    /// Returns how a connection to a host at this address is inspected: as
    /// [the host](Self::inspection) or as the address, whichever is stricter. A rule for a network
    /// is for every name that resolves into it. `None` for an address that is not known, because a
    /// proxy resolves the name: rules for networks then do not apply to it.
    pub fn inspection_at(
        &self,
        host: &Host,
        address: Option<IpAddr>,
        port: impl Into<Port>,
    ) -> Inspection {
        let port = port.into();
        let of_host = self.inspection(host, port);
        address.map_or(of_host, |address| {
            of_host.max(self.inspection(&Host::from(address), port))
        })
    }

    /// Returns whether a host at this address can send back a secret: one is
    /// [for the host](Self::secrets_for), for the address, or for an address that this one embeds.
    /// The server behind a name or another spelling of an address is the one that gets the secret
    /// for the address. `None` for an address that is not known.
    pub fn may_return_secret(
        &self,
        host: &Host,
        address: Option<IpAddr>,
        port: impl Into<Port>,
    ) -> bool {
        let port = port.into();
        let address = address.map(Host::from);
        self.secrets.iter().any(|secret| {
            let mut hosts = std::iter::once(host).chain(&address);
            hosts.any(|host| secret.covers(host, port))
        })
    }

    /// Returns the secrets that may be sent to a host, with their positions in
    /// [the list](Self::secrets).
    ///
    /// A secret for an address is only for the address itself, as opposed to names that resolve to
    /// it.
    pub fn secrets_for(
        &self,
        host: &Host,
        port: impl Into<Port>,
        is_encrypted: bool,
    ) -> impl Iterator<Item = (usize, &SecretBinding)> {
        let port = port.into();
        let secrets = self.secrets.iter().enumerate();
        secrets.filter(move |(_, secret)| secret.is_for(host, port, is_encrypted))
    }

    /// Checks a request to an inspected host.
    ///
    /// The work is linear in the length of the target, and for each rule in the length of the rule.
    pub fn check(&self, request: &HttpRequest<'_>) -> HttpVerdict {
        let (outcome, rule) = self.evaluate(request);
        HttpVerdict {
            subject: subject(request, &outcome, rule.as_ref()),
            outcome,
            rule,
            host: None,
            hint_style: self.hint_style,
        }
    }

    /// Checks a request without a connection: the host by the policy of hosts, then the request by
    /// the rules. The scheme is `http` or `https`; `ws` and `wss` stand for requests that change
    /// the protocol to websockets.
    pub fn check_url(&self, hosts: &Policy, method: &str, url: &str) -> HttpVerdict {
        self.check_url_with(|host, port| hosts.check(host, port), method, url)
    }

    /// Checks a request as [`check_url`](Self::check_url), with `check_host` in place of the policy
    /// of hosts: for names that a proxy resolves, whose verdict is final.
    ///
    /// ```
    /// use eryx_net_policy::{HttpPolicy, Policy};
    ///
    /// let hosts = Policy::default();
    /// let verdict = HttpPolicy::default().check_url_with(
    ///     |host, port| match host.parse() {
    ///         Ok(name) => hosts.check_unresolved(&name, port),
    ///         Err(_) => hosts.check(host, port),
    ///     },
    ///     "GET",
    ///     "https://example.com/",
    /// );
    /// assert!(verdict.is_allowed());
    /// ```
    pub fn check_url_with(
        &self,
        check_host: impl FnOnce(&str, u16) -> Verdict,
        method: &str,
        url: &str,
    ) -> HttpVerdict {
        let denied = |outcome, host: Option<Verdict>| HttpVerdict {
            subject: HttpSubject {
                method: escape_truncated(method).into(),
                url: escape_truncated(url.split(['?', '#']).next().unwrap_or(url)).into(),
                host: host.as_ref().and_then(Verdict::host).cloned(),
                port: host.as_ref().map_or(Port::Any, Verdict::port),
                suggestion: None,
            },
            outcome,
            rule: None,
            host: host.map(Box::new),
            hint_style: self.hint_style,
        };
        let parsed = match Url::parse(url) {
            Ok(parsed) => parsed,
            Err(problem) => return denied(HttpOutcome::MalformedUrl(problem.into()), None),
        };
        let host_verdict = check_host(parsed.host, parsed.port);
        let host = match host_verdict.host() {
            Some(host) if !host_verdict.is_denied() => host.clone(),
            _ => return denied(HttpOutcome::HostDenied, Some(host_verdict)),
        };
        let request = HttpRequest {
            scheme: parsed.scheme,
            host: &host,
            address: host.address(),
            port: parsed.port,
            method,
            target: &parsed.target,
            upgrade: parsed.upgrade,
        };
        HttpVerdict {
            host: Some(host_verdict.into()),
            ..self.check(&request)
        }
    }
}
