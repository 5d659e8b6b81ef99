//! Tests of the scrubber against a replacement on the whole stream.

use eryx_http::{Scrubber, ScrubberError, ScrubberPatterns};
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
        // `yzw` and `zw` end at the same byte, and only the shorter one is not cut by `xy`.
        (
            &[
                ("xy", "11"),
                ("yzw", "222"),
                ("zw", "33"),
                ("xyzw!", "44444"),
            ],
            "xyzw? xyzw!",
            "1133? 44444",
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

#[test]
fn scrubbers_that_share_patterns_have_a_state_of_their_own() {
    let patterns = ScrubberPatterns::new([("token", "XXXXX")]).expect("valid pairs");
    let (mut first, mut second) = (patterns.scrubber(), patterns.clone().scrubber());
    drop(patterns);
    let mut output = Vec::new();
    first.push(b"to", &mut output);
    second.push(b"a", &mut output);
    assert_eq!((first.held(), second.held()), (2, 0));
    second.push(b"ken", &mut output);
    assert_eq!(output, b"aken");
    output.clear();
    first.push(b"ken", &mut output);
    assert_eq!(output, b"XXXXX");
}

#[test]
fn a_stream_that_continues_with_more_patterns_is_searched_across_the_change() {
    let before = ScrubberPatterns::new([("token", "XXXXX")]).expect("valid pairs");
    let after = ScrubberPatterns::new([("token", "XXXXX"), ("key", "YYY")]).expect("valid pairs");
    let stream = b"token tokey token to";
    for split in 0..=stream.len() {
        let mut output = Vec::new();
        let mut scrubber = before.scrubber();
        scrubber.push(&stream[..split], &mut output);
        scrubber.continue_with(&after, &mut output);
        scrubber.push(&stream[split..], &mut output);
        scrubber.finish(&mut output);
        // Up to its last byte, the new secret is held back, because it follows a part of the old.
        let expected = match split {
            ..=10 => "XXXXX toYYY XXXXX to",
            11.. => "XXXXX tokey XXXXX to",
        };
        assert_eq!(String::from_utf8_lossy(&output), expected, "{split}");
    }
}

#[test]
fn a_secret_of_the_maximum_length_is_replaced() {
    let secret = [b"x".repeat(Scrubber::MAX_SECRET_BYTES - 1), b"y".to_vec()].concat();
    let placeholder = vec![b'*'; secret.len()];
    let mut stream = b"x".repeat(10);
    stream.extend_from_slice(&secret);
    stream.extend_from_slice(&secret[1..]);
    let output = scrub(&[(secret.clone(), placeholder.clone())], &[&stream]);
    assert_eq!(
        output,
        [&b"x".repeat(10), &placeholder[..], &secret[1..]].concat()
    );
    let error = Scrubber::new([(vec![b'x'; secret.len() + 1], placeholder)]);
    assert_eq!(
        error.expect_err("too long"),
        ScrubberError::TooLong { index: 0 }
    );
}

#[test]
fn as_many_secrets_as_the_maximum_are_replaced_and_one_more_is_not_accepted() {
    let pairs = |count: usize| -> Vec<(Vec<u8>, Vec<u8>)> {
        let numbers = 0..count;
        numbers
            .map(|n| {
                (
                    format!("secret{n:05}").into_bytes(),
                    b"***********".to_vec(),
                )
            })
            .collect()
    };
    let maximum = Scrubber::MAX_SECRETS;
    let stream: Vec<u8> = pairs(maximum).into_iter().flat_map(|pair| pair.0).collect();
    let output = scrub(&pairs(maximum), &[&stream]);
    assert_eq!(output, b"*".repeat(stream.len()));
    let error = Scrubber::new(pairs(maximum + 1)).expect_err("too many");
    assert_eq!(error, ScrubberError::TooMany);
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

fn with_placeholders(secrets: Vec<Vec<u8>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let numbered = secrets.into_iter().zip(0x80..);
    numbered
        .map(|(secret, byte)| (secret.clone(), vec![byte; secret.len()]))
        .collect()
}

/// Returns a strategy for secrets that are parts of one text, and a stream of parts of it.
fn nested() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>)> {
    "[ab]{12}|[abc]{12}|abcdefghijkl".prop_flat_map(|text| {
        let part = (0..text.len(), 1..text.len()).prop_map(move |(start, length)| {
            let end = text.len().min(start + length);
            text.as_bytes()[start..end].to_vec()
        });
        let secrets = prop::collection::btree_set(part.clone(), 1..12);
        let stream = prop::collection::vec(part, 0..8);
        (secrets, stream)
            .prop_map(|(secrets, stream)| (secrets.into_iter().collect(), stream.concat()))
    })
}

/// Returns a strategy for secrets with a common prefix, and a stream of noise, of prefixes of the
/// secrets, and of the secrets.
fn noise() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>)> {
    let secret = "(key-)?[a-z]{1,30}".prop_map(String::into_bytes);
    prop::collection::btree_set(secret, 1..5).prop_flat_map(|secrets| {
        let secrets: Vec<Vec<u8>> = secrets.into_iter().collect();
        let part = (
            prop::sample::select(secrets.clone()),
            any::<prop::sample::Index>(),
        )
            .prop_map(|(secret, index)| secret[..=index.index(secret.len())].to_vec());
        let noise = prop::collection::vec(any::<u8>(), 0..100);
        let whole = prop::sample::select(secrets.clone());
        let parts = prop::collection::vec(prop_oneof![noise, part, whole], 0..8);
        (Just(secrets), parts.prop_map(|parts| parts.concat()))
    })
}

proptest! {
    #[test]
    fn secrets_in_each_other_are_replaced_as_in_the_whole_for_every_split(
        (secrets, stream) in nested(),
        size in 1_usize..20,
    ) {
        let pairs = with_placeholders(secrets);
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        prop_assert_eq!(scrub(&pairs, &pieces), replace(&pairs, &stream));
    }

    #[test]
    fn secrets_in_noise_are_replaced_as_in_the_whole_for_every_split(
        (secrets, stream) in noise(),
        size in 1_usize..200,
    ) {
        let pairs = with_placeholders(secrets);
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        prop_assert_eq!(scrub(&pairs, &pieces), replace(&pairs, &stream));
    }

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
