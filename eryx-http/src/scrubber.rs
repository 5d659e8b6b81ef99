//! Replacement of secrets in a stream.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::pattern_set::{InvalidPatterns, NodeId, PatternSet};

/// Secrets and their placeholders, which the scrubbers of many connections can share.
///
/// The memory of the secrets is overwritten when the last of them is dropped. The search has
/// copies of the first 4 bytes of each secret, which are not overwritten.
///
/// ```
/// use eryx_http::ScrubberPatterns;
///
/// let patterns = ScrubberPatterns::new([("hunter2", "*******")])?;
/// for _connection in 0..2 {
///     let mut scrubber = patterns.scrubber();
///     let mut output = Vec::new();
///     scrubber.push(b"hunter2", &mut output);
///     assert_eq!(output, b"*******");
/// }
/// # Ok::<(), eryx_http::ScrubberError>(())
/// ```
#[derive(Clone)]
pub struct ScrubberPatterns {
    shared: Arc<Shared>,
}

struct Shared {
    secrets: Arc<PatternSet>,
    /// The placeholders, in the order of the caller.
    placeholders: Vec<Box<[u8]>>,
}

impl ScrubberPatterns {
    /// Returns pairs of a secret and its placeholder.
    ///
    /// # Errors
    ///
    /// Fails if a secret is empty, longer than [`Scrubber::MAX_SECRET_BYTES`] or there twice, if a
    /// placeholder has another length, or if there are more than [`Scrubber::MAX_SECRETS`] pairs.
    pub fn new<S, P>(pairs: impl IntoIterator<Item = (S, P)>) -> Result<Self, ScrubberError>
    where
        S: AsRef<[u8]>,
        P: AsRef<[u8]>,
    {
        let (secrets, placeholders): (Vec<S>, Vec<P>) = pairs.into_iter().unzip();
        let lengths = secrets.iter().map(|secret| secret.as_ref().len());
        let shared = Shared {
            secrets: Arc::new(PatternSet::new(&secrets)?),
            placeholders: placeholders.iter().map(|p| p.as_ref().into()).collect(),
        };
        let other = lengths
            .zip(&shared.placeholders)
            .position(|(length, p)| length != p.len());
        match other {
            Some(index) => Err(ScrubberError::PlaceholderLength { index }),
            None => Ok(Self {
                shared: Arc::new(shared),
            }),
        }
    }

    /// Returns the same secrets with other placeholders, in the same order. Both share the
    /// structure that is searched, which takes much longer to build than this.
    ///
    /// # Errors
    ///
    /// Fails if there is not one placeholder of the same length for each secret.
    ///
    /// ```
    /// use eryx_http::ScrubberPatterns;
    ///
    /// let patterns = ScrubberPatterns::new([("hunter2", "*******")])?;
    /// let mut scrubber = patterns.with_placeholders(["-------"])?.scrubber();
    /// let mut output = Vec::new();
    /// scrubber.push(b"hunter2", &mut output);
    /// assert_eq!(output, b"-------");
    /// assert!(patterns.with_placeholders(["-"]).is_err());
    /// # Ok::<(), eryx_http::ScrubberError>(())
    /// ```
    pub fn with_placeholders<P: AsRef<[u8]>>(
        &self,
        placeholders: impl IntoIterator<Item = P>,
    ) -> Result<Self, ScrubberError> {
        let placeholders = placeholders.into_iter();
        let placeholders: Vec<Box<[u8]>> = placeholders.map(|p| p.as_ref().into()).collect();
        let before = &self.shared.placeholders;
        let count = before.len().max(placeholders.len());
        let length = |placeholders: &[Box<[u8]>], at: usize| placeholders.get(at).map(|p| p.len());
        match (0..count).find(|&at| length(before, at) != length(&placeholders, at)) {
            Some(index) => Err(ScrubberError::PlaceholderLength { index }),
            None => Ok(Self {
                shared: Arc::new(Shared {
                    secrets: Arc::clone(&self.shared.secrets),
                    placeholders,
                }),
            }),
        }
    }

    /// Returns whether a secret may be in `text`, which is complete: whether the first bytes of one
    /// are. This search is much faster than a scrubber for a short text.
    ///
    /// ```
    /// use eryx_http::ScrubberPatterns;
    ///
    /// let patterns = ScrubberPatterns::new([("hunter2", "*******")])?;
    /// assert!(patterns.may_be_in(b"a hunter"));
    /// assert!(!patterns.may_be_in(b"a hint, hun"));
    /// # Ok::<(), eryx_http::ScrubberError>(())
    /// ```
    pub fn may_be_in(&self, text: &[u8]) -> bool {
        self.shared.secrets.may_be_in(text)
    }

    /// Returns a scrubber for a stream.
    pub fn scrubber(&self) -> Scrubber {
        Scrubber {
            patterns: self.clone(),
            position: Position::default(),
        }
    }
}

impl fmt::Debug for ScrubberPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScrubberPatterns")
            .field("secrets", &self.shared.secrets.len())
            .finish_non_exhaustive()
    }
}

/// Replaces secrets by placeholders of the same length in a stream, no matter how it is split.
///
/// Where secrets overlap, the one that starts first is replaced, and of those the longest. The
/// scrubber holds back the bytes that can be the start of a secret, which are fewer than the
/// longest secret has. It does not store them: they are a prefix of a secret.
///
/// Where no secret can start, the stream is searched with vector instructions. Elsewhere the work
/// per byte is that of the automaton of Aho and Corasick: it is linear in the length of the stream,
/// whatever the stream contains. The secrets change it in one case only: where several end at the
/// same byte, because one is the end of another, they are compared one by one.
///
/// `Debug` does not show the secrets.
pub struct Scrubber {
    patterns: ScrubberPatterns,
    position: Position,
}

/// The state of a stream.
#[derive(Default)]
struct Position {
    /// The longest end of the stream that is a proper prefix of a secret.
    held: NodeId,
    /// For each byte that is held back, the longest secret that was found to start there, as its
    /// number in the order of the caller plus one, or 0. The zeros at the end are left out.
    found: VecDeque<u16>,
    #[cfg(test)]
    steps: usize,
}

impl Scrubber {
    /// The maximum length of a secret, in bytes.
    pub const MAX_SECRET_BYTES: usize = PatternSet::MAX_BYTES;
    /// The maximum number of secrets.
    pub const MAX_SECRETS: usize = PatternSet::MAX_PATTERNS;

    /// Returns a scrubber for pairs of a secret and its placeholder. For several streams with the
    /// same secrets, use [`ScrubberPatterns::scrubber`].
    ///
    /// # Errors
    ///
    /// As [`ScrubberPatterns::new`].
    pub fn new<S, P>(pairs: impl IntoIterator<Item = (S, P)>) -> Result<Self, ScrubberError>
    where
        S: AsRef<[u8]>,
        P: AsRef<[u8]>,
    {
        Ok(ScrubberPatterns::new(pairs)?.scrubber())
    }

    /// Returns the number of bytes that are held back.
    pub fn held(&self) -> usize {
        self.patterns.shared.secrets.depth(self.position.held)
    }

    /// Returns whether [`push`](Self::push) would append all of `input` as it is, and hold back
    /// nothing.
    pub fn is_free(&self, input: &[u8]) -> bool {
        let secrets = &*self.patterns.shared.secrets;
        self.position.held == NodeId::ROOT && {
            let free = secrets.count_free(input);
            // A secret can start in the last bytes, which are fewer than the search looks at.
            !input[free..]
                .iter()
                .any(|&byte| secrets.can_start_with(byte))
        }
    }

    /// Takes bytes of the stream, and appends those that cannot belong to an incomplete secret to
    /// `output`.
    pub fn push(&mut self, input: &[u8], output: &mut Vec<u8>) {
        let shared = &*self.patterns.shared;
        let mut at = 0;
        while at < input.len() {
            if self.position.held == NodeId::ROOT {
                let free = shared.secrets.count_free(&input[at..]);
                self.position.count(1);
                output.extend_from_slice(&input[at..at + free]);
                at += free;
                // The end of the input is short, and mostly no secret starts with its bytes.
                while let Some(&byte) = input.get(at)
                    && !shared.secrets.can_start_with(byte)
                {
                    self.position.count(1);
                    output.push(byte);
                    at += 1;
                }
            }
            if let Some(&byte) = input.get(at) {
                self.position.push(byte, shared, output);
                at += 1;
            }
        }
    }

    /// Continues the stream with other patterns, among which those of before should be. The bytes
    /// that are held back are searched for them again; of those, the ones that cannot belong to an
    /// incomplete secret are appended to `output`.
    ///
    /// ```
    /// use eryx_http::ScrubberPatterns;
    ///
    /// let mut scrubber = ScrubberPatterns::new([("hunter2", "*******")])?.scrubber();
    /// let mut output = Vec::new();
    /// scrubber.push(b"hunt", &mut output);
    /// let patterns = ScrubberPatterns::new([("hunter2", "*******"), ("swordfish", "#########")])?;
    /// scrubber.continue_with(&patterns, &mut output);
    /// scrubber.push(b"er2, swordfish", &mut output);
    /// scrubber.finish(&mut output);
    /// assert_eq!(output, b"*******, #########");
    /// # Ok::<(), eryx_http::ScrubberError>(())
    /// ```
    pub fn continue_with(&mut self, patterns: &ScrubberPatterns, output: &mut Vec<u8>) {
        let before = std::mem::replace(self, patterns.scrubber());
        let held = before.patterns.shared.secrets.prefix(before.position.held);
        self.push(held, output);
    }

    /// Ends the stream: appends the bytes that are held back to `output`, with the complete secrets
    /// in them replaced. The scrubber is then as new.
    pub fn finish(&mut self, output: &mut Vec<u8>) {
        let shared = &*self.patterns.shared;
        let held = std::mem::take(&mut self.position.held);
        let text = Text {
            prefix: shared.secrets.prefix(held),
            last: None,
        };
        self.position.release(text, shared, output);
        debug_assert!(self.position.found.is_empty());
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrubber")
            .field("secrets", &self.patterns.shared.secrets.len())
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}

impl Position {
    fn push(&mut self, byte: u8, shared: &Shared, output: &mut Vec<u8>) {
        let secrets = &*shared.secrets;
        let before = self.held;
        let length = secrets.depth(before) + 1;
        let (node, links) = secrets.step(before, byte);
        self.count(links + 1);
        self.held = node;
        if secrets.depth(node) == length && !secrets.has_ending(node) {
            return;
        }
        for (secret_len, number) in secrets.endings(node) {
            let start = length - secret_len;
            self.found.resize(self.found.len().max(start + 1), 0);
            // A secret that is found later at the same start is longer.
            self.found[start] = u16::try_from(number + 1).expect("MAX_SECRETS is below 2^16");
            self.count(1);
        }
        let text = Text {
            prefix: secrets.prefix(before),
            last: Some(byte),
        };
        self.release(text, shared, output);
    }

    /// Appends the bytes to `output` that no incomplete secret starts at or before. `text` are all
    /// bytes that were not appended.
    fn release(&mut self, mut text: Text<'_>, shared: &Shared, output: &mut Vec<u8>) {
        loop {
            self.shorten(text.len(), &shared.secrets);
            // Up to `free`, every secret that starts there is known to be complete or none.
            let free = text.len() - shared.secrets.depth(self.held);
            let mut found = self.found.iter().take(free);
            let start = found.position(|&number| number != 0);
            self.count(self.found.len().min(start.unwrap_or(free)));
            let Some(start) = start else {
                text.append(free, output);
                self.remove_found(free);
                return;
            };
            let placeholder = &shared.placeholders[usize::from(self.found[start] - 1)];
            text.append(start, output);
            text.take(placeholder.len());
            output.extend_from_slice(placeholder);
            // Incomplete secrets that start in the replaced one are given up.
            self.remove_found(start + placeholder.len());
        }
    }

    fn remove_found(&mut self, bytes: usize) {
        self.found.drain(..bytes.min(self.found.len()));
    }

    /// Gives up incomplete secrets that have more than `max` bytes, and whole ones.
    fn shorten(&mut self, max: usize, secrets: &PatternSet) {
        let (held, links) = secrets.shorten(self.held, max);
        self.held = held;
        self.count(links);
    }

    /// Counts steps of work, for tests.
    fn count(&mut self, _steps: usize) {
        #[cfg(test)]
        {
            self.steps += _steps;
        }
    }
}

/// Bytes of the stream that were not appended to the output: a prefix of a secret, and the byte
/// after it.
struct Text<'a> {
    prefix: &'a [u8],
    last: Option<u8>,
}

impl<'a> Text<'a> {
    fn len(&self) -> usize {
        self.prefix.len() + usize::from(self.last.is_some())
    }

    fn append(&mut self, count: usize, output: &mut Vec<u8>) {
        let (prefix, last) = self.take(count);
        output.extend_from_slice(prefix);
        output.extend(last);
    }

    /// Removes bytes from the start.
    fn take(&mut self, count: usize) -> (&'a [u8], Option<u8>) {
        let (taken, rest) = self.prefix.split_at(count.min(self.prefix.len()));
        self.prefix = rest;
        let last = if count > taken.len() {
            self.last.take()
        } else {
            None
        };
        (taken, last)
    }
}

impl From<InvalidPatterns> for ScrubberError {
    fn from(error: InvalidPatterns) -> Self {
        match error {
            InvalidPatterns::Empty { index } => Self::Empty { index },
            InvalidPatterns::TooLong { index } => Self::TooLong { index },
            InvalidPatterns::Repeated { index } => Self::Repeated { index },
            InvalidPatterns::TooMany => Self::TooMany,
        }
    }
}

/// The error of secrets that cannot be replaced.
///
/// It names the index of the pair, never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScrubberError {
    /// A secret without bytes.
    #[error("secret {index} is empty; leave it out")]
    Empty {
        /// The index of the pair.
        index: usize,
    },
    /// A secret that is longer than [`Scrubber::MAX_SECRET_BYTES`].
    #[error(
        "secret {index} has more than {} bytes; use a shorter one",
        Scrubber::MAX_SECRET_BYTES
    )]
    TooLong {
        /// The index of the pair.
        index: usize,
    },
    /// A placeholder with another length than its secret.
    #[error("the placeholder of secret {index} has another length; make both equally long")]
    PlaceholderLength {
        /// The index of the pair.
        index: usize,
    },
    /// A secret that is there twice.
    #[error("secret {index} equals an earlier one; leave it out")]
    Repeated {
        /// The index of the pair.
        index: usize,
    },
    /// More than [`Scrubber::MAX_SECRETS`] pairs.
    #[error("there are more than {} secrets; use fewer", Scrubber::MAX_SECRETS)]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scrubs a stream byte by byte or in one piece, and returns the output and the steps of work.
    fn scrub(pairs: &[(Vec<u8>, Vec<u8>)], stream: &[u8], size: usize) -> (Vec<u8>, usize) {
        let mut scrubber = Scrubber::new(pairs.iter().cloned()).expect("valid pairs");
        let mut output = Vec::new();
        for piece in stream.chunks(size) {
            scrubber.push(piece, &mut output);
        }
        scrubber.finish(&mut output);
        (output, scrubber.position.steps)
    }

    #[test]
    fn the_work_of_a_scrubber_is_linear_in_hostile_streams() {
        // Prefixes of the long secret follow each other, and a short one is complete everywhere.
        let long = [&[b'a'; 500][..], b"b"].concat();
        let nested = vec![(long, vec![b'x'; 501]), (b"a".to_vec(), b"y".to_vec())];
        let prefixes = [&[b'a'; 499][..], b"c"].concat().repeat(100);
        // Prefixes of many secrets, each of which ends in the start of the others.
        let many: Vec<(Vec<u8>, Vec<u8>)> = (0..=255)
            .filter(|end| !b"abc".contains(end))
            .map(|end| ([&b"abcabcabcab"[..], &[end]].concat(), vec![b'a'; 12]))
            .collect();
        for (pairs, stream) in [
            (&nested, vec![b'a'; 50_000]),
            (&nested, prefixes),
            (&many, b"abc".repeat(16_000)),
            (&many, b"abcabcabcabca".repeat(4_000)),
            (&many, b"abcabcabcabc!".repeat(4_000)),
            (&many, b"abca".repeat(12_000)),
        ] {
            for size in [1, stream.len()] {
                let (output, steps) = scrub(pairs, &stream, size);
                assert_eq!(output.len(), stream.len());
                // A byte is searched for, extends the match, and is found, skipped and released at
                // most once; the match is shortened at most as often as it was extended.
                assert!(steps <= 5 * stream.len(), "{steps} for {}", stream.len());
            }
        }
    }

    #[test]
    fn debug_output_and_errors_have_no_secret() {
        let scrubber = Scrubber::new([("hunter2", "xxxxxxx")]).expect("valid pairs");
        assert_eq!(
            format!("{scrubber:?}"),
            "Scrubber { secrets: 1, held: 0, .. }"
        );
        for (pairs, error) in [
            (vec![("", "")], ScrubberError::Empty { index: 0 }),
            (
                vec![("hunter2", "x")],
                ScrubberError::PlaceholderLength { index: 0 },
            ),
            (
                vec![("a", "b"), ("a", "c")],
                ScrubberError::Repeated { index: 1 },
            ),
        ] {
            let result = Scrubber::new(pairs).expect_err("invalid pairs");
            assert!(!result.to_string().contains("hunter2"));
            assert_eq!(result, error);
        }
    }
}
