//! The dirty pages of an instance: those that it has changed since it started from its image.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use crate::session_snapshot::PAGE;

/// A page that exists in memory or in the swap, and is not that of a file (proc_pid_pagemap(5)).
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;

/// The kernel's record of the pages of this process. The pages of an image are those of a file
/// until they are written to.
pub(crate) struct PageMap(File);

impl PageMap {
    /// Opens the record, if the kernel has one and its pages have [`PAGE`] bytes.
    pub(crate) fn open() -> Option<Self> {
        (kernel_page()? == PAGE).then_some(())?;
        File::open("/proc/self/pagemap").ok().map(Self)
    }

    /// Calls `each` with the numbers of the pages of `memory`, which starts at a page, that may
    /// have been written to. A page that was written and put back counts too.
    ///
    /// That holds whatever the kernel does with pages: one that is in the swap, or on its way from
    /// one frame to another, counts as swapped; one that is merged with others, or part of a huge
    /// page, is present, and not of a file.
    fn for_each_dirty(&self, memory: &[u8], mut each: impl FnMut(usize)) -> io::Result<()> {
        /// The pages whose entries are read at a time, so that they need no allocation.
        const PAGES: usize = 2048;
        let first = memory.as_ptr().addr() / PAGE;
        let count = memory.len() / PAGE;
        let mut buffer = [0; PAGES * size_of::<u64>()];
        for start in (0..count).step_by(PAGES) {
            let entries = &mut buffer[..PAGES.min(count - start) * size_of::<u64>()];
            let offset = (first + start) as u64 * size_of::<u64>() as u64;
            self.0.read_exact_at(entries, offset)?;
            let (entries, _) = entries.as_chunks();
            for (index, entry) in entries.iter().enumerate() {
                let entry = u64::from_ne_bytes(*entry);
                if entry & (PRESENT | SWAPPED) != 0 && entry & OF_FILE == 0 {
                    each(start + index);
                }
            }
        }
        Ok(())
    }

    /// Returns, for each page of `memory`, whether it may have been written to.
    fn dirty_page_flags(&self, memory: &[u8]) -> io::Result<Vec<bool>> {
        let mut flags = vec![false; memory.len() / PAGE];
        self.for_each_dirty(memory, |page| flags[page] = true)?;
        Ok(flags)
    }

    /// Returns the pages of `memory` that may have been written to, as ranges of bytes, or `None`
    /// if they are more than `max`. Ranges are not adjacent.
    pub(crate) fn dirty_ranges(
        &self,
        memory: &[u8],
        max: usize,
    ) -> io::Result<Option<Vec<Range<usize>>>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut pages = 0;
        self.for_each_dirty(memory, |page| {
            pages += 1;
            let (start, end) = (page * PAGE, (page + 1) * PAGE);
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end = end,
                // Beyond the limit the ranges are not returned, and need not grow.
                _ if pages <= max => ranges.push(start..end),
                _ => {}
            }
        })?;
        Ok((pages <= max).then_some(ranges))
    }
}

/// Returns the bytes of a page of the kernel.
fn kernel_page() -> Option<usize> {
    /// `AT_PAGESZ` of getauxval(3).
    const PAGE_SIZE: usize = 6;
    static SIZE: OnceLock<Option<usize>> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let vector = fs::read("/proc/self/auxv").ok()?;
        let (words, _) = vector.as_chunks();
        let mut words = words.iter().map(|word| usize::from_ne_bytes(*word));
        while let (Some(key), Some(value)) = (words.next(), words.next()) {
            if key == PAGE_SIZE {
                return Some(value);
            }
        }
        None
    })
}

/// A way to find the changed pages of a part of memory.
pub(crate) enum Changes<'a> {
    /// Those that the kernel knows to be written.
    Written(&'a PageMap),
    /// Those that differ from the pristine memory of the image, of which the kernel may know more.
    Different(&'a [u8], Option<&'a PageMap>),
}

impl Changes<'_> {
    /// Returns the changed pages of `memory` in `part`, which has whole pages, as ranges of bytes.
    /// Ranges are not adjacent.
    ///
    /// # Errors
    ///
    /// When `part` is not in `memory`, or the kernel's record cannot be read.
    pub(crate) fn find(&self, memory: &[u8], part: Range<usize>) -> io::Result<Vec<Range<usize>>> {
        let (pristine, map) = match self {
            Self::Written(map) => (None, Some(*map)),
            Self::Different(pristine, map) => (Some(*pristine), *map),
        };
        let Some(memory) = memory.get(part.clone()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "they are beyond the memory",
            ));
        };
        let flags = map.map(|map| map.dirty_page_flags(memory)).transpose()?;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let (pages, _) = memory.as_chunks::<PAGE>();
        for (index, content) in pages.iter().enumerate() {
            if flags.as_ref().is_some_and(|flags| !flags[index]) {
                continue;
            }
            let start = part.start + index * PAGE;
            let page = start..start + PAGE;
            let is_pristine = pristine.is_some_and(|pristine| match pristine.get(page.clone()) {
                Some(before) => *before == *content,
                // Memory that was added since is zero.
                None => content.iter().all(|byte| *byte == 0),
            });
            if is_pristine {
                continue;
            }
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end = page.end,
                _ => ranges.push(page),
            }
        }
        Ok(ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_differ_from_the_image_are_found_in_ranges() {
        let mut memory = vec![0; 8 * PAGE];
        let pristine = vec![0; 6 * PAGE];
        for at in [PAGE, 2 * PAGE + 7, 5 * PAGE, 7 * PAGE + 1] {
            memory[at] = 1;
        }
        let changes = Changes::Different(&pristine, None);
        let found = changes.find(&memory, 0..8 * PAGE).expect("found");
        assert_eq!(
            found,
            [PAGE..3 * PAGE, 5 * PAGE..6 * PAGE, 7 * PAGE..8 * PAGE]
        );
        let part = changes.find(&memory, 2 * PAGE..5 * PAGE).expect("found");
        assert_eq!((part.len(), &part[0]), (1, &(2 * PAGE..3 * PAGE)));
    }

    /// Regression: a memory that seemed to be empty made a fork panic.
    #[test]
    fn pages_beyond_the_memory_are_an_error() {
        let memory = vec![0; 2 * PAGE];
        let maps = [None, PageMap::open()];
        for map in &maps {
            let changes = Changes::Different(&memory, map.as_ref());
            changes.find(&memory, 0..2 * PAGE).expect("found");
            for (memory, part) in [(&[][..], 0..PAGE), (&memory[..], PAGE..3 * PAGE)] {
                let error = changes.find(memory, part).expect_err("refused");
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_knows_which_pages_were_written() {
        let Some(map) = PageMap::open() else {
            return;
        };
        // Large enough for a mapping of its own, whose pages do not exist before they are used.
        let mut memory = vec![0_u8; 64 << 20];
        let start = memory.as_ptr().align_offset(PAGE);
        memory[start + 3 * PAGE] = 1;
        let memory = &memory[start..start + 8 * PAGE];
        let found = Changes::Written(&map)
            .find(memory, 0..8 * PAGE)
            .expect("found");
        assert!(
            found.iter().any(|range| range.contains(&(3 * PAGE))),
            "{found:?}"
        );
        let ranges = map.dirty_ranges(memory, 8).expect("found");
        assert_eq!(ranges.as_deref(), Some(&found[..]));
        let more_than_none = map.dirty_ranges(memory, 0).expect("found");
        assert_eq!(more_than_none, None);
    }
}
