//! Blocks of removed files, which are freed little by little.

use crate::content::Block;

/// The most blocks that one call frees in addition to those that make room for new ones: 2 MiB. To
/// free 4 GiB in one step would keep the thread for a tenth of a second.
const STEP: usize = 32;

/// Blocks of removed files.
///
/// Before new memory is allocated, as much is freed. So blocks that wait here, which no longer
/// count against the budget, never make the memory of a file system larger than the budget.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeferredFrees(Vec<Block>);

impl DeferredFrees {
    pub(crate) fn add(&mut self, blocks: impl Iterator<Item = Block>) {
        self.0.extend(blocks);
    }

    /// Frees blocks of at least `bytes`, or all.
    pub(crate) fn free(&mut self, bytes: usize) {
        let mut freed = 0;
        while freed < bytes
            && let Some(block) = self.0.pop()
        {
            freed += block.capacity();
        }
    }

    /// Frees a few blocks.
    pub(crate) fn step(&mut self) {
        self.0.truncate(self.0.len().saturating_sub(STEP));
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }

    /// Returns the memory of all blocks.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.0.iter().map(|block| block.capacity()).sum()
    }
}
