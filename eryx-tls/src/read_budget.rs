//! How much one poll takes in.

/// The most bytes of ciphertext that one poll takes in while it leads to no plaintext.
///
/// A peer can send much that no reader ever sees: session tickets, padding, key updates. A poll that goes on for as long
/// as the kernel has such bytes ends with the peer's patience, not with the caller's deadline. Half of 256 KiB, the most
/// that anything takes in before others get their turn, since an operation polls at most twice in one: once to see
/// whether it has to wait, and once to wait. At 40 bytes a ticket, 3,200 of them, it takes some 10 ms.
pub const POLL_LIMIT: usize = 128 * 1024;

/// The most times that one poll asks the transport: twice as often as [`POLL_LIMIT`] takes in reads of 4 KiB, so that
/// bytes that come one at a time do not make it long either.
const FILLS: usize = 64;

/// What one poll may still take in.
#[derive(Debug)]
pub(crate) struct Intake {
    bytes: usize,
    fills: usize,
}

impl Intake {
    /// All that a poll may take in.
    pub(crate) fn new() -> Self {
        Self {
            bytes: POLL_LIMIT,
            fills: FILLS,
        }
    }

    /// Returns how many bytes the next read may bring at most; `None` when it is the turn of others.
    pub(crate) fn room(&self) -> Option<usize> {
        (self.fills > 0 && self.bytes > 0).then_some(self.bytes)
    }

    /// Counts a read that brought `bytes`.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.fills = self.fills.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
