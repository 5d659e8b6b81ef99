//! Path patterns: the paths that a rule is for.

use std::fmt;
use std::str::FromStr;

use eryx_http::CanonicalPath;

use crate::http::path_pattern_error::{PathPatternError, PathPatternErrorKind};
use crate::http::segments::Segments;

/// A pattern for the paths of requests.
///
/// | Pattern | Matches |
/// |---|---|
/// | `/user` | that path, but neither `/user/` nor `/User` |
/// | `/repos/*/issues` | one segment in place of the `*`, which is not empty |
/// | `/in/**` | every path that starts with `/in/`; the `**` is the last segment |
/// | `/**` | every path |
///
/// A `*` stands for a whole segment. A pattern is compared with paths in canonical form
/// ([`CanonicalPath`]), segment by segment, and is itself stored in this form. A query is not part
/// of it. No pattern matches a path with an empty segment (`//`), which some servers take for one
/// slash. A `*` does not match a segment that has only parameters (`;x`), dots or spaces, because
/// servers that remove these see an empty segment.
///
/// ```
/// use eryx_net_policy::PathPattern;
///
/// let pattern: PathPattern = "/repos/%61cme/*".parse()?;
/// assert_eq!(pattern.to_string(), "/repos/acme/*");
///
/// let error = "/repos/acme-*".parse::<PathPattern>().unwrap_err();
/// assert!(error.to_string().starts_with("`/repos/acme-*` is not a path pattern"));
/// # Ok::<(), eryx_net_policy::PathPatternError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPattern {
    segments: Box<[Segment]>,
    /// Whether `**` follows the segments.
    has_rest: bool,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Segment {
    /// `*`: any segment that is not blank.
    Any,
    /// This segment, in canonical form. The last one of a path that ends in a slash is empty.
    Exact(Box<str>),
}

impl PathPattern {
    /// Returns whether a path matches.
    ///
    /// ```
    /// use eryx_http::CanonicalPath;
    /// use eryx_net_policy::PathPattern;
    ///
    /// let pattern: PathPattern = "/repos/*/issues".parse()?;
    /// assert!(pattern.matches(&CanonicalPath::parse("/repos/%61cme/issues?page=2")?));
    /// assert!(!pattern.matches(&CanonicalPath::parse("/repos//issues")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn matches(&self, path: &CanonicalPath) -> bool {
        !path.has_empty_segment() && self.matches_segments(&Segments::new(path, self.depth()))
    }

    /// Returns the number of segments that the pattern compares.
    pub(crate) fn depth(&self) -> usize {
        self.segments.len()
    }

    /// Returns whether the segments match, of a path without empty segments. `segments` were split
    /// to the [depth](Self::depth) of this pattern or deeper. The work is bounded by the length of
    /// the pattern.
    pub(crate) fn matches_segments(&self, segments: &Segments<'_>) -> bool {
        let has_length = match self.has_rest {
            true => segments.len() > self.segments.len(),
            false => segments.len() == self.segments.len(),
        };
        has_length
            && self
                .segments
                .iter()
                .zip(segments.iter())
                .all(|(own, segment)| match own {
                    Segment::Any => !segment.is_blank(),
                    Segment::Exact(text) => **text == *segment.as_str(),
                })
    }
}

impl FromStr for PathPattern {
    type Err = PathPatternError;

    fn from_str(text: &str) -> Result<Self, PathPatternError> {
        parse(text).map_err(|kind| PathPatternError::new(text, kind))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Any => f.write_str("/*")?,
                Segment::Exact(text) => write!(f, "/{text}")?,
            }
        }
        f.write_str(if self.has_rest { "/**" } else { "" })
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathPattern({self})")
    }
}

fn parse(text: &str) -> Result<PathPattern, PathPatternErrorKind> {
    if text.is_empty() {
        return Err(PathPatternErrorKind::Empty);
    }
    if matches!(text, "*" | "**") {
        return Err(PathPatternErrorKind::EveryPath);
    }
    if text.contains("://") {
        return Err(PathPatternErrorKind::Url);
    }
    if text.contains('?') {
        return Err(PathPatternErrorKind::Query);
    }
    let path = CanonicalPath::parse(text).map_err(|error| error.kind().clone())?;
    if path.has_empty_segment() {
        return Err(PathPatternErrorKind::EmptySegment);
    }
    let mut segments = Vec::new();
    let mut has_rest = false;
    for segment in path.segments() {
        if has_rest {
            return Err(PathPatternErrorKind::RestNotLast);
        }
        match segment {
            "**" => has_rest = true,
            "*" => segments.push(Segment::Any),
            _ if segment.contains('*') => return Err(PathPatternErrorKind::PartOfSegment),
            _ => segments.push(Segment::Exact(segment.into())),
        }
    }
    Ok(PathPattern {
        segments: segments.into(),
        has_rest,
    })
}
