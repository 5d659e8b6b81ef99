//! Search for patterns in a stream.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::pattern_set::{InvalidPatterns, NodeId, PatternSet};

/// Finds the first of several patterns in a stream, no matter how it is split.
///
/// It stores no bytes of the stream, only which prefix of a pattern they end in. Where no pattern
/// can start, the stream is searched with vector instructions. The work is linear in the length of
/// the stream, whatever it contains.
///
/// A clone shares the patterns, so that many streams can be searched at little cost. `Debug` does
/// not show the patterns.
///
/// ```
/// use eryx_http::Finder;
///
/// let mut finder = Finder::new(["eryx-key-1234", "eryx-key-5678"])?;
/// assert_eq!(finder.push(b"the key is eryx-key"), None);
/// assert_eq!(finder.push(b"-5678."), Some(1));
/// finder.reset();
/// assert_eq!(finder.push(b"-1234"), None);
/// # Ok::<(), eryx_http::FinderError>(())
/// ```
#[derive(Clone)]
pub struct Finder {
    patterns: Arc<PatternSet>,
    /// The longest end of the stream that is a prefix of a pattern.
    end: NodeId,
    found: Option<usize>,
}

impl Finder {
    /// The maximum length of a pattern, in bytes.
    pub const MAX_PATTERN_BYTES: usize = PatternSet::MAX_BYTES;
    /// The maximum number of patterns.
    pub const MAX_PATTERNS: usize = PatternSet::MAX_PATTERNS;

    /// Returns a finder of `patterns`. Without a pattern, it finds nothing.
    ///
    /// # Errors
    ///
    /// Fails if a pattern is empty, longer than [`Finder::MAX_PATTERN_BYTES`] or there twice, or if
    /// there are more than [`Finder::MAX_PATTERNS`].
    pub fn new<P: AsRef<[u8]>>(patterns: impl IntoIterator<Item = P>) -> Result<Self, FinderError> {
        Ok(Self {
            patterns: Arc::new(PatternSet::new(patterns)?),
            end: NodeId::ROOT,
            found: None,
        })
    }

    /// Searches the next bytes of the stream, and returns the index of the pattern that ends first
    /// in the stream. If several patterns end at the same byte, that is the longest.
    ///
    /// Once it has found a pattern, it returns that index for all further bytes until
    /// [`Finder::reset`].
    pub fn push(&mut self, input: &[u8]) -> Option<usize> {
        self.search(input);
        self.found
    }

    /// Searches the next bytes of the stream for the first pattern, and returns its index and the
    /// number of bytes up to its end. The search then starts anew: call it again with the bytes
    /// behind the pattern.
    ///
    /// ```
    /// use eryx_http::Finder;
    ///
    /// let mut finder = Finder::new(["key-1", "key-2"])?;
    /// assert_eq!(finder.push(b"key"), None);
    /// assert_eq!(finder.find_next(b"-1key-2"), Some((0, 2)));
    /// assert_eq!(finder.find_next(b"key-2"), Some((1, 5)));
    /// assert_eq!(finder.find_next(b""), None);
    /// # Ok::<(), eryx_http::FinderError>(())
    /// ```
    pub fn find_next(&mut self, input: &[u8]) -> Option<(usize, usize)> {
        let at = self.search(input);
        let found = self.found?;
        self.reset();
        Some((found, at))
    }

    /// Searches up to the end of the first pattern, and returns how many bytes that are.
    fn search(&mut self, input: &[u8]) -> usize {
        let mut at = 0;
        while self.found.is_none() && at < input.len() {
            if self.end == NodeId::ROOT {
                at += self.patterns.count_free(&input[at..]);
            }
            if let Some(&byte) = input.get(at) {
                self.end = self.patterns.step(self.end, byte).0;
                self.found = self
                    .patterns
                    .endings(self.end)
                    .next()
                    .map(|(_, index)| index);
                at += 1;
            }
        }
        at
    }

    /// Starts a new stream.
    pub fn reset(&mut self) {
        self.end = NodeId::ROOT;
        self.found = None;
    }
}

impl fmt::Debug for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finder")
            .field("patterns", &self.patterns.len())
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

impl From<InvalidPatterns> for FinderError {
    fn from(error: InvalidPatterns) -> Self {
        match error {
            InvalidPatterns::Empty { index } => Self::Empty { index },
            InvalidPatterns::TooLong { index } => Self::TooLong { index },
            InvalidPatterns::Repeated { index } => Self::Repeated { index },
            InvalidPatterns::TooMany => Self::TooMany,
        }
    }
}

/// The error of patterns that cannot be searched for.
///
/// It names the index of the pattern, never the pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FinderError {
    /// A pattern without bytes.
    #[error("pattern {index} is empty; leave it out")]
    Empty {
        /// The index of the pattern.
        index: usize,
    },
    /// A pattern that is longer than [`Finder::MAX_PATTERN_BYTES`].
    #[error(
        "pattern {index} has more than {} bytes; use a shorter one",
        Finder::MAX_PATTERN_BYTES
    )]
    TooLong {
        /// The index of the pattern.
        index: usize,
    },
    /// A pattern that is there twice.
    #[error("pattern {index} equals an earlier one; leave it out")]
    Repeated {
        /// The index of the pattern.
        index: usize,
    },
    /// More than [`Finder::MAX_PATTERNS`] patterns.
    #[error("there are more than {} patterns; use fewer", Finder::MAX_PATTERNS)]
    TooMany,
}
