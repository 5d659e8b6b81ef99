//! The first segments of a path, split once for all patterns.

use eryx_http::CanonicalPath;

/// The first segments of a path.
///
/// They are split once for each request. Comparing a pattern then takes time in proportion to the
/// pattern, however many segments the path has and however long they are.
pub(crate) struct Segments<'a>(Vec<Segment<'a>>);

/// A segment of a path.
pub(crate) struct Segment<'a> {
    text: &'a str,
    is_blank: bool,
}

impl<'a> Segments<'a> {
    /// Splits as many segments as patterns of `depth` segments need: one more, to know whether the
    /// path continues.
    pub(crate) fn new(path: &'a CanonicalPath, depth: usize) -> Self {
        let segments = path.segments().take(depth.saturating_add(1));
        Self(
            segments
                .map(|text| Segment {
                    text,
                    is_blank: is_blank(text),
                })
                .collect(),
        )
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Segment<'a>> {
        self.0.iter()
    }
}

impl Segment<'_> {
    pub(crate) fn as_str(&self) -> &str {
        self.text
    }

    /// Returns whether the segment is empty for servers that remove parameters (`;x`), and dots and
    /// spaces at the end, as Java servlets and Windows do.
    pub(crate) fn is_blank(&self) -> bool {
        self.is_blank
    }
}

fn is_blank(segment: &str) -> bool {
    let mut rest = segment;
    loop {
        rest = match rest.strip_prefix('.').or_else(|| rest.strip_prefix("%20")) {
            Some(rest) => rest,
            None => return rest.is_empty() || rest.starts_with(';') || rest.starts_with("%3B"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_no_deeper_than_patterns_need() {
        let path = CanonicalPath::parse(&"/a".repeat(30_000)).expect("a path");
        for depth in [0, 1, 7] {
            assert_eq!(Segments::new(&path, depth).len(), depth + 1);
        }
        let path = CanonicalPath::parse("/a/b").expect("a path");
        assert_eq!(Segments::new(&path, 7).len(), 2);
    }

    #[test]
    fn a_segment_is_blank_if_parameters_dots_and_spaces_are_all_of_it() {
        for (segment, expected) in [
            ("", true),
            (";", true),
            (";a=b", true),
            ("%3Ba", true),
            ("...", true),
            ("%20", true),
            ("%20%20.", true),
            (".%20;a", true),
            ("a", false),
            ("a;b", false),
            (".a", false),
            ("a.", false),
            ("%20a", false),
            ("-", false),
            ("%2A", false),
        ] {
            assert_eq!(is_blank(segment), expected, "{segment}");
        }
    }
}
