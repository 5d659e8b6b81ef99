//! Secrets and patterns in a stream.
//!
//! The input has a pattern in each line up to an empty line. The stream follows.

use eryx_http::{Finder, ScrubberPatterns};

use crate::http_outcome::split_size;

/// A scrubber gives the same result for every split as a replacement in the whole stream.
pub fn scrubber(input: &[u8]) {
    let (secrets, stream) = parse(input);
    // The placeholders differ from each other, and from the bytes of most secrets.
    let pairs: Vec<(&[u8], Vec<u8>)> = secrets
        .iter()
        .zip(0x80..)
        .map(|(&secret, byte)| (secret, vec![byte; secret.len()]))
        .collect();
    let longest = secrets.iter().map(|secret| secret.len()).max();
    let expected = replace(&pairs, stream);
    let patterns = ScrubberPatterns::new(pairs).expect("valid pairs");
    for size in [stream.len().max(1), 1, split_size(input)] {
        let mut scrubber = patterns.scrubber();
        let mut output = Vec::new();
        let mut pushed = 0;
        for piece in stream.chunks(size) {
            scrubber.push(piece, &mut output);
            pushed += piece.len();
            let held = scrubber.held();
            assert!(held < longest.unwrap_or(1), "held back too much");
            assert_eq!(output.len() + held, pushed, "all other bytes are released");
            assert!(
                held == 0
                    || secrets
                        .iter()
                        .any(|s| s.starts_with(&stream[pushed - held..pushed])),
                "the bytes held back are not a prefix of a secret"
            );
            assert!(
                expected.starts_with(&output),
                "a byte was released too early"
            );
        }
        scrubber.finish(&mut output);
        assert_eq!(output, expected);
    }
}

/// A finder finds for every split what a search in the whole stream finds.
pub fn finder(input: &[u8]) {
    let (patterns, stream) = parse(input);
    let mut finder = Finder::new(&patterns).expect("valid patterns");
    let expected = find(&patterns, stream);
    for size in [stream.len().max(1), 1, split_size(input)] {
        finder.reset();
        let mut end = 0;
        for piece in stream.chunks(size) {
            end += piece.len();
            let found = expected.filter(|&(_, at)| at <= end);
            assert_eq!(finder.push(piece), found.map(|(index, _)| index));
        }
    }
}

/// Returns the patterns, without those that are there twice, and the stream.
fn parse(input: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut patterns: Vec<&[u8]> = Vec::new();
    let mut stream = input;
    while let Some(end) = stream.iter().position(|&b| b == b'\n') {
        let line = &stream[..end];
        stream = &stream[end + 1..];
        if line.is_empty() {
            break;
        }
        if patterns.len() < MAX_PATTERNS && !patterns.contains(&line) {
            patterns.push(line);
        }
    }
    (patterns, stream)
}

/// Replaces in the whole stream: at each position the longest secret.
fn replace(pairs: &[(&[u8], Vec<u8>)], stream: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(stream.len());
    while output.len() < stream.len() {
        let rest = &stream[output.len()..];
        let longest = pairs
            .iter()
            .filter(|(secret, _)| rest.starts_with(secret))
            .max_by_key(|(secret, _)| secret.len());
        match longest {
            Some((_, placeholder)) => output.extend_from_slice(placeholder),
            None => output.push(rest[0]),
        }
    }
    output
}

/// Returns the pattern that ends first, and of those the longest, and where it ends.
fn find(patterns: &[&[u8]], stream: &[u8]) -> Option<(usize, usize)> {
    (1..=stream.len()).find_map(|end| {
        let longest = patterns
            .iter()
            .enumerate()
            .filter(|(_, pattern)| stream[..end].ends_with(pattern))
            .max_by_key(|(_, pattern)| pattern.len());
        longest.map(|(index, _)| (index, end))
    })
}

/// The maximum number of patterns of an input.
const MAX_PATTERNS: usize = 8;
