//! Resetting the memory of an instance to that of its image.
//!
//! The kernel says which pages of the memory are not the image's: all others are pages of the
//! image's file, or do not exist yet. These pages are overwritten through the memory itself, so
//! they have the content of the image afterwards wherever the kernel has placed them, and they stay
//! in the page table: the next program does not fault on them.

use std::collections::HashMap;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use eryx_sync::Mutex;
use wasmtime::Store;

use crate::memory_access::{MAX_PARTS, MemoryAccess, Part, words};
use crate::memory_changes::PageMap;
use crate::session_snapshot::PAGE;
use crate::store_state::StoreState;

/// The most pages that a reset overwrites: a megabyte, as a program that uses more spends most of
/// its time elsewhere.
const MAX_PAGES: usize = 256;

/// The most pages of an image that are cached, for programs that write to different pages.
const MAX_CACHED_PAGES: usize = 4 * MAX_PAGES;
const _: () = assert!(MAX_PAGES <= MAX_PARTS);

/// The most memory that is searched for written pages, in bytes. The search takes half a
/// microsecond per MiB, and without it a start costs about 250 µs more.
const MAX_MEMORY: usize = 256 << 20;

/// What instances of an image are reset with.
#[derive(Default)]
pub(crate) struct ImagePages {
    /// Replaced as a whole, so that the lock is held only for a moment.
    cached: Mutex<Arc<CachedPages>>,
}

/// Copies of those pages of an image that programs have written to, and the value of its C stack
/// pointer between two calls.
#[derive(Clone, Default)]
pub(crate) struct CachedPages {
    /// By address.
    pages: HashMap<usize, Arc<[u64]>>,
    /// `None` until an instance was read.
    stack: Option<usize>,
}

/// The memory of an instance that is to be reset.
pub(crate) enum Reset {
    /// It cannot be reset.
    Impossible,
    /// These pages of the image have to be read first, from an instance that never ran.
    Missing(Vec<usize>),
    /// It has to be overwritten with these parts, and its first page with zeros.
    Parts(Vec<Part>),
}

impl ImagePages {
    /// Returns the cached pages.
    pub(crate) fn cached(&self) -> Option<Arc<CachedPages>> {
        self.cached
            .try_lock_spinning()
            .map(|cached| Arc::clone(&cached))
    }

    /// Caches these pages in place of those before. Pages that another thread has added since are
    /// read again when they are needed.
    pub(crate) fn cache_pages(&self, pages: &Arc<CachedPages>) {
        let Some(mut cached) = self.cached.try_lock_spinning() else {
            return;
        };
        let replaced = mem::replace(&mut *cached, Arc::clone(pages));
        drop(cached);
        drop(replaced);
    }
}

impl CachedPages {
    /// Returns how the memory of an instance is reset, whose size has not changed.
    pub(crate) async fn plan(
        &self,
        store: &mut Store<StoreState>,
        access: &MemoryAccess,
    ) -> wasmtime::Result<Reset> {
        let view = access.view(store).await?;
        let memory = view.as_le_slice(&*store);
        if memory.len() > MAX_MEMORY {
            return Ok(Reset::Impossible);
        }
        let Some(ranges) = written(memory) else {
            return Ok(Reset::Impossible);
        };
        // The values of all other globals are those of every instance between two calls, or count
        // the time until the next yield.
        let stack = access.start(store).await?;
        if self.stack.is_some_and(|expected| expected != stack) {
            return Ok(Reset::Impossible);
        }
        let missing = self.missing(&ranges);
        if self.stack.is_none() || !missing.is_empty() {
            return Ok(Reset::Missing(missing));
        }
        let parts = ranges.into_iter().map(|range| {
            let mut words = Vec::with_capacity(range.len() / size_of::<u64>());
            for page in range.clone().step_by(PAGE) {
                words.extend_from_slice(&self.pages[&page]);
            }
            // Addresses have 32 bits.
            (range.start as u32, words)
        });
        Ok(Reset::Parts(parts.collect()))
    }

    /// Returns the pages in `ranges`, which are [`MAX_PAGES`] at most, that have to be read. Those
    /// are all of them when there would be too many cached pages: a program must not be able to
    /// fill the cache with those that no other program writes to.
    fn missing(&self, ranges: &[Range<usize>]) -> Vec<usize> {
        let pages = || ranges.iter().flat_map(|range| range.clone().step_by(PAGE));
        let missing: Vec<_> = pages()
            .filter(|page| !self.pages.contains_key(page))
            .collect();
        if self.pages.len() + missing.len() > MAX_CACHED_PAGES {
            return pages().collect();
        }
        missing
    }

    /// Returns these pages, and the `missing` ones of [`Reset::Missing`] as they are in an instance
    /// that never ran.
    pub(crate) async fn read(
        &self,
        missing: &[usize],
        pristine: &mut Store<StoreState>,
        access: &MemoryAccess,
    ) -> wasmtime::Result<Arc<Self>> {
        let stack = access.start(pristine).await?;
        let view = access.view(pristine).await?;
        let memory = view.as_le_slice(&*pristine);
        let is_too_much = self.pages.len() + missing.len() > MAX_CACHED_PAGES;
        let mut cached = if is_too_much {
            Self::default()
        } else {
            self.clone()
        };
        cached.stack = Some(stack);
        for &page in missing {
            cached
                .pages
                .insert(page, words(&memory[page..page + PAGE]).into());
        }
        Ok(Arc::new(cached))
    }
}

/// Overwrites memory with `parts`, and its first page with zeros.
pub(crate) async fn overwrite(
    store: &mut Store<StoreState>,
    access: &MemoryAccess,
    parts: Vec<Part>,
) -> wasmtime::Result<()> {
    access.place_all(store, parts).await?;
    // The far end of the C stack, where the functions that access memory leave their results.
    access.place(store, 0, vec![0; PAGE]).await
}

/// Returns the parts of `memory` that may have been written to, without the first page, or `None`
/// if the kernel does not know, or if they have too many pages.
fn written(memory: &[u8]) -> Option<Vec<Range<usize>>> {
    let ranges = PageMap::open()?.dirty_ranges(memory, MAX_PAGES);
    let mut ranges = ranges.ok()??;
    // `memory-view` has just written to the first page: a kernel that does not say so knows
    // nothing.
    let first = ranges.first_mut().filter(|first| first.start == 0)?;
    first.start = PAGE;
    ranges.retain(|range| !range.is_empty());
    Some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_few_programs_write_to_do_not_displace_others_for_ever() {
        let mut cached = CachedPages::default();
        let page = |number: usize| number * PAGE..(number + 1) * PAGE;
        assert_eq!(cached.missing(&[page(1), page(3)]), [PAGE, 3 * PAGE]);
        for number in 0..MAX_CACHED_PAGES - 1 {
            cached.pages.insert(number * PAGE, Arc::new([]));
        }
        let (last, beyond) = (MAX_CACHED_PAGES - 1, MAX_CACHED_PAGES);
        assert_eq!(cached.missing(&[page(0), page(last)]), [last * PAGE]);
        // They are forgotten, and read again.
        assert_eq!(
            cached.missing(&[page(0), page(last), page(beyond)]),
            [0, last * PAGE, beyond * PAGE]
        );
    }
}
