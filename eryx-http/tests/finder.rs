//! Tests of the finder against a search in the whole stream.

use eryx_http::{Finder, FinderError};
use proptest::prelude::*;

fn find(patterns: &[Vec<u8>], pieces: &[&[u8]]) -> Option<usize> {
    let mut finder = Finder::new(patterns).expect("valid patterns");
    let mut found = None;
    for piece in pieces {
        let next = finder.push(piece);
        assert!(
            found.is_none() || found == next,
            "the result stays the same"
        );
        found = next;
    }
    assert_eq!(finder.push(b""), found);
    found
}

/// Searches the whole stream for the pattern that ends first, and of those the longest.
fn find_whole(patterns: &[Vec<u8>], stream: &[u8]) -> Option<usize> {
    (0..=stream.len()).find_map(|end| {
        let ending = patterns
            .iter()
            .enumerate()
            .filter(|(_, pattern)| stream[..end].ends_with(pattern));
        ending
            .max_by_key(|(_, pattern)| pattern.len())
            .map(|(index, _)| index)
    })
}

#[test]
fn a_pattern_is_found_across_every_split() {
    let noise = "x".repeat(50);
    for (patterns, stream, expected) in [
        (&["key-1", "key-2"][..], "a key-2".to_owned(), Some(1)),
        (&["key-1", "key-2"], "key-key-1".to_owned(), Some(0)),
        (
            &["key-1", "key-2"],
            format!("{noise}key-2{noise}key-1"),
            Some(1),
        ),
        (&["key-1", "key-2"], format!("{noise}key-{noise}"), None),
        (&["abcd", "bc"], "abcd".to_owned(), Some(1)),
        (&["bc", "abc"], "abc".to_owned(), Some(1)),
        (&["abcx", "bcd"], "abcd".to_owned(), Some(1)),
        (&["aab"], "aaab".to_owned(), Some(0)),
        (&["a"], String::new(), None),
        (&[], "a".to_owned(), None),
    ] {
        let patterns: Vec<Vec<u8>> = patterns.iter().map(|p| p.as_bytes().to_vec()).collect();
        for split in 0..=stream.len() {
            let (first, second) = stream.as_bytes().split_at(split);
            let found = find(&patterns, &[first, second]);
            assert_eq!(found, expected, "{stream} at {split}");
        }
    }
}

#[test]
fn a_finder_that_was_reset_forgets_the_stream_and_a_clone_does_not() {
    let mut finder = Finder::new(["token"]).expect("a valid pattern");
    assert_eq!(finder.push(b"tok"), None);
    let mut clone = finder.clone();
    finder.reset();
    assert_eq!(finder.push(b"en"), None);
    assert_eq!(clone.push(b"en"), Some(0));
    assert_eq!(clone.push(b"x"), Some(0));
    clone.reset();
    assert_eq!(clone.push(b"x"), None);
}

#[test]
fn patterns_that_cannot_be_searched_for_are_refused() {
    let long = "x".repeat(Finder::MAX_PATTERN_BYTES + 1);
    let many: Vec<String> = (0..=Finder::MAX_PATTERNS).map(|n| n.to_string()).collect();
    for (patterns, error) in [
        (
            vec!["a".to_owned(), String::new()],
            FinderError::Empty { index: 1 },
        ),
        (vec![long], FinderError::TooLong { index: 0 }),
        (
            vec!["hunter2".to_owned(); 2],
            FinderError::Repeated { index: 1 },
        ),
        (many, FinderError::TooMany),
    ] {
        let result = Finder::new(patterns).expect_err("invalid patterns");
        assert!(!result.to_string().contains("hunter2"));
        assert_eq!(result, error);
    }
}

#[test]
fn debug_output_of_a_finder_has_no_pattern() {
    let finder = Finder::new(["hunter2"]).expect("a valid pattern");
    let debug = format!("{finder:?}");
    assert_eq!(debug, "Finder { patterns: 1, found: None, .. }");
}

proptest! {
    #[test]
    fn a_finder_equals_a_search_in_the_whole_for_every_split(
        patterns in prop::collection::btree_set("[ab]{1,6}|key-[ab]{1,30}", 0..6),
        parts in prop::collection::vec("[abc]{0,6}|[a-z]{0,80}|key-[ab]{0,30}", 0..6),
        size in 1_usize..100,
    ) {
        let patterns: Vec<Vec<u8>> = patterns.into_iter().map(String::into_bytes).collect();
        let stream = parts.concat().into_bytes();
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        prop_assert_eq!(find(&patterns, &pieces), find_whole(&patterns, &stream));
    }
}
