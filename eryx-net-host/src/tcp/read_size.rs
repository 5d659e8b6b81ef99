//! The adaptive buffer size of reads.

/// The most bytes that one [`Connection::read`](crate::Connection::read) returns.
pub const MAX_READ: usize = 1 << 20;

/// The first and smallest buffer of a read. It holds the plaintext of one TLS record (RFC 8446,
/// 5.1).
const MIN_READ: usize = 16 * 1024;

/// The buffer size of the next read, which follows the bytes that arrive, not those that the guest
/// program requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadSize(usize);

impl ReadSize {
    pub(super) fn get(self) -> usize {
        self.0
    }

    /// Adapts to a read of `count` bytes into a buffer of `capacity`: doubles the size after a full
    /// buffer, and halves it after a buffer that was less than a quarter full.
    pub(super) fn adapt(&mut self, count: usize, capacity: usize) {
        if count == self.0 {
            self.0 = (self.0 * 2).min(MAX_READ);
        } else if capacity == self.0 && count < self.0 / 4 {
            self.0 = (self.0 / 2).max(MIN_READ);
        }
    }
}

impl Default for ReadSize {
    fn default() -> Self {
        Self(MIN_READ)
    }
}
