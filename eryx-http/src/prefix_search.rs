//! Search for the places in a stream where a pattern can start.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, MatchKind, packed};

/// Finds the first bytes of patterns with vector instructions.
///
/// It looks at [`PrefixSearch::MAX_BYTES`] bytes of a pattern only, so a byte of the stream costs
/// it a bounded number of comparisons, whatever the patterns and the stream are.
pub(crate) struct PrefixSearch {
    searcher: Searcher,
    longest: usize,
}

enum Searcher {
    /// Teddy, for up to 64 prefixes. It compares all bytes of a prefix in one step, so that a
    /// stream with the same letters as a prefix is not slower than others.
    Packed(packed::Searcher),
    /// For more prefixes, and for processors without Teddy.
    Automaton(AhoCorasick),
}

impl PrefixSearch {
    /// The number of bytes of a pattern that are searched for. Teddy has masks for as many.
    pub(crate) const MAX_BYTES: usize = 4;

    pub(crate) fn new<'a>(patterns: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let prefixes: BTreeSet<&[u8]> = patterns
            .into_iter()
            .map(|pattern| &pattern[..pattern.len().min(Self::MAX_BYTES)])
            .collect();
        Self {
            longest: prefixes
                .iter()
                .map(|prefix| prefix.len())
                .max()
                .unwrap_or(0),
            searcher: Searcher::new(&prefixes),
        }
    }

    /// Returns the number of bytes at the start of `input` that are not part of a pattern which
    /// starts in `input`.
    pub(crate) fn count_free(&self, input: &[u8]) -> usize {
        // A prefix can be split at the end of the input.
        let unsplit = (input.len() + 1).saturating_sub(self.longest);
        if unsplit == 0 {
            return 0;
        }
        self.searcher
            .find(input)
            .map_or(unsplit.min(input.len()), |start| start.min(unsplit))
    }

    /// Returns whether the first bytes of a pattern are in `input`.
    pub(crate) fn is_in(&self, input: &[u8]) -> bool {
        self.longest > 0 && self.searcher.find(input).is_some()
    }
}

impl Searcher {
    fn new(prefixes: &BTreeSet<&[u8]>) -> Self {
        if let Some(searcher) = packed::Searcher::new(prefixes) {
            return Self::Packed(searcher);
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(prefixes);
        Self::Automaton(automaton.expect("the prefixes are few and short"))
    }

    /// Returns the start of the first prefix in `input`.
    fn find(&self, input: &[u8]) -> Option<usize> {
        match self {
            Self::Packed(searcher) => searcher.find(input).map(|found| found.start()),
            Self::Automaton(searcher) => searcher.find(input).map(|found| found.start()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_bytes_end_where_a_prefix_starts_or_can_start() {
        let many: Vec<String> = (0..200).map(|n| format!("#{n:03}x")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for (patterns, input, free) in [
            (&["secret"][..], "a secret", 2),
            (&["secret"], "a secre", 2),
            (&["secret"], "a sec", 2),
            (&["secret"], "a se", 1),
            (&["secret"], "s", 0),
            (&["secret"], "", 0),
            (
                &["secret", "hunter2"],
                "................................hunt",
                32,
            ),
            (
                &["secret", "hunter2"],
                "................................hun",
                32,
            ),
            (&["s", "hunter2"], "..............................s.", 29),
            (&["s", "t"], "................................", 32),
            (&["s", "t"], "................................t", 32),
            (&many, "#00 #199", 4),
            (&many, "#00 #200", 5),
            (&[], "abc", 3),
        ] {
            let search = PrefixSearch::new(patterns.iter().map(|pattern| pattern.as_bytes()));
            assert_eq!(search.count_free(input.as_bytes()), free, "{input}");
        }
    }
}
