//! The bytes that wait for the program.

use std::collections::VecDeque;

/// The longest piece that is copied to the end of another one: a large one stays in its own memory.
const MAX_COPIED: usize = 4 * 1024;

/// Bytes for the program, in the order in which it receives them.
///
/// Large pieces are passed on without a copy, so that a body costs no more than without inspection.
#[derive(Default)]
pub(super) struct ProgramQueue {
    /// None of them is empty.
    pieces: VecDeque<Vec<u8>>,
    /// The number of bytes of the first piece that were taken.
    taken: usize,
}

impl ProgramQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Returns the number of bytes.
    pub(super) fn len(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum::<usize>() - self.taken
    }

    /// Adds bytes, copied.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.pieces.back_mut() {
            Some(last) if last.len().min(bytes.len()) <= MAX_COPIED => {
                last.extend_from_slice(bytes)
            }
            _ => self.pieces.push_back(bytes.to_vec()),
        }
    }

    /// Adds bytes without a copy, unless they are few.
    pub(super) fn push_vec(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self.pieces.back_mut() {
            Some(last) if bytes.len() <= MAX_COPIED => last.extend_from_slice(&bytes),
            _ => self.pieces.push_back(bytes),
        }
    }

    /// Removes and returns up to `max` of the first bytes; none only if there are none, or `max` is
    /// 0.
    pub(super) fn take(&mut self, max: usize) -> Vec<u8> {
        let Some(first) = self.pieces.front_mut() else {
            return Vec::new();
        };
        if self.taken == 0 && first.len() <= 2 * max {
            // The rest gets memory of its own: the buffer of a large read must not stay.
            let rest = first.split_off(max.min(first.len()));
            let bytes = std::mem::replace(first, rest);
            if first.is_empty() {
                self.pieces.pop_front();
            }
            return bytes;
        }
        let rest = &first[self.taken..];
        let bytes = rest[..rest.len().min(max)].to_vec();
        self.taken += bytes.len();
        if self.taken == first.len() {
            self.pieces.pop_front();
            self.taken = 0;
        }
        bytes
    }

    /// Removes and returns all bytes.
    pub(super) fn take_all(&mut self) -> Vec<u8> {
        let taken = std::mem::take(&mut self.taken);
        let pieces = std::mem::take(&mut self.pieces);
        pieces.into_iter().flatten().skip(taken).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_taken_in_order_whatever_the_sizes_of_pieces_and_reads() {
        for sizes in [
            &[1, 5000, 3, 9000][..],
            &[5000, 5000, 10],
            &[10, 10],
            &[0, 1],
        ] {
            for max in [1, 7, 4096, 5000, 20_000] {
                for copied in [false, true] {
                    let mut queue = ProgramQueue::default();
                    let mut expected = Vec::new();
                    for &size in sizes {
                        let start = expected.len();
                        let piece: Vec<u8> = (start..start + size).map(|n| n as u8).collect();
                        expected.extend_from_slice(&piece);
                        match copied {
                            true => queue.push(&piece),
                            false => queue.push_vec(piece),
                        }
                    }
                    let mut taken = Vec::new();
                    while !queue.is_empty() {
                        assert_eq!(queue.len(), expected.len() - taken.len());
                        let bytes = queue.take(max);
                        assert!((1..=max).contains(&bytes.len()));
                        taken.extend(bytes);
                    }
                    assert_eq!(taken, expected, "{sizes:?} {max}");
                    assert_eq!((queue.len(), queue.take(max)), (0, Vec::new()));
                    queue.push(&expected);
                    let start = queue.take(max);
                    assert_eq!([start, queue.take_all()].concat(), expected);
                    assert!(queue.is_empty());
                }
            }
        }
    }

    #[test]
    fn a_large_piece_is_not_copied() {
        let large = vec![0; 2 * MAX_COPIED];
        let address = large.as_ptr();
        let mut queue = ProgramQueue::default();
        queue.push(b"held back");
        queue.push_vec(large);
        assert_eq!(queue.take(1 << 20), b"held back");
        let taken = queue.take(1 << 20);
        assert_eq!(taken.as_ptr(), address);
    }
}
