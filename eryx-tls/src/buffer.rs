use std::fmt;

/// A byte queue of bounded size: filled at the back, consumed at the front, one allocation reused.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    limit: usize,
}

impl Buffer {
    /// An empty queue that never holds more than `limit` bytes. Allocates nothing yet.
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

    /// Drops `count` bytes at the front.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Writable space behind the filled part: at least `want` bytes of it, or all there is below the limit.
    pub(crate) fn space(&mut self, want: usize) -> &mut [u8] {
        let want = want.min(self.limit - self.len());
        if self.bytes.len() - self.end < want {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.bytes.len() - self.end < want {
                self.bytes.resize(self.end + want, 0);
            }
        }
        let room = self.limit - self.len();
        let until = self.bytes.len().min(self.end + room);
        &mut self.bytes[self.end..until]
    }

    /// Marks the first `count` bytes of the space as filled.
    pub(crate) fn fill(&mut self, count: usize) {
        self.end = self.bytes.len().min(self.end + count);
    }

    /// Appends as much of `data` as fits below the limit and says how much that was.
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
    fn bytes_leave_in_the_order_they_came_across_compaction_and_growth() {
        let mut buffer = Buffer::new(100);
        let mut next_in = 0u8;
        let mut next_out = 0u8;
        for round in 1..60usize {
            let data: Vec<u8> = (0..round).map(|i| next_in.wrapping_add(i as u8)).collect();
            let taken = buffer.append(&data);
            next_in = next_in.wrapping_add(taken as u8);
            let leaving = buffer.len() / 2;
            for byte in &buffer.filled()[..leaving] {
                assert_eq!(*byte, next_out);
                next_out = next_out.wrapping_add(1);
            }
            buffer.consume(leaving);
            assert!(buffer.len() <= 100);
        }
    }

    #[test]
    fn the_limit_holds_whatever_is_asked() {
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
