//! HTTP rules: the requests that a host with rules allows.

use crate::escape::escape_truncated;
use crate::host::Host;
use crate::http::host_match::covers;
use crate::http::path_pattern::PathPattern;
use crate::http::query_rule::QueryRule;
use crate::http::rule_error::HttpRuleError;
use crate::pattern::HostPattern;
use crate::port::Port;

/// A rule that allows requests to a host.
///
/// A host with rules allows only what at least one of its rules allows. A rule allows no
/// connection: the policy of hosts decides about these, before any request.
///
/// A rule is for the ports of its host pattern. A pattern without a port is for every port, and
/// what is not HTTP cannot pass on any of them. With a port, the other ports of the host have no
/// rule.
///
/// A rule for an address or a network is also for names that resolve to it, and for addresses that
/// embed the address (NAT64 and others).
///
/// The text form, which [`FromStr`](std::str::FromStr) and [`Display`](std::fmt::Display) share, is
/// `[METHODS ]HOST[:PORT][/PATH]`, with methods separated by commas, `*` for every method, and
/// further paths after a space each: `GET,HEAD api.github.com/repos/acme/* /user`. It does not have
/// the query, the limits and the upgrade.
///
/// ```
/// use eryx_net_policy::HttpRule;
///
/// let rule = HttpRule::new("api.github.com".parse()?)
///     .with_methods(["GET", "HEAD"])?
///     .with_paths(["/repos/acme/*"])?;
/// assert_eq!(rule.to_string(), "GET,HEAD api.github.com/repos/acme/*");
/// assert_eq!(rule.to_string().parse::<HttpRule>()?, rule);
///
/// let error = "get api.github.com".parse::<HttpRule>().unwrap_err();
/// assert!(error.to_string().ends_with("write `GET`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRule {
    host: HostPattern,
    methods: Option<Vec<String>>,
    paths: Option<Vec<PathPattern>>,
    query: QueryRule,
    max_request_bytes: Option<u64>,
    max_response_bytes: Option<u64>,
    allows_upgrade: bool,
}

impl HttpRule {
    /// Returns the rule that allows every request to the hosts that match, without upgrades.
    pub fn new(host: HostPattern) -> Self {
        Self {
            host,
            methods: None,
            paths: None,
            query: QueryRule::default(),
            max_request_bytes: None,
            max_response_bytes: None,
            allows_upgrade: false,
        }
    }

    /// Returns the rule for these methods alone. They are compared with regard to case, and HEAD is
    /// a method besides GET.
    ///
    /// # Errors
    ///
    /// Fails for an empty list, for a text that is not a token in upper case or has a `*`, and for
    /// CONNECT, TRACE and TRACK.
    pub fn with_methods<M: AsRef<str>>(
        self,
        methods: impl IntoIterator<Item = M>,
    ) -> Result<Self, HttpRuleError> {
        let mut list: Vec<String> = Vec::new();
        for method in methods {
            let method = method.as_ref();
            check_method(method)?;
            if !list.iter().any(|other| other == method) {
                list.push(method.to_owned());
            }
        }
        if list.is_empty() {
            return Err(HttpRuleError::NoMethod);
        }
        Ok(Self {
            methods: Some(list),
            ..self
        })
    }

    /// Returns the rule for paths that match one of these [patterns](PathPattern) alone.
    ///
    /// # Errors
    ///
    /// Fails for an empty list, and for a text that is not a path pattern.
    pub fn with_paths<P: AsRef<str>>(
        self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Self, HttpRuleError> {
        let paths: Result<Vec<PathPattern>, _> = paths
            .into_iter()
            .map(|path| path.as_ref().parse())
            .collect();
        self.with_path_patterns(paths?)
    }

    /// Returns the rule for paths that match one of these patterns alone.
    ///
    /// # Errors
    ///
    /// Fails for an empty list.
    pub fn with_path_patterns(
        self,
        patterns: impl IntoIterator<Item = PathPattern>,
    ) -> Result<Self, HttpRuleError> {
        let mut list: Vec<PathPattern> = Vec::new();
        for pattern in patterns {
            if !list.contains(&pattern) {
                list.push(pattern);
            }
        }
        if list.is_empty() {
            return Err(HttpRuleError::NoPath);
        }
        Ok(Self {
            paths: Some(list),
            ..self
        })
    }

    /// Returns the rule for queries that this query rule permits alone.
    #[must_use]
    pub fn with_query(self, query: QueryRule) -> Self {
        Self { query, ..self }
    }

    /// Returns the rule with another limit on the body of one request, in bytes; `None` for no
    /// limit.
    #[must_use]
    pub fn with_max_request_bytes(self, limit: Option<u64>) -> Self {
        Self {
            max_request_bytes: limit,
            ..self
        }
    }

    /// Returns the rule with another limit on the body of one response, in bytes; `None` for no
    /// limit.
    #[must_use]
    pub fn with_max_response_bytes(self, limit: Option<u64>) -> Self {
        Self {
            max_response_bytes: limit,
            ..self
        }
    }

    /// Returns the rule that allows requests to change the protocol (`Upgrade`, RFC 9110, 7.8), or
    /// does not. What follows a change of protocol, such as the messages of a websocket, is not
    /// inspected.
    #[must_use]
    pub fn with_upgrade(self, is_allowed: bool) -> Self {
        Self {
            allows_upgrade: is_allowed,
            ..self
        }
    }

    /// Returns the hosts and ports that the rule is for.
    pub fn host(&self) -> &HostPattern {
        &self.host
    }

    /// Returns the methods that the rule allows; `None` for every method.
    pub fn methods(&self) -> Option<&[String]> {
        self.methods.as_deref()
    }

    /// Returns the paths that the rule allows; `None` for every path.
    pub fn paths(&self) -> Option<&[PathPattern]> {
        self.paths.as_deref()
    }

    /// Returns the parameters that must, or must not, be in the query.
    pub fn query(&self) -> &QueryRule {
        &self.query
    }

    /// Returns the limit on the body of one request, in bytes.
    pub fn max_request_bytes(&self) -> Option<u64> {
        self.max_request_bytes
    }

    /// Returns the limit on the body of one response, in bytes.
    pub fn max_response_bytes(&self) -> Option<u64> {
        self.max_response_bytes
    }

    /// Returns whether requests may change the protocol.
    pub fn allows_upgrade(&self) -> bool {
        self.allows_upgrade
    }

    /// Returns whether the rule is for a host and port; for [`Port::Any`], whether it is for one of
    /// its ports.
    pub fn is_for(&self, host: &Host, port: impl Into<Port>) -> bool {
        covers(&self.host, host, port.into())
    }
}

/// Checks a method of a rule.
pub(crate) fn check_method(method: &str) -> Result<(), HttpRuleError> {
    let text = escape_truncated(method);
    if !eryx_http::is_token(method) {
        return Err(HttpRuleError::Method { text });
    }
    if method.contains('*') {
        return Err(HttpRuleError::MethodWildcard { text });
    }
    if eryx_http::is_refused_method(&method.to_ascii_uppercase()) {
        return Err(HttpRuleError::RefusedMethod { text });
    }
    if method.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(HttpRuleError::MethodCase {
            upper_case: text.to_ascii_uppercase(),
            text,
        });
    }
    Ok(())
}
