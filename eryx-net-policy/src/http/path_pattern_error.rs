//! The error of a text that is not a path pattern.

use eryx_http::PathErrorKind;
use thiserror::Error;

use crate::escape::escape_truncated;

/// The error of a text that is not a [`PathPattern`](crate::PathPattern).
///
/// The message names the text, the rule it breaks and the correction.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a path pattern: {kind}")]
pub struct PathPatternError {
    text: String,
    kind: PathPatternErrorKind,
}

impl PathPatternError {
    pub(crate) fn new(text: &str, kind: PathPatternErrorKind) -> Self {
        Self {
            text: escape_truncated(text),
            kind,
        }
    }

    /// Returns the rejected text, shortened and with invisible characters escaped.
    pub fn rejected_text(&self) -> &str {
        &self.text
    }

    /// Returns the rule that the text breaks.
    pub fn kind(&self) -> &PathPatternErrorKind {
        &self.kind
    }
}

/// A rule that the text of a path pattern can break.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathPatternErrorKind {
    /// The text is empty.
    #[error("it is empty; write a path such as `/user`, or `/**` for every path")]
    Empty,
    /// The text is `*` or `**`.
    #[error("a path starts with `/`; write `/**` for every path")]
    EveryPath,
    /// A URL.
    #[error("it is a URL; write the path alone, and the host as the host of the rule")]
    Url,
    /// A query.
    #[error(
        "it has a query, which is not part of a path; remove it, and name parameters in `query`, or write `%3F` \
         for the character itself"
    )]
    Query,
    /// Two slashes in a row.
    #[error("it has an empty segment (`//`), which some servers take for one slash; write one")]
    EmptySegment,
    /// A `*` that is only a part of a segment.
    #[error(
        "a `*` stands for a whole segment, as in `/repos/*/issues`; write it alone between slashes, \
         or `%2A` for an encoded `*`"
    )]
    PartOfSegment,
    /// A `**` that is not the last segment.
    #[error("a `**` stands for the rest of the path; write it last, or `*` for one segment")]
    RestNotLast,
    /// The path has no canonical form.
    #[error(transparent)]
    Path(#[from] PathErrorKind),
}
