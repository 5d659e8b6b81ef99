//! The reasons for verdicts on requests, and how closely a host is inspected.

use std::fmt;

use crate::decision::words;

words! {
    /// The reason for a verdict on a request.
    #[non_exhaustive]
    pub enum HttpReason {
        /// Allowed: no rule is for the host.
        NoRules = "no-rules",
        /// Allowed: a rule matches the request.
        Listed = "listed",
        /// Denied: the URL is malformed, in a check of a URL.
        MalformedUrl = "malformed-url",
        /// Denied: the policy of hosts denies the host, in a check of a URL.
        HostDenied = "host-denied",
        /// Denied: the method is not a token.
        MalformedMethod = "malformed-method",
        /// Denied: CONNECT, TRACE or TRACK, or HEAD in another case, which no rule can allow.
        MethodRefused = "method-refused",
        /// Denied: the path has no canonical form, or an empty segment, so that servers can read it
        /// in different ways.
        MalformedPath = "malformed-path",
        /// Denied: no rule for the host matches the path.
        PathNotAllowed = "path-not-allowed",
        /// Denied: the rules that match the path are for other methods.
        MethodNotAllowed = "method-not-allowed",
        /// Denied: a rule requires a parameter that the query does not have, or forbids one that it
        /// has.
        QueryNotAllowed = "query-not-allowed",
        /// Denied: the request changes the protocol, and the rule does not allow that.
        UpgradeNotAllowed = "upgrade-not-allowed",
        /// Denied: the body of the request is larger than the rule allows.
        RequestTooLarge = "request-too-large",
        /// Denied: the body of the response is larger than the rule allows.
        ResponseTooLarge = "response-too-large",
    }
}

words! {
    /// How the connections to a host are inspected, in the order of strictness.
    #[derive(Default)]
    pub enum Inspection {
        /// Not at all.
        #[default]
        None = "none",
        /// Requests are logged. What is not HTTP passes.
        LogOnly = "log-only",
        /// Requests are checked, and secrets put in. What is not HTTP does not pass.
        Enforced = "enforced",
    }
}
