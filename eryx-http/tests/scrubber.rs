//! Tests of the scrubber against a replacement on the whole stream.

use eryx_http::Scrubber;
use proptest::prelude::*;

fn scrub(pairs: &[(Vec<u8>, Vec<u8>)], pieces: &[&[u8]]) -> Vec<u8> {
    let mut scrubber = Scrubber::new(pairs.iter().cloned()).expect("valid pairs");
    let longest = pairs.iter().map(|(secret, _)| secret.len()).max();
    let mut output = Vec::new();
    for piece in pieces {
        scrubber.push(piece, &mut output);
        assert!(scrubber.held() < longest.unwrap_or(1), "held back too much");
    }
    scrubber.finish(&mut output);
    output
}

/// Replaces in the whole stream: at each position the longest secret.
fn replace(pairs: &[(Vec<u8>, Vec<u8>)], stream: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut at = 0;
    while at < stream.len() {
        let longest = pairs
            .iter()
            .filter(|(secret, _)| stream[at..].starts_with(secret))
            .max_by_key(|(secret, _)| secret.len());
        match longest {
            Some((secret, placeholder)) => {
                output.extend_from_slice(placeholder);
                at += secret.len();
            }
            None => {
                output.push(stream[at]);
                at += 1;
            }
        }
    }
    output
}

#[test]
fn secrets_are_replaced_across_every_split() {
    let pairs = |list: &[(&str, &str)]| -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = list.iter();
        pairs
            .map(|(s, p)| (s.as_bytes().to_vec(), p.as_bytes().to_vec()))
            .collect()
    };
    for (list, stream, expected) in [
        (
            &[("token", "XXXXX")][..],
            "a token, totoken, tok",
            "a XXXXX, toXXXXX, tok",
        ),
        (
            &[("ab", "XX"), ("abcd", "YYYY")],
            "abcd abc ab",
            "YYYY XXc XX",
        ),
        (&[("abcd", "YYYY"), ("bc", "XX")], "abce abcd", "aXXe YYYY"),
        (&[("abab", "XXXX")], "abababab ababa", "XXXXXXXX XXXXa"),
        (&[("aab", "XXX"), ("ba", "YY")], "aaaba baab", "aXXXa YYab"),
        (&[("a", "b"), ("b", "a")], "abab", "baba"),
        // `aba` is found where `xab` is replaced, and overlaps the one that is replaced after it.
        (
            &[("aba", "111"), ("xab", "222"), ("xabab!", "333333")],
            "xababay",
            "222111y",
        ),
        (&[], "nothing", "nothing"),
    ] {
        let pairs = pairs(list);
        for split in 0..=stream.len() {
            let (first, second) = stream.as_bytes().split_at(split);
            let output = scrub(&pairs, &[first, second]);
            assert_eq!(
                String::from_utf8_lossy(&output),
                expected,
                "{stream} at {split}"
            );
        }
    }
}

fn pairs() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let secret = prop::collection::vec(prop::sample::select(&b"abc"[..]), 1..8);
    prop::collection::btree_set(secret, 0..6).prop_map(|secrets| {
        let numbered = secrets.into_iter().enumerate();
        let placeholder = |index: usize| b'0' + u8::try_from(index).expect("few secrets");
        numbered
            .map(|(i, s)| (s.clone(), vec![placeholder(i); s.len()]))
            .collect()
    })
}

proptest! {
    #[test]
    fn a_scrubber_equals_a_replacement_on_the_whole_for_every_split(
        pairs in pairs(),
        stream in prop::collection::vec(prop::sample::select(&b"abcd"[..]), 0..60),
        sizes in prop::collection::vec(1_usize..7, 1..8),
    ) {
        let mut pieces = Vec::new();
        let mut rest = &stream[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(scrub(&pairs, &pieces), replace(&pairs, &stream));
    }
}
