//! The content of a file: blocks that the program wrote, over the original content.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::budget::Budget;
use crate::deferred_frees::DeferredFrees;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::source::{Deferred, Original};

/// The bytes of a block. Blocks are copied when they are shared and written to, so this is also the
/// most that a write of one byte copies.
pub(crate) const BLOCK: usize = 64 << 10;

/// A block, without the zeros at its end: a hole of a file takes no memory.
pub(crate) type Block = Arc<Vec<u8>>;

/// The content of a file.
///
/// A byte comes from the block that contains it, if there is one; else from the original content,
/// if that reaches so far; and else it is 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    size: u64,
    original: Option<Original>,
    /// How many bytes of the original content can still be seen. Not more than `size`.
    original_size: u64,
    blocks: BTreeMap<u64, Block>,
    /// The original is deferred, and nothing has changed: the sizes are those of the original,
    /// which may not be known yet.
    has_original_sizes: bool,
}

/// Returns the block that contains the byte at `offset`, and the position in it.
fn position(offset: u64) -> (u64, usize) {
    let block = BLOCK as u64;
    (offset / block, (offset % block) as usize)
}

/// Returns the capacity of a block with this length: a quarter more, so that a file to which a
/// program appends single bytes is seldom moved.
fn capacity(length: usize) -> usize {
    (length + length / 4).clamp(64, BLOCK)
}

impl Content {
    /// Returns original content, which does not count as stored.
    pub(crate) fn original(original: Original) -> Self {
        let size = original.size();
        Self {
            size,
            has_original_sizes: matches!(original, Original::Deferred(_)),
            original: Some(original),
            original_size: size,
            blocks: BTreeMap::new(),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        match &self.original {
            Some(original) if self.has_original_sizes => original.size(),
            _ => self.size,
        }
    }

    /// Returns the deferred content that has to be loaded before the content can be read, or before
    /// the size is known. Content that cannot be loaded stays so.
    pub(crate) fn unloaded(&self) -> Option<&Arc<Deferred>> {
        match &self.original {
            Some(Original::Deferred(deferred)) if self.has_original_sizes => {
                Some(deferred).filter(|deferred| !deferred.has_content())
            }
            _ => None,
        }
    }

    /// Loads deferred content of an unknown size, as far as that succeeds.
    pub(crate) fn load_size(&self) {
        if let Some(Original::Deferred(deferred)) = &self.original
            && self.has_original_sizes
            && deferred.size().is_none()
        {
            // A failure is reported by each read.
            let _ = deferred.load();
        }
    }

    /// Returns whether the size is not known: the original is deferred, and was not or cannot be
    /// loaded. [`size`](Self::size) is 0 then.
    pub(crate) fn has_unknown_size(&self) -> bool {
        match &self.original {
            Some(Original::Deferred(deferred)) => {
                self.has_original_sizes && deferred.size().is_none()
            }
            _ => false,
        }
    }

    /// Returns this content with the sizes of the original, which is loaded.
    fn loaded(&self) -> Result<Self> {
        let mut loaded = self.clone();
        if let Some(Original::Deferred(deferred)) = &self.original
            && self.has_original_sizes
        {
            loaded.size = deferred.load()?.len() as u64;
            loaded.original_size = loaded.size;
            loaded.has_original_sizes = false;
        }
        Ok(loaded)
    }

    /// Returns whether both are equal because they share all blocks. Two equal contents that were
    /// written separately are not.
    pub(crate) fn is_same(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let is_same_original = match (&self.original, &other.original) {
            (Some(Original::Bytes(a)), Some(Original::Bytes(b))) => a.as_ptr() == b.as_ptr(),
            (Some(Original::Source(a)), Some(Original::Source(b))) => Arc::ptr_eq(a, b),
            (Some(Original::Deferred(a)), Some(Original::Deferred(b))) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        let is_same_block =
            |((index, block), (other_index, other_block)): ((&u64, &Block), (&u64, &Block))| {
                index == other_index && Arc::ptr_eq(block, other_block)
            };
        let original_size = |content: &Self| {
            if content.has_original_sizes {
                content.size()
            } else {
                content.original_size
            }
        };
        if self.has_unknown_size() || other.has_unknown_size() {
            // Regression: with 0 as its size, the content was the same as that of any empty file.
            let is_original = self.has_original_sizes && other.has_original_sizes;
            return is_same_original && is_original;
        }
        Arc::ptr_eq(self, other)
            || (self.size() == other.size()
                && original_size(self) == original_size(other)
                && (is_same_original || original_size(self) == 0)
                && self.blocks.len() == other.blocks.len()
                && self.blocks.iter().zip(&other.blocks).all(is_same_block))
    }

    /// Returns the bytes that count against the budget: all, except for those that come from the
    /// original content.
    pub(crate) fn stored(&self) -> u64 {
        if self.has_original_sizes {
            return 0;
        }
        self.size - self.visible_original(0)
    }

    /// Returns the bytes from block `first` on that come from the original content.
    fn visible_original(&self, first: u64) -> u64 {
        let blocks = self.blocks.range(first..);
        let hidden = blocks.map(|(index, _)| self.original_in_block(*index) as u64);
        self.original_size.saturating_sub(first * BLOCK as u64) - hidden.sum::<u64>()
    }

    /// Returns how many bytes of the original content are in the range of this block.
    fn original_in_block(&self, index: u64) -> usize {
        let rest = self.original_size.saturating_sub(index * BLOCK as u64);
        rest.min(BLOCK as u64) as usize
    }

    /// Reads at most `length` bytes from `offset` on, and at most [`Limits::MAX_TRANSFER`]. Returns
    /// none at the end of the file.
    pub(crate) fn read(&self, offset: u64, length: u64) -> Result<Bytes> {
        if self.has_original_sizes {
            return self.loaded()?.read(offset, length);
        }
        let rest = self.size.saturating_sub(offset);
        let length = rest.min(length).min(Limits::MAX_TRANSFER as u64) as usize;
        if length == 0 {
            return Ok(Bytes::new());
        }
        if let Some(bytes) = self.shared(offset, length) {
            return Ok(bytes);
        }
        let mut buffer = Vec::with_capacity(length);
        while buffer.len() < length {
            let done = buffer.len();
            let at = offset + done as u64;
            let (index, start) = position(at);
            let end = length.min(done + BLOCK - start);
            match self.blocks.get(&index) {
                Some(block) => {
                    let found = block.get(start..).unwrap_or_default();
                    buffer.extend_from_slice(&found[..found.len().min(end - done)]);
                    buffer.resize(end, 0);
                }
                None => {
                    buffer.resize(end, 0);
                    self.read_original(at, &mut buffer[done..])?;
                }
            }
        }
        Ok(buffer.into())
    }

    /// Returns a range of the original content without copying it, if nothing in it has changed.
    fn shared(&self, offset: u64, length: usize) -> Option<Bytes> {
        let bytes = match self.original.as_ref()? {
            Original::Bytes(bytes) => bytes,
            Original::Deferred(deferred) => deferred.load().ok()?,
            Original::Source(_) => return None,
        };
        let end = offset + length as u64;
        let (last, _) = position(end - 1);
        let mut changed = self.blocks.range(position(offset).0..=last);
        if changed.next().is_some() || end > self.original_size {
            return None;
        }
        Some(bytes.slice(offset as usize..end as usize))
    }

    /// Copies original content into the start of `piece`, which is zeroed.
    fn read_original(&self, offset: u64, piece: &mut [u8]) -> Result<()> {
        let rest = self.original_size.saturating_sub(offset);
        let length = rest.min(piece.len() as u64) as usize;
        match &self.original {
            Some(original) if length > 0 => original.read(offset, &mut piece[..length]),
            _ => Ok(()),
        }
    }

    /// Returns how many bytes of `wanted` a write at `offset` takes: at most
    /// [`Limits::MAX_TRANSFER`], and no more than fit into the budget.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`] if not one byte fits, and [`Error::FileTooLarge`] if none ever does.
    pub(crate) fn room(&self, offset: u64, wanted: usize, budget: &Budget) -> Result<usize> {
        if self.has_original_sizes {
            return self.loaded()?.room(offset, wanted, budget);
        }
        let wanted = wanted.min(Limits::MAX_TRANSFER);
        if wanted == 0 {
            return Ok(0);
        }
        if offset > budget.max_size(self.original_size) {
            return Err(Error::FileTooLarge);
        }
        let (mut at, mut size, mut free) = (offset, self.size, budget.free_bytes());
        let wanted_end = offset + wanted as u64;
        while at < wanted_end {
            let (index, start) = position(at);
            let Some(growth) = free.checked_sub(self.hidden_by_block(index) as u64) else {
                break;
            };
            let piece_end = wanted_end.min(at + (BLOCK - start) as u64);
            let end = piece_end.min(size.saturating_add(growth));
            if end <= at {
                break;
            }
            free = growth - end.saturating_sub(size);
            size = size.max(end);
            at = end;
        }
        match (at - offset) as usize {
            0 => Err(Error::NoSpace),
            room => Ok(room),
        }
    }

    /// Returns how many bytes of the original content can no longer be seen when this block is
    /// written.
    fn hidden_by_block(&self, index: u64) -> usize {
        match self.blocks.get(&index) {
            Some(_) => 0,
            None => self.original_in_block(index),
        }
    }

    /// Writes bytes at `offset`, and returns how many, as [`room`](Self::room).
    ///
    /// # Errors
    ///
    /// Those of [`room`](Self::room), and [`Error::Io`] if original content cannot be read.
    pub(crate) fn write(
        &mut self,
        offset: u64,
        data: &[u8],
        budget: &mut Budget,
        frees: &mut DeferredFrees,
    ) -> Result<usize> {
        if self.has_original_sizes {
            *self = self.loaded()?;
        }
        let length = self.room(offset, data.len(), budget)?;
        let mut done = 0;
        while done < length {
            let at = offset + done as u64;
            let room = BLOCK - position(at).1;
            let piece = &data[done..length.min(done + room)];
            match self.write_piece(at, piece, budget, frees) {
                Ok(()) => done += piece.len(),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Writes bytes at `offset`, which all are in one block.
    fn write_piece(
        &mut self,
        offset: u64,
        piece: &[u8],
        budget: &mut Budget,
        frees: &mut DeferredFrees,
    ) -> Result<()> {
        let (index, start) = position(offset);
        let hidden = self.hidden_by_block(index);
        let end = offset + piece.len() as u64;
        let mut original = Vec::new();
        if hidden > 0 {
            frees.free(BLOCK);
            original.reserve_exact(hidden.max(start + piece.len()));
            original.resize(hidden, 0);
            self.read_original(offset - start as u64, &mut original)?;
        }
        budget.take_bytes(hidden as u64 + end.saturating_sub(self.size))?;
        self.size = self.size.max(end);
        let block = self
            .blocks
            .entry(index)
            .or_insert_with(|| Arc::new(original));
        if Arc::get_mut(block).is_none() {
            // `make_mut` copies the block.
            frees.free(BLOCK);
        }
        let block = Arc::make_mut(block);
        let needed = start + piece.len();
        if block.len() < needed {
            if block.capacity() < needed {
                let capacity = capacity(needed);
                frees.free(capacity);
                block.reserve_exact(capacity - block.len());
            }
            block.resize(needed, 0);
        }
        block[start..needed].copy_from_slice(piece);
        Ok(())
    }

    /// Sets the size. New bytes are 0.
    ///
    /// # Errors
    ///
    /// [`Error::FileTooLarge`] and [`Error::NoSpace`].
    pub(crate) fn set_size(
        &mut self,
        size: u64,
        budget: &mut Budget,
        frees: &mut DeferredFrees,
    ) -> Result<()> {
        if self.has_original_sizes && size == 0 {
            // Not one byte of it is needed.
            *self = Self::default();
            return Ok(());
        }
        if self.has_original_sizes {
            *self = self.loaded()?;
        }
        if size > budget.max_size(self.original_size) {
            return Err(Error::FileTooLarge);
        }
        if size >= self.size {
            budget.take_bytes(size - self.size)?;
            self.size = size;
            return Ok(());
        }
        let (boundary, start) = position(size);
        let before = self.size - self.visible_original(boundary);
        let first_removed = if start == 0 { boundary } else { boundary + 1 };
        frees.add(self.blocks.split_off(&first_removed).into_values());
        if let Some(block) = self.blocks.get_mut(&boundary)
            && block.len() > start
        {
            let block = Arc::make_mut(block);
            block.truncate(start);
            // Pitfall: a file of one byte would keep 64 KiB, and count as one byte.
            block.shrink_to(capacity(start));
        }
        self.size = size;
        self.original_size = self.original_size.min(size);
        let after = self.size - self.visible_original(boundary);
        budget.return_bytes(before - after);
        Ok(())
    }

    /// Moves the blocks to those that are freed later.
    pub(crate) fn discard(self: Arc<Self>, frees: &mut DeferredFrees) {
        if let Some(content) = Arc::into_inner(self) {
            frees.add(content.blocks.into_values());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a budget of this many blocks.
    fn budget(blocks: u64) -> Budget {
        let limits = Limits::default().with_max_file_bytes(blocks * BLOCK as u64);
        Budget::new(limits.expect("a limit"))
    }

    /// Returns the memory of all blocks.
    fn memory(content: &Content) -> usize {
        content.blocks.values().map(|block| block.capacity()).sum()
    }

    #[test]
    fn the_memory_of_a_file_is_at_most_a_quarter_more_than_its_size() {
        let (mut budget, mut frees) = (budget(4), DeferredFrees::default());
        let mut content = Content::default();
        let check = |content: &Content| {
            let most = content.size() as usize * 5 / 4 + 64;
            assert!(memory(content) <= most, "{} > {most}", memory(content));
        };
        for step in [1, 10, 100, 1000, 10_000, 100_000] {
            for _ in 0..20 {
                let data = vec![1; step];
                let end = content.size();
                let _ = content.write(end, &data, &mut budget, &mut frees);
                check(&content);
            }
            // Pitfall: a block whose content was removed.
            for size in [content.size() / 2, content.size() / 100, 1, 0] {
                let set = content.set_size(size, &mut budget, &mut frees);
                assert_eq!(set, Ok(()));
                check(&content);
            }
        }
    }

    #[test]
    fn a_hole_takes_no_memory() {
        let (mut budget, mut frees) = (budget(16), DeferredFrees::default());
        let mut content = Content::default();
        let last = 16 * BLOCK as u64 - 1;
        assert_eq!(content.set_size(last, &mut budget, &mut frees), Ok(()));
        assert_eq!(memory(&content), 0);
        let written = content.write(last, b"x", &mut budget, &mut frees);
        assert_eq!((written, memory(&content)), (Ok(1), BLOCK));
        assert_eq!((content.stored(), budget.free_bytes()), (last + 1, 0));
    }

    #[test]
    fn removed_blocks_are_freed_before_others_are_allocated() {
        const BLOCKS: usize = 100;
        let (mut budget, mut frees) = (budget(BLOCKS as u64), DeferredFrees::default());
        let mut content = Content::default();
        let data = vec![1; BLOCK];
        for round in 0..3 {
            for index in 0..BLOCKS {
                let at = (index * BLOCK) as u64;
                let written = content.write(at, &data, &mut budget, &mut frees);
                assert_eq!(written, Ok(BLOCK), "{round}");
                assert!(memory(&content) + frees.memory() <= BLOCKS * BLOCK);
            }
            let set = content.set_size(0, &mut budget, &mut frees);
            assert_eq!((set, memory(&content)), (Ok(()), 0));
            assert_eq!(frees.memory(), BLOCKS * BLOCK);
        }
        // Each step frees a part.
        let mut steps = 0;
        while frees.memory() > 0 {
            let before = frees.memory();
            frees.step();
            assert!(before - frees.memory() <= 32 * BLOCK);
            steps += 1;
        }
        assert_eq!(steps, BLOCKS.div_ceil(32));
    }
}
