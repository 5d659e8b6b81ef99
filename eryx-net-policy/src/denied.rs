//! A denial as an error.

use std::{error::Error, fmt};

use crate::verdict::Verdict;

/// The error of [`Verdict::into_result`]: the verdict that denies.
///
/// [`Display`](fmt::Display) is the verdict's sentence for the embedder. What a guest may read is
/// [`Verdict::guest_message`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied(Box<Verdict>);

impl Denied {
    pub(crate) fn new(verdict: Verdict) -> Self {
        Self(Box::new(verdict))
    }

    /// Returns the verdict.
    pub fn verdict(&self) -> &Verdict {
        &self.0
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Denied {}
