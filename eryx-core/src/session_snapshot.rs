//! The format of a session's snapshot.
//!
//! ```text
//! magic, 8 bytes │ format, u32 │ digest of the image, 32 bytes │
//!   digest of the factory's key, 32 bytes, zeros without a factory │
//! zlib stream of:
//!   bytes of memory, u64 │ reading of the monotonic clock in ns, u64 │ flags, u8
//!   files: entries, in the order of paths, up to one with tag 0 (`files`)
//!   pages: first page, u32 │ number of pages, u32 │ their bytes, XORed with those of the image
//!     in ascending order, up to a number of 0
//! ```
//!
//! All numbers are little-endian. Nothing else is in a snapshot: no policy, no counter, no grant,
//! no secret of the embedder, and no global of the interpreter, whose values are the same in every
//! instance between two executions.

// With paths, since the fuzz targets include this file from another folder.
#[path = "session_snapshot/files.rs"]
pub(crate) mod files;
#[path = "session_snapshot/header.rs"]
mod header;
#[path = "session_snapshot/reader.rs"]
mod reader;
#[path = "session_snapshot/writer.rs"]
mod writer;

use crate::time_slice::TimeSlice;

pub(crate) use reader::SnapshotReader;
pub(crate) use writer::SnapshotWriter;

/// The bytes of the digest of an image, and of the key of a factory.
const DIGEST: usize = 32;

/// The most bytes that one step compresses or expands.
const STEP: usize = 128 << 10;

/// The latest reading of the clock: a century.
const MAX_CLOCK: u64 = 100 * 366 * 24 * 3600 * 1_000_000_000;

/// The guest has handles of the network.
const HAS_NETWORK: u8 = 1;

/// A program of the session had standard input.
const HAD_STDIN: u8 = 2;

/// The guest has handles of iterations over directories.
const HAS_LISTINGS: u8 = 4;

/// The bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// The bytes of a page of WebAssembly.
pub(crate) const WASM_PAGE: usize = 64 << 10;

/// The most bytes of memory: all but the last page that a guest can address. With that page, the
/// size has no 32-bit number, and the image says that its memory is empty.
pub(crate) const MAX_MEMORY: u64 = (1 << 32) - WASM_PAGE as u64;

/// The kinds of handles whose objects in the guest have to be found: not those of open files, which
/// only libc has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handles {
    /// Of connections, sockets, lookups and TLS sessions.
    pub(crate) network: bool,
    /// Of iterations over directories.
    pub(crate) listings: bool,
}

/// A SHA-256 digest.
pub(crate) type Digest = [u8; DIGEST];

/// The state of a session beside its files and its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionFacts {
    /// The bytes of memory.
    pub(crate) memory: u64,
    /// The reading of the monotonic clock in nanoseconds.
    pub(crate) clock: u64,
    /// The kinds of handles that the guest has.
    pub(crate) handles: Handles,
    /// Whether a program had standard input.
    pub(crate) had_stdin: bool,
}

/// A run of pages: the first one, and their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRun {
    pub(crate) first: u32,
    pub(crate) pages: u32,
}

/// Yields to other tasks if the time slice is over.
async fn yield_if_over(time_slice: &TimeSlice) {
    if time_slice.is_over() {
        tokio::task::yield_now().await;
    }
}

/// Sets `bytes` to their difference from `pristine`, or back. Pristine bytes that are missing are
/// zero.
pub(crate) fn xor(bytes: &mut [u8], pristine: &[u8]) {
    for (byte, before) in bytes.iter_mut().zip(pristine) {
        *byte ^= before;
    }
}

#[cfg(test)]
#[path = "session_snapshot/tests.rs"]
mod tests;
