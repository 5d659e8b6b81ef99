//! A bounded byte queue.

use std::fmt;

/// A byte queue of bounded size in one reused allocation: filled at the back, consumed at the
/// front.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    limit: usize,
}

impl Buffer {
    /// Returns an empty queue for at most `limit` bytes. Does not allocate.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            limit,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Removes `count` bytes at the front.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Returns the writable space after the filled part: at least `len` bytes, or all that remain
    /// below the limit.
    pub(crate) fn space(&mut self, len: usize) -> &mut [u8] {
        let len = len.min(self.limit - self.len());
        if self.bytes.len() - self.end < len {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.bytes.len() - self.end < len {
                self.bytes.resize(self.end + len, 0);
            }
        }
        let remaining = self.limit - self.len();
        let space_end = self.bytes.len().min(self.end + remaining);
        &mut self.bytes[self.end..space_end]
    }

    /// Marks the first `count` bytes of the space as filled.
    pub(crate) fn fill(&mut self, count: usize) {
        self.end = self.bytes.len().min(self.end + count);
    }

    /// Appends as much of `data` as fits below the limit. Returns the number of bytes appended.
    pub(crate) fn append(&mut self, data: &[u8]) -> usize {
        let space = self.space(data.len());
        let count = data.len().min(space.len());
        space[..count].copy_from_slice(&data[..count]);
        self.fill(count);
        count
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Buffer;

    #[test]
    fn bytes_keep_their_order_across_compaction_and_growth() {
        let mut buffer = Buffer::new(100);
        let mut next_in = 0u8;
        let mut next_out = 0u8;
        for round in 1..60usize {
            let data: Vec<u8> = (0..round).map(|i| next_in.wrapping_add(i as u8)).collect();
            let taken = buffer.append(&data);
            next_in = next_in.wrapping_add(taken as u8);
            let consumed = buffer.len() / 2;
            for byte in &buffer.filled()[..consumed] {
                assert_eq!(*byte, next_out);
                next_out = next_out.wrapping_add(1);
            }
            buffer.consume(consumed);
            assert!(buffer.len() <= 100);
        }
    }

    #[test]
    fn the_buffer_never_exceeds_its_limit() {
        let mut buffer = Buffer::new(10);
        assert_eq!(buffer.space(usize::MAX).len(), 10);
        assert_eq!(buffer.append(&[1; 7]), 7);
        assert_eq!(buffer.append(&[2; 7]), 3);
        assert_eq!(buffer.append(&[3; 7]), 0);
        assert!(buffer.space(1).is_empty());
        buffer.consume(4);
        assert_eq!(buffer.append(&[4; 7]), 4);
        assert_eq!(buffer.filled(), [1, 1, 1, 2, 2, 2, 4, 4, 4, 4]);
    }
}
