//! The open files and directories of a guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An open file or directory.
#[derive(Debug)]
#[allow(
    unreachable_pub,
    reason = "the code that `bindgen!` generates names it in public"
)]
pub struct Descriptor {
    pub(super) id: eryx_files::Descriptor,
    position: Position,
}

/// The position in an open file, from which its streams read and write.
///
/// Pitfall: the image's libc opens one stream for reading and one for writing, each at the present
/// position, and keeps both until the program seeks. With a position each, a program that reads 3
/// bytes, writes 3 and reads again would read what it wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct Position(Arc<AtomicU64>);

impl Position {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, offset: u64) {
        self.0.store(offset, Ordering::Relaxed);
    }

    pub(super) fn advance(&self, bytes: usize) {
        // Files are far smaller than 2^64 bytes.
        self.set(self.get().saturating_add(bytes as u64));
    }
}

impl Descriptor {
    pub(super) fn new(id: eryx_files::Descriptor) -> Self {
        Self {
            id,
            position: Position::default(),
        }
    }

    /// Returns the position, which is set to `offset`.
    pub(super) fn position_at(&self, offset: u64) -> Position {
        self.position.set(offset);
        self.position.clone()
    }

    /// Returns the position as it is.
    pub(super) fn position(&self) -> Position {
        self.position.clone()
    }
}
