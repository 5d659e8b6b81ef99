//! Replacement of secrets in a stream.

use std::collections::VecDeque;
use std::fmt;

use thiserror::Error;

/// Replaces secrets by placeholders of the same length in a stream, no matter how it is split.
///
/// Where secrets overlap, the one that starts first is replaced, and of those the longest. The
/// scrubber holds back the bytes that can be the start of a secret, which are fewer than the
/// longest secret has. Its work is linear in the length of the stream times the number of secrets,
/// whatever the stream contains: each secret has an automaton of Knuth, Morris and Pratt.
///
/// `Debug` does not show the secrets.
pub struct Scrubber {
    patterns: Vec<Pattern>,
    /// Whether a secret starts with the byte.
    is_first: Box<[bool; 256]>,
    /// The bytes that are held back.
    held: VecDeque<u8>,
    /// For each byte in `held`, the longest secret that was found to start there, as its index
    /// in `patterns` plus one, or 0.
    found: VecDeque<u16>,
    #[cfg(test)]
    steps: usize,
}

/// A secret, and how much of it the end of the stream matches.
struct Pattern {
    secret: Box<[u8]>,
    placeholder: Box<[u8]>,
    /// For each length of a prefix, the length of the longest proper prefix of the secret that ends
    /// this prefix.
    fallback: Box<[usize]>,
    /// The length of the longest prefix that ends the held bytes.
    matched: usize,
}

impl Scrubber {
    /// The maximum length of a secret, in bytes.
    pub const MAX_SECRET_BYTES: usize = 16 * 1024;
    /// The maximum number of secrets.
    pub const MAX_SECRETS: usize = 256;

    /// Returns a scrubber for pairs of a secret and its placeholder.
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
        let mut patterns: Vec<Pattern> = Vec::new();
        let mut is_first = Box::new([false; 256]);
        for (index, (secret, placeholder)) in pairs.into_iter().enumerate() {
            let (secret, placeholder) = (secret.as_ref(), placeholder.as_ref());
            let first = *secret.first().ok_or(ScrubberError::Empty { index })?;
            if secret.len() > Self::MAX_SECRET_BYTES {
                return Err(ScrubberError::TooLong { index });
            }
            if secret.len() != placeholder.len() {
                return Err(ScrubberError::PlaceholderLength { index });
            }
            if patterns.iter().any(|p| *p.secret == *secret) {
                return Err(ScrubberError::Repeated { index });
            }
            if index == Self::MAX_SECRETS {
                return Err(ScrubberError::TooMany);
            }
            is_first[usize::from(first)] = true;
            patterns.push(Pattern::new(secret, placeholder));
        }
        Ok(Self {
            patterns,
            is_first,
            held: VecDeque::new(),
            found: VecDeque::new(),
            #[cfg(test)]
            steps: 0,
        })
    }

    /// Returns the number of bytes that are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes bytes of the stream, and appends those that cannot belong to an incomplete secret to
    /// `output`.
    pub fn push(&mut self, input: &[u8], output: &mut Vec<u8>) {
        let mut at = 0;
        while at < input.len() {
            if self.held.is_empty() {
                let rest = &input[at..];
                let start = rest.iter().position(|&b| self.is_first[usize::from(b)]);
                let skipped = start.unwrap_or(rest.len());
                output.extend_from_slice(&rest[..skipped]);
                at += skipped;
                if start.is_none() {
                    break;
                }
            }
            self.push_byte(input[at]);
            self.release(output);
            at += 1;
        }
    }

    /// Ends the stream: appends the bytes that are held back to `output`, with the complete secrets
    /// in them replaced. The scrubber is then as new.
    pub fn finish(&mut self, output: &mut Vec<u8>) {
        for pattern in &mut self.patterns {
            pattern.matched = 0;
        }
        self.release(output);
        debug_assert!(self.held.is_empty());
    }

    fn push_byte(&mut self, byte: u8) {
        self.held.push_back(byte);
        self.found.push_back(0);
        for (index, pattern) in self.patterns.iter_mut().enumerate() {
            let _steps = pattern.push(byte);
            #[cfg(test)]
            {
                self.steps += _steps;
            }
            if pattern.matched == pattern.secret.len() {
                let start = self.held.len() - pattern.matched;
                pattern.matched = pattern.fallback[pattern.matched];
                // A secret that is found later at the same start is longer.
                self.found[start] = u16::try_from(index + 1).expect("MAX_SECRETS is below 2^16");
            }
        }
    }

    /// Appends the bytes to `output` that no incomplete secret starts at or before.
    fn release(&mut self, output: &mut Vec<u8>) {
        loop {
            let matched = self.patterns.iter().map(|p| p.matched).max().unwrap_or(0);
            let free = self.held.len() - matched;
            // Up to `free`, every secret that starts there is known to be complete or none.
            let Some(start) = (0..free).find(|&at| self.found[at] != 0) else {
                self.move_held(free, output);
                return;
            };
            let number = usize::from(self.found[start]);
            self.move_held(start, output);
            let placeholder = &self.patterns[number - 1].placeholder;
            output.extend_from_slice(placeholder);
            self.held.drain(..placeholder.len());
            self.found.drain(..placeholder.len());
            // Incomplete secrets that start in the replaced one are given up.
            let rest = self.held.len();
            for pattern in &mut self.patterns {
                while pattern.matched > rest {
                    pattern.matched = pattern.fallback[pattern.matched];
                }
            }
        }
    }

    fn move_held(&mut self, count: usize, output: &mut Vec<u8>) {
        output.extend(self.held.drain(..count));
        self.found.drain(..count);
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrubber")
            .field("secrets", &self.patterns.len())
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

impl Pattern {
    fn new(secret: &[u8], placeholder: &[u8]) -> Self {
        let mut fallback = vec![0; secret.len() + 1];
        let mut length = 0;
        for at in 1..secret.len() {
            while length > 0 && secret[at] != secret[length] {
                length = fallback[length];
            }
            if secret[at] == secret[length] {
                length += 1;
            }
            fallback[at + 1] = length;
        }
        Self {
            secret: secret.into(),
            placeholder: placeholder.into(),
            fallback: fallback.into(),
            matched: 0,
        }
    }

    /// Extends the match by a byte, and returns the number of comparisons.
    fn push(&mut self, byte: u8) -> usize {
        let mut steps = 1;
        while self.matched > 0 && self.secret[self.matched] != byte {
            self.matched = self.fallback[self.matched];
            steps += 1;
        }
        if self.secret[self.matched] == byte {
            self.matched += 1;
        }
        steps
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

    #[test]
    fn the_work_of_a_scrubber_is_linear_in_hostile_streams() {
        // Prefixes of the long secret follow each other, and a short one is complete everywhere.
        let long = [&[b'a'; 500][..], b"b"].concat();
        let pairs = [(long, vec![b'x'; 501]), (b"a".to_vec(), b"y".to_vec())];
        let stream = [&[b'a'; 499][..], b"c"].concat().repeat(100);
        for (stream, length) in [(vec![b'a'; 50_000], 50_000), (stream, 50_000)] {
            let mut scrubber = Scrubber::new(pairs.clone()).expect("valid pairs");
            let mut output = Vec::new();
            for byte in &stream {
                scrubber.push(&[*byte], &mut output);
                assert!(scrubber.held() <= 500);
            }
            scrubber.finish(&mut output);
            assert_eq!(output.len(), length);
            assert!(!output.contains(&b'a'));
            // Each byte extends each match once, and shortens it at most as often as it was
            // extended.
            assert!(scrubber.steps <= 2 * 2 * length, "{}", scrubber.steps);
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
