//! A stream for the program in which placeholders replace secrets.

use std::sync::{Arc, OnceLock};

use eryx_http::{Scrubber, ScrubberPatterns};

use crate::http::secret_encodings::EncodedSecret;

/// What a stream is searched for.
#[derive(Clone)]
pub(crate) struct SecretPatterns {
    scrubber: ScrubberPatterns,
    /// The bytes that a secret can consist of.
    alphabet: Arc<[bool; 256]>,
    /// The number of bytes that are held back at most, which is at least the length of the longest
    /// form.
    max_held: usize,
}

/// Replaces secrets in a stream, no matter how it is split.
///
/// It holds back the last bytes of the stream as long as they can be the start of a secret. Which
/// bytes it holds back does not depend on the secrets: all from the last one that secrets do not
/// consist of, such as a space, a quotation mark or a line end. Pitfall: if it held back just those
/// that start a secret, a program that gets its own text back from a server could find out the
/// secret character by character, from what arrives early and what late.
#[derive(Default)]
pub(super) struct SecretFilter {
    /// `None` if no value is known so far: providers have given none.
    search: Option<Search>,
    /// Bytes for the program, of which the last ones are held back.
    released: Vec<u8>,
}

struct Search {
    scrubber: Scrubber,
    alphabet: Arc<[bool; 256]>,
    max_held: usize,
    /// The version of the secrets that it replaces.
    version: u64,
    /// The number of bytes at the end of the stream that secrets can consist of, up to `max_held`.
    run: usize,
}

/// The granularity of [`SecretPatterns::max_held`], so that it hardly shows the length of a secret.
const HELD_STEP: usize = 64;

impl SecretPatterns {
    /// Returns the patterns of the forms of secrets, or `None` without any.
    pub(super) fn new(forms: Vec<EncodedSecret>) -> Option<Self> {
        Self::with_search(forms, None)
    }

    /// Returns the patterns of the forms of secrets. What is searched is in `search`, which other
    /// networks with the same secrets share, and is built if it is not there yet.
    pub(super) fn shared(
        forms: Vec<EncodedSecret>,
        search: &OnceLock<ScrubberPatterns>,
    ) -> Option<Self> {
        Self::with_search(forms, Some(search))
    }

    fn with_search(
        mut forms: Vec<EncodedSecret>,
        search: Option<&OnceLock<ScrubberPatterns>>,
    ) -> Option<Self> {
        // The order depends on the secrets alone, as opposed to their placeholders.
        forms.sort_by(|a, b| a.0.cmp(&b.0));
        forms.dedup_by(|a, b| a.0 == b.0);
        let longest = forms.iter().map(|(form, _)| form.len()).max()?;
        let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=:%&#;\\".contains(&byte);
        let mut bytes = forms.iter().flat_map(|(form, _)| form.iter());
        let alphabet = match bytes.all(|&byte| is_usual(byte)) {
            true => std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(is_usual)),
            false => {
                std::array::from_fn(|byte| (usize::from(b' ')..=usize::from(b'~')).contains(&byte))
            }
        };
        let build = || {
            let pairs = forms.iter().map(|(form, shown)| (&form[..], &shown[..]));
            ScrubberPatterns::new(pairs).expect("the number and length of forms are bounded")
        };
        let scrubber = match search {
            Some(search) => search
                .get_or_init(build)
                .with_placeholders(forms.iter().map(|(_, shown)| shown))
                .expect("the secrets are those of the search"),
            None => build(),
        };
        Some(Self {
            scrubber,
            alphabet: Arc::new(alphabet),
            max_held: longest.next_multiple_of(HELD_STEP),
        })
    }

    /// Returns a scrubber for a text that is complete.
    pub(super) fn scrubber(&self) -> Scrubber {
        self.scrubber.scrubber()
    }

    /// Returns whether a secret may be in a complete text.
    pub(super) fn may_be_in(&self, text: &[u8]) -> bool {
        self.scrubber.may_be_in(text)
    }

    /// Returns a complete text with its secrets replaced.
    pub(super) fn scrub(&self, text: &[u8]) -> Vec<u8> {
        let mut scrubbed = Vec::with_capacity(text.len());
        let mut scrubber = self.scrubber();
        scrubber.push(text, &mut scrubbed);
        scrubber.finish(&mut scrubbed);
        scrubbed
    }
}

impl SecretFilter {
    /// Returns whether the stream passes unchanged: no value is known.
    pub(super) fn is_idle(&self) -> bool {
        self.search.is_none()
    }

    /// Sets what is replaced from here on, if it is of another version than before.
    pub(super) fn refresh(&mut self, patterns: &SecretPatterns, version: u64) {
        match &mut self.search {
            Some(search) if search.version == version => {}
            // It can hold back the start of a secret that is still searched for.
            Some(search) => {
                let scrubber = &mut search.scrubber;
                scrubber.continue_with(&patterns.scrubber, &mut self.released);
                search.alphabet = Arc::clone(&patterns.alphabet);
                search.max_held = patterns.max_held.max(search.max_held);
                search.version = version;
            }
            None => {
                self.search = Some(Search {
                    scrubber: patterns.scrubber(),
                    alphabet: Arc::clone(&patterns.alphabet),
                    max_held: patterns.max_held,
                    version,
                    run: 0,
                });
            }
        }
    }

    /// Takes bytes of the stream.
    pub(super) fn push(&mut self, data: &[u8]) {
        match &mut self.search {
            Some(search) => {
                search.count(data);
                search.scrubber.push(data, &mut self.released);
            }
            None => self.released.extend_from_slice(data),
        }
    }

    /// Takes bytes of the stream, and passes those that are not held back to `deliver`: without a
    /// copy, if no secret can start in them.
    pub(super) fn pass(&mut self, mut data: Vec<u8>, mut deliver: impl FnMut(Vec<u8>)) {
        let Some(search) = &mut self.search else {
            return deliver(data);
        };
        if data.len() < search.max_held || !search.scrubber.is_free(&data) {
            self.push(&data);
            return deliver(self.take());
        }
        search.count(&data);
        let end = data.len() - search.run;
        let held = data.split_off(end);
        // What was held back so far is free, too: a longer piece follows it.
        deliver(std::mem::replace(&mut self.released, held));
        deliver(data);
    }

    /// Returns the bytes for the program that are not held back.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let held = self.search.as_ref().map_or(0, Search::held_output);
        if held == 0 {
            return std::mem::take(&mut self.released);
        }
        let end = self.released.len().saturating_sub(held);
        let rest = self.released.split_off(end);
        std::mem::replace(&mut self.released, rest)
    }

    /// Ends the stream, and returns all bytes for the program. Another one can follow.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        if let Some(search) = &mut self.search {
            search.scrubber.finish(&mut self.released);
            search.run = 0;
        }
        std::mem::take(&mut self.released)
    }
}

impl Search {
    /// Counts the bytes at the end of the stream that secrets can consist of.
    fn count(&mut self, data: &[u8]) {
        let last = &data[data.len().saturating_sub(self.max_held)..];
        let is_in = |byte: &&u8| self.alphabet[usize::from(**byte)];
        let run = last.iter().rev().take_while(is_in).count();
        let before = if run == data.len() { self.run } else { 0 };
        self.run = (before + run).min(self.max_held);
    }

    /// Returns how many bytes of the output are held back, besides those that the scrubber has.
    fn held_output(&self) -> usize {
        self.run.saturating_sub(self.scrubber.held())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::secret_encodings::encode_secret;

    const SECRET: &[u8] = b"ghp_0123456789abcdefghijklmnopqrstuvwxyz";
    const PLACEHOLDER: &[u8] = b"eryx-ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHI";

    fn filter(secret: &[u8]) -> SecretFilter {
        let patterns = SecretPatterns::new(encode_secret(secret, PLACEHOLDER)).expect("a form");
        let mut filter = SecretFilter::default();
        filter.refresh(&patterns, 1);
        filter
    }

    /// Returns how much of a stream has arrived after each of its pieces.
    fn arrivals(secret: &[u8], pieces: &[Vec<u8>]) -> Vec<usize> {
        let mut filter = filter(secret);
        let take = |piece: &Vec<u8>| {
            filter.push(piece);
            filter.take().len()
        };
        pieces.iter().map(take).collect()
    }

    #[test]
    fn the_start_of_a_secret_arrives_no_later_than_any_other_word() {
        for length in 0..=SECRET.len() {
            for before in ["", "\"", "a ", "abc", "ghp"] {
                let start = [before.as_bytes(), &SECRET[..length]].concat();
                let mut other = start.clone();
                if length > 0 {
                    *other.last_mut().expect("a byte") = b'A';
                }
                for after in [&b""[..], b"x", b"\n"] {
                    let pieces = |start: &[u8]| [start.to_vec(), after.to_vec()];
                    assert_eq!(
                        arrivals(SECRET, &pieces(&start)),
                        arrivals(SECRET, &pieces(&other)),
                        "{before} {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_no_secret_can_contain_is_not_held_back() {
        for text in ["data: {\"a\":1}\n\n", "a b", "hello\"", "{}", "a word\r\n"] {
            let held = text.len() - arrivals(SECRET, &[text.into()])[0];
            let is_word = text.ends_with(|c: char| c.is_alphanumeric());
            assert_eq!(held, usize::from(is_word), "{text}");
        }
    }

    #[test]
    fn at_most_the_length_of_the_longest_form_is_held_back() {
        let pieces = vec![vec![b'g'; 1000]; 100];
        let arrived: usize = arrivals(SECRET, &pieces).iter().sum();
        assert_eq!(100_000 - arrived, 64);
    }

    /// Returns the streams of three words each: secrets, their starts, and others.
    fn streams() -> Vec<Vec<u8>> {
        let words: [&[u8]; 8] = [
            SECRET,
            &SECRET[..1],
            &SECRET[..20],
            &SECRET[..39],
            b"g",
            b" \"",
            b"0123",
            &[b'a'; 70],
        ];
        let indices = (0..512).map(|n| [n / 64, n / 8 % 8, n % 8]);
        indices
            .map(|three| three.map(|index| words[index]).concat())
            .collect()
    }

    #[test]
    fn secrets_are_replaced_and_what_is_held_back_depends_on_the_stream_alone() {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ASCII");
        for (stream, size) in streams()
            .iter()
            .flat_map(|s| [1, 3, 17, 64].map(|n| (s, n)))
        {
            let mut searching = filter(SECRET);
            // The secret of another sandbox, which is not in the stream.
            let mut other = filter(&[b'Z'; 40]);
            let (mut output, mut count) = (Vec::new(), 0);
            for piece in stream.chunks(size) {
                searching.push(piece);
                output.extend(searching.take());
                other.push(piece);
                count += other.take().len();
                assert_eq!(output.len(), count, "{}", text(stream));
            }
            output.extend(searching.finish());
            let expected = text(stream).replace(&text(SECRET), &text(PLACEHOLDER));
            assert_eq!(text(&output), expected, "{size}");
        }
    }

    #[test]
    fn bytes_in_which_no_secret_starts_are_passed_on_without_a_copy_and_the_same_are_held_back() {
        for stream in streams() {
            for (size, filler) in [(64, b'.'), (200, b'x'), (200, b' '), (300, b'g')] {
                let mut copying = filter(SECRET);
                let mut passing = filter(SECRET);
                let (mut expected, mut output) = (Vec::new(), Vec::new());
                let filler = vec![filler; size];
                for piece in [&filler[..], &stream, &filler, &filler, &stream] {
                    copying.push(piece);
                    expected.extend(copying.take());
                    passing.pass(piece.to_vec(), |bytes| output.extend(bytes));
                    assert_eq!(output, expected);
                }
                expected.extend(copying.finish());
                output.extend(passing.finish());
                assert_eq!(output, expected);
            }
        }
        let mut filter = filter(SECRET);
        let data = vec![b'x'; 100_000];
        let address = data.as_ptr();
        let mut addresses = Vec::new();
        filter.pass(data, |bytes| addresses.push(bytes.as_ptr()));
        assert_eq!(addresses.last(), Some(&address));
    }

    #[test]
    fn other_secrets_in_the_middle_of_a_stream_are_replaced_from_there_on() {
        let patterns = |secrets: &[&[u8]]| {
            let forms = secrets
                .iter()
                .flat_map(|secret| encode_secret(secret, PLACEHOLDER));
            SecretPatterns::new(forms.collect()).expect("a form")
        };
        let mut filter = SecretFilter::default();
        filter.push(SECRET);
        let mut output = filter.take();
        assert_eq!(output, SECRET, "no value is known");
        filter.refresh(&patterns(&[SECRET]), 1);
        filter.push(&SECRET[..20]);
        output.extend(filter.take());
        filter.refresh(&patterns(&[SECRET, b"swordfish-0123456789"]), 2);
        filter.push(&SECRET[20..]);
        filter.push(b", swordfish-0123456789");
        output.extend(filter.take());
        output.extend(filter.finish());
        let expected = [SECRET, PLACEHOLDER, b", ", &PLACEHOLDER[..20]].concat();
        assert_eq!(output, expected);
    }
}
