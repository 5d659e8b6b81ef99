//! The budget of ciphertext that one poll may read.

/// The most bytes of ciphertext that one poll reads while they lead to no plaintext.
///
/// A peer can send many bytes that are never delivered to a reader: session tickets, padding, key
/// updates. Without the limit, a poll would go on for as long as the peer sends them, beyond the
/// caller's deadline. The limit is low, since a caller may poll several times before it yields to
/// other tasks.
pub const POLL_LIMIT: usize = 48 * 1024;

/// The most reads from the transport in one poll, so that bytes that arrive one at a time do not
/// make a poll long either.
const MAX_READS: usize = 64;

/// The ciphertext that one poll may still read.
#[derive(Debug)]
pub(crate) struct ReadBudget {
    bytes: usize,
    reads: usize,
}

impl ReadBudget {
    /// Returns the budget of a whole poll.
    pub(crate) fn new() -> Self {
        Self {
            bytes: POLL_LIMIT,
            reads: MAX_READS,
        }
    }

    /// Returns the most bytes that the next read may return; `None` when the poll must yield.
    pub(crate) fn remaining(&self) -> Option<usize> {
        (self.reads > 0 && self.bytes > 0).then_some(self.bytes)
    }

    /// Deducts one read of `bytes`.
    pub(crate) fn deduct(&mut self, bytes: usize) {
        self.reads = self.reads.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
