//! The error of an HTTP rule.

use thiserror::Error;

use crate::http::path_pattern_error::PathPatternError;
use crate::pattern_error::PatternError;

/// The error of a setting of an [`HttpRule`](crate::HttpRule), or of its text.
///
/// The message names the text, the rule it breaks and the correction.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HttpRuleError {
    /// The host is not a host pattern.
    #[error(transparent)]
    Host(#[from] PatternError),
    /// The list of methods is empty.
    #[error(
        "the list of methods is empty; name a method such as `GET`, or leave the list out for every method"
    )]
    NoMethod,
    /// A method is not a token (RFC 9110, 9.1).
    #[error("`{text}` is not a method: it is not a token (RFC 9110, 9.1); write one such as `GET`")]
    Method {
        /// The method, shortened for display.
        text: String,
    },
    /// A method with a `*`.
    #[error(
        "`{text}` is not a method of a rule: a `*` stands for every method only alone; leave the list out for \
         every method"
    )]
    MethodWildcard {
        /// The method, shortened for display.
        text: String,
    },
    /// A method in lower case. Methods are compared with regard to case (RFC 9110, 9.1).
    #[error("`{text}` is not a method of a rule: methods are in upper case; write `{upper_case}`")]
    MethodCase {
        /// The method, shortened for display.
        text: String,
        /// The method in upper case.
        upper_case: String,
    },
    /// A method that is refused on every inspected host.
    #[error(
        "`{text}` cannot be allowed: CONNECT, TRACE and TRACK are refused on every host with a rule; remove it"
    )]
    RefusedMethod {
        /// The method.
        text: String,
    },
    /// The list of paths is empty.
    #[error(
        "the list of paths is empty; name a path such as `/user`, or leave the list out for every path"
    )]
    NoPath,
    /// A path is not a path pattern.
    #[error(transparent)]
    Path(#[from] PathPatternError),
    /// A query rule cannot be kept.
    #[error("query: {problem}")]
    Query {
        /// The rule that it breaks, and the correction.
        problem: String,
    },
    /// The text of a rule has no host.
    #[error(
        "`{text}` is not an HTTP rule: it has no host; write one, as in `GET api.github.com/user`"
    )]
    NoHost {
        /// The text, shortened for display.
        text: String,
    },
    /// The text of a rule has a URL in place of a host and a path.
    #[error(
        "`{text}` is not an HTTP rule: it has a URL; write host and path alone, as in `GET api.github.com/user`"
    )]
    Url {
        /// The text, shortened for display.
        text: String,
    },
    /// The text of a rule has a word too many.
    #[error(
        "`{text}` is not an HTTP rule: methods, host and paths are separated by one space each, methods by \
         commas, as in `GET,HEAD api.github.com/user`"
    )]
    Words {
        /// The text, shortened for display.
        text: String,
    },
}
